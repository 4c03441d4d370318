/* The grammar's list of networks and the zoo's: two modules that do not see each other must agree. */
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "workloads/fields.h"

EI_TEST(grammar_knows_every_network_of_the_zoo_and_no_other)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_MODEL, "zoo", EI_SPEC_MODEL_ZOO);
    EI_REQUIRE(field != NULL);
    int32_t words = 0, networks = 0;
    static struct ei_program program;
    for (const struct ei_word *word = field->words; word->text != NULL; word++, words++) {
        struct einet_error err = {0};
        EI_TRUEF(word->value != EI_WORD_ABSENT, "%s is refused", word->text);
        EI_TRUEF(ei_zoo_program(word->text, 3, 10, &program, &err) == 0, "%s", err.text);
    }
    for (; ei_zoo_name(networks) != NULL; networks++) {
        for (int classic = 0; classic < 2; classic++) {
            char name[64];
            bool is_word = false;
            snprintf(name, sizeof name, "%s%s", ei_zoo_name(networks), classic != 0 ? EI_ZOO_CLASSIC_SUFFIX : "");
            for (const struct ei_word *word = field->words; word->text != NULL; word++) {
                is_word = is_word || strcmp(word->text, name) == 0;
            }
            EI_TRUEF(is_word, "the grammar has no %s", name);
        }
    }
    EI_EQ(words, 2 * networks);
}

EI_MAIN()
