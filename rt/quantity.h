/* Numbers with a unit as people write them: "30s", "0.5ms". No locale, no rounding. Pure. */
#ifndef RT_QUANTITY_H
#define RT_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A unit and how many of the smallest one it holds. Lists end in a text of NULL. */
struct ei_unit {
    const char *text;
    int64_t scale;
};

/* ns, us, ms, s, in ns. */
extern const struct ei_unit ei_time_units[];

/* Read "123.45" exactly as digits * 10^-decimals. Returns the characters used, 0 when there is no number or more digits
 * than an int64 holds. */
size_t ei_decimal_read(const char *text, int64_t *out_digits, int *out_decimals);

/* digits * 10^-decimals * scale as an exact integer; false when it is none or too large. */
bool ei_decimal_scale(int64_t digits, int decimals, int64_t scale, int64_t *out);

/* A decimal number with one of the units, in the smallest one; false when it is none, or no whole number of those. */
bool ei_quantity_parse(const char *text, const struct ei_unit *units, int64_t *out);

/* Parse a duration of the command line: as workload files write it ("30s", "0.5ms"), a decimal number with unit ns, us,
 * ms or s, exact to the ns; there also min and h. Returns 0 with *out_ns >= 0, or -EINVAL. */
int ei_duration_parse(const char *text, int64_t *out_ns);

#endif
