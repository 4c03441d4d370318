/* Networks of the program's own, through libeinet.so alone. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define EXITS 4
#define CLASSES 10
#define JOBS_MAX 64

enum { SEE, ABOVE, PLAIN };

/* search: a word of the planner. */
#define TEXT(search)                                                                                                   \
    "version: 1\nname: own\nrun: { start_delay: 0s }\nlanes: { acc: { kind: cpu, threads: 1 } }\n"                     \
    "models:\n"                                                                                                        \
    "  net: { emulate: { blocks: [ { conv: 30us, branch: 300us, score: 0.3 }, { conv: 30us, branch: 300us, score: "    \
    "0.31 },\n"                                                                                                        \
    "                              { conv: 30us, branch: 300us, score: 0.32 }, { conv: 30us, branch: 300us, score: "   \
    "0.9 } ] } }\n"                                                                                                    \
    "  quick: { emulate: { blocks: [ { conv: 50us, branch: 10us, score: 0.9 } ] } }\n"                                 \
    "tasks:\n"                                                                                                         \
    "  - { name: see, arrival: { model: external, min_interarrival: 10ms }, deadline: 10s, priority: 20,\n"            \
    "      late_release: { queue: 32, drop: newest }, on_preempt: exit,\n"                                             \
    "      planner: { search: " search ", exit_time: uniform },\n"                                                     \
    "      stages: [ { name: net, kind: nn, model: net, lane: acc }, { name: top, kind: cpu, op: argmax } ] }\n"       \
    "  - { name: above, arrival: { model: external, min_interarrival: 1s }, priority: 60,\n"                           \
    "      stages: [ { name: net, kind: nn, model: quick, lane: acc } ] }\n"                                           \
    "  - { name: plain, arrival: { model: external, min_interarrival: 100us }, class: other,\n"                        \
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"

static struct play play; /* large */

/* What the functions saw of the jobs with a tag, by tag; the job thread's, read when the run is over. */
static struct own {
    struct einet_run *run; /* the release of the task above comes out of block 1; NULL = none does */
    int opened, closed, begun_before, begun, ended, strange;
    uint64_t tag; /* of the job under way, 0 = none */
    int32_t next_block;
    int blocks[JOBS_MAX][EXITS], exits[JOBS_MAX][EXITS];
    int failing_block, failing_exit; /* of tag 3; -1 = none */
    float bad_score;                 /* of the failing exit, 0 = it returns a code instead */
    bool fails_at_once, are_probabilities;
    float confidence;  /* below 0 = left alone */
    float first_input; /* of the last job */
} own;

/* Blocks are short and exits long, so that an exit on the way costs more than it brings. */
static void spin_us(int64_t us)
{
    const int64_t until_ns = play_now_ns() + us * 1000;
    while (play_now_ns() < until_ns) {
    }
}

static int open_own(void *context, void **out_instance)
{
    struct own *o = context;
    o->opened++;
    *out_instance = &o->tag; /* an instance that is not the context */
    return 0;
}

static struct own *of(void *instance)
{
    own.strange += instance != &own.tag;
    return &own;
}

static void close_own(void *instance)
{
    of(instance)->closed++;
}

static int begin(void *instance, const struct einet_job *job, const float *input_chw)
{
    struct own *o = of(instance);
    o->next_block = 0;
    o->tag = job != NULL ? job->tag : 0;
    o->first_input = input_chw != NULL ? input_chw[0] : -100.0F;
    if (job == NULL) {
        o->begun_before++;
        return 0;
    }
    o->begun++;
    o->strange += job->size_bytes != sizeof *job || job->task_idx != SEE || job->answer != NULL ||
                  job->deadline_ns != job->release_ns + 10000000000;
    return 0;
}

static int run_block(void *instance, int32_t block_idx)
{
    struct own *o = of(instance);
    o->strange += block_idx != o->next_block++ || o->tag >= JOBS_MAX;
    o->blocks[o->tag][block_idx]++;
    spin_us(30);
    if (o->fails_at_once || (o->tag == 3 && block_idx == o->failing_block)) {
        return -EIO;
    }
    if (o->tag != 0 && o->run != NULL && block_idx == 1) { /* the task above asks for the lane during this block */
        o->strange += einet_run_release(o->run, ABOVE, EINET_NOW, 100) != 0;
        play_sleep_ms(20);
    }
    return 0;
}

/* Exit k says class k + 3. */
static int run_exit(void *instance, int32_t exit_idx, float *out_scores, float *out_confidence)
{
    struct own *o = of(instance);
    o->strange += exit_idx != o->next_block - 1;
    o->exits[o->tag][exit_idx]++;
    spin_us(300);
    for (int32_t i = 0; i < CLASSES; i++) {
        out_scores[i] = o->are_probabilities ? 0.05F : 0.0F;
    }
    out_scores[exit_idx + 3] = o->are_probabilities ? 0.55F : 2.0F;
    if (o->confidence >= 0.0F) {
        *out_confidence = o->confidence;
    }
    if (o->tag == 3 && exit_idx == o->failing_exit) {
        out_scores[5] = o->bad_score;
        return o->bad_score != 0.0F ? 0 : -EIO;
    }
    return 1; /* no fault */
}

static void end(void *instance)
{
    of(instance)->ended++;
}

static struct einet_network network(void)
{
    own = (struct own){.failing_block = -1, .failing_exit = -1, .confidence = -1.0F};
    return (struct einet_network){
        .size_bytes = sizeof(struct einet_network),
        .context = &own,
        .exits = EXITS,
        .classes = CLASSES,
        .open = open_own,
        .close = close_own,
        .begin = begin,
        .run_block = run_block,
        .run_exit = run_exit,
        .end = end,
    };
}

static struct einet_result results[JOBS_MAX]; /* of the task see, by tag */

static void keep_result(void *context, const struct einet_result *result)
{
    struct play *p = context;
    p->results[result->task_idx]++;
    p->outcomes[result->outcome]++;
    if (result->task_idx == SEE && result->tag < JOBS_MAX) {
        results[result->tag] = *result;
    }
}

static struct einet_preemption preemption;

static void keep_preemption(void *context, const struct einet_preemption *told)
{
    struct play *p = context;
    p->preemptions++;
    preemption = *told;
}

static bool create(const char *text, const struct einet_network *net)
{
    struct einet_error err = {0};
    memset(results, 0, sizeof results);
    play_init(&play, text);
    play.callbacks.on_result = keep_result;
    play.callbacks.on_miss = NULL;
    play.callbacks.on_preempt = keep_preemption;
    return play_create(&play) && EI_TRUEF(einet_run_set_network(play.run, SEE, net, &err) == 0, "%s", err.text);
}

/* Jobs of see with the tags 1.., one after the other. */
static void run_jobs(uint64_t count)
{
    struct einet_error err = {0};
    if (!EI_TRUEF(einet_run_start(play.run, &err) == 0, "%s", err.text)) {
        return;
    }
    EI_TRUE(own.begun_before > 5 && own.begun == 0);
    for (uint64_t tag = 1; tag <= count; tag++) {
        EI_EQ(einet_run_release(play.run, SEE, EINET_NOW, tag), 0);
        play_sleep_ms(10);
    }
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, &err), 0);
    EI_EQ(play.results[SEE], (int)count);
    EI_EQ(own.begun, (int)count);
    EI_EQ(own.ended, own.begun_before + own.begun);
    EI_EQ(own.strange, 0);
    EI_EQ(own.opened, 1);
}

EI_TEST(network_of_the_program_is_preempted_at_a_boundary_and_its_last_exit_stands)
{
    const struct einet_network net = network();
    EI_REQUIRE(create(TEXT("all"), &net));
    own.run = play.run;
    run_jobs(1);
    const struct einet_result *r = &results[1];
    EI_EQ(r->outcome, EINET_JOB_COMPLETED);
    EI_EQ(r->cause, EINET_CAUSE_PREEMPTED);
    EI_EQ(r->preemptions, 1);
    EI_EQ(r->flags, (uint32_t)(EINET_RESULT_DEADLINE_MET | EINET_RESULT_ANSWERED | EINET_RESULT_PREEMPTED));
    EI_EQ(r->answer.exit_idx, 0);
    EI_EQ(r->answer.label, 3);
    EI_TRUE(r->answer.is_final);
    EI_TRUE(own.blocks[1][0] == 1 && own.blocks[1][1] == 1 && own.blocks[1][2] == 0);
    EI_TRUE(own.exits[1][0] == 1 && own.exits[1][1] == 0);
    EI_EQ(play.preemptions, 1);
    EI_TRUE(preemption.victim_task_idx == SEE && preemption.preemptor_task_idx == ABOVE);
    EI_TRUE(preemption.request_ns <= preemption.block_end_ns && preemption.block_end_ns <= preemption.first_block_ns);
    EI_EQ(play.results[ABOVE], 1);
    play_done(&play);
    EI_EQ(own.closed, 1);
}

/* With time enough only the surest exit is worth its time. */
EI_TEST(plan_chooses_the_exits)
{
    const struct einet_network net = network();
    struct einet_end told = {.size_bytes = sizeof told};
    EI_REQUIRE(create(TEXT("exact"), &net));
    run_jobs(8);
    for (uint64_t tag = 1; tag <= 8; tag++) {
        EI_EQ(results[tag].outcome, EINET_JOB_COMPLETED);
        EI_EQ(results[tag].cause, EINET_CAUSE_PLAN_DONE);
        EI_EQ(results[tag].planned_exit, EXITS - 1);
        EI_EQ(results[tag].answer.exit_idx, EXITS - 1);
        EI_EQ(results[tag].answer.label, EXITS - 1 + 3);
        for (int k = 0; k < EXITS; k++) {
            EI_EQ(own.blocks[tag][k], 1);
            EI_EQ(own.exits[tag][k], k == EXITS - 1);
        }
    }
    EI_EQ(einet_run_end(play.run, &told), 0);
    EI_CONTAINS(told.summary, "see: own");
    play_done(&play);
    EI_TRUE(own.opened == 1 && own.closed == 1);
}

/* Scores of the call instead of the file's: the second exit is as sure as any. */
EI_TEST(scores_of_the_call_go_into_the_plan)
{
    const float score[EXITS] = {0.2F, 0.9F, 0.3F, 0.2F};
    struct einet_network net = network();
    net.mean_score = score;
    EI_REQUIRE(create(TEXT("exact"), &net));
    run_jobs(4);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        EI_EQ(results[tag].planned_exit, 1);
        EI_EQ(results[tag].answer.exit_idx, 1);
        EI_TRUE(own.exits[tag][0] == 0 && own.exits[tag][1] == 1 && own.blocks[tag][2] == 0);
    }
    play_done(&play);
}

EI_TEST(failure_ends_the_job_alone)
{
    static const struct {
        int block, exit;
        float bad_score;
        bool are_probabilities;
        const char *text;
    } cases[] = {
        {1, -1, 0.0F, false, "the network failed: block 2 of net: Input/output error"},
        {-1, 2, 0.0F, false, "the network failed: exit 3 of net: Input/output error"},
        {-1, 0, INFINITY, false, "the network failed: exit 1 of net: a score that is no number"},
        {-1, 0, 1.5F, true, "the network failed: exit 1 of net: a probability outside 0 to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct einet_network plain = network();
        struct einet_network net = plain;
        struct einet_end told = {.size_bytes = sizeof told};
        own.failing_block = cases[i].block;
        own.failing_exit = cases[i].exit;
        own.bad_score = cases[i].bad_score;
        own.are_probabilities = cases[i].are_probabilities;
        net.scores = cases[i].are_probabilities ? EINET_SCORES_PROBABILITIES : EINET_SCORES_LOGITS;
        EI_REQUIRE(create(TEXT("all"), &net));
        run_jobs(5);
        EI_EQ(results[3].outcome, EINET_JOB_ABORTED);
        EI_EQ(results[3].cause, EINET_CAUSE_FAULT);
        EI_TRUE((results[3].flags & EINET_RESULT_ANSWERED) == 0);
        EI_EQ(play.outcomes[EINET_JOB_COMPLETED], 4);
        EI_EQ(results[4].answer.exit_idx, EXITS - 1);
        EI_EQ(einet_run_end(play.run, &told), 0);
        EI_EQ(told.faulty_jobs, 1);
        EI_TRUE(told.is_accounted);
        EI_CONTAINS(told.fault_text, cases[i].text);
        play_done(&play);
    }
}

EI_TEST(network_that_fails_before_time_zero_fails_the_start)
{
    const struct einet_network net = network();
    struct einet_error err = {0};
    own.fails_at_once = true;
    EI_REQUIRE(create(TEXT("all"), &net));
    EI_EQ(einet_run_start(play.run, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "task 'see'");
    EI_CONTAINS(err.text, "block 1 of net: Input/output error");
    play_done(&play);
    EI_TRUE(own.opened == 1 && own.closed == 1);
}

static int refuse(void *context, void **out_instance)
{
    (void)context;
    (void)out_instance;
    return -ENODEV;
}

EI_TEST(network_that_cannot_be_opened_fails_the_start)
{
    struct einet_network net = network();
    struct einet_error err = {0};
    net.open = refuse;
    net.name = "mine";
    EI_REQUIRE(create(TEXT("all"), &net));
    EI_EQ(einet_run_start(play.run, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "task 'see': network mine could not be opened: No such device");
    play_done(&play);
    EI_EQ(own.closed, 0);
}

EI_TEST(probabilities_and_confidence_are_taken_as_they_are)
{
    struct einet_network net = network();
    own.are_probabilities = true;
    net.scores = EINET_SCORES_PROBABILITIES;
    EI_REQUIRE(create(TEXT("all"), &net));
    run_jobs(1);
    EI_NEAR(results[1].answer.top_p[0], 0.55, 1e-5);
    EI_NEAR(results[1].answer.top_p[1], 0.05, 1e-5);
    EI_NEAR(results[1].answer.confidence, 0.55, 1e-5);
    play_done(&play);

    net = network();
    own.confidence = 0.25F;
    EI_REQUIRE(create(TEXT("all"), &net));
    run_jobs(1);
    EI_NEAR(results[1].answer.confidence, 0.25, 0.0);
    EI_NEAR(results[1].answer.top_p[0], exp(2.0) / (exp(2.0) + CLASSES - 1), 1e-5);
    play_done(&play);
}

static const char picture_text[] =
    "version: 1\nname: own\nrun: { start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 1us, branch: 1us, score: 0.3 }, { conv: 1us, branch: 1us, score: "
    "0.4 }, { conv: 1us, branch: 1us, score: 0.5 }, { conv: 1us, branch: 1us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: see, arrival: { model: external, min_interarrival: 100us }, deadline: 10s,\n"
    "      late_release: { queue: 4, drop: newest }, planner: { search: all },\n"
    "      input: { kind: caller, width: 8, height: 4, channels: 3 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n";

EI_TEST(network_is_given_the_normalized_picture)
{
    static const uint8_t pixels[8 * 4 * 3] = {255};
    const struct einet_frame frame = {.size_bytes = sizeof frame,
                                      .data = pixels,
                                      .data_bytes = sizeof pixels,
                                      .format = EINET_PIXELS_HWC_U8,
                                      .width_px = 8,
                                      .height_px = 4,
                                      .channels = 3};
    struct einet_network net = network();
    struct einet_error err = {0};
    EI_REQUIRE(create(picture_text, &net));
    EI_EQ(einet_run_start(play.run, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "takes no pictures");
    play_done(&play);

    net = network();
    net.channels = 3;
    net.height_px = 4;
    net.width_px = 8;
    net.mean[0] = 0.5F;
    net.std[0] = 0.25F;
    EI_REQUIRE(create(picture_text, &net));
    EI_EQ(einet_run_start(play.run, &err), 0);
    EI_EQ(einet_run_release_frame(play.run, SEE, EINET_NOW, 1, &frame), 0);
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, &err), 0);
    EI_NEAR(own.first_input, 2.0, 1e-6);
    EI_EQ(own.strange, 0);
    play_done(&play);

    EI_REQUIRE(create(TEXT("all"), &net)); /* no input there */
    EI_EQ(einet_run_start(play.run, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "op: normalize");
    play_done(&play);
}

EI_TEST(network_that_has_no_place_is_refused)
{
    struct einet_error err = {0};
    const struct einet_network good = network();
    struct einet_network net = good;
    EI_REQUIRE(create(TEXT("all"), &good));
    EI_EQ(einet_run_set_network(play.run, PLAIN, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "task 'plain' has no network");
    EI_EQ(einet_run_set_network(play.run, ABOVE, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "has 4 exits, model 'quick' has 1 blocks");
    EI_EQ(einet_run_set_network(play.run, 3, &net, &err), EINET_E_USAGE);
    EI_EQ(einet_run_set_network(play.run, -1, &net, &err), EINET_E_USAGE);
    net.run_exit = NULL;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "task 'see': a network needs functions");
    net = good;
    net.classes = 1;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    net = good;
    net.channels = 2;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    net = good;
    net.std[1] = -1.0F;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    net = good;
    net.scores = 2;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    net = good;
    net.mean_score = (const float[EXITS]){0.1F, 0.2F, 1.2F, 0.3F};
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "exit 3");
    net = good;
    net.size_bytes = 0;
    EI_EQ(einet_run_set_network(play.run, SEE, &net, &err), -EINVAL);
    play_done(&play);
    EI_EQ(own.opened, 0);
}

static const char lanes_text[] =
    "version: 1\nname: own\nlanes: { gpu: { kind: cuda, fallback: acc }, acc: { kind: cpu, preempt: block } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 1us, branch: 1us, score: 0.3 }, { conv: 1us, branch: 1us, score: "
    "0.4 }, { conv: 1us, branch: 1us, score: 0.5 }, { conv: 1us, branch: 1us, score: 0.9 } ] } },\n"
    "          real: { bundle: somewhere } }\n"
    "tasks:\n"
    "  - { name: see, arrival: { model: external, min_interarrival: 1s },\n"
    "      stages: [ { name: n, kind: nn, model: net, lane: gpu } ] }\n"
    "  - { name: real, arrival: { model: external, min_interarrival: 1s },\n"
    "      input: { kind: generated },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: real, lane: acc } ] }\n";

EI_TEST(network_for_a_device_or_for_a_real_model_is_refused)
{
    const struct einet_network net = network();
    struct einet_error err = {0};
    play_init(&play, lanes_text);
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_set_network(play.run, 0, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "lane 'gpu' of task 'see'");
    EI_EQ(einet_run_set_network(play.run, 1, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "model 'real'");
    play_done(&play);
}

EI_MAIN()
