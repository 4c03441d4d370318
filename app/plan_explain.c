/* See plan_explain.h. */
#include "app/plan_explain.h"

#include <math.h>
#include <string.h>

#define PLOT_COLUMNS 68
#define PLOT_LEVELS 4
#define NUMBER_MAX 40

/* One unit for all times of a problem. */
struct unit {
    const char *name;
    double ns;
    int decimals;
};

struct explanation {
    const struct ei_plan_request *request;
    const struct ei_plan *plan;
    double expectation;
    struct unit unit;
    char search[EI_SEARCH_NAME_MAX];
    FILE *out;
};

/* What exit i does to the plan. */
struct effect {
    bool is_taken;
    int32_t before; /* last exit of the plan before i, EI_EXIT_NONE = what is held */
    int32_t after;  /* next one of the plan, EI_EXIT_NONE = none */
    double held;    /* score of the answer before i */
    int64_t ready_ns;
    double survival;
    double with, without; /* J */
};

/* ---- figures ---- */

static struct unit unit_for(int64_t longest_ns)
{
    static const struct unit units[] = {{"ns", 1, 0}, {"us", 1e3, 1}, {"ms", 1e6, 2}, {"s", 1e9, 3}};
    int i = 0;
    while (i < 3 && (double)longest_ns >= 2e4 * units[i].ns) {
        i++;
    }
    return units[i];
}

static const char *time_text(const struct explanation *e, int64_t t_ns, char out[NUMBER_MAX])
{
    snprintf(out, NUMBER_MAX, "%.*f", e->unit.decimals, (double)t_ns / e->unit.ns);
    return out;
}

static bool is_same(const struct explanation *e, double a, double b)
{
    return fabs(a - b) <= 1e-7 * fmax(1, fabs(e->expectation));
}

/* Two values with as many digits as it takes to tell them apart. */
static void pair_text(double a, double b, char a_out[NUMBER_MAX], char b_out[NUMBER_MAX])
{
    int digits = 4;
    do {
        snprintf(a_out, NUMBER_MAX, "%.*g", digits, a);
        snprintf(b_out, NUMBER_MAX, "%.*g", digits, b);
    } while (++digits <= 15 && strcmp(a_out, b_out) == 0);
}

/* When the answer of exit i is ready under a plan that has it. */
static int64_t ready_ns(const struct ei_plan_problem *problem, uint64_t mask, int32_t i)
{
    int64_t t_ns = problem->elapsed_ns;
    for (int32_t k = 0; k <= i; k++) {
        t_ns += k >= problem->convs_done ? problem->conv_ns[k] : 0;
        t_ns += (mask >> k & 1U) != 0 ? problem->branch_ns[k] : 0;
    }
    return t_ns;
}

static struct effect effect_of(const struct explanation *e, int32_t i)
{
    const struct ei_plan_problem *problem = &e->request->problem;
    const uint64_t mask = e->plan->mask, bit = UINT64_C(1) << i;
    struct effect effect = {.is_taken = (mask & bit) != 0,
                            .before = EI_EXIT_NONE,
                            .after = EI_EXIT_NONE,
                            .held = problem->held_score,
                            .ready_ns = ready_ns(problem, mask | bit, i),
                            .with = ei_plan_request_expectation(e->request, mask | bit),
                            .without = ei_plan_request_expectation(e->request, mask & ~bit)};
    for (int32_t k = 0; k < e->plan->count; k++) {
        const int32_t exit = e->plan->exits[k];
        if (exit < i) {
            effect.before = exit;
            effect.held = e->request->given_score[exit];
        } else if (exit > i && effect.after == EI_EXIT_NONE) {
            effect.after = exit;
        }
    }
    effect.survival = ei_survival_at(&problem->survival, effect.ready_ns);
    return effect;
}

/* ---- the table ---- */

static void print_table(const struct explanation *e)
{
    const struct ei_plan_request *r = e->request;
    fprintf(e->out, "\nexit %10s %10s %10s %10s %8s %11s\n", "conv", "branch", "ready", "score", "S(ready)", "gain");
    fprintf(e->out, "     %10s %10s %10s\n", e->unit.name, e->unit.name, e->unit.name);
    for (int32_t i = 0; i < r->problem.exits; i++) {
        char conv[NUMBER_MAX], branch[NUMBER_MAX], ready[NUMBER_MAX];
        time_text(e, r->conv_ns[i], conv);
        time_text(e, r->branch_ns[i], branch);
        if (i < r->problem.first_exit) {
            fprintf(e->out, "%4d %10s %10s %10s %10.5g %8s %11s  past\n", i, conv, branch, "-", r->given_score[i], "-",
                    "-");
            continue;
        }
        const struct effect effect = effect_of(e, i);
        fprintf(e->out, "%4d %10s %10s %10s %10.5g %8.4f %+11.4g  %s\n", i, conv, branch,
                time_text(e, effect.ready_ns, ready), r->given_score[i], effect.survival, effect.with - effect.without,
                effect.is_taken ? "taken" : "skipped");
    }
    fputs("ready, S(ready): on the plan, or as if the exit were added; S(t) = P(stop at t\n"
          "or later); gain: J with the exit less J without it, the rest as planned\n",
          e->out);
}

/* ---- the reasons ---- */

static void print_reason(const struct explanation *e, int32_t i)
{
    const struct ei_plan_request *r = e->request;
    const struct effect effect = effect_of(e, i);
    const double score = r->given_score[i], now = effect.is_taken ? effect.with : effect.without;
    const double toggled = effect.is_taken ? effect.without : effect.with;
    char from[NUMBER_MAX], to[NUMBER_MAX], delay[NUMBER_MAX];
    pair_text(now, toggled, from, to);
    fprintf(e->out, "  exit %d %s: ", i, effect.is_taken ? "taken" : "skipped");
    if (effect.is_taken && now > toggled && !is_same(e, now, toggled)) {
        fprintf(e->out, "without it J %s -> %s\n", from, to);
        return;
    }
    if (score <= effect.held) {
        char mine[NUMBER_MAX], other[NUMBER_MAX];
        pair_text(score, effect.held, mine, other);
        fprintf(e->out, "no better than ");
        if (effect.before != EI_EXIT_NONE) {
            fprintf(e->out, "exit %d", effect.before);
        } else {
            fputs(r->problem.first_exit > 0 ? "the answer held" : "no output", e->out);
        }
        fprintf(e->out, " (score %s, here %s)", score == effect.held ? mine : other, mine);
    } else if (effect.survival <= 0) {
        fprintf(e->out, "is ready after the stop can have come (S = 0)");
    } else if (is_same(e, now, toggled)) {
        fprintf(e->out, "makes no difference: J %s either way", from);
    } else if (effect.is_taken || effect.after == EI_EXIT_NONE || toggled > now) {
        fprintf(e->out, "%s does not see that J %s -> %s %s it", e->search, from, to,
                effect.is_taken ? "without" : "with");
    } else {
        fprintf(e->out, "taking it would delay exit %d by %s %s: J %s -> %s", effect.after,
                time_text(e, r->branch_ns[i], delay), e->unit.name, from, to);
    }
    if (effect.is_taken && (score <= effect.held || effect.survival <= 0)) {
        fprintf(e->out, "; %s takes it all the same", e->search);
    }
    fputc('\n', e->out);
}

/* ---- the drawing ---- */

static int column_of(int64_t t_ns, int64_t begin_ns, int64_t span_ns)
{
    const double share = ((double)t_ns - (double)begin_ns) / (double)span_ns;
    return share >= 1 ? PLOT_COLUMNS - 1 : (int)(share * PLOT_COLUMNS);
}

/* Columns whose middle lies in [from, to). */
static void draw_bar(char *row, char mark, int64_t from_ns, int64_t to_ns, int64_t begin_ns, int64_t span_ns)
{
    for (int c = 0; c < PLOT_COLUMNS; c++) {
        const double t_ns = (double)begin_ns + (c + 0.5) * (double)span_ns / PLOT_COLUMNS;
        if (t_ns >= (double)from_ns && t_ns < (double)to_ns) {
            row[c] = mark;
        }
    }
}

/* The number of an exit where its answer is ready, '+' where there is no room. */
static void draw_answer(char *row, int32_t exit, int column)
{
    char label[8];
    const int length = snprintf(label, sizeof label, "%d", exit);
    const int at = column + length > PLOT_COLUMNS ? PLOT_COLUMNS - length : column;
    const bool is_free = row[at] == ' ' && row[at + length - 1] == ' ' && (at == 0 || row[at - 1] == ' ');
    if (is_free) {
        memcpy(row + at, label, (size_t)length);
    } else if (row[column] == ' ') {
        row[column] = '+';
    }
}

/* The end of the drawing: the plan's end or the moment of the last possible stop, whatever is later, within the time
 * that all that is left would take. */
static int64_t drawn_until_ns(const struct explanation *e)
{
    const struct ei_plan_problem *problem = &e->request->problem;
    const int32_t last = ei_plan_last_exit(e->plan);
    const uint64_t open = problem->first_exit < problem->exits ? UINT64_MAX << problem->first_exit : 0;
    int64_t high_ns = ready_ns(problem, open, problem->exits - 1);
    int64_t low_ns = last == EI_EXIT_NONE ? problem->elapsed_ns : ready_ns(problem, e->plan->mask, last);
    while (low_ns < high_ns && ei_survival_at(&problem->survival, high_ns) <= 0) {
        const int64_t middle_ns = low_ns + (high_ns - low_ns) / 2;
        if (ei_survival_at(&problem->survival, middle_ns) > 0) {
            low_ns = middle_ns + 1;
        } else {
            high_ns = middle_ns;
        }
    }
    return high_ns;
}

static void draw_course(const struct explanation *e, int64_t begin_ns, int64_t span_ns)
{
    const struct ei_plan_problem *problem = &e->request->problem;
    char trunk[PLOT_COLUMNS + 1], branches[PLOT_COLUMNS + 1], answers[PLOT_COLUMNS + 1];
    for (char *row[] = {trunk, branches, answers}, **at = row; at < row + 3; at++) {
        memset(*at, ' ', PLOT_COLUMNS);
        (*at)[PLOT_COLUMNS] = '\0';
    }
    int64_t t_ns = begin_ns;
    for (int32_t i = 0; i <= ei_plan_last_exit(e->plan); i++) {
        const int64_t conv_ns = i >= problem->convs_done ? problem->conv_ns[i] : 0;
        draw_bar(trunk, i % 2 == 0 ? '=' : '-', t_ns, t_ns + conv_ns, begin_ns, span_ns);
        t_ns += conv_ns;
        if ((e->plan->mask >> i & 1U) != 0) {
            draw_bar(branches, '#', t_ns, t_ns + problem->branch_ns[i], begin_ns, span_ns);
            t_ns += problem->branch_ns[i];
            draw_answer(answers, i, column_of(t_ns, begin_ns, span_ns));
        }
    }
    fprintf(e->out, "trunk    |%s|\nbranches |%s|\nanswers  |%s|\n", trunk, branches, answers);
}

static void draw_survival(const struct explanation *e, int64_t begin_ns, int64_t span_ns)
{
    static const char *const names[PLOT_LEVELS + 1] = {"0", "0.25", "0.5", "0.75", "S(t) 1"};
    char rows[PLOT_LEVELS + 1][PLOT_COLUMNS + 1];
    for (int level = 0; level <= PLOT_LEVELS; level++) {
        memset(rows[level], ' ', PLOT_COLUMNS);
        rows[level][PLOT_COLUMNS] = '\0';
    }
    for (int c = 0; c < PLOT_COLUMNS; c++) {
        const int64_t t_ns = begin_ns + (int64_t)((c + 0.5) * (double)span_ns / PLOT_COLUMNS);
        rows[lround(ei_survival_at(&e->request->problem.survival, t_ns) * PLOT_LEVELS)][c] = '*';
    }
    for (int level = PLOT_LEVELS; level >= 0; level--) {
        fprintf(e->out, "%8s |%s|\n", names[level], rows[level]);
    }
}

static void draw(const struct explanation *e)
{
    char begin[NUMBER_MAX], end[NUMBER_MAX];
    const int64_t begin_ns = e->request->problem.elapsed_ns, end_ns = drawn_until_ns(e);
    const int64_t span_ns = end_ns > begin_ns ? end_ns - begin_ns : 1;
    time_text(e, begin_ns, begin);
    time_text(e, begin_ns + span_ns, end);
    const int gap = PLOT_COLUMNS - (int)strlen(begin) - (int)strlen(end) - (int)strlen(e->unit.name);
    fprintf(e->out, "\ntime      %s%*s%s %s\n", begin, gap > 1 ? gap : 1, "", end, e->unit.name);
    draw_course(e, begin_ns, span_ns);
    draw_survival(e, begin_ns, span_ns);
    fputs("trunk: conv parts, even = odd -; #: branches of the plan; the number of an exit\n"
          "stands where its answer is ready, + where there is no room for it\n",
          e->out);
}

/* ---- all of it ---- */

static void print_head(const struct explanation *e, int64_t search_ns)
{
    const struct ei_plan_problem *problem = &e->request->problem;
    const uint64_t half = ei_plan_static_mask(problem->exits, 50);
    fprintf(e->out, "plan [");
    for (int32_t k = 0; k < e->plan->count; k++) {
        fprintf(e->out, "%s%d%s", k > 0 ? ", " : "", e->plan->exits[k],
                k % 16 == 15 && k + 1 < e->plan->count ? "\n     " : "");
    }
    fprintf(e->out, "]\n%d of %d exits, by search %s in %lld ns; exits count from 0\n", e->plan->count, problem->exits,
            e->search, (long long)search_ns);
    fprintf(e->out, "J of the plan      %.6g%s\n", e->expectation,
            e->plan->is_exact ? ", no plan has a greater one" : "");
    fprintf(e->out, "J of all exits     %.6g\n", ei_plan_request_expectation(e->request, UINT64_MAX));
    fprintf(e->out, "J of static 50     %.6g\n", ei_plan_request_expectation(e->request, half));
    if (problem->first_exit > 0 || problem->convs_done > 0 || problem->elapsed_ns > 0) {
        char elapsed[NUMBER_MAX];
        fprintf(e->out, "on its way: %d conv parts done, exits from %d on open, %s %s elapsed,\nscore held %.6g\n",
                problem->convs_done, problem->first_exit, time_text(e, problem->elapsed_ns, elapsed), e->unit.name,
                problem->held_score);
    }
}

void ei_plan_explain(const struct ei_plan_request *request, const struct ei_plan *plan, int64_t search_ns, FILE *out)
{
    const struct ei_plan_problem *problem = &request->problem;
    const int64_t longest_ns = ready_ns(problem, UINT64_MAX, problem->exits - 1);
    struct explanation e = {.request = request,
                            .plan = plan,
                            .expectation = ei_plan_request_expectation(request, plan->mask),
                            .unit = unit_for(longest_ns),
                            .out = out};
    ei_search_name(request->search, e.search);
    print_head(&e, search_ns);
    print_table(&e);
    fputs("\nwhy\n", out);
    for (int32_t i = problem->first_exit; i < problem->exits; i++) {
        print_reason(&e, i);
    }
    if (problem->first_exit == problem->exits) {
        fputs("  no exit is open any more\n", out);
    }
    draw(&e);
}
