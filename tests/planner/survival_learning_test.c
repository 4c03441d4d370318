/* Does learning when jobs are stopped pay? Jobs plan exactly under what was learnt so far, are stopped by a
 * distribution that they do not know, and teach the estimate what they saw. Their plan after 500 jobs is judged under
 * the true distribution, in points of expected accuracy, beside the plan that knows it and the plan that assumes a
 * uniform one. */
#include "planner/profile_file.h"
#include "planner/search.h"
#include "planner/survival_empirical.h"
#include "planner/survival_schedule.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <stdlib.h>

#define JOBS 500
#define EXPLORE_EVERY 16
#define SEEDS 20
#define PROFILE "models/pretrained/b-alexnet-cifar10"

/* ---- the network ---- */

struct network {
    int32_t exits;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];
    float score[EI_EXITS_MAX];
    int64_t total_ns;
};

static bool read_network(struct network *out)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    if (!EI_TRUEF(ei_et_profile_read(PROFILE ".et.csv", &et, &err) == 0, "%s", err.text) ||
        !EI_TRUEF(ei_cs_profile_read(PROFILE ".cs", &cs, &err) == 0, "%s", err.text)) {
        return false;
    }
    out->exits = et.exits;
    out->total_ns = ei_et_profile_total_ns(&et, EI_TIME_P50);
    ei_et_profile_times(&et, EI_TIME_P50, out->conv_ns, out->branch_ns);
    memcpy(out->score, cs.mean_score, sizeof out->score);
    ei_cs_profile_fini(&cs);
    return true;
}

/* A deep network of even blocks whose scores rise ever slower, as long as the real one. */
static void make_network(int32_t exits, int64_t total_ns, struct network *out)
{
    out->exits = exits;
    out->total_ns = 0;
    for (int32_t i = 0; i < exits; i++) {
        out->conv_ns[i] = total_ns * 3 / 4 / exits;
        out->branch_ns[i] = total_ns / 4 / exits;
        out->score[i] = (float)(0.9 - 0.5 * exp(-4.0 * (i + 1) / exits));
        out->total_ns += out->conv_ns[i] + out->branch_ns[i];
    }
}

/* ---- the truth ---- */

/* Times in lengths of the network. */
struct truth {
    const char *name;
    double deadline;
    double first, last, share; /* this share of the stops is uniform in [first, last], the others at the deadline */
    double release;            /* a periodic release without jitter; 0 = none */
    double mean;               /* of sporadic stops that come at any time; 0 = none */
    bool is_uniform_right;     /* on the real profile, a uniform S leads to the same plan */
};

/* On the real profile, the plan of exits 1 and 3 ends at 0.94, of 2 and 3 at 0.85, of 3 alone at 0.79, of 1 and 2 at
 * 0.74. */
static const struct truth truths[] = {
    {.name = "late bimodal", .deadline = 1.3, .first = 0.86, .last = 0.93, .share = 0.4},
    {.name = "release before the last exit", .deadline = 1.3, .release = 0.97, .mean = 2},
    {.name = "rare stops, deadline soon", .deadline = 0.93, .mean = 3},
    {.name = "stops while the last block runs",
     .deadline = 1.3,
     .first = 0.80,
     .last = 0.84,
     .share = 0.3,
     .mean = 4,
     .is_uniform_right = true},
};
#define TRUTHS ((int)(sizeof truths / sizeof truths[0]))

static int64_t share_of(const struct network *net, double lengths)
{
    return (int64_t)(lengths * (double)net->total_ns);
}

/* S as a product of its parts, sampled into a table by the source for schedules. */
static void make_truth(const struct truth *truth, const struct network *net, struct ei_survival_table *out)
{
    const int64_t deadline_ns = share_of(net, truth->deadline);
    struct ei_interferer tasks[2];
    int32_t count = 0;
    if (truth->release > 0) {
        tasks[count++] = (struct ei_interferer){
            .is_phase_known = true, .next_ns = share_of(net, truth->release), .period_ns = 2 * deadline_ns};
    }
    if (truth->mean > 0) {
        tasks[count++] = (struct ei_interferer){
            .kind = EI_INTERFERER_SPORADIC, .is_phase_known = true, .mean_extra_ns = share_of(net, truth->mean)};
    }
    EI_EQ(ei_survival_from_schedule(tasks, count, 0, deadline_ns, deadline_ns, out), 0);
    if (truth->share > 0) { /* the mixture has corners of its own: sample the product anew */
        const struct ei_survival others = ei_survival_of_table(out);
        struct ei_survival_table mixed = {.kind = EI_SURVIVAL_KNOTS};
        for (int k = 0; k < EI_SURVIVAL_KNOTS_MAX - 1; k++) {
            const int64_t t_ns = deadline_ns * k / (EI_SURVIVAL_KNOTS_MAX - 2);
            const double within = ((double)t_ns / (double)net->total_ns - truth->first) / (truth->last - truth->first);
            mixed.t_ns[k] = t_ns;
            mixed.survival[k] = ei_survival_at(&others, t_ns) * (1 - truth->share * fmin(1, fmax(0, within)));
        }
        mixed.t_ns[EI_SURVIVAL_KNOTS_MAX - 1] = deadline_ns;
        mixed.count = EI_SURVIVAL_KNOTS_MAX;
        *out = mixed;
    }
}

/* The stop of one job: the latest time that is reached with a probability of at least u. */
static int64_t draw_stop(const struct ei_survival *truth, int64_t last_ns, struct ei_random *rng)
{
    const double u = 1 - ei_random_unit(rng); /* (0, 1] */
    int64_t low = 0, high = last_ns + 1;      /* S(low) >= u > S(high) */
    while (low + 1 < high) {
        const int64_t middle = low + (high - low) / 2;
        if (ei_survival_at(truth, middle) >= u) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- jobs ---- */

enum lesson { AS_SEEN, EXPLORING, STOP_IS_TOLD, LESSONS };

static struct ei_plan_workspace ws;

static struct ei_plan_problem problem_of(const struct network *net, struct ei_survival survival)
{
    return (struct ei_plan_problem){.exits = net->exits,
                                    .conv_ns = net->conv_ns,
                                    .branch_ns = net->branch_ns,
                                    .score = net->score,
                                    .survival = survival};
}

static uint64_t plan_under(const struct network *net, struct ei_survival survival)
{
    const struct ei_plan_problem problem = problem_of(net, survival);
    struct ei_plan plan = {.mask = 0};
    EI_EQ(ei_plan_search(&problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_TRUE(plan.is_exact);
    return plan.mask;
}

/* When the last exit of a plan is ready, and with it the job done. */
static int64_t end_of(const struct network *net, uint64_t mask)
{
    int64_t t_ns = 0, end_ns = 0;
    for (int32_t i = 0; i < net->exits; i++) {
        t_ns += net->conv_ns[i];
        if (mask >> i & 1) {
            t_ns += net->branch_ns[i];
            end_ns = t_ns;
        }
    }
    return end_ns;
}

/* The plan after JOBS jobs. */
static uint64_t learn(const struct network *net, const struct ei_survival *truth, int64_t deadline_ns,
                      enum lesson lesson, int32_t memory_jobs, uint64_t seed)
{
    struct ei_random rng;
    struct ei_empirical learnt;
    struct ei_survival_table table;
    ei_random_init(&rng, seed, 0);
    EI_EQ(ei_empirical_init(&learnt, deadline_ns, memory_jobs), 0);
    for (int job = 0; job < JOBS; job++) {
        ei_empirical_survival(&learnt, &table);
        const bool explores = lesson == EXPLORING && job % EXPLORE_EVERY == 0;
        const uint64_t mask = explores ? UINT64_MAX : plan_under(net, ei_survival_of_table(&table));
        const int64_t end_ns = end_of(net, mask), stop_ns = draw_stop(truth, deadline_ns, &rng);
        const bool is_censored = lesson != STOP_IS_TOLD && end_ns < stop_ns;
        ei_empirical_add(&learnt, is_censored ? end_ns : stop_ns, is_censored);
    }
    ei_empirical_survival(&learnt, &table);
    return plan_under(net, ei_survival_of_table(&table));
}

/* ---- points ---- */

struct verdict {
    double known, uniform;        /* expectations of the plans made under the truth and under a uniform S, in points */
    double learnt, learnt_lowest; /* mean and lowest over the seeds */
};

static struct verdict judge(const struct network *net, const struct truth *kind, enum lesson lesson,
                            int32_t memory_jobs)
{
    struct ei_survival_table table;
    make_truth(kind, net, &table);
    const struct ei_survival truth = ei_survival_of_table(&table);
    const int64_t deadline_ns = table.t_ns[table.count - 1];
    const struct ei_plan_problem judged = problem_of(net, truth);
    struct verdict v = {.learnt = 0, .learnt_lowest = INFINITY};
    v.known = 100 * ei_plan_expectation(&judged, plan_under(net, truth));
    v.uniform = 100 * ei_plan_expectation(&judged, plan_under(net, ei_survival_uniform(0, deadline_ns)));
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const uint64_t mask = learn(net, &truth, deadline_ns, lesson, memory_jobs, seed);
        const double points = 100 * ei_plan_expectation(&judged, mask);
        v.learnt += points / SEEDS;
        v.learnt_lowest = fmin(v.learnt_lowest, points);
    }
    return v;
}

static void print_verdict(const struct truth *truth, int32_t exits, const char *lesson, int32_t memory_jobs,
                          struct verdict v)
{
    printf("%2d exits, %-33s, %-9s, memory %3d: known S %.3f, uniform %+.3f, learnt mean %+.3f, lowest %+.3f\n", exits,
           truth->name, lesson, memory_jobs, v.known, v.uniform - v.known, v.learnt - v.known,
           v.learnt_lowest - v.known);
}

static const char *const lesson_names[LESSONS] = {"as seen", "exploring", "told"};

EI_TEST(survival_learning_reaches_the_known_truth_on_the_real_profile)
{
    struct network net;
    EI_REQUIRE(read_network(&net));
    for (int t = 0; t < TRUTHS; t++) {
        for (int lesson = EXPLORING; lesson < LESSONS; lesson++) {
            for (int32_t memory_jobs = 0; memory_jobs <= 300; memory_jobs += 300) {
                const struct verdict v = judge(&net, &truths[t], (enum lesson)lesson, memory_jobs);
                print_verdict(&truths[t], net.exits, lesson_names[lesson], memory_jobs, v);
                EI_TRUE(v.learnt_lowest >= v.known - 0.2); /* every seed */
                EI_TRUE(v.learnt_lowest >= v.uniform + (truths[t].is_uniform_right ? -0.2 : 0.4));
                EI_TRUE(truths[t].is_uniform_right || v.uniform <= v.known - 0.6);
            }
        }
    }
}

/* Jobs that only teach what they saw of their own plans: good on average, but a seed may never see what it avoids. */
EI_TEST(survival_learning_needs_a_look_beyond_the_plan)
{
    struct network net;
    EI_REQUIRE(read_network(&net));
    double as_seen_lowest = 0, exploring_lowest = 0;
    for (int t = 0; t < TRUTHS; t++) {
        const struct verdict seen = judge(&net, &truths[t], AS_SEEN, 0);
        const struct verdict exploring = judge(&net, &truths[t], EXPLORING, 0);
        print_verdict(&truths[t], net.exits, lesson_names[AS_SEEN], 0, seen);
        EI_TRUE(seen.learnt >= seen.known - 0.2);
        EI_TRUE(seen.learnt >= seen.uniform + (truths[t].is_uniform_right ? -0.2 : 0.4));
        as_seen_lowest = fmin(as_seen_lowest, seen.learnt_lowest - seen.known);
        exploring_lowest = fmin(exploring_lowest, exploring.learnt_lowest - exploring.known);
    }
    EI_TRUEF(as_seen_lowest < -0.2 && exploring_lowest >= -0.2, "as seen %g, exploring %g", as_seen_lowest,
             exploring_lowest);
}

EI_TEST(survival_learning_beats_uniform_on_a_deep_network)
{
    struct network real, net;
    EI_REQUIRE(read_network(&real));
    make_network(14, real.total_ns, &net);
    for (int t = 0; t < TRUTHS; t++) {
        const struct verdict v = judge(&net, &truths[t], EXPLORING, 300);
        print_verdict(&truths[t], net.exits, lesson_names[EXPLORING], 300, v);
        EI_TRUE(v.learnt >= v.known - 0.2);
        EI_TRUE(v.learnt > v.uniform);
    }
}
