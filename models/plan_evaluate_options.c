/* What the command line says of an evaluation: exit times and methods. Cold. */
#include "models/plan_evaluate.h"

#include "workloads/spec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the exit time ---- */

static const char *after(const char *text, const char *prefix)
{
    const size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int parse_time(const char *option, const char *text, int64_t *out_ns, struct einet_error *err)
{
    if (ei_duration_parse(text, out_ns) != 0 || *out_ns < 1 || *out_ns > INT64_MAX / 4) {
        return einet_error_set(err, EINET_E_USAGE, "%s: '%.40s' is no time greater than 0; write it as 2ms or 800us",
                               option, text);
    }
    return 0;
}

static int parse_rate(const char *option, const char *text, double *out_per_s, struct einet_error *err)
{
    char *end;
    errno = 0;
    *out_per_s = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(*out_per_s) || *out_per_s <= 0) {
        return einet_error_set(err, EINET_E_USAGE,
                               "%s: '%.40s' is no rate greater than 0; write stops per second, as in exponential:500",
                               option, text);
    }
    return 0;
}

int ei_exit_time_parse(const char *option, const char *text, struct ei_exit_time *out, struct einet_error *err)
{
    struct ei_exit_time exit_time = {.kind = EI_EXIT_TIME_NETWORK};
    const char *rest;
    int status = 0;
    if (strlen(text) >= sizeof exit_time.name) {
        return einet_error_set(err, EINET_E_USAGE, "%s: the text is longer than %d bytes; use a shorter path", option,
                               EI_EXIT_TIME_NAME_MAX - 1);
    }
    strcpy(exit_time.name, text);
    if (strcmp(text, "uniform") == 0) {
        exit_time.kind = EI_EXIT_TIME_NETWORK;
    } else if ((rest = after(text, "uniform:")) != NULL) {
        exit_time.kind = EI_EXIT_TIME_UNIFORM;
        status = parse_time(option, rest, &exit_time.time_ns, err);
    } else if ((rest = after(text, "exponential:")) != NULL) {
        exit_time.kind = EI_EXIT_TIME_EXPONENTIAL;
        status = parse_rate(option, rest, &exit_time.rate_per_s, err);
    } else if ((rest = after(text, "step:")) != NULL) {
        exit_time.kind = EI_EXIT_TIME_STEP;
        status = parse_time(option, rest, &exit_time.time_ns, err);
    } else if ((rest = after(text, "trace:")) != NULL) {
        exit_time.kind = EI_EXIT_TIME_TRACE;
        status = ei_survival_read_trace(rest, &exit_time.trace, err);
    } else {
        status =
            einet_error_set(err, EINET_E_USAGE,
                            "%s: '%.40s' is no exit time; there are uniform, uniform:TIME, exponential:RATE_PER_S, "
                            "step:TIME and trace:FILE",
                            option, text);
    }
    if (status == 0) {
        *out = exit_time;
    }
    return status;
}

struct ei_survival ei_exit_time_survival(const struct ei_exit_time *exit_time, int64_t network_ns)
{
    switch (exit_time->kind) {
    case EI_EXIT_TIME_UNIFORM:
        return ei_survival_uniform(0, exit_time->time_ns);
    case EI_EXIT_TIME_EXPONENTIAL:
        return ei_survival_exponential(exit_time->rate_per_s);
    case EI_EXIT_TIME_STEP:
        return ei_survival_uniform(exit_time->time_ns, exit_time->time_ns);
    case EI_EXIT_TIME_TRACE:
        return ei_survival_of_table(&exit_time->trace);
    case EI_EXIT_TIME_NETWORK:
        break;
    }
    return ei_survival_uniform(0, network_ns);
}

/* ---- the methods ---- */

#define MEANS_SUFFIX "@means"
#define NO_SKIP "noskip"

static const char standard_methods[] = "exact,hybrid:6,greedy,random:1000,static:25,static:50,static:100,statistics,"
                                       "confidence:0.9,confidence:0.95,confidence:0.99,noskip,all,classic";

/* Whether plans of this search depend on the expected scores of exits not run, and are made anew after each branch. */
static bool uses_guesses(enum ei_search_kind kind)
{
    return kind == EI_SEARCH_EXACT || kind == EI_SEARCH_HYBRID || kind == EI_SEARCH_GREEDY || kind == EI_SEARCH_RANDOM;
}

/* One entry that plans: a search, or noskip; "@means" may follow. */
static int parse_search(char *name, bool has_predictor, uint64_t seed, struct ei_plan_method *out,
                        struct einet_error *err)
{
    struct ei_plan_method method = {.kind = EI_METHOD_SEARCH};
    struct einet_error search_err = {0};
    char *suffix = strstr(name, MEANS_SUFFIX);
    const bool is_by_means = suffix != NULL && strcmp(suffix, MEANS_SUFFIX) == 0;
    if (is_by_means) {
        *suffix = '\0';
    }
    const bool is_no_skip = strcmp(name, NO_SKIP) == 0;
    const int status = ei_search_parse(is_no_skip ? "exact" : name, &method.search, &search_err);
    if (status != 0) {
        return einet_error_set(err, status, "--methods: %s; besides there are " NO_SKIP ", classic and compressed",
                               search_err.text);
    }
    if (is_by_means && !(has_predictor && uses_guesses(method.search.kind))) {
        return einet_error_set(err, EINET_E_USAGE,
                               "--methods: %s" MEANS_SUFFIX " would be the same as %s: " MEANS_SUFFIX
                               " needs --predictor and one of exact, hybrid, greedy, random and " NO_SKIP,
                               name, name);
    }
    method.kind = is_no_skip ? EI_METHOD_NO_SKIP : EI_METHOD_SEARCH;
    method.search.seed = seed;
    method.has_predictor = has_predictor && !is_by_means && uses_guesses(method.search.kind);
    if (is_no_skip) {
        strcpy(method.name, NO_SKIP);
    } else {
        ei_search_name(method.search, method.name);
    }
    strcat(method.name, is_by_means ? MEANS_SUFFIX : "");
    *out = method;
    return 0;
}

/* name: one entry of the list. */
static int parse_method(char *name, bool has_predictor, bool has_compressed, uint64_t seed, struct ei_plan_method *out,
                        struct einet_error *err)
{
    struct ei_plan_method method = {.kind = EI_METHOD_SEARCH};
    if (strcmp(name, "oracle") == 0) {
        method.kind = EI_METHOD_ORACLE;
    } else if (strcmp(name, "classic") == 0) {
        method.kind = EI_METHOD_CLASSIC;
    } else if (strcmp(name, "compressed") == 0) {
        method.kind = EI_METHOD_COMPRESSED;
        if (!has_compressed) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "--methods: compressed needs the profiles of a compressed network: add "
                                   "--compressed-et and --compressed-cs");
        }
    }
    if (method.kind == EI_METHOD_SEARCH) {
        return parse_search(name, has_predictor, seed, out, err);
    }
    strcpy(method.name, name);
    *out = method;
    return 0;
}

static int check_new(const struct ei_plan_method *methods, int32_t count, const char *name, struct einet_error *err)
{
    for (int32_t m = 0; m < count; m++) {
        if (strcmp(methods[m].name, name) == 0) {
            return einet_error_set(err, EINET_E_USAGE, "--methods: %s is named twice; name each method once", name);
        }
    }
    return 0;
}

int ei_plan_methods_parse(const char *text, bool has_predictor, bool has_compressed, uint64_t seed,
                          struct ei_plan_method out[EI_PLAN_METHODS_MAX], int32_t *out_count, struct einet_error *err)
{
    char list[512], *rest = list;
    int32_t count = 0;
    int length;
    if (text != NULL) {
        length = snprintf(list, sizeof list, "%s", text);
    } else {
        length = snprintf(list, sizeof list, "%s%s%s,oracle", standard_methods,
                          has_predictor ? ",exact" MEANS_SUFFIX : "", has_compressed ? ",compressed" : "");
    }
    if (length < 0 || (size_t)length >= sizeof list) {
        return einet_error_set(err, EINET_E_USAGE, "--methods: the list is longer than %zu bytes; name fewer methods",
                               sizeof list - 1);
    }
    while (rest != NULL) {
        char *name = strsep(&rest, ",");
        if (count == EI_PLAN_METHODS_MAX) {
            return einet_error_set(err, EINET_E_USAGE, "--methods: at most %d methods at once; name fewer",
                                   EI_PLAN_METHODS_MAX);
        }
        int status = parse_method(name, has_predictor, has_compressed, seed, &out[count], err);
        if (status == 0) {
            status = check_new(out, count, out[count].name, err);
        }
        if (status != 0) {
            return status;
        }
        count++;
    }
    *out_count = count;
    return 0;
}
