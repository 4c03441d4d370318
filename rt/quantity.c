/* See quantity.h. */
#include "rt/quantity.h"

#include "rt/clock.h"

#include <errno.h>
#include <string.h>

const struct ei_unit ei_time_units[] = {
    {"ns", 1}, {"us", EI_NS_PER_US}, {"ms", EI_NS_PER_MS}, {"s", EI_NS_PER_S}, {NULL, 0}};

size_t ei_decimal_read(const char *text, int64_t *out_digits, int *out_decimals)
{
    int64_t digits = 0;
    int decimals = 0;
    size_t i = 0;
    bool is_after_point = false;
    for (;; i++) {
        if (text[i] == '.' && !is_after_point && i > 0) {
            is_after_point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9') {
            break;
        }
        const int64_t digit = text[i] - '0';
        if (digits > (INT64_MAX - digit) / 10) {
            return 0;
        }
        digits = digits * 10 + digit;
        decimals += is_after_point ? 1 : 0;
    }
    if (i == 0 || text[i - 1] == '.') {
        return 0;
    }
    *out_digits = digits;
    *out_decimals = decimals;
    return i;
}

bool ei_decimal_scale(int64_t digits, int decimals, int64_t scale, int64_t *out)
{
    while (decimals > 0 && digits % 10 == 0) {
        digits /= 10;
        decimals--;
    }
    for (; decimals > 0; decimals--) {
        if (scale % 10 != 0) {
            return false;
        }
        scale /= 10;
    }
    if (digits > INT64_MAX / scale) {
        return false;
    }
    *out = digits * scale;
    return true;
}

bool ei_quantity_parse(const char *text, const struct ei_unit *units, int64_t *out)
{
    int64_t digits = 0;
    int decimals = 0;
    const size_t used = ei_decimal_read(text, &digits, &decimals);
    for (const struct ei_unit *unit = units; used > 0 && unit->text != NULL; unit++) {
        if (strcmp(text + used, unit->text) == 0) {
            return ei_decimal_scale(digits, decimals, unit->scale, out);
        }
    }
    return false;
}

int ei_duration_parse(const char *text, int64_t *out_ns)
{
    static const struct ei_unit longer_units[] = {{"min", 60 * EI_NS_PER_S}, {"h", 3600 * EI_NS_PER_S}, {NULL, 0}};
    return ei_quantity_parse(text, ei_time_units, out_ns) || ei_quantity_parse(text, longer_units, out_ns) ? 0
                                                                                                           : -EINVAL;
}
