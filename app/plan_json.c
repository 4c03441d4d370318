/* Reading of plan problems. The planner's own checks say what they can; this file checks what
 * only JSON can get wrong (types, lengths, names) and gives every complaint the name that the field has in the text.
 */
#include "app/plan_json.h"

#include "app/plan_place.h"
#include "planner/search.h"

#include <float.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#define SHOWN_MAX 48 /* of a text of the input in a message */

/* ---- refusals ---- */

bool ei_plan_refuse(struct ei_plan_refusal *refusal, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char rule[EI_PLAN_MESSAGE_MAX];
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    *refusal = (struct ei_plan_refusal){.line = 0};
    snprintf(refusal->field, sizeof refusal->field, "%s", field);
    snprintf(refusal->message, sizeof refusal->message, "%.150s%s%.400s", field[0] != '\0' ? field : "the problem", " ",
             rule);
    return false;
}

/* The text is no JSON, or has a key twice. */
static bool refuse_text(struct ei_plan_refusal *refusal, const char *text, const json_error_t *error)
{
    char field[EI_PLAN_FIELD_MAX], shown[JSON_ERROR_TEXT_LENGTH];
    ei_plan_place(text, (size_t)error->position, field, sizeof field);
    ei_plan_printable(error->text, strlen(error->text), shown, sizeof shown);
    switch ((int)json_error_code(error)) {
    case json_error_duplicate_key:
        ei_plan_refuse(refusal, field, "must be given once");
        break;
    case json_error_invalid_utf8:
        ei_plan_refuse(refusal, field, "must be UTF-8: %s", shown);
        break;
    case json_error_numeric_overflow:
        ei_plan_refuse(refusal, field, "must be a number that 64 bits can hold: %s", shown);
        break;
    case json_error_end_of_input_expected:
        ei_plan_refuse(refusal, field, "must be one JSON object with nothing behind it: %s", shown);
        break;
    default:
        ei_plan_refuse(refusal, field, "must be JSON: %s", shown);
    }
    refusal->line = error->line;
    refusal->column = error->column;
    return false;
}

/* ---- parts of a path ---- */

struct path {
    char text[EI_PLAN_FIELD_MAX];
};

/* "exit_time" and "t_ns" make "exit_time.t_ns"; "" and "score" make "score". */
static struct path member(const char *parent, const char *key)
{
    struct path path;
    snprintf(path.text, sizeof path.text, "%.80s%s%.64s", parent, parent[0] != '\0' ? "." : "", key);
    return path;
}

static struct path element(const char *array, size_t i)
{
    struct path path;
    snprintf(path.text, sizeof path.text, "%.130s[%zu]", array, i);
    return path;
}

/* ---- values ---- */

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a point or an exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static bool refuse_key(const char *where, const char *key, const char *const *names, struct ei_plan_refusal *refusal)
{
    char all[256] = "", shown[SHOWN_MAX];
    size_t used = 0;
    for (int i = 0; names[i] && used < sizeof all; i++) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    ei_plan_printable(key, strlen(key), shown, sizeof shown);
    return ei_plan_refuse(refusal, member(where, shown).text, "must not be there; the fields are %s", all);
}

/* Every key of object is one of names (NULL-terminated). */
static bool keys_known(json_t *object, const char *where, const char *const *names, struct ei_plan_refusal *refusal)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool is_known = false;
        for (int i = 0; names[i] && !is_known; i++) {
            is_known = strcmp(names[i], key) == 0;
        }
        if (!is_known) {
            return refuse_key(where, key, names, refusal);
        }
    }
    return true;
}

static bool read_integer(const json_t *value, const char *field, int64_t max, const char *unit, int64_t *out,
                         struct ei_plan_refusal *refusal)
{
    char range[48];
    if (max == INT64_MAX) {
        snprintf(range, sizeof range, ">= 0");
    } else {
        snprintf(range, sizeof range, "within 0..%lld", (long long)max);
    }
    if (!json_is_integer(value)) {
        return ei_plan_refuse(refusal, field, "must be a whole number%s %s, and is %s", unit, range, type_name(value));
    }
    *out = json_integer_value(value);
    if (*out < 0 || *out > max) {
        return ei_plan_refuse(refusal, field, "must be a whole number%s %s, and is %lld", unit, range, (long long)*out);
    }
    return true;
}

#define OF_NS " of ns"

static bool read_number(const json_t *value, const char *field, double *out, struct ei_plan_refusal *refusal)
{
    if (!json_is_number(value)) {
        return ei_plan_refuse(refusal, field, "must be a number, and is %s", type_name(value));
    }
    *out = json_number_value(value);
    return true;
}

/* A member that may be missing; *out keeps its value then. */
static bool read_optional_integer(const json_t *object, const char *where, const char *key, int64_t max,
                                  const char *unit, int64_t *out, struct ei_plan_refusal *refusal)
{
    const json_t *value = json_object_get(object, key);
    return !value || read_integer(value, member(where, key).text, max, unit, out, refusal);
}

static bool read_optional_number(const json_t *object, const char *key, double *out, struct ei_plan_refusal *refusal)
{
    const json_t *value = json_object_get(object, key);
    return !value || read_number(value, key, out, refusal);
}

/* The array `key` of object with 1..max elements; NULL when refused. */
static const json_t *array_of(const json_t *object, const char *where, const char *key, size_t max,
                              struct ei_plan_refusal *refusal)
{
    const struct path path = member(where, key);
    const json_t *array = json_object_get(object, key);
    if (!array) {
        ei_plan_refuse(refusal, path.text, "must be given, an array of 1..%zu elements", max);
    } else if (!json_is_array(array)) {
        ei_plan_refuse(refusal, path.text, "must be an array of 1..%zu elements, and is %s", max, type_name(array));
    } else if (json_array_size(array) < 1 || json_array_size(array) > max) {
        ei_plan_refuse(refusal, path.text, "must have 1..%zu elements, and has %zu", max, json_array_size(array));
    } else {
        return array;
    }
    return NULL;
}

/* An array that goes with another one. */
static bool same_size(const json_t *array, const char *where, const char *key, const json_t *other,
                      const char *other_key, struct ei_plan_refusal *refusal)
{
    if (json_array_size(array) == json_array_size(other)) {
        return true;
    }
    return ei_plan_refuse(refusal, member(where, key).text, "must have %zu elements, as many as %s, and has %zu",
                          json_array_size(other), other_key, json_array_size(array));
}

static bool read_times(const json_t *array, const char *where, const char *key, int64_t *out,
                       struct ei_plan_refusal *refusal)
{
    const struct path path = member(where, key);
    const int64_t max_ns = where[0] == '\0' ? EI_PROFILE_TIME_NS_MAX : INT64_MAX;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!read_integer(json_array_get(array, i), element(path.text, i).text, max_ns, OF_NS, &out[i], refusal)) {
            return false;
        }
    }
    return true;
}

static bool read_numbers(const json_t *array, const char *where, const char *key, double *out,
                         struct ei_plan_refusal *refusal)
{
    const struct path path = member(where, key);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!read_number(json_array_get(array, i), element(path.text, i).text, &out[i], refusal)) {
            return false;
        }
    }
    return true;
}

/* ---- the exit time ---- */

#define KINDS "uniform, exponential, knots, steps"

/* The planner's complaint about a survival function, under the names of the JSON text. */
static bool pass_survival(const struct ei_survival *survival, const char *where, struct ei_plan_refusal *refusal)
{
    const struct ei_fault fault = ei_survival_fault(survival);
    if (!fault.field) {
        return true;
    }
    const char *dot = strrchr(fault.field, '.');
    const char *leaf = dot ? dot + 1 : fault.field;
    leaf = strcmp(leaf, "end_ns") == 0 ? "horizon_ns" : strcmp(leaf, "knots") == 0 ? "t_ns" : leaf;
    const struct path path = member(where, leaf);
    return ei_plan_refuse(refusal, fault.element >= 0 ? element(path.text, (size_t)fault.element).text : path.text,
                          "%s", fault.rule);
}

static bool read_uniform(json_t *object, const char *where, struct ei_survival *out, struct ei_plan_refusal *refusal)
{
    static const char *const names[] = {"kind", "horizon_ns", "begin_ns", NULL};
    int64_t begin_ns = 0, end_ns = -1;
    if (!keys_known(object, where, names, refusal) ||
        !read_optional_integer(object, where, "begin_ns", INT64_MAX, OF_NS, &begin_ns, refusal) ||
        !read_optional_integer(object, where, "horizon_ns", INT64_MAX, OF_NS, &end_ns, refusal)) {
        return false;
    }
    if (end_ns < 0) {
        return ei_plan_refuse(refusal, member(where, "horizon_ns").text,
                              "must be given, the last moment the stop can come, a whole number of ns >= 0");
    }
    *out = ei_survival_uniform(begin_ns, end_ns);
    return true;
}

static bool read_exponential(json_t *object, const char *where, struct ei_survival *out,
                             struct ei_plan_refusal *refusal)
{
    static const char *const names[] = {"kind", "rate_per_s", NULL};
    const struct path path = member(where, "rate_per_s");
    const json_t *rate = json_object_get(object, "rate_per_s");
    double rate_per_s = 0;
    if (!keys_known(object, where, names, refusal)) {
        return false;
    }
    if (!rate) {
        return ei_plan_refuse(refusal, path.text, "must be given, the stops per second, a number >= 0");
    }
    if (!read_number(rate, path.text, &rate_per_s, refusal)) {
        return false;
    }
    *out = ei_survival_exponential(rate_per_s);
    return true;
}

static bool read_table(json_t *object, const char *where, enum ei_survival_kind kind, struct ei_survival_table *table,
                       struct ei_survival *out, struct ei_plan_refusal *refusal)
{
    static const char *const names[] = {"kind", "t_ns", "survival", NULL};
    if (!keys_known(object, where, names, refusal)) {
        return false;
    }
    const json_t *times = array_of(object, where, "t_ns", EI_SURVIVAL_KNOTS_MAX, refusal);
    const json_t *values = times ? array_of(object, where, "survival", EI_SURVIVAL_KNOTS_MAX, refusal) : NULL;
    if (!values || !same_size(values, where, "survival", times, "t_ns", refusal) ||
        !read_times(times, where, "t_ns", table->t_ns, refusal) ||
        !read_numbers(values, where, "survival", table->survival, refusal)) {
        return false;
    }
    table->kind = kind;
    table->count = (int32_t)json_array_size(times);
    *out = ei_survival_of_table(table);
    return true;
}

/* The kind of an exit time; NULL when refused. */
static const char *kind_of(const json_t *object, const char *where, const char *kinds, struct ei_plan_refusal *refusal)
{
    const struct path path = member(where, "kind");
    const json_t *kind = json_object_get(object, "kind");
    if (!kind) {
        ei_plan_refuse(refusal, path.text, "must be given, one of %s", kinds);
        return NULL;
    }
    if (!json_is_string(kind)) {
        ei_plan_refuse(refusal, path.text, "must be a string, one of %s, and is %s", kinds, type_name(kind));
        return NULL;
    }
    return json_string_value(kind);
}

/* Any kind but a product. */
static bool read_factor(json_t *object, const char *where, const char *kinds, struct ei_survival_table *table,
                        struct ei_survival *out, struct ei_plan_refusal *refusal)
{
    if (!json_is_object(object)) {
        return ei_plan_refuse(refusal, where, "must be an object with a kind, one of %s, and is %s", kinds,
                              type_name(object));
    }
    const char *kind = kind_of(object, where, kinds, refusal);
    bool is_read;
    if (!kind) {
        return false;
    }
    if (strcmp(kind, "uniform") == 0) {
        is_read = read_uniform(object, where, out, refusal);
    } else if (strcmp(kind, "exponential") == 0) {
        is_read = read_exponential(object, where, out, refusal);
    } else if (strcmp(kind, "knots") == 0) {
        is_read = read_table(object, where, EI_SURVIVAL_KNOTS, table, out, refusal);
    } else if (strcmp(kind, "steps") == 0) {
        is_read = read_table(object, where, EI_SURVIVAL_STEPS, table, out, refusal);
    } else {
        char shown[SHOWN_MAX];
        return ei_plan_refuse(refusal, member(where, "kind").text, "must be one of %s, and is \"%s\"", kinds,
                              ei_plan_printable(kind, strlen(kind), shown, sizeof shown));
    }
    return is_read && pass_survival(out, where, refusal);
}

static bool read_product(json_t *object, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    static const char *const names[] = {"kind", "factors", NULL};
    if (!keys_known(object, "exit_time", names, refusal)) {
        return false;
    }
    const json_t *factors = array_of(object, "exit_time", "factors", EI_SURVIVAL_FACTORS_MAX, refusal);
    if (!factors) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(factors); i++) {
        const struct path where = element("exit_time.factors", i);
        if (!read_factor(json_array_get(factors, i), where.text, KINDS, &out->table[i], &out->factor[i], refusal)) {
            return false;
        }
    }
    out->problem.survival = (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT,
                                                 .u.product = {(int32_t)json_array_size(factors), out->factor}};
    return pass_survival(&out->problem.survival, "exit_time", refusal);
}

static bool read_exit_time(const json_t *root, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    json_t *object = json_object_get(root, "exit_time");
    if (!object) {
        return ei_plan_refuse(refusal, "exit_time", "must be given, an object with a kind, one of " KINDS ", product");
    }
    const json_t *kind = json_object_get(object, "kind");
    if (json_is_string(kind) && strcmp(json_string_value(kind), "product") == 0) {
        return read_product(object, out, refusal);
    }
    return read_factor(object, "exit_time", KINDS ", product", &out->table[0], &out->problem.survival, refusal);
}

/* ---- the problem ---- */

static bool read_scores(const json_t *array, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    if (!read_numbers(array, "", "score", out->given_score, refusal)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!(out->given_score[i] >= -(double)FLT_MAX && out->given_score[i] <= (double)FLT_MAX)) {
            return ei_plan_refuse(refusal, element("score", i).text, "must be within -3.4e38..3.4e38");
        }
        out->score[i] = (float)out->given_score[i];
    }
    return true;
}

static bool read_network(const json_t *root, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    const json_t *convs = array_of(root, "", "conv_ns", EI_EXITS_MAX, refusal);
    const json_t *branches = convs ? array_of(root, "", "branch_ns", EI_EXITS_MAX, refusal) : NULL;
    const json_t *scores = branches ? array_of(root, "", "score", EI_EXITS_MAX, refusal) : NULL;
    if (!scores || !same_size(branches, "", "branch_ns", convs, "conv_ns", refusal) ||
        !same_size(scores, "", "score", convs, "conv_ns", refusal) ||
        !read_times(convs, "", "conv_ns", out->conv_ns, refusal) ||
        !read_times(branches, "", "branch_ns", out->branch_ns, refusal)) {
        return false;
    }
    out->problem.exits = (int32_t)json_array_size(convs);
    out->problem.conv_ns = out->conv_ns;
    out->problem.branch_ns = out->branch_ns;
    out->problem.score = out->score;
    return read_scores(scores, out, refusal);
}

/* Where the job stands; the default is at its beginning. */
static bool read_state(const json_t *root, struct ei_plan_problem *problem, struct ei_plan_refusal *refusal)
{
    int64_t convs_done = 0, first_exit = 0;
    double no_output_score = 0;
    if (!read_optional_integer(root, "", "convs_done", problem->exits, "", &convs_done, refusal) ||
        !read_optional_integer(root, "", "first_exit", problem->exits, "", &first_exit, refusal) ||
        !read_optional_integer(root, "", "elapsed_ns", INT64_MAX / 4, OF_NS, &problem->elapsed_ns, refusal) ||
        !read_optional_number(root, "no_output_score", &no_output_score, refusal)) {
        return false;
    }
    problem->convs_done = (int32_t)convs_done;
    problem->first_exit = (int32_t)first_exit;
    problem->held_score = no_output_score;
    return read_optional_number(root, "held_score", &problem->held_score, refusal);
}

static bool read_search(const json_t *root, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    const json_t *search = json_object_get(root, "search");
    struct einet_error err = {0};
    int64_t seed = 1;
    out->search = (struct ei_search){.kind = EI_SEARCH_EXACT};
    if (search && !json_is_string(search)) {
        return ei_plan_refuse(refusal, "search", "must be a string, as in \"exact\", and is %s", type_name(search));
    }
    if (search && ei_search_parse(json_string_value(search), &out->search, &err) != 0) {
        ei_plan_refuse(refusal, "search", "is not known");
        snprintf(refusal->message, sizeof refusal->message, "%s", err.text);
        return false;
    }
    if (!read_optional_integer(root, "", "seed", INT64_MAX, "", &seed, refusal)) {
        return false;
    }
    out->search.seed = (uint64_t)seed;
    const struct ei_survival *survival = &out->problem.survival;
    if (out->search.kind == EI_SEARCH_ORACLE &&
        !(survival->kind == EI_SURVIVAL_UNIFORM && survival->u.uniform.begin_ns == survival->u.uniform.end_ns)) {
        return ei_plan_refuse(refusal, "search",
                              "must be oracle only where the stop is known: exit_time uniform with "
                              "begin_ns = horizon_ns");
    }
    return true;
}

static bool read_root(json_t *root, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    static const char *const names[] = {"conv_ns",    "branch_ns",  "score",           "exit_time",
                                        "search",     "seed",       "no_output_score", "convs_done",
                                        "first_exit", "elapsed_ns", "held_score",      NULL};
    if (!json_is_object(root)) {
        return ei_plan_refuse(refusal, "", "must be one JSON object, and is %s", type_name(root));
    }
    out->problem = (struct ei_plan_problem){.exits = 0};
    if (!keys_known(root, "", names, refusal) || !read_network(root, out, refusal) ||
        !read_exit_time(root, out, refusal) || !read_state(root, &out->problem, refusal) ||
        !read_search(root, out, refusal)) {
        return false;
    }
    /* What is left is what only the planner knows: how the fields go together. */
    const struct ei_fault fault = ei_plan_problem_fault(&out->problem);
    if (!fault.field) {
        return true;
    }
    return ei_plan_refuse(refusal, fault.element >= 0 ? element(fault.field, (size_t)fault.element).text : fault.field,
                          "%s", fault.rule);
}

bool ei_plan_request_read(const char *text, size_t length, struct ei_plan_request *out, struct ei_plan_refusal *refusal)
{
    json_error_t error;
    if (strspn(text, " \t\r\n") >= length) {
        return ei_plan_refuse(refusal, "", "must be one JSON object, and is empty");
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        return refuse_text(refusal, text, &error);
    }
    const bool is_read = read_root(root, out, refusal);
    json_decref(root);
    return is_read;
}
