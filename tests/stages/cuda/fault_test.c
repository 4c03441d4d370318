/* Every call of the CUDA runtime that fails, once or for good, and every graph that hangs or ends its context: a job
 * gets its answer or an explicit failure, and nobody is stuck. A lost device stays lost in a process, so such runs use
 * up the devices of child processes, which an alarm ends when they are stuck.
 */
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

enum { EXITS = 2, JOBS = 2, STUCK_S = 30 };
#ifdef EI_TEST_SLOW /* ThreadSanitizer takes long to start a thread, and every life starts some */
enum { SPARSE = 13 };
#else
enum { SPARSE = 1 };
#endif
#ifdef EINET_SANITIZED
enum { SPARSE_PIECES = 7 };
#else
enum { SPARSE_PIECES = SPARSE };
#endif

static const int64_t durations[2 * EXITS] = {90 * US, 10 * US, 90 * US, 10 * US};
/* Cut above SPLIT_NS, the conv parts run in two pieces and the second branch in three; a launch costs less. */
static const int64_t long_durations[2 * EXITS] = {60 * S, 6 * S, 60 * S, 120 * S};
#define SPLIT_NS (40 * S)

/* What a life of a network came to. */
struct outcome {
    int32_t opened, failed_calls,
        wrong; /* wrong: an answer that is not right, a failure without a text, life after loss */
    int32_t answers;
    bool is_lost;
};

static void note(struct outcome *o, struct ei_network *net, int rc)
{
    o->failed_calls += rc != 0;
    o->wrong += rc != 0 && ei_network_fault_text(net)[0] == '\0';
}

/* A part, piece by piece. */
static int run_part(struct ei_network *net, int32_t block_idx, bool is_branch, float *out_logits)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < ei_network_piece_count(net, block_idx, is_branch); i++) {
        rc = ei_network_run_piece(net, block_idx, is_branch, i, out_logits);
    }
    return rc;
}

static void run_job(struct outcome *o, struct ei_network *net, uint64_t seed)
{
    float input[LANE_INPUT], logits[LANE_CLASSES];
    const bool was_lost = ei_network_is_lost(net);
    lane_input(seed, input);
    int rc = ei_network_begin(net, input, -1, -1);
    o->wrong += was_lost && rc == 0;
    note(o, net, rc);
    for (int32_t b = 0; rc == 0 && b < EXITS; b++) {
        rc = run_part(net, b, false, NULL);
        note(o, net, rc);
        if (rc == 0) {
            rc = run_part(net, b, true, logits);
            note(o, net, rc);
            o->answers += rc == 0;
            o->wrong += rc == 0 && !lane_is_right(input, b, logits);
        }
    }
    ei_network_end(net);
}

/* Created, two jobs, one with the whole network at once, one more job, destroyed. */
static struct outcome live(const struct ei_network_cuda_settings *settings)
{
    struct outcome o = {0};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    float input[LANE_INPUT], all[EXITS * LANE_CLASSES];
    const bool is_cut = settings->split_above_ns > 0;
    const int rc =
        lane_open_layers(EXITS, is_cut ? 3 : 1, is_cut ? long_durations : durations, settings, NULL, &net, NULL, &err);
    if (rc != 0) {
        o.failed_calls = 1;
        o.wrong = err.text[0] == '\0' || rc != EINET_E_BACKEND;
        o.is_lost = lane_api()->device_is_lost(settings->device_idx) != 0;
        return o;
    }
    o.opened = 1;
    for (uint64_t job = 0; job < JOBS; job++) {
        run_job(&o, net, job);
    }
    lane_input(9, input);
    const int whole = ei_network_run_monolithic(net, input, all);
    note(&o, net, whole);
    for (int32_t b = 0; whole == 0 && b < EXITS; b++) {
        o.wrong += !lane_is_right(input, b, all + b * LANE_CLASSES);
    }
    run_job(&o, net, 10);
    o.is_lost = ei_network_is_lost(net);
    ei_network_destroy(net);
    return o;
}

/* Calls and graphs of a life without faults, in a child: this process must keep no threads when it forks. */
static void count(struct ei_network_cuda_settings settings, struct fake_cuda_config config, int64_t *out_calls,
                  int64_t *out_graphs)
{
    int64_t counts[2] = {0, 0};
    int ends[2];
    (void)lane_fake(); /* skips the case here, not in a child */
    *out_calls = *out_graphs = 0;
    EI_REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        alarm(STUCK_S);
        settings.device_idx = 0;
        lane_fake()->reset(&config);
        const struct outcome o = live(&settings);
        const bool is_well = o.failed_calls + o.wrong == 0 && o.answers == EXITS * (JOBS + 1);
        counts[0] = lane_fake()->calls();
        counts[1] = lane_fake()->graphs();
        _exit(is_well && write(ends[1], counts, sizeof counts) == (ssize_t)sizeof counts ? 0 : 1);
    }
    close(ends[1]); /* so that reading ends when the child has died */
    EI_TRUE(child > 0 && read(ends[0], counts, sizeof counts) == (ssize_t)sizeof counts);
    int status = -1;
    EI_TRUE(waitpid(child, &status, 0) == child && status == 0);
    close(ends[0]);
    *out_calls = counts[0];
    *out_graphs = counts[1];
}

typedef bool (*case_fn)(int64_t idx, int32_t device_idx, const struct ei_network_cuda_settings *settings);

/* Cases first, first + stride, ... up to last, each on a device of its own in child processes. A child says with its
 * exit status how many failed. */
static void in_children(case_fn run, const struct ei_network_cuda_settings *base, int64_t first, int64_t last,
                        int64_t stride)
{
    while (first <= last) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            int failed = 0;
            alarm(STUCK_S);
            for (int32_t d = 0; d < FAKE_CUDA_DEVICES_MAX && first <= last; d++, first += stride) {
                struct ei_network_cuda_settings settings = *base;
                settings.device_idx = d;
                if (!run(first, d, &settings)) {
                    fprintf(stderr, "fault %lld: depth %d, wait %d\n", (long long)first, base->depth, (int)base->wait);
                    failed++;
                }
            }
            fflush(stderr);
            _exit(failed);
        }
        int status = -1;
        EI_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
        EI_TRUEF(WIFEXITED(status), "a lane was stuck: faults %lld and on, depth %d, wait %d", (long long)first,
                 base->depth, (int)base->wait);
        EI_EQ(WEXITSTATUS(status), 0);
        first += stride * FAKE_CUDA_DEVICES_MAX;
    }
}

static const struct ei_network_cuda_settings base = {
    .priority = 50, .depth = 1, .wait = EI_CUDA_WAIT_BLOCK, .poll_ns = 0, .hang_ns = 20 * S, .merge_below_ns = 1};

/* ---- an error of one call ---- */

EI_TEST(error_of_one_call_costs_at_most_its_job)
{
    for (int32_t i = 0; i < 3; i++) {
        struct ei_network_cuda_settings settings = base;
        int64_t calls, graphs;
        settings.depth = 1 + i % 2;
        settings.signal = i < 2 ? EI_CUDA_SIGNAL_COPY : EI_CUDA_SIGNAL_WRITE;
        count(settings, (struct fake_cuda_config){.is_stepped = 1}, &calls, &graphs);
        for (int64_t idx = 1; idx <= calls; idx += SPARSE) {
            lane_fake()->reset(&(struct fake_cuda_config){.is_stepped = 1, .fail_call = idx, .fail_error = 2});
            const struct outcome o = live(&settings);
            EI_TRUEF(o.wrong == 0 && !o.is_lost, "call %d of %d: %d wrong, lost %d", (int)idx, (int)calls, o.wrong,
                     o.is_lost);
            EI_TRUEF(o.failed_calls <= 1, "call %d: %d calls failed", (int)idx, o.failed_calls);
            EI_TRUEF(!o.opened || o.answers >= EXITS * JOBS, "call %d: only %d answers", (int)idx, o.answers);
            if (ei_test_failures() > 0) {
                return;
            }
        }
    }
}

EI_TEST(launch_that_fails_is_reported)
{
    int64_t calls, graphs;
    count(base, (struct fake_cuda_config){.is_stepped = 1}, &calls, &graphs);
    for (int64_t idx = 1; idx <= graphs; idx += SPARSE) {
        lane_fake()->reset(&(struct fake_cuda_config){.is_stepped = 1, .fail_launch = idx, .fail_error = 2});
        const struct outcome o = live(&base);
        EI_EQ(o.wrong, 0);
        /* With a queue of one nobody launches ahead. */
        EI_EQ(o.failed_calls, lane_fake()->graphs() + 1 < idx ? 0 : 1);
        EI_TRUE(!o.is_lost);
    }
}

/* The same between the pieces of parts that are cut, and while they are cut. */
EI_TEST(error_of_one_call_between_pieces_costs_at_most_its_job)
{
    for (int32_t depth = 1; depth <= 2; depth++) {
        struct ei_network_cuda_settings settings = base;
        int64_t calls, graphs;
        settings.depth = depth;
        settings.split_above_ns = SPLIT_NS;
        count(settings, (struct fake_cuda_config){.is_stepped = 1}, &calls, &graphs);
        for (int64_t idx = 1; idx <= calls; idx += SPARSE_PIECES) {
            lane_fake()->reset(&(struct fake_cuda_config){.is_stepped = 1, .fail_call = idx, .fail_error = 2});
            const struct outcome o = live(&settings);
            EI_TRUEF(o.wrong == 0 && !o.is_lost && o.failed_calls <= 1 && (!o.opened || o.answers >= EXITS * JOBS),
                     "call %d of %d: %d wrong, %d failed, %d answers, lost %d", (int)idx, (int)calls, o.wrong,
                     o.failed_calls, o.answers, o.is_lost);
            if (ei_test_failures() > 0) {
                return;
            }
        }
    }
}

/* ---- errors for good ---- */

static bool sticky_call(int64_t idx, int32_t device_idx, const struct ei_network_cuda_settings *settings)
{
    (void)device_idx;
    lane_fake()->reset(&(struct fake_cuda_config){.devices = FAKE_CUDA_DEVICES_MAX,
                                                  .is_stepped = settings->wait != EI_CUDA_WAIT_SPIN,
                                                  .fail_call = idx,
                                                  .fail_error = 700,
                                                  .is_sticky = 1});
    const struct outcome o = live(settings);
    return o.wrong == 0;
}

/* On a busy machine parts are measured less often, and the graph of that number may never come; or a part that is only
 * late is given up, and what it left behind runs beside the next case, which therefore counts its own device alone. */
static bool is_as_lost(const struct outcome *o, int64_t graph)
{
    return o->wrong == 0 && (lane_fake()->graphs() < graph || (o->failed_calls > 0 && o->is_lost));
}

static bool context_fault(int64_t idx, int32_t device_idx, const struct ei_network_cuda_settings *settings)
{
    lane_fake()->reset(&(struct fake_cuda_config){.devices = FAKE_CUDA_DEVICES_MAX,
                                                  .is_stepped = settings->wait != EI_CUDA_WAIT_SPIN,
                                                  .fault_graph = idx,
                                                  .fault_device = device_idx + 1});
    const struct outcome o = live(settings);
    return is_as_lost(&o, idx);
}

static const enum ei_cuda_wait waits[] = {EI_CUDA_WAIT_BLOCK, EI_CUDA_WAIT_POLL, EI_CUDA_WAIT_SPIN};

EI_TEST(error_that_stays_loses_the_device)
{
    for (int32_t i = 0; i < 6; i++) {
        struct ei_network_cuda_settings settings = base;
        struct fake_cuda_config config = {.is_stepped = 1};
        int64_t calls, graphs;
        settings.depth = 1 + i % 2;
        settings.wait = waits[i / 2];
        settings.hang_ns = 2 * S;
        config.is_stepped = settings.wait != EI_CUDA_WAIT_SPIN;
        count(settings, config, &calls, &graphs);
        in_children(sticky_call, &settings, 1, calls, settings.wait == EI_CUDA_WAIT_BLOCK ? SPARSE : 7 * SPARSE);
    }
}

EI_TEST(fault_of_a_kernel_loses_the_device)
{
    for (int32_t i = 0; i < 6; i++) {
        struct ei_network_cuda_settings settings = base;
        struct fake_cuda_config config = {.is_stepped = 1};
        int64_t calls, graphs;
        settings.depth = 1 + i % 2;
        settings.wait = waits[i / 2];
        config.is_stepped = settings.wait != EI_CUDA_WAIT_SPIN;
        count(settings, config, &calls, &graphs);
        in_children(context_fault, &settings, 1, graphs - 1, settings.wait == EI_CUDA_WAIT_BLOCK ? SPARSE : 3 * SPARSE);
    }
}

/* ---- hangs ---- */

static bool hang(int64_t idx, int32_t device_idx, const struct ei_network_cuda_settings *settings)
{
    lane_fake()->reset(&(struct fake_cuda_config){
        .devices = FAKE_CUDA_DEVICES_MAX, .hang_graph = idx, .fault_device = device_idx + 1});
    const struct outcome o = live(settings);
    return is_as_lost(&o, idx);
}

EI_TEST(hang_loses_the_device_and_no_answer)
{
    for (int32_t i = 0; i < 6; i++) {
        struct ei_network_cuda_settings settings = base;
        int64_t calls, graphs;
        settings.depth = 1 + i % 2;
        settings.wait = waits[i / 2];
        count(settings, (struct fake_cuda_config){0}, &calls, &graphs);
        settings.hang_ns = 10 * MS;
        in_children(hang, &settings, 1, graphs, graphs - 1);         /* the first of all, and the last */
        in_children(hang, &settings, graphs - 4 * EXITS, graphs, 1); /* in jobs */
    }
}

/* Not with polling: it would sleep until the end that it predicts from times that do not pass here. */
EI_TEST(hang_between_pieces_loses_the_device_and_no_answer)
{
    for (int32_t i = 0; i < 4; i++) {
        struct ei_network_cuda_settings settings = base;
        int64_t calls, graphs;
        settings.depth = 1 + i % 2;
        settings.wait = i < 2 ? EI_CUDA_WAIT_BLOCK : EI_CUDA_WAIT_SPIN;
        settings.split_above_ns = SPLIT_NS;
        count(settings, (struct fake_cuda_config){0}, &calls, &graphs);
        settings.hang_ns = 10 * MS;
        in_children(hang, &settings, graphs - 8, graphs, 1); /* the pieces of the last job */
        in_children(context_fault, &settings, graphs - 20, graphs, 3);
    }
}

/* More pieces than the device's queue holds: whoever puts all of them there at once waits for a hung one for ever. */
EI_TEST(hang_while_many_pieces_are_measured_loses_the_device)
{
    int64_t many_ns[2 * LANE_BLOCKS_MAX];
    struct ei_network_cuda_settings settings = base;
    for (int32_t i = 0; i < 2 * LANE_BLOCKS_MAX; i++) {
        many_ns[i] = 60 * S;
    }
    settings.split_above_ns = 1;
    (void)lane_fake(); /* skips the case here, not in a child */
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct ei_network *net = NULL;
        struct einet_error err = {0};
        alarm(STUCK_S);
        /* The parts are measured whole first, then layer by layer. */
        lane_fake()->reset(&(struct fake_cuda_config){.hang_graph = 11 * 2 * LANE_BLOCKS_MAX + 1, .devices = 1});
        settings.hang_ns = 10 * MS;
        const int rc = lane_open_layers(LANE_BLOCKS_MAX, LANE_LAYERS_MAX, many_ns, &settings, NULL, &net, NULL, &err);
        _exit(rc == EINET_E_BACKEND && strstr(err.text, "it hangs") != NULL ? 0 : 1);
    }
    int status = -1;
    EI_TRUE(child > 0 && waitpid(child, &status, 0) == child);
    EI_TRUEF(WIFEXITED(status), "the start was stuck");
    EI_EQ(WEXITSTATUS(status), 0);
}

/* Exit 1 was answered before the device hung in conv part 2: the answer stays, and the loss is said at once. */
EI_TEST(answer_survives_a_hang)
{
    struct ei_network_cuda_settings settings = base;
    struct ei_network *net = NULL;
    float input[LANE_INPUT], logits[LANE_CLASSES];
    int64_t calls, graphs;
    count(settings, (struct fake_cuda_config){0}, &calls, &graphs);
    const int64_t before_jobs = graphs - 2 * EXITS * (JOBS + 1) - 1;
    settings.hang_ns = 1500 * MS;
    settings.device_idx = 1;
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 2, .hang_graph = before_jobs + 3});
    EI_REQUIRE(lane_open(EXITS, durations, &settings, NULL, &net, NULL, NULL) == 0);
    lane_input(3, input);
    EI_EQ(ei_network_begin(net, input, -1, -1), 0);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_branch(net, 0, logits), 0);
    EI_TRUE(lane_is_right(input, 0, logits));
    EI_EQ(ei_network_run_conv(net, 1), EINET_E_BACKEND);
    EI_TRUE(lane_is_right(input, 0, logits));
    EI_TRUE(ei_network_is_lost(net));
    EI_CONTAINS(ei_network_fault_text(net),
                "CUDA device 1 (Fake device 1) is lost: it hangs: a part took longer than 1500 ms");
    EI_EQ(ei_network_begin(net, input, -1, -1), EINET_E_BACKEND);
    ei_network_destroy(net); /* waits for nothing */

    /* The other device serves on; a new network on the lost one is refused. */
    struct einet_error err = {0};
    EI_EQ(lane_open(EXITS, durations, &settings, NULL, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "is lost");
    settings.device_idx = 0;
    EI_REQUIRE(lane_open(EXITS, durations, &settings, NULL, &net, NULL, &err) == 0);
    EI_EQ(lane_job(net, 4), 0);
    EI_TRUE(!ei_network_is_lost(net));
    ei_network_destroy(net);
}

EI_MAIN()
