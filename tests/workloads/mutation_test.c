/* Random damage to right and broken files: whatever comes in, the parser answers, and what it accepts prints and reads
 * back equal. Worth most under AddressSanitizer. Every round is reproducible from SEED and its number.
 */
#include "rt/random.h"
#include "tests/workloads/texts.h"

#define SEED UINT64_C(77)
#define ROUNDS 6000

static struct {
    char *text;
    size_t length;
} corpus[TEXT_PATHS_MAX];
static int corpus_count;

static const char *const snippets[] = {"&a ",
                                       "*a",
                                       "!!str ",
                                       "<<: ",
                                       "- ",
                                       ": ",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       "\"",
                                       "'",
                                       "#",
                                       "\n",
                                       "\t",
                                       "|",
                                       ">",
                                       "%YAML 1.1\n",
                                       "---\n",
                                       "...",
                                       "? ",
                                       "~",
                                       "yes",
                                       "0",
                                       "-1",
                                       "1e9",
                                       "9999999999999999999999",
                                       "5ms",
                                       "0ns",
                                       "\xc3\xa4",
                                       "\xff",
                                       "\\x00",
                                       "name",
                                       "period",
                                       "stages",
                                       "tasks",
                                       "emulate: { blocks: [] }",
                                       "none",
                                       "auto",
                                       "[decode, resize: 1x1]"};

static void load_corpus(void)
{
    static struct text_paths paths;
    text_paths_add(&paths, "configs");
    text_paths_add(&paths, "tests/workloads/valid");
    text_paths_add(&paths, "tests/workloads/broken");
    for (int i = 0; i < paths.count; i++) {
        corpus[corpus_count].text = text_read(paths.path[i], &corpus[corpus_count].length);
        corpus_count += corpus[corpus_count].text != NULL ? 1 : 0;
    }
}

static size_t at_random(struct ei_random *rng, size_t n)
{
    return (size_t)ei_random_below(rng, n + 1);
}

/* Replace text[at, at + cut) by the insert; the buffer is large enough. */
static size_t splice(char *text, size_t length, size_t at, size_t cut, const char *insert, size_t insert_length)
{
    memmove(text + at + insert_length, text + at + cut, length - at - cut);
    memcpy(text + at, insert, insert_length);
    return length - cut + insert_length;
}

static size_t mutate(struct ei_random *rng, char *text, size_t length)
{
    const size_t at = at_random(rng, length);
    const char *snippet = snippets[ei_random_below(rng, sizeof snippets / sizeof snippets[0])];
    char byte = (char)ei_random_below(rng, 256);
    switch (ei_random_below(rng, 6)) {
    case 0: /* one byte for another */
        return at < length ? splice(text, length, at, 1, &byte, 1) : length;
    case 1: /* a hole */
        return splice(text, length, at, at_random(rng, length - at < 30 ? length - at : 30), "", 0);
    case 2: /* a snippet in between */
        return splice(text, length, at, 0, snippet, strlen(snippet));
    case 3: { /* a snippet in place of a word */
        const size_t word = strcspn(text + at, " ,:}\n");
        return splice(text, length, at, at + word <= length ? word : length - at, snippet, strlen(snippet));
    }
    case 4: { /* a piece of another file */
        const int other = (int)ei_random_below(rng, (uint64_t)corpus_count);
        const size_t from = at_random(rng, corpus[other].length);
        const size_t left = corpus[other].length - from;
        return splice(text, length, at, 0, corpus[other].text + from, at_random(rng, left < 200 ? left : 200));
    }
    default: /* cut off */
        return ei_random_below(rng, 4) == 0 ? at : length;
    }
}

static void check_accepted(const struct ei_workload *wl, int round)
{
    struct ei_workload *again = NULL;
    struct ei_diagnostics diag;
    char *printed = text_print(wl);
    const int rc = ei_workload_parse(printed, strlen(printed), "printed.yaml", &again, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0 && ei_workload_is_equal(wl, again), "round %d: not equal when read back\n%s\n%s", round, said,
             printed);
    ei_workload_destroy(again);
    ei_diagnostics_fini(&diag);
    free(said);
    free(printed);
}

EI_TEST(mutation_never_breaks_the_parser)
{
    struct ei_random rng;
    int accepted = 0;
    int refused = 0;
    char *text = malloc(1U << 16U);
    load_corpus();
    EI_REQUIRE(corpus_count > 100 && text != NULL);
    for (int round = 0; round < ROUNDS && ei_test_failures() == 0; round++) {
        ei_random_init(&rng, SEED, (uint64_t)round);
        /* Every second time one of the long, right files, which come first. */
        const uint64_t choices = round % 2 == 0 ? 5 : (uint64_t)corpus_count;
        const int base = (int)ei_random_below(&rng, choices);
        size_t length = corpus[base].length;
        memcpy(text, corpus[base].text, length + 1);
        for (uint64_t n = ei_random_below(&rng, 4) + 1; n > 0; n--) {
            length = mutate(&rng, text, length);
            text[length] = '\0';
        }
        struct ei_workload *wl = NULL;
        struct ei_diagnostics diag;
        const int rc = ei_workload_parse(text, length, "configs/mutated.yaml", &wl, &diag);
        free(text_diagnose(&diag));
        if (rc == 0) {
            accepted++;
            EI_TRUEF(diag.errors == 0 && wl != NULL, "round %d: accepted with errors", round);
            check_accepted(wl, round);
        } else {
            refused++;
            EI_TRUEF(rc == EINET_E_FILE && diag.errors > 0 && wl == NULL, "round %d: rc %d", round, rc);
        }
        ei_workload_destroy(wl);
        ei_diagnostics_fini(&diag);
    }
    EI_TRUEF(accepted > 100, "only %d were accepted", accepted);
    EI_TRUEF(refused > 1000, "only %d were refused", refused);
    for (int i = 0; i < corpus_count; i++) {
        free(corpus[i].text);
    }
    free(text);
}

EI_MAIN()
