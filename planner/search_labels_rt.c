/* The exact search for any survival function: label setting with dominance and a sound bound. Pure, real-time safe.
 *
 * A label is an exit done at time t with the expectation E of all that was published up to it. Of two labels at the
 * same exit, one with t' <= t and E' >= E dominates, since S does not increase. Only exits that raise the score can be
 * on a best plan. A label is given up when even E + sum_j (rise of the record at j) * S(t + shortest way from here to
 * j or beyond) is no more than the best plan known; that way is min_{k >= j} ready_k - leave_i, the minimum over the
 * suffix because a later exit can be ready earlier. The first best plan known is the exact one for the uniform exit
 * time of the same mean.
 *
 * Exits are visited in order; when exit j is visited, the labels of all exits before it are final.
 */
#include "planner/search_kinds.h"

#include <string.h>

#define MEAN_POINTS 16
#define IN_THIS_EXIT (-2) /* best_label: one of the exit being visited, whose labels still move */

struct search {
    const struct ei_plan_problem *problem;
    struct ei_plan_course course;
    struct ei_plan_label start; /* now */
    struct ei_plan_label *label;
    int32_t label_count;
    int32_t begin[EI_EXITS_MAX], end[EI_EXITS_MAX]; /* labels of each exit, by rising time and expectation */
    int64_t suffix_ns[EI_EXITS_MAX + 1];            /* min_{k >= j} C_k + b_k, from now */
    double suffix_score[EI_EXITS_MAX + 1];          /* max_{k >= j} s_k */
    double best;                                    /* J of the best plan known */
    int32_t best_label;                             /* -1: the plan known first, or none */
    uint64_t best_mask;
    bool is_full;
};

static double survival_at(const struct search *s, int64_t t_ns)
{
    return ei_survival_at(&s->problem->survival, t_ns);
}

static double score_of(const struct search *s, int32_t exit)
{
    return (double)s->problem->score[exit];
}

/* ---- the bound ---- */

/* Upper bound of J for all plans that continue a state: an exit left at leave_ns, that counted at t_ns, with
 * expectation, holding score. */
static double bound(const struct search *s, int32_t next, int64_t leave_ns, int64_t t_ns, double expectation,
                    double score)
{
    double held = score, sum = expectation;
    int64_t priced_ns = -1; /* runs of records with the same shortest way cost one look at S */
    double price = 0;
    for (int32_t j = next; j < s->problem->exits && s->suffix_score[j] > held; j++) {
        if (score_of(s, j) > held) {
            if (s->suffix_ns[j] != priced_ns) {
                priced_ns = s->suffix_ns[j];
                price = survival_at(s, t_ns + priced_ns - leave_ns);
            }
            sum += (score_of(s, j) - held) * price;
            held = score_of(s, j);
            if (price == 0 || sum + (s->suffix_score[j] - held) * price <= s->best) {
                return sum + (s->suffix_score[j] - held) * price;
            }
        }
    }
    return sum;
}

/* ---- labels of one exit ---- */

/* First label in [begin, end) later than t_ns. */
static int32_t later_than(const struct ei_plan_label *label, int32_t begin, int32_t end, int64_t t_ns)
{
    while (begin < end) {
        const int32_t middle = begin + (end - begin) / 2;
        if (label[middle].t_ns <= t_ns) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

/* Try to add the state of exit j that follows a label (parent is its index, -1 the start), whose exit is left at
 * leave_ns and has the score held. The labels of j lie at the end of the list. */
static void reach(struct search *s, int32_t j, const struct ei_plan_label *from, int32_t parent, int64_t leave_ns,
                  double held)
{
    if (from->expectation + (s->suffix_score[j] - held) * from->survival <= s->best) {
        return;
    }
    const double rise = score_of(s, j) - held;
    const int64_t t_ns = from->t_ns + (s->course.ready_ns[j] - leave_ns);
    const int32_t begin = s->begin[j];
    int32_t at = later_than(s->label, begin, s->label_count, t_ns);
    if (at > begin && s->label[at - 1].expectation >= from->expectation + rise * from->survival) {
        return; /* dominated even if S did not fall on the way */
    }
    const double survival = survival_at(s, t_ns);
    const double expectation = from->expectation + rise * survival;
    if (at > begin && s->label[at - 1].expectation >= expectation) {
        return;
    }
    if (s->label_count == EI_PLAN_LABELS_MAX) {
        s->is_full = true;
        return;
    }
    if (expectation > s->best) {
        s->best = expectation;
        s->best_label = IN_THIS_EXIT;
    } else if (survival == 0 || bound(s, j + 1, s->course.leave_ns[j], t_ns, expectation, score_of(s, j)) <= s->best) {
        return;
    }
    int32_t dominated_end = at;
    while (dominated_end < s->label_count && s->label[dominated_end].expectation <= expectation) {
        dominated_end++;
    }
    if (at > begin && s->label[at - 1].t_ns == t_ns) {
        at--; /* same time, less expectation */
    }
    memmove(&s->label[at + 1], &s->label[dominated_end], (size_t)(s->label_count - dominated_end) * sizeof s->label[0]);
    s->label_count += at + 1 - dominated_end;
    s->label[at] = (struct ei_plan_label){
        .expectation = expectation, .t_ns = t_ns, .survival = survival, .parent = parent, .exit = j};
}

static void visit(struct search *s, int32_t j)
{
    s->begin[j] = s->label_count;
    if (score_of(s, j) > s->problem->held_score) {
        reach(s, j, &s->start, -1, 0, s->problem->held_score);
        for (int32_t i = s->problem->first_exit; i < j; i++) {
            if (score_of(s, i) >= score_of(s, j)) {
                continue;
            }
            for (int32_t l = s->begin[i]; l < s->end[i]; l++) {
                reach(s, j, &s->label[l], l, s->course.leave_ns[i], score_of(s, i));
            }
        }
    }
    s->end[j] = s->label_count;
    for (int32_t l = s->begin[j]; l < s->end[j]; l++) {
        if (s->best_label == IN_THIS_EXIT && s->label[l].expectation == s->best) {
            s->best_label = l;
        }
    }
}

/* ---- the plan known first ---- */

/* A uniform exit time with the mean of what is left of S; its exact plan is good under S, too. */
static struct ei_survival uniform_like(const struct search *s)
{
    const int64_t from_ns = s->problem->elapsed_ns;
    int64_t length_ns = s->course.ready_ns[s->problem->exits - 1];
    for (int32_t i = s->problem->first_exit; i < s->problem->exits - 1; i++) {
        length_ns += s->problem->branch_ns[i];
    }
    if (survival_at(s, from_ns + length_ns) >=
        1) { /* it does not fall before the end: the sum's value without the sum */
        return ei_survival_uniform(from_ns, from_ns + 1 + 2 * length_ns);
    }
    double sum = 0;
    for (int64_t k = 0; k < MEAN_POINTS; k++) {
        sum += survival_at(s, from_ns + length_ns / MEAN_POINTS * k + length_ns / MEAN_POINTS / 2);
    }
    const double now = survival_at(s, from_ns);
    const double mean_ns = now > 0 ? sum / now / MEAN_POINTS * (double)length_ns : 0;
    return ei_survival_uniform(from_ns, from_ns + 1 + (int64_t)(2 * mean_ns));
}

static void begin_search(struct search *s, const struct ei_plan_problem *problem, bool has_tables,
                         struct ei_plan_workspace *ws)
{
    s->problem = problem;
    s->start = (struct ei_plan_label){.expectation = problem->held_score,
                                      .t_ns = problem->elapsed_ns,
                                      .survival = survival_at(s, problem->elapsed_ns)};
    s->label = ws->label;
    s->label_count = 0;
    s->is_full = false;
    s->best = problem->held_score;
    s->best_label = -1;
    s->best_mask = 0;
    ei_plan_course_init(&s->course, problem);
    s->suffix_ns[problem->exits] = INT64_MAX;
    s->suffix_score[problem->exits] = problem->held_score;
    for (int32_t j = problem->exits - 1; j >= problem->first_exit; j--) {
        const int64_t ready_ns = s->course.ready_ns[j];
        s->suffix_ns[j] = ready_ns < s->suffix_ns[j + 1] ? ready_ns : s->suffix_ns[j + 1];
        s->suffix_score[j] = score_of(s, j) > s->suffix_score[j + 1] ? score_of(s, j) : s->suffix_score[j + 1];
    }
    struct ei_plan_problem alike = *problem;
    alike.survival = uniform_like(s);
    if (!has_tables) {
        ei_plan_uniform_fill(&alike, ws);
    }
    const uint64_t mask = ei_plan_uniform_best(&alike, ws);
    const double value = ei_plan_expectation(problem, mask);
    if (value > s->best) {
        s->best = value;
        s->best_mask = mask;
    }
}

EINET_RT uint64_t ei_plan_labels_best(const struct ei_plan_problem *problem, bool has_tables,
                                      struct ei_plan_workspace *ws, bool *out_is_exact)
{
    struct search s;
    *out_is_exact = true;
    if (problem->first_exit >= problem->exits) {
        return 0;
    }
    begin_search(&s, problem, has_tables, ws);
    if (s.best >= s.suffix_score[problem->first_exit]) {
        return s.best_mask; /* no plan has more than the highest score */
    }
    for (int32_t j = problem->first_exit; j < problem->exits; j++) {
        visit(&s, j);
    }
    *out_is_exact = !s.is_full;
    if (s.best_label < 0) {
        return s.best_mask;
    }
    uint64_t mask = 0;
    for (int32_t l = s.best_label; l >= 0; l = s.label[l].parent) {
        mask |= UINT64_C(1) << s.label[l].exit;
    }
    return mask;
}
