/* A set of CPUs by operating-system number, as a plain value. */
#ifndef RT_CPUSET_H
#define RT_CPUSET_H

#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_CPU_MAX 1024

struct ei_cpuset {
    uint64_t bits[EI_CPU_MAX / 64];
};

static inline bool ei_cpuset_has(const struct ei_cpuset *set, int cpu)
{
    return cpu >= 0 && cpu < EI_CPU_MAX && (set->bits[cpu / 64] >> (cpu % 64) & 1U) != 0;
}

static inline void ei_cpuset_add(struct ei_cpuset *set, int cpu)
{
    if (cpu >= 0 && cpu < EI_CPU_MAX) {
        set->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    }
}

bool ei_cpuset_is_empty(const struct ei_cpuset *set);
bool ei_cpuset_is_equal(const struct ei_cpuset *a, const struct ei_cpuset *b);
/* Every CPU of inner is in outer. */
bool ei_cpuset_is_inside(const struct ei_cpuset *inner, const struct ei_cpuset *outer);
int ei_cpuset_count(const struct ei_cpuset *set);
/* The lowest CPU number >= from in the set, or -1. */
int ei_cpuset_next(const struct ei_cpuset *set, int from);
/* a without b. */
struct ei_cpuset ei_cpuset_minus(const struct ei_cpuset *a, const struct ei_cpuset *b);

/* Parse the kernel's list form: "0", "1-3,5". Returns 0, or -EINVAL (malformed) or EINET_E_LIMIT (number too large). */
int ei_cpuset_parse(const char *text, struct ei_cpuset *out_set);

/* Write the list form; always terminated. Returns the length that was needed, like snprintf. */
int ei_cpuset_format(const struct ei_cpuset *set, char *out_text, size_t size_bytes);

#endif
