/* Searches by name, as files and command lines spell them. Cold: formats text. */
#include "planner/search.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED_MAX 48 /* of a text that is no search: enough to recognise it */

/* What a name must be followed by. */
struct word {
    const char *name;
    enum ei_search_kind kind;
    const char *parameter; /* NULL: none */
};

static const struct word words[] = {
    {"exact", EI_SEARCH_EXACT, NULL},
    {"hybrid", EI_SEARCH_HYBRID, "a depth within 0..12, as in hybrid:6"},
    {"greedy", EI_SEARCH_GREEDY, NULL},
    {"random", EI_SEARCH_RANDOM, "a number of draws within 1..1000000, as in random:1000"},
    {"static", EI_SEARCH_STATIC, "a percentage of the exits within 1..100, as in static:50"},
    {"confidence", EI_SEARCH_CONFIDENCE, "a score within 0..1, as in confidence:0.9"},
    {"fixed", EI_SEARCH_FIXED, "the exits as bits, as in fixed:0x29 for the first, the fourth and the sixth"},
    {"statistics", EI_SEARCH_STATISTICS, NULL},
    {"all", EI_SEARCH_ALL, NULL},
    {"oracle", EI_SEARCH_ORACLE, NULL},
};

static const int word_count = (int)(sizeof words / sizeof words[0]);

/* The text, fit for a message whatever it holds. */
static const char *quoted(const char *text, char out[QUOTED_MAX])
{
    size_t i = 0;
    for (; i + 1 < QUOTED_MAX && text[i] != '\0'; i++) {
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    out[i] = '\0';
    return out;
}

/* Split "name", "name:parameter" or "name(parameter)". parameter stays empty without one. False: neither. */
static bool split(const char *text, char name[EI_SEARCH_NAME_MAX], char parameter[EI_SEARCH_NAME_MAX])
{
    const size_t name_length = strcspn(text, ":(");
    const char *rest = text + name_length;
    size_t length = strlen(rest);
    if (name_length >= EI_SEARCH_NAME_MAX || length >= EI_SEARCH_NAME_MAX) {
        return false;
    }
    memcpy(name, text, name_length);
    name[name_length] = '\0';
    parameter[0] = '\0';
    if (length == 0) {
        return true;
    }
    if (*rest == '(') {
        if (rest[length - 1] != ')') {
            return false;
        }
        length--;
    }
    if (length < 2) {
        return false; /* "hybrid:" and "hybrid()" */
    }
    memcpy(parameter, rest + 1, length - 1);
    parameter[length - 1] = '\0';
    return true;
}

static bool parse_count(const char *text, int32_t *out)
{
    if (strspn(text, "0123456789") != strlen(text)) {
        return false; /* no sign, no space: strtol would take them */
    }
    errno = 0;
    const long value = strtol(text, NULL, 10);
    if (errno != 0 || value > INT32_MAX) {
        return false;
    }
    *out = (int32_t)value;
    return true;
}

static bool parse_share(const char *text, double *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9' || strspn(text, "0123456789.eE+-") != strlen(text)) {
        return false; /* no sign, no space, no "nan", no hexadecimal */
    }
    *out = strtod(text, &end);
    return *end == '\0';
}

static bool parse_bits(const char *text, uint64_t *out)
{
    if (strncmp(text, "0x", 2) != 0 || text[2] == '\0' ||
        strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2)) {
        return false;
    }
    errno = 0;
    *out = strtoull(text + 2, NULL, 16);
    return errno == 0;
}

static bool parse_parameter(const char *text, struct ei_search *out)
{
    switch (out->kind) {
    case EI_SEARCH_STATIC:
        return parse_count(text, &out->share_pct);
    case EI_SEARCH_HYBRID:
        return parse_count(text, &out->depth);
    case EI_SEARCH_RANDOM:
        return parse_count(text, &out->draws);
    case EI_SEARCH_CONFIDENCE:
        return parse_share(text, &out->confidence);
    case EI_SEARCH_FIXED:
        return parse_bits(text, &out->exits);
    case EI_SEARCH_ALL:
    case EI_SEARCH_EXACT:
    case EI_SEARCH_GREEDY:
    case EI_SEARCH_STATISTICS:
    case EI_SEARCH_ORACLE:
        break;
    }
    return false;
}

int ei_search_parse(const char *text, struct ei_search *out, struct einet_error *err)
{
    char name[EI_SEARCH_NAME_MAX], parameter[EI_SEARCH_NAME_MAX], shown[QUOTED_MAX];
    const struct word *word = NULL;
    const bool is_split = split(text, name, parameter);
    for (int i = 0; is_split && i < word_count; i++) {
        word = strcmp(words[i].name, name) == 0 ? &words[i] : word;
    }
    if (!word) {
        return einet_error_set(err, EINET_E_USAGE,
                               "search \"%s\" is not known; there are exact, hybrid:DEPTH, greedy, random:DRAWS, "
                               "static:PERCENT, confidence:SCORE, fixed:BITS, statistics, all and oracle",
                               quoted(text, shown));
    }
    struct ei_search search = {.kind = word->kind, .seed = 1};
    if (!word->parameter) {
        if (parameter[0] != '\0') {
            return einet_error_set(err, EINET_E_USAGE, "search \"%s\": %s takes no parameter; write %s alone",
                                   quoted(text, shown), word->name, word->name);
        }
    } else if (!parse_parameter(parameter, &search) || parameter[0] == '\0' || ei_search_fault(search).field) {
        return einet_error_set(err, EINET_E_USAGE, "search \"%s\": %s needs %s", quoted(text, shown), word->name,
                               word->parameter);
    }
    *out = search;
    return 0;
}

const char *ei_search_name(struct ei_search search, char out[EI_SEARCH_NAME_MAX])
{
    const char *name = "unknown";
    for (int i = 0; i < word_count; i++) {
        name = words[i].kind == search.kind ? words[i].name : name;
    }
    switch (search.kind) {
    case EI_SEARCH_STATIC:
        snprintf(out, EI_SEARCH_NAME_MAX, "%s:%d", name, search.share_pct);
        break;
    case EI_SEARCH_HYBRID:
        snprintf(out, EI_SEARCH_NAME_MAX, "%s:%d", name, search.depth);
        break;
    case EI_SEARCH_RANDOM:
        snprintf(out, EI_SEARCH_NAME_MAX, "%s:%d", name, search.draws);
        break;
    case EI_SEARCH_FIXED:
        snprintf(out, EI_SEARCH_NAME_MAX, "%s:0x%" PRIx64, name, search.exits);
        break;
    case EI_SEARCH_CONFIDENCE:
        /* The fewest digits that read back as the same number; 14 always fit, whatever the exponent. */
        for (int digits = 1; digits <= 17; digits++) {
            char text[EI_SEARCH_NAME_MAX + 8];
            const int length = snprintf(text, sizeof text, "%s:%.*g", name, digits, search.confidence);
            if (length >= EI_SEARCH_NAME_MAX) {
                break;
            }
            memcpy(out, text, (size_t)length + 1);
            if (strtod(out + strlen(name) + 1, NULL) == search.confidence) {
                break;
            }
        }
        break;
    case EI_SEARCH_ALL:
    case EI_SEARCH_EXACT:
    case EI_SEARCH_GREEDY:
    case EI_SEARCH_STATISTICS:
    case EI_SEARCH_ORACLE:
    default:
        snprintf(out, EI_SEARCH_NAME_MAX, "%s", name);
        break;
    }
    return out;
}
