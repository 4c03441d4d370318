/* Searches by name: every name reads back, and what is no search is refused with what there is. */
#include "planner/search.h"

#include "tests/harness/harness.h"

EI_TEST(search_names_are_read_and_written_back)
{
    static const struct {
        const char *text;
        struct ei_search search;
        const char *name;
    } cases[] = {
        {"exact", {.kind = EI_SEARCH_EXACT}, "exact"},
        {"hybrid:6", {.kind = EI_SEARCH_HYBRID, .depth = 6}, "hybrid:6"},
        {"hybrid(6)", {.kind = EI_SEARCH_HYBRID, .depth = 6}, "hybrid:6"},
        {"hybrid:0", {.kind = EI_SEARCH_HYBRID, .depth = 0}, "hybrid:0"},
        {"hybrid:12", {.kind = EI_SEARCH_HYBRID, .depth = 12}, "hybrid:12"},
        {"greedy", {.kind = EI_SEARCH_GREEDY}, "greedy"},
        {"random:1", {.kind = EI_SEARCH_RANDOM, .draws = 1}, "random:1"},
        {"random(1000000)", {.kind = EI_SEARCH_RANDOM, .draws = 1000000}, "random:1000000"},
        {"static:50", {.kind = EI_SEARCH_STATIC, .share_pct = 50}, "static:50"},
        {"static(100)", {.kind = EI_SEARCH_STATIC, .share_pct = 100}, "static:100"},
        {"confidence:0.9", {.kind = EI_SEARCH_CONFIDENCE, .confidence = 0.9}, "confidence:0.9"},
        {"confidence:1", {.kind = EI_SEARCH_CONFIDENCE, .confidence = 1}, "confidence:1"},
        {"confidence(0)", {.kind = EI_SEARCH_CONFIDENCE, .confidence = 0}, "confidence:0"},
        {"confidence:1e-05", {.kind = EI_SEARCH_CONFIDENCE, .confidence = 1e-5}, "confidence:1e-05"},
        {"fixed:0x29", {.kind = EI_SEARCH_FIXED, .exits = 0x29}, "fixed:0x29"},
        {"fixed(0xFFFFFFFFFFFFFFFF)", {.kind = EI_SEARCH_FIXED, .exits = UINT64_MAX}, "fixed:0xffffffffffffffff"},
        {"statistics", {.kind = EI_SEARCH_STATISTICS}, "statistics"},
        {"all", {.kind = EI_SEARCH_ALL}, "all"},
        {"oracle", {.kind = EI_SEARCH_ORACLE}, "oracle"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct ei_search search;
        struct einet_error err = {0};
        char name[EI_SEARCH_NAME_MAX];
        EI_TRUEF(ei_search_parse(cases[c].text, &search, &err) == 0, "%s: %s", cases[c].text, err.text);
        EI_TRUEF(search.kind == cases[c].search.kind, "%s: kind %d", cases[c].text, (int)search.kind);
        EI_EQ(search.share_pct, cases[c].search.share_pct);
        EI_EQ(search.depth, cases[c].search.depth);
        EI_EQ(search.draws, cases[c].search.draws);
        EI_EQ(search.seed, 1);
        EI_TRUE(search.exits == cases[c].search.exits);
        EI_NEAR(search.confidence, cases[c].search.confidence, 0);
        EI_STREQ(ei_search_name(search, name), cases[c].name);
    }
}

EI_TEST(search_names_that_are_none_say_what_there_is)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "there are exact, hybrid:DEPTH, greedy, random:DRAWS"},
        {"Exact", "\"Exact\" is not known"},
        {"exact ", "\"exact \" is not known"},
        {"exac", "not known"},
        {"exact:1", "exact takes no parameter"},
        {"all(1)", "all takes no parameter"},
        {"hybrid", "hybrid needs a depth within 0..12"},
        {"hybrid:", "not known"},
        {"hybrid()", "not known"},
        {"hybrid(6", "not known"},
        {"hybrid(6)x", "not known"},
        {"hybrid:6)", "hybrid needs a depth"},
        {"hybrid:13", "hybrid needs a depth within 0..12"},
        {"hybrid:-1", "hybrid needs a depth"},
        {"hybrid: 6", "hybrid needs a depth"},
        {"hybrid:6.0", "hybrid needs a depth"},
        {"hybrid:4294967302", "hybrid needs a depth"},
        {"hybrid:99999999999999999999", "hybrid needs a depth"},
        {"random", "random needs a number of draws within 1..1000000"},
        {"random:0", "random needs"},
        {"random:1000001", "random needs"},
        {"static:0", "static needs a percentage of the exits within 1..100"},
        {"static:101", "static needs"},
        {"confidence", "confidence needs a score within 0..1"},
        {"confidence:1.1", "confidence needs"},
        {"confidence:-0.1", "confidence needs"},
        {"confidence:nan", "confidence needs"},
        {"confidence:0x1", "confidence needs"},
        {"confidence:0.5.", "confidence needs"},
        {"fixed", "fixed needs the exits as bits"},
        {"fixed:0x", "fixed needs the exits as bits"},
        {"fixed:0x0", "fixed needs the exits as bits"},
        {"fixed:29", "fixed needs the exits as bits"},
        {"fixed:0x1ffffffffffffffff", "fixed needs the exits as bits"},
        {"fixed:0x-1", "fixed needs the exits as bits"},
        {"conf\xff\n", "\"conf\?\?\" is not known"},
        {"hybrid:00000000000000000000000000000000000000000000000006", "not known"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct ei_search search = {.kind = EI_SEARCH_ORACLE, .depth = 77};
        struct einet_error err = {0};
        EI_TRUEF(ei_search_parse(cases[c].text, &search, &err) == EINET_E_USAGE, "'%s' is read", cases[c].text);
        EI_CONTAINS(err.text, cases[c].said);
        EI_TRUEF(search.kind == EI_SEARCH_ORACLE && search.depth == 77, "'%s' changes the search", cases[c].text);
        EI_TRUE(ei_search_parse(cases[c].text, &search, NULL) == EINET_E_USAGE);
    }
}

/* Each share reads back as the same number, or, where so many digits do not fit, to 14 places. */
EI_TEST(search_confidence_reads_back)
{
    static const double shares[] = {1.0 / 3, 0.1, 0.95, 1 - 1e-16, 1e-5 / 3, 1e-300 / 7};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        char name[EI_SEARCH_NAME_MAX];
        struct ei_search search = {.kind = EI_SEARCH_CONFIDENCE, .confidence = shares[i]}, back;
        EI_REQUIRE(ei_search_parse(ei_search_name(search, name), &back, NULL) == 0);
        EI_NEAR(back.confidence, shares[i], i < 4 ? 0 : shares[i] * 1e-13);
    }
}
