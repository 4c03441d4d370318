/* Random problems as JSON lines, against every plan there is and an evaluator of the test's own. */
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/integration/plan_talk.h"

#include <stdarg.h>

struct random_line {
    int n, kind;
    int64_t conv_ns[10], branch_ns[10], knot_ns[4], begin_ns, end_ns;
    double score[10], value[4], rate_per_s, no_output;
    char text[4096];
};

static void add(struct random_line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct random_line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const size_t used = strlen(l->text);
    vsnprintf(l->text + used, sizeof l->text - used, format, args);
    va_end(args);
}

static void add_times(struct random_line *l, const char *key, const int64_t *t_ns, int count)
{
    add(l, "\"%s\":[", key);
    for (int i = 0; i < count; i++) {
        add(l, "%s%lld", i > 0 ? "," : "", (long long)t_ns[i]);
    }
    add(l, "],");
}

static void add_reals(struct random_line *l, const char *key, const double *value, int count, const char *end)
{
    add(l, "\"%s\":[", key);
    for (int i = 0; i < count; i++) {
        add(l, "%s%.17g", i > 0 ? "," : "", value[i]);
    }
    add(l, "]%s", end);
}

static void draw(struct ei_random *rng, struct random_line *l)
{
    int64_t total_ns = 1;
    *l = (struct random_line){.n = 1 + (int)ei_random_below(rng, 9), .kind = (int)ei_random_below(rng, 5)};
    for (int i = 0; i < l->n; i++) {
        l->conv_ns[i] = (int64_t)ei_random_below(rng, 4) * (int64_t)ei_random_below(rng, 1000);
        l->branch_ns[i] = (int64_t)ei_random_below(rng, 600);
        /* In 1/4096, so that the search's floats are the numbers as written. */
        l->score[i] = (double)ei_random_below(rng, 4097) / 4096;
        total_ns += l->conv_ns[i] + l->branch_ns[i];
    }
    l->no_output = ei_random_below(rng, 3) == 0 ? ei_random_unit(rng) / 2 : 0;
    l->begin_ns = ei_random_below(rng, 2) == 0 ? 0 : (int64_t)ei_random_below(rng, (uint64_t)total_ns);
    l->end_ns = l->begin_ns + (int64_t)ei_random_below(rng, (uint64_t)total_ns * 2);
    l->rate_per_s = ei_random_exponential(rng, 1e9 / (double)total_ns);
    double value = 1;
    for (int k = 0; k < 4; k++) {
        l->knot_ns[k] = (k > 0 ? l->knot_ns[k - 1] : 0) + (int64_t)ei_random_below(rng, (uint64_t)total_ns);
        l->value[k] = value;
        value *= ei_random_unit(rng);
    }
    add(l, "{");
    add_times(l, "conv_ns", l->conv_ns, l->n);
    add_times(l, "branch_ns", l->branch_ns, l->n);
    add_reals(l, "score", l->score, l->n, ",");
    add(l, "\"no_output_score\":%.17g,\"exit_time\":", l->no_output);
    add(l, l->kind == 4 ? "{\"kind\":\"product\",\"factors\":[" : "%s", "");
    if (l->kind == 0 || l->kind == 4) {
        add(l, "{\"kind\":\"uniform\",\"begin_ns\":%lld,\"horizon_ns\":%lld}", (long long)l->begin_ns,
            (long long)l->end_ns);
    }
    if (l->kind == 1) {
        add(l, "{\"kind\":\"exponential\",\"rate_per_s\":%.17g}", l->rate_per_s);
    }
    if (l->kind >= 2) {
        add(l, "%s{\"kind\":\"%s\",", l->kind == 4 ? "," : "", l->kind == 3 ? "steps" : "knots");
        add_times(l, "t_ns", l->knot_ns, 4);
        add_reals(l, "survival", l->value, 4, "}");
    }
    add(l, l->kind == 4 ? "]}}" : "}");
}

/* S(t) once more, from the words of docs/plan.md. */
static double survival_at(const struct random_line *l, int64_t t_ns)
{
    double s = 1;
    const double t = (double)t_ns, begin = (double)l->begin_ns, end = (double)l->end_ns;
    if (l->kind == 0 || l->kind == 4) {
        s = t > end ? 0 : t <= begin ? 1 : (end - t) / (end - begin);
    }
    if (l->kind == 1) {
        s = exp(-l->rate_per_s * t * 1e-9);
    }
    if (l->kind < 2) {
        return s;
    }
    double value = l->kind == 3 ? 1 : l->value[0];
    for (int k = 0; k < 4; k++) {
        if (l->knot_ns[k] < t_ns) {
            value = l->value[k];
            if (l->kind != 3 && k < 3 && l->knot_ns[k + 1] >= t_ns) {
                const double from = (double)l->knot_ns[k], to = (double)l->knot_ns[k + 1];
                value += (l->value[k + 1] - l->value[k]) * (t - from) / (to - from);
            }
        }
    }
    return s * value;
}

static double expectation_of(const struct random_line *l, unsigned mask)
{
    double held = l->no_output, sum = l->no_output;
    int64_t t_ns = 0;
    for (int i = 0; i < l->n; i++) {
        t_ns += l->conv_ns[i];
        if ((mask >> i & 1U) != 0) {
            t_ns += l->branch_ns[i];
            sum += (l->score[i] - held) * survival_at(l, t_ns);
            held = l->score[i];
        }
    }
    return sum;
}

EI_TEST(plan_no_plan_is_better_than_the_exact_one)
{
    struct ei_random rng;
    struct talk t;
    ei_random_init(&rng, 20260302, 0);
    EI_REQUIRE(talk_begin(&t, "--batch"));
    for (int i = 0; i < 600; i++) {
        struct random_line l;
        draw(&rng, &l);
        json_t *root = parsed(talk_ask(&t, l.text));
        EI_REQUIRE(json_is_array(json_object_get(root, "plan")));
        size_t k;
        json_t *exit;
        unsigned mask = 0;
        json_array_foreach(json_object_get(root, "plan"), k, exit)
        {
            mask |= 1U << json_integer_value(exit);
        }
        double best = l.no_output;
        for (unsigned other = 0; other < 1U << l.n; other++) {
            best = fmax(best, expectation_of(&l, other));
        }
        const double said = real_of(root, "expectation");
        EI_TRUEF(fabs(said - best) <= 1e-9, "J %.12g, the best is %.12g: %s", said, best, l.text);
        EI_TRUEF(fabs(said - expectation_of(&l, mask)) <= 1e-12, "J is not that of the plan: %s", l.text);
        EI_TRUE(json_is_true(json_object_get(root, "exact")));
        json_decref(root);
    }
    EI_EQ(talk_end(&t, NULL), 0);
}
