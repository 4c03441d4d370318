/* See cpuset.h. */
#include "rt/cpuset.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (EI_CPU_MAX / 64)

bool ei_cpuset_is_empty(const struct ei_cpuset *set)
{
    return ei_cpuset_next(set, 0) < 0;
}

bool ei_cpuset_is_equal(const struct ei_cpuset *a, const struct ei_cpuset *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

bool ei_cpuset_is_inside(const struct ei_cpuset *inner, const struct ei_cpuset *outer)
{
    const struct ei_cpuset rest = ei_cpuset_minus(inner, outer);
    return ei_cpuset_is_empty(&rest);
}

int ei_cpuset_count(const struct ei_cpuset *set)
{
    int count = 0;
    for (int i = 0; i < WORDS; i++) {
        count += __builtin_popcountll(set->bits[i]);
    }
    return count;
}

int ei_cpuset_next(const struct ei_cpuset *set, int from)
{
    for (int cpu = from < 0 ? 0 : from; cpu < EI_CPU_MAX; cpu++) {
        if (ei_cpuset_has(set, cpu)) {
            return cpu;
        }
    }
    return -1;
}

struct ei_cpuset ei_cpuset_minus(const struct ei_cpuset *a, const struct ei_cpuset *b)
{
    struct ei_cpuset result;
    for (int i = 0; i < WORDS; i++) {
        result.bits[i] = a->bits[i] & ~b->bits[i];
    }
    return result;
}

/* One number at *text, which moves on. Returns it, -EINVAL or EINET_E_LIMIT. */
static int parse_number(const char **text)
{
    if (!isdigit((unsigned char)**text)) {
        return -EINVAL;
    }
    int number = 0;
    while (isdigit((unsigned char)**text)) {
        number = number * 10 + (**text - '0');
        if (number >= EI_CPU_MAX) {
            return EINET_E_LIMIT;
        }
        (*text)++;
    }
    return number;
}

int ei_cpuset_parse(const char *text, struct ei_cpuset *out_set)
{
    struct ei_cpuset set = {{0}};
    for (;;) {
        const int first = parse_number(&text);
        int last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = parse_number(&text);
        }
        if (first < 0 || last < 0) {
            return first < 0 ? first : last;
        }
        if (last < first) {
            return -EINVAL;
        }
        for (int cpu = first; cpu <= last; cpu++) {
            ei_cpuset_add(&set, cpu);
        }
        if (*text == '\0') {
            *out_set = set;
            return 0;
        }
        if (*text++ != ',') {
            return -EINVAL;
        }
    }
}

int ei_cpuset_format(const struct ei_cpuset *set, char *out_text, size_t size_bytes)
{
    int length = 0;
    if (size_bytes > 0) {
        out_text[0] = '\0';
    }
    for (int first = ei_cpuset_next(set, 0); first >= 0;) {
        int last = first;
        while (ei_cpuset_has(set, last + 1)) {
            last++;
        }
        char range[32];
        const char *comma = length > 0 ? "," : "";
        const int added = last > first ? snprintf(range, sizeof range, "%s%d-%d", comma, first, last)
                                       : snprintf(range, sizeof range, "%s%d", comma, first);
        if ((size_t)length < size_bytes) {
            snprintf(out_text + length, size_bytes - (size_t)length, "%s", range);
        }
        length += added;
        first = ei_cpuset_next(set, last + 1);
    }
    return length;
}
