/* Round trip of an image over DDS: into a run and back as a classification, beside a bare echo that answers each image
 * on CycloneDDS's receive thread with the same message and does nothing else. Both stand in one process, the asking
 * side in another, joined by the loopback interface; they are asked in turns, each first in every other turn. The
 * network is one emulated block of 1 us, so what is left is the way through the bridge and the engine.
 *
 * usage: bench_dds [TURNS [PRIORITY [HOGS]]]     default 2000 60 0, for 32x32x3 and 640x480x3; HOGS: threads that spin
 * under SCHED_OTHER meanwhile
 */
#include "rt/histogram.h"
#include "rt/thread.h"

#include "ros2.h"
#include <dds/dds.h>
#include <einet/dds.h>
#include <einet/einet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DOMAIN 17
#define WARM 100
#define REST_NS 2000000L
#define HOGS_MAX 64

static const char network[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Internal><MultipleReceiveThreads>false</MultipleReceiveThreads></Internal>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address=\"localhost\"/></Peers></Discovery>"
    "%s</Domain></CycloneDDS>";

enum { OURS, BARE, SIDES };
static const char *const image_topics[SIDES] = {"rt/bench/image", "rt/bench/echo"};
static const char *const answer_topics[SIDES] = {"rt/einet/see/classification", "rt/bench/answer"};

static dds_entity_t open_end(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *name,
                             bool is_reader, const dds_listener_t *listener)
{
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, 10);
    const dds_entity_t end = is_reader ? dds_create_reader(participant, topic, qos, listener)
                                       : dds_create_writer(participant, topic, qos, listener);
    dds_delete_qos(qos);
    return end;
}

/* ---- the answering process ---- */

static dds_entity_t echo_writer;

static void echo(dds_entity_t reader, void *arg)
{
    void *samples[1] = {NULL};
    dds_sample_info_t info;
    (void)arg;
    while (dds_take(reader, samples, &info, 1, 1) == 1) {
        const sensor_msgs_msg_dds__Image_ *image = samples[0];
        char label[] = "0";
        vision_msgs_msg_dds__ObjectHypothesis_ hypothesis = {.class_id = label, .score = 1};
        const vision_msgs_msg_dds__Classification_ answer = {
            .header = image->header, .results = {._length = 1, ._maximum = 1, ._buffer = &hypothesis}};
        if (info.valid_data) {
            (void)dds_write(echo_writer, &answer);
        }
        (void)dds_return_loan(reader, samples, 1);
        samples[0] = NULL;
    }
}

static int answer(int32_t side_px_x, int32_t side_px_y, int32_t priority)
{
    char text[1024], config[2048];
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_run *run = NULL;
    sigset_t ends;
    int signal = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    (void)snprintf(config, sizeof config, network, "");
    (void)snprintf(text, sizeof text,
                   "version: 1\nname: bench\nlanes: { acc: { kind: cpu } }\n"
                   "models: { net: { emulate: { blocks: [ { conv: 1us, branch: 1us, score: 0.5 } ] } } }\n"
                   "tasks:\n  - { name: see, arrival: { model: external, min_interarrival: 100us }, deadline: 100ms,\n"
                   "      priority: 50, late_release: { queue: 1, drop: oldest }, input: { kind: topic, topic: "
                   "/bench/image, width: %d, height: %d },\n"
                   "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n",
                   side_px_x, side_px_y);
    const struct einet_dds_options bridge = {
        .size_bytes = sizeof bridge, .domain = DOMAIN, .priority = priority, .config = config};
    struct einet_run_options options = {
        .size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED, .callback_priority = priority};
    int rc = einet_workload_parse(text, strlen(text), NULL, &workload, &err);
    rc = rc < 0 ? rc : einet_dds_create(workload, &bridge, &dds, &err);
    if (rc == 0) {
        dds_listener_t *listener = dds_create_listener(NULL);
        const dds_entity_t participant = dds_create_participant(DOMAIN, NULL, NULL);
        dds_lset_data_available(listener, echo);
        echo_writer =
            open_end(participant, &vision_msgs_msg_dds__Classification__desc, answer_topics[BARE], false, NULL);
        (void)open_end(participant, &sensor_msgs_msg_dds__Image__desc, image_topics[BARE], true, listener);
        dds_delete_listener(listener);
        options.callbacks = einet_dds_callbacks(dds);
        rc = einet_run_create(workload, &options, &run, &err);
        rc = rc < 0 ? rc : einet_run_start(run, &err);
        rc = rc < 0 ? rc : einet_dds_start(dds, run, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "bench_dds: %s\n", err.text);
        return 1;
    }
    (void)sigwait(&ends, &signal);
    einet_run_destroy(run);
    einet_dds_destroy(dds);
    einet_workload_destroy(workload);
    return 0;
}

/* ---- the asking process ---- */

struct asking {
    dds_entity_t images[SIDES], answers[SIDES], waits[SIDES];
    sensor_msgs_msg_dds__Image_ image;
    struct ei_histogram *times[SIDES];
    long lost[SIDES];
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One image, until its answer has come: its round trip, or -1 after a second. */
static int64_t ask(struct asking *a, int side)
{
    void *samples[1] = {NULL};
    dds_sample_info_t info;
    bool is_answered = false;
    const int64_t stamp_ns = now_ns(CLOCK_REALTIME);
    a->image.header.stamp.sec = (int32_t)(stamp_ns / 1000000000);
    a->image.header.stamp.nanosec = (uint32_t)(stamp_ns % 1000000000);
    const int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    (void)dds_write(a->images[side], &a->image);
    while (!is_answered) {
        if (dds_waitset_wait(a->waits[side], NULL, 0, DDS_SECS(1)) <= 0) {
            return -1;
        }
        while (dds_take(a->answers[side], samples, &info, 1, 1) == 1) {
            const vision_msgs_msg_dds__Classification_ *answer = samples[0];
            is_answered = is_answered || (info.valid_data && answer->header.stamp.sec == a->image.header.stamp.sec &&
                                          answer->header.stamp.nanosec == a->image.header.stamp.nanosec);
            (void)dds_return_loan(a->answers[side], samples, 1);
            samples[0] = NULL;
        }
    }
    return now_ns(CLOCK_MONOTONIC) - begin_ns;
}

static bool open_asking(struct asking *a, int32_t priority)
{
    char config[2048], threads[512] = "";
    int matched = 0;
    if (priority > 0) {
        (void)snprintf(threads, sizeof threads,
                       "<Threads><Thread name=\"recv\"><Scheduling><Class>realtime</Class><Priority>%d</Priority>"
                       "</Scheduling></Thread></Threads>",
                       priority);
    }
    (void)snprintf(config, sizeof config, network, threads);
    if (dds_create_domain(DOMAIN, config) < 0) {
        return false;
    }
    const dds_entity_t participant = dds_create_participant(DOMAIN, NULL, NULL);
    for (int side = 0; side < SIDES; side++) {
        a->images[side] = open_end(participant, &sensor_msgs_msg_dds__Image__desc, image_topics[side], false, NULL);
        a->answers[side] =
            open_end(participant, &vision_msgs_msg_dds__Classification__desc, answer_topics[side], true, NULL);
        a->waits[side] = dds_create_waitset(participant);
        (void)dds_waitset_attach(a->waits[side], dds_create_readcondition(a->answers[side], DDS_ANY_STATE), 0);
        a->times[side] = calloc(1, sizeof *a->times[side]);
        if (a->times[side] == NULL) {
            return false;
        }
        ei_histogram_init(a->times[side]);
    }
    for (int i = 0; matched < 2 * SIDES && i < 30000; i++) {
        const struct timespec nap = {.tv_nsec = 1000000};
        dds_publication_matched_status_t there;
        dds_subscription_matched_status_t back;
        matched = 0;
        for (int side = 0; side < SIDES; side++) {
            matched += dds_get_publication_matched_status(a->images[side], &there) == 0 && there.current_count > 0;
            matched += dds_get_subscription_matched_status(a->answers[side], &back) == 0 && back.current_count > 0;
        }
        (void)nanosleep(&nap, NULL);
    }
    return matched == 2 * SIDES;
}

static void ask_in_turns(struct asking *a, long turns)
{
    const struct timespec rest = {.tv_nsec = REST_NS};
    for (long turn = -WARM; turn < turns; turn++) {
        for (int k = 0; k < SIDES; k++) {
            const int side = (turn & 1) == 0 ? k : 1 - k;
            const int64_t took_ns = ask(a, side);
            if (turn >= 0 && took_ns >= 0) {
                ei_histogram_record(a->times[side], took_ns);
            } else if (turn >= 0) {
                a->lost[side]++;
            }
            (void)nanosleep(&rest, NULL);
        }
    }
}

static int measure(int32_t width_px, int32_t height_px, long turns, int32_t priority)
{
    static char encoding[] = "rgb8", frame_id[] = "bench";
    struct asking a = {.image = {.width = (uint32_t)width_px, .height = (uint32_t)height_px, .encoding = encoding}};
    const uint32_t bytes = (uint32_t)width_px * (uint32_t)height_px * 3;
    a.image.header.frame_id = frame_id;
    a.image.step = (uint32_t)width_px * 3;
    a.image.data._length = bytes;
    a.image.data._maximum = bytes;
    a.image.data._buffer = calloc(1, bytes);
    if (a.image.data._buffer == NULL || !open_asking(&a, priority)) {
        fprintf(stderr, "bench_dds: the two sides did not find each other\n");
        return 1;
    }
    if (priority > 0) {
        struct einet_error err = {0};
        if (ei_thread_become_fifo(priority, &err) < 0) {
            fprintf(stderr, "bench_dds: %s\n", err.text);
            return 1;
        }
    }
    ask_in_turns(&a, turns);
    for (int side = 0; side < SIDES; side++) {
        const struct ei_histogram *h = a.times[side];
        printf("%dx%dx3 %s: p50 %.1f us, p99 %.1f us, max %.1f us, %ld lost\n", width_px, height_px,
               side == OURS ? "run " : "echo", (double)ei_histogram_quantile_ns(h, 0.5) / 1e3,
               (double)ei_histogram_quantile_ns(h, 0.99) / 1e3, (double)ei_histogram_max_ns(h) / 1e3, a.lost[side]);
    }
    printf("%dx%dx3 run beyond echo, p50: %.1f us\n", width_px, height_px,
           (double)(ei_histogram_quantile_ns(a.times[OURS], 0.5) - ei_histogram_quantile_ns(a.times[BARE], 0.5)) / 1e3);
    fflush(stdout);
    return 0;
}

/* Each size in two processes of its own: a process has one domain of that number, once. */
static int measure_apart(int32_t width_px, int32_t height_px, long turns, int32_t priority)
{
    int status = 0;
    const pid_t answering = fork();
    if (answering == 0) {
        _exit(answer(width_px, height_px, priority));
    }
    const pid_t asking = fork();
    if (asking == 0) {
        _exit(measure(width_px, height_px, turns, priority));
    }
    (void)waitpid(asking, &status, 0);
    (void)kill(answering, SIGTERM);
    (void)waitpid(answering, NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    const long turns = argc > 1 ? strtol(argv[1], NULL, 10) : 2000;
    const int32_t priority = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 60;
    const long hogs = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    pid_t spinning[HOGS_MAX];
    if (turns < 1 || priority < 0 || priority > 98 || hogs < 0 || hogs > HOGS_MAX) {
        fprintf(stderr, "usage: bench_dds [TURNS [PRIORITY [HOGS]]]\n");
        return 1;
    }
    for (long i = 0; i < hogs; i++) {
        spinning[i] = fork();
        for (volatile long spin = 0; spinning[i] == 0; spin++) {
        }
    }
    printf("%ld turns, priority %d, %ld hogs\n", turns, priority, hogs);
    fflush(stdout);
    const int small = measure_apart(32, 32, turns, priority);
    const int large = measure_apart(640, 480, turns, priority);
    for (long i = 0; i < hogs; i++) {
        (void)kill(spinning[i], SIGKILL);
        (void)waitpid(spinning[i], NULL, 0);
    }
    return small != 0 || large != 0;
}
