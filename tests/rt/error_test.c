/* The error record and the texts of its codes. */
#include "tests/harness/harness.h"

#include <einet/error.h>
#include <errno.h>

EI_TEST(error_set_fills_and_returns)
{
    struct einet_error err = {.line = 7, .column = 8, .file = "old"};
    EI_EQ(einet_error_set(&err, EINET_E_USAGE, "bad %s %d", "thing", 3), EINET_E_USAGE);
    EI_EQ(err.code, EINET_E_USAGE);
    EI_EQ(err.line, 0);
    EI_EQ(err.column, 0);
    EI_STREQ(err.file, "");
    EI_STREQ(err.text, "bad thing 3");
}

EI_TEST(error_set_at_names_the_place)
{
    struct einet_error err = {0};
    EI_EQ(einet_error_set_at(&err, EINET_E_FILE, "a.yaml", 3, 9, "no"), EINET_E_FILE);
    EI_STREQ(err.file, "a.yaml");
    EI_EQ(err.line, 3);
    EI_EQ(err.column, 9);
    EI_EQ(einet_error_set_at(&err, EINET_E_FILE, NULL, 0, 0, "no"), EINET_E_FILE);
    EI_STREQ(err.file, "");
}

EI_TEST(error_record_is_optional)
{
    EI_EQ(einet_error_set(NULL, -EINVAL, "unseen"), -EINVAL);
    EI_EQ(einet_error_set_at(NULL, -EINVAL, "f", 1, 1, "unseen"), -EINVAL);
}

EI_TEST(error_text_is_cut_not_overrun)
{
    struct einet_error err;
    char longer[EINET_ERROR_TEXT_MAX * 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    einet_error_set_at(&err, EINET_E_FILE, longer, 1, 1, "%s", longer);
    EI_EQ(strlen(err.text), EINET_ERROR_TEXT_MAX - 1);
    EI_EQ(strlen(err.file), EINET_ERROR_FILE_MAX - 1);
}

EI_TEST(error_texts_exist_for_every_code)
{
    EI_STREQ(einet_error_text(EINET_E_SLO), "a service level objective was not met");
    EI_STREQ(einet_error_text(-ENOENT), "No such file or directory");
    EI_STREQ(einet_error_text(-999), "unknown error");
}
