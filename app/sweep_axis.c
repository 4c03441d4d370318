/* The values of an axis: ranges of durations and of decimal numbers, computed in whole ns and millionths so that each
 * machine writes the same text, and lists of words. */
#include "app/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCALE INT64_C(1000000)
#define TEXT_MAX 64

static int wrong(struct einet_error *err, const char *text, const char *why)
{
    return einet_error_set(err, EINET_E_USAGE,
                           "--sweep %s: %s; write PATH=LOW..HIGH/STEP, as in "
                           "tasks.camera.deadline=10ms..40ms/2ms, or PATH=VALUE,VALUE",
                           text, why);
}

static int append_value(struct einet_sweep_axis *axis, const char *text, size_t length)
{
    char **values = realloc(axis->values, ((size_t)axis->count + 1) * sizeof *values);
    if (values == NULL) {
        return -ENOMEM;
    }
    axis->values = values;
    values[axis->count] = strndup(text, length);
    if (values[axis->count] == NULL) {
        return -ENOMEM;
    }
    axis->count++;
    return 0;
}

/* "12", "-0.25": in millionths. */
static bool parse_decimal(const char *text, int64_t *out)
{
    const bool is_negative = *text == '-';
    int64_t value = 0, scale = SCALE;
    bool has_point = false, has_digit = false;
    for (text += is_negative; *text != '\0'; text++) {
        if (*text == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || value > INT64_MAX / 100 || (has_point && scale == 1)) {
            return false;
        }
        has_digit = true;
        value = value * 10 + (*text - '0');
        scale /= has_point ? 10 : 1;
    }
    if (!has_digit || value > INT64_MAX / SCALE) {
        return false;
    }
    *out = (is_negative ? -value : value) * scale;
    return true;
}

static void format_decimal(int64_t value, char out[TEXT_MAX])
{
    const int64_t size = value < 0 ? -value : value;
    int length = snprintf(out, TEXT_MAX, "%s%" PRId64 ".%06" PRId64, value < 0 ? "-" : "", size / SCALE, size % SCALE);
    while (out[length - 1] == '0') {
        out[--length] = '\0';
    }
    if (out[length - 1] == '.') {
        out[length - 1] = '\0';
    }
}

/* Cut "LOW..HIGH/STEP" into its three texts; false = it is none. */
static bool cut_range(const char *spec, char parts[3][TEXT_MAX])
{
    const char *dots = strstr(spec, "..");
    const char *slash = dots != NULL ? strchr(dots, '/') : NULL;
    if (slash == NULL || dots - spec >= TEXT_MAX || slash - dots - 2 >= TEXT_MAX || strlen(slash + 1) >= TEXT_MAX) {
        return false;
    }
    snprintf(parts[0], TEXT_MAX, "%.*s", (int)(dots - spec), spec);
    snprintf(parts[1], TEXT_MAX, "%.*s", (int)(slash - dots - 2), dots + 2);
    snprintf(parts[2], TEXT_MAX, "%s", slash + 1);
    return true;
}

static int add_range(struct einet_sweep_axis *axis, char parts[3][TEXT_MAX], const char *text, struct einet_error *err)
{
    int64_t v[3];
    bool is_duration = true, is_decimal = true;
    for (int i = 0; i < 3; i++) {
        is_duration = is_duration && ei_duration_parse(parts[i], &v[i]) == 0;
    }
    for (int i = 0; !is_duration && i < 3; i++) {
        is_decimal = is_decimal && parse_decimal(parts[i], &v[i]);
    }
    if (!is_duration && !is_decimal) {
        return wrong(err, text, "low, high and step must be three durations or three decimal numbers");
    }
    if (v[2] <= 0 || v[0] > v[1] || (v[1] - v[0]) / v[2] >= EINET_SWEEP_POINTS_MAX) {
        return wrong(err, text, "low must not be above high, the step above 0, the values at most a million");
    }
    int rc = 0;
    for (int64_t value = v[0]; rc == 0 && value <= v[1]; value += v[2]) {
        char out[TEXT_MAX];
        if (is_duration) {
            (void)ei_duration_format(value, out);
        } else {
            format_decimal(value, out);
        }
        rc = append_value(axis, out, strlen(out));
    }
    return rc;
}

/* Words between commas that no bracket encloses. */
static int add_list(struct einet_sweep_axis *axis, const char *spec, const char *text, struct einet_error *err)
{
    int depth = 0, rc = 0;
    const char *from = spec;
    for (const char *c = spec; rc == 0; c++) {
        depth += strchr("([{", *c) != NULL && *c != '\0' ? 1 : 0;
        depth -= strchr(")]}", *c) != NULL && *c != '\0' ? 1 : 0;
        if (*c == '\0' || (*c == ',' && depth == 0)) {
            if (c == from) {
                return wrong(err, text, "a value is empty");
            }
            rc = append_value(axis, from, (size_t)(c - from));
            from = c + 1;
        }
        if (*c == '\0') {
            break;
        }
    }
    return rc;
}

int einet_sweep_add_axis(struct einet_sweep *sweep, const char *text, struct einet_error *err)
{
    const char *equals = strchr(text, '=');
    char parts[3][TEXT_MAX];
    if (equals == NULL || equals == text) {
        return wrong(err, text, "the path is missing");
    }
    if (sweep->axis_count == EINET_SWEEP_AXES_MAX) {
        return wrong(err, text, "there are eight already");
    }
    struct einet_sweep_axis *axis = &sweep->axes[sweep->axis_count++];
    axis->path = strndup(text, (size_t)(equals - text));
    if (axis->path == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the sweep");
    }
    const int rc =
        cut_range(equals + 1, parts) ? add_range(axis, parts, text, err) : add_list(axis, equals + 1, text, err);
    if (rc == -ENOMEM) {
        return einet_error_set(err, rc, "no memory for the sweep");
    }
    if (rc == 0) {
        sweep->points = (sweep->axis_count == 1 ? 1 : sweep->points) * axis->count;
        if (sweep->points > EINET_SWEEP_POINTS_MAX) {
            return wrong(err, text, "the grid has more than a million points");
        }
    }
    return rc;
}

void einet_sweep_fini(struct einet_sweep *sweep)
{
    for (int32_t a = 0; a < sweep->axis_count; a++) {
        for (int32_t i = 0; i < sweep->axes[a].count; i++) {
            free(sweep->axes[a].values[i]);
        }
        free(sweep->axes[a].values);
        free(sweep->axes[a].path);
    }
    sweep->axis_count = 0;
}

const char *einet_sweep_value(const struct einet_sweep *sweep, int64_t point, int32_t axis)
{
    for (int32_t a = sweep->axis_count - 1; a > axis; a--) {
        point /= sweep->axes[a].count;
    }
    return sweep->axes[axis].values[point % sweep->axes[axis].count];
}
