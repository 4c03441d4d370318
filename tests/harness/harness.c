/* See harness.h. */
#include "tests/harness/harness.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define CASES_MAX 512
#define SKIP_STATUS 77

struct test_case {
    const char *name;
    ei_test_fn fn;
};

static struct test_case cases[CASES_MAX];
static int case_count;
static char tmpdir[256];

void ei_test_register(const char *name, ei_test_fn fn)
{
    if (case_count == CASES_MAX) {
        fprintf(stderr, "more than %d cases in one program: raise CASES_MAX\n", CASES_MAX);
        exit(1);
    }
    cases[case_count++] = (struct test_case){name, fn};
}

bool ei_test_check(bool ok, const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    if (!ok) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
    } else {
        snprintf(text, sizeof text, "ok");
    }
    CU_assertImplementation(ok ? CU_TRUE : CU_FALSE, (unsigned)line, text, file, "", CU_FALSE);
    return ok;
}

int ei_test_failures(void)
{
    return (int)CU_get_number_of_failures();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tmpdir(void)
{
    if (tmpdir[0] != '\0') {
        nftw(tmpdir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        tmpdir[0] = '\0';
    }
}

const char *ei_test_tmpdir(void)
{
    if (tmpdir[0] == '\0') {
        const char *base = getenv("TMPDIR");
        snprintf(tmpdir, sizeof tmpdir, "%s/einet-test-XXXXXX", base ? base : "/tmp");
        if (mkdtemp(tmpdir) == NULL) {
            perror(tmpdir);
            exit(1);
        }
    }
    return tmpdir;
}

void ei_test_skip(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("skipped: ", stdout);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    remove_tmpdir();
    _exit(ei_test_failures() > 0 ? 1 : SKIP_STATUS);
}

const char *ei_test_build_dir(void)
{
    const char *dir = getenv("EINET_BUILD_DIR");
    return dir ? dir : "build/release";
}

const char *ei_test_data_or_skip(const char *file)
{
    const char *dir = getenv("EINET_DATA");
    char path[512];
    if (dir == NULL) {
        dir = "data";
    }
    snprintf(path, sizeof path, "%s/%s", dir, file);
    if (access(path, R_OK) != 0) {
        ei_test_skip("no %s: the real data sets are not unpacked here (set EINET_DATA to their folder)", path);
    }
    return dir;
}

int ei_test_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < case_count; i++) {
            puts(cases[i].name);
        }
        return 0;
    }
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    CU_pSuite suite = CU_add_suite(argv[0], NULL, NULL);
    int chosen = 0;
    for (int i = 0; suite != NULL && i < case_count; i++) {
        if (argc < 2 || strcmp(argv[1], cases[i].name) == 0) {
            CU_add_test(suite, cases[i].name, cases[i].fn);
            chosen++;
        }
    }
    if (chosen == 0) {
        fprintf(stderr, "%s: no case '%s'; --list names them\n", argv[0], argc < 2 ? "" : argv[1]);
        return 1;
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    const unsigned failed = CU_get_number_of_failures();
    const unsigned checks = CU_get_number_of_asserts();
    CU_cleanup_registry();
    remove_tmpdir();
    if (checks == 0) {
        fprintf(stderr, "no check was made: a test that cannot fail is not a test\n");
        return 1;
    }
    return failed == 0 ? 0 : 1;
}
