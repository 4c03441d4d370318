/* See decide.h. */
#include "adapters/dds/pool/decide.h"

#include <ctype.h>
#include <string.h>

#define PLACES 64
#define GIVEN_AWAY 1000 /* ranks end at EINET_POOL_RANK_MAX */
#define LOAD_TENTHS_MAX 100
#define LANE_PERMILLE 1000

bool ei_pool_is_name(const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("_-.", name[i]) == NULL) {
            return false;
        }
    }
    return length > 0 && length < EINET_POOL_NAME_MAX;
}

bool ei_pool_is_topic(const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("_/", name[i]) == NULL) {
            return false;
        }
    }
    return length == 0 || (name[0] == '/' && length > 1 && length < EINET_POOL_TOPIC_MAX);
}

int ei_pool_compare(int32_t rank_a, const char *name_a, int32_t rank_b, const char *name_b)
{
    return rank_a != rank_b ? (rank_a > rank_b ? -1 : 1) : strcmp(name_a, name_b);
}

int32_t ei_pool_strength(int32_t rank, int32_t load_permille, int32_t place, bool is_given)
{
    const int32_t tenths = load_permille / 100 < LOAD_TENTHS_MAX ? load_permille / 100 : LOAD_TENTHS_MAX;
    const int32_t level = rank - (is_given ? GIVEN_AWAY + tenths : 0);
    return level * PLACES + (place < PLACES ? PLACES - 1 - place : 0);
}

static int64_t stamp_of(int32_t sec, uint32_t nanosec)
{
    return (int64_t)sec * 1000000000 + (int64_t)nanosec;
}

static bool has_passed(const struct ei_pool_gate *gate, int64_t stamp)
{
    int32_t i = 0;
    while (i < gate->count && gate->passed[i] != stamp) {
        i++;
    }
    return i < gate->count;
}

static void note_passed(struct ei_pool_gate *gate, int64_t stamp)
{
    gate->passed[gate->next] = stamp;
    gate->next = (gate->next + 1) % EI_POOL_GATE_STAMPS;
    gate->count += gate->count < EI_POOL_GATE_STAMPS;
}

enum ei_pool_pass ei_pool_gate_pass(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec, bool is_answered)
{
    const int64_t stamp = stamp_of(sec, nanosec);
    if (has_passed(gate, stamp)) {
        return EI_POOL_REPEATED;
    }
    if (gate->has_answer && stamp < gate->answered) {
        return EI_POOL_BACKWARD;
    }
    const bool is_out = gate->has_answer && stamp == gate->answered;
    note_passed(gate, stamp);
    if (is_answered) {
        gate->has_answer = true;
        gate->answered = stamp;
    }
    return is_out ? EI_POOL_PASS_STATUS : EI_POOL_PASS;
}

bool ei_pool_gate_pass_partial(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec, int32_t exit_idx,
                               bool is_final)
{
    const int64_t stamp = stamp_of(sec, nanosec);
    struct ei_pool_partial *partial = NULL;
    if (gate->has_answer && stamp < gate->answered) {
        return false;
    }
    for (int32_t i = 0; i < gate->partial_count; i++) {
        partial = gate->partials[i].stamp == stamp ? &gate->partials[i] : partial;
    }
    if (partial != NULL && exit_idx <= partial->exit_idx) {
        return false;
    }
    if (partial == NULL) {
        partial = &gate->partials[gate->next_partial];
        gate->next_partial = (gate->next_partial + 1) % EI_POOL_GATE_STAMPS;
        gate->partial_count += gate->partial_count < EI_POOL_GATE_STAMPS;
    }
    *partial = (struct ei_pool_partial){stamp, is_final ? INT32_MAX : exit_idx};
    return true;
}

void ei_pool_gate_note_status(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec)
{
    const int64_t stamp = stamp_of(sec, nanosec);
    if (!has_passed(gate, stamp)) {
        note_passed(gate, stamp);
    }
}

void ei_pool_gate_note_answer(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec)
{
    const int64_t stamp = stamp_of(sec, nanosec);
    gate->answered = gate->has_answer && gate->answered > stamp ? gate->answered : stamp;
    gate->has_answer = true;
}

/* ---- whose turn it is ---- */

static void enter(struct ei_pool_turn *turn, enum ei_pool_turn_state state, int64_t now_ns)
{
    turn->is_due = state == EI_POOL_CLAIMING || state == EI_POOL_ACTIVE; /* what it says is new */
    turn->claimed_ns = state == EI_POOL_CLAIMING ? now_ns : turn->claimed_ns;
    turn->state = state;
    turn->since_ns = now_ns;
}

static void listen(struct ei_pool_turn *turn, int64_t ns, int64_t now_ns)
{
    turn->listen_until_ns = now_ns + ns;
    turn->is_joining = ns == EI_POOL_JOIN_NS;
    enter(turn, EI_POOL_LISTENING, now_ns);
}

void ei_pool_turn_init(struct ei_pool_turn *turn, int64_t lease_ns, int64_t now_ns)
{
    *turn = (struct ei_pool_turn){.lease_ns = lease_ns, .looked_ns = now_ns};
    listen(turn, EI_POOL_JOIN_NS, now_ns);
}

static bool is_claimed(const struct ei_pool_turn *turn)
{
    return turn->state == EI_POOL_CLAIMING || turn->state == EI_POOL_ACTIVE;
}

void ei_pool_turn_step(struct ei_pool_turn *turn, enum ei_pool_owner owner, int64_t now_ns)
{
    const int64_t away_ns = now_ns - turn->looked_ns;
    turn->looked_ns = now_ns;
    if (turn->state == EI_POOL_LOST || away_ns >= EI_POOL_LOST_NS) {
        enter(turn, EI_POOL_LOST, now_ns);
        return;
    }
    if (away_ns >= turn->lease_ns || (is_claimed(turn) && now_ns - turn->claimed_ns >= turn->lease_ns)) {
        const bool is_joining = turn->is_joining && now_ns - away_ns < turn->listen_until_ns;
        listen(turn, is_joining || away_ns >= EI_POOL_ABSENT_NS ? EI_POOL_JOIN_NS : turn->lease_ns, now_ns);
        return; /* what is heard may be from before */
    }
    if (owner == EI_POOL_ANOTHER) {
        enter(turn, EI_POOL_STANDING_BY, now_ns);
        return;
    }
    switch (turn->state) {
    case EI_POOL_LISTENING:
        if (now_ns >= turn->listen_until_ns) {
            enter(turn, EI_POOL_CLAIMING, now_ns);
        }
        break;
    case EI_POOL_STANDING_BY:
        if (owner == EI_POOL_NOBODY) { /* after an absence because DDS has just forgotten those that are there */
            enter(turn, now_ns >= turn->listen_until_ns ? EI_POOL_CLAIMING : EI_POOL_LISTENING, now_ns);
        }
        break;
    case EI_POOL_CLAIMING:
        if (owner != EI_POOL_OURSELVES) {
            turn->since_ns = now_ns;
        } else if (now_ns - turn->since_ns >= turn->lease_ns / 2) {
            enter(turn, EI_POOL_ACTIVE, now_ns);
        }
        break;
    case EI_POOL_ACTIVE:
    case EI_POOL_LOST:
        break;
    }
}

bool ei_pool_turn_claim(struct ei_pool_turn *turn, int64_t now_ns)
{
    const bool is_due =
        is_claimed(turn) && (turn->is_due || now_ns - turn->claimed_ns >= turn->lease_ns / EI_POOL_ROUNDS_PER_LEASE);
    if (is_due) {
        turn->claimed_ns = now_ns;
        turn->is_due = false;
    }
    return is_due;
}

bool ei_pool_turn_holds(const struct ei_pool_turn *turn, int64_t now_ns)
{
    return turn->state == EI_POOL_ACTIVE && now_ns - turn->claimed_ns < turn->lease_ns;
}

/* ---- shedding ---- */

void ei_pool_shed_init(struct ei_pool_shed *shed, int32_t count)
{
    *shed = (struct ei_pool_shed){.count = count};
    for (int32_t i = 0; i < count; i++) {
        shed->tasks[i] = (struct ei_pool_shed_task){.duty = EINET_DUTY_SERVING, .rest_ns = EI_POOL_REST_NS};
    }
}

static void change(struct ei_pool_shed_task *task, enum einet_dds_duty duty, int64_t now_ns)
{
    task->duty = duty;
    task->since_ns = now_ns;
}

/* Whether another task of the node comes before it; of two alike the first in the file does. */
static bool is_lower_than_another(const struct ei_pool_look *looks, int32_t count, int32_t idx)
{
    for (int32_t i = 0; i < count; i++) {
        if (looks[i].priority > looks[idx].priority || (looks[i].priority == looks[idx].priority && i < idx)) {
            return true;
        }
    }
    return false;
}

static void give_away_lowest(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    int32_t lowest = -1;
    for (int32_t i = 0; i < shed->count; i++) {
        if (looks[i].is_shared && looks[i].is_replaced && shed->tasks[i].duty == EINET_DUTY_SERVING &&
            is_lower_than_another(looks, shed->count, i) &&
            (lowest < 0 || looks[i].priority <= looks[lowest].priority)) {
            lowest = i;
        }
    }
    if (lowest >= 0) {
        change(&shed->tasks[lowest], EINET_DUTY_YIELDING, now_ns);
        shed->overloaded = 0; /* what this gives is seen in the windows to come */
    }
}

/* One at a time, the highest first. */
static void try_highest(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    int32_t highest = -1;
    for (int32_t i = 0; i < shed->count; i++) {
        const struct ei_pool_shed_task *task = &shed->tasks[i];
        if (task->duty == EINET_DUTY_TRYING) {
            return;
        }
        if (task->duty == EINET_DUTY_RESTING && now_ns - task->since_ns >= task->rest_ns &&
            (highest < 0 || looks[i].priority > looks[highest].priority)) {
            highest = i;
        }
    }
    if (highest >= 0) {
        change(&shed->tasks[highest], EINET_DUTY_TRYING, now_ns);
        shed->calm = 0;
    }
}

static void end_trials(struct ei_pool_shed *shed, int64_t now_ns)
{
    for (int32_t i = 0; i < shed->count; i++) {
        struct ei_pool_shed_task *task = &shed->tasks[i];
        if (task->duty != EINET_DUTY_TRYING) {
            continue;
        }
        if (shed->overloaded > 0) {
            change(task, EINET_DUTY_RESTING, now_ns);
            task->rest_ns = task->rest_ns * 2 < EI_POOL_REST_MAX_NS ? task->rest_ns * 2 : EI_POOL_REST_MAX_NS;
            shed->overloaded = 0;
        } else if (shed->calm >= EI_POOL_CALM) {
            change(task, EINET_DUTY_SERVING, now_ns);
            task->rest_ns = EI_POOL_REST_NS;
        }
    }
}

static void begin_window(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    shed->window_ns = now_ns;
    for (int32_t i = 0; i < shed->count; i++) {
        shed->tasks[i].jobs = looks[i].jobs;
        shed->tasks[i].late = looks[i].late;
        shed->tasks[i].cut = looks[i].cut;
    }
}

static void end_window(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    int64_t jobs = 0, late = 0, cut = 0, load_permille = 0;
    for (int32_t i = 0; i < shed->count; i++) {
        jobs += looks[i].jobs - shed->tasks[i].jobs;
        late += looks[i].late - shed->tasks[i].late;
        cut += looks[i].cut - shed->tasks[i].cut;
        load_permille += shed->tasks[i].duty != EINET_DUTY_RESTING ? looks[i].load_permille : 0;
    }
    begin_window(shed, looks, now_ns);
    if (jobs < EI_POOL_JOBS_MIN) {
        return;
    }
    const bool is_overloaded = late * 10 >= jobs || (cut * 4 >= jobs && load_permille > LANE_PERMILLE);
    shed->overloaded = is_overloaded ? shed->overloaded + 1 : 0;
    shed->calm = is_overloaded ? 0 : shed->calm + 1;
    end_trials(shed, now_ns);
    if (shed->overloaded >= EI_POOL_PATIENCE) {
        give_away_lowest(shed, looks, now_ns);
    } else if (!is_overloaded) {
        try_highest(shed, looks, now_ns);
    }
}

/* Chains as one task each, in the place of the first; those behind it can neither be given away nor stand above any,
 * and serve meanwhile. */
static void fold_chains(const struct ei_pool_look *looks, int32_t count, struct ei_pool_look *out)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = looks[i];
    }
    for (int32_t i = 0; i < count; i++) {
        struct ei_pool_look *head = &out[looks[i].head];
        if (head == &out[i]) {
            continue;
        }
        head->priority = looks[i].priority > head->priority ? looks[i].priority : head->priority;
        head->load_permille += looks[i].load_permille;
        head->is_replaced = head->is_replaced && looks[i].is_replaced;
        out[i].priority = INT32_MIN;
        out[i].load_permille = 0;
        out[i].is_shared = out[i].is_replaced = false;
    }
}

static void step_units(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    for (int32_t i = 0; i < shed->count; i++) {
        struct ei_pool_shed_task *task = &shed->tasks[i];
        if (task->duty != EINET_DUTY_SERVING && !looks[i].is_replaced) {
            change(task, EINET_DUTY_SERVING, now_ns);
        } else if (task->duty == EINET_DUTY_YIELDING && looks[i].is_settled) {
            change(task, EINET_DUTY_RESTING, now_ns);
        }
    }
    if (shed->window_ns == 0) {
        begin_window(shed, looks, now_ns);
    } else if (now_ns - shed->window_ns >= EI_POOL_WINDOW_NS) {
        end_window(shed, looks, now_ns);
    }
}

void ei_pool_shed_step(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns)
{
    struct ei_pool_look units[EINET_POOL_TASKS_MAX] = {0};
    fold_chains(looks, shed->count, units);
    step_units(shed, units, now_ns);
    for (int32_t i = 0; i < shed->count; i++) {
        shed->tasks[i].duty = shed->tasks[looks[i].head].duty;
    }
}

/* ---- whether the jobs of a task come to an end ---- */

bool ei_pool_is_moving(struct ei_pool_pulse *pulse, struct ei_pool_counts counts, int64_t patience_ns, int64_t now_ns)
{
    const bool is_first = pulse->moved_ns == 0, has_run = counts.ran != pulse->ran;
    if (is_first || has_run) {
        pulse->ran = counts.ran;
        pulse->released = counts.released;
    }
    /* the second: noted alone would call a task that was once not told of an end, or was paused, busy for ever */
    const bool is_idle = counts.released <= counts.noted || counts.released == pulse->released;
    if (is_first || has_run || is_idle) {
        pulse->moved_ns = now_ns;
    }
    return now_ns - pulse->moved_ns <= patience_ns;
}
