/* Round trip of an image over DDS: into a run and back as a classification, beside a bare echo that answers each image
 * on CycloneDDS's receive thread with the same message and does nothing else. Both stand in one process, the asking
 * side in another, joined by the loopback interface; they are asked in turns, each first in every other turn. The
 * network is one emulated block of 1 us, so what is left is the way through the bridge and the engine.
 *
 * usage: bench_dds [TURNS [PRIORITY [HOGS [CPU]]]]    default 2000 60 0, for 32x32x3 and 640x480x3; HOGS: processes
 * that spin under SCHED_OTHER meanwhile; CPU: of the answering process, default all bench_dds loss [IMAGES [PRIORITY
 * [HOGS [CPU]]]]    the way of reliable results alone, while CycloneDDS throws away one datagram of a hundred, of both
 * sides: with the bridge's settings on the asking side, and without them Exit status: 0; 1: it could not be measured;
 * 4: one of the aims that are printed was missed.
 */
#include "rt/histogram.h"
#include "rt/thread.h"
#include "rt/topology.h"

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
#define AIM_BEYOND_ECHO_NS 100000
#define AIM_P99_NS 300000 /* of the small picture */
#define AIM_LOSSY_P99_NS 10000000
#define LOSSY_PERIOD_NS 10000000
#define SMALL_PX 32
#define READER_KEEPS 1000 /* so that a stalled asking side does not look like a lossy network */
#define MISSED_STATUS 4

static const char network[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Internal><MultipleReceiveThreads>false</MultipleReceiveThreads>%s</Internal>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address=\"localhost\"/></Peers></Discovery>"
    "%s</Domain></CycloneDDS>";

/* Of both sides, when datagrams are to be lost; of the asking side, when it knows what the answering side sets. */
static const char lossy[] = "<Test><XmitLossiness>10</XmitLossiness></Test>";
static const char lossy_and_quick[] = "<Test><XmitLossiness>10</XmitLossiness></Test><HeartbeatInterval>5 ms"
                                      "</HeartbeatInterval><NackDelay>1 ms</NackDelay>";

struct setting {
    int32_t width_px, height_px;
    long turns;
    int32_t priority, cpu; /* cpu: -1 = all */
    bool is_lossy, is_quick;
};

enum { OURS, BARE, SIDES };
static const char *const image_topics[SIDES] = {"rt/bench/image", "rt/bench/echo"};
static const char *const answer_topics[SIDES] = {"rt/einet/see/classification", "rt/bench/answer"};

static dds_entity_t open_end(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *name,
                             bool is_reader, const dds_listener_t *listener)
{
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, is_reader ? READER_KEEPS : 10);
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

static int answer(const struct setting *setting)
{
    char text[1024], config[2048];
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_run *run = NULL;
    sigset_t ends;
    int signal = 0;
    if (setting->cpu >= 0) {
        struct ei_cpuset cpus = {0};
        ei_cpuset_add(&cpus, setting->cpu);
        if (ei_topology_bind_self(&cpus, &err) < 0) {
            fprintf(stderr, "bench_dds: %s\n", err.text);
            return 1;
        }
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    (void)snprintf(config, sizeof config, network, setting->is_lossy ? lossy : "", "");
    (void)snprintf(text, sizeof text,
                   "version: 1\nname: bench\nlanes: { acc: { kind: cpu } }\n"
                   "models: { net: { emulate: { blocks: [ { conv: 1us, branch: 1us, score: 0.5 } ] } } }\n"
                   "tasks:\n  - { name: see, arrival: { model: external, min_interarrival: 100us }, deadline: 100ms,\n"
                   "      priority: 50, late_release: { queue: 1, drop: oldest }, input: { kind: topic, topic: "
                   "/bench/image, width: %d, height: %d },\n"
                   "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n",
                   setting->width_px, setting->height_px);
    const struct einet_dds_options bridge = {
        .size_bytes = sizeof bridge, .domain = DOMAIN, .priority = setting->priority, .config = config};
    struct einet_run_options options = {
        .size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED, .callback_priority = setting->priority};
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

/* Where the time of a turn went, for the run's side. */
enum { TO_START, IN_JOB, FROM_FINISH, PARTS };

struct asking {
    dds_entity_t images[SIDES], answers[SIDES], statuses, waits[SIDES], status_wait;
    sensor_msgs_msg_dds__Image_ image;
    struct ei_histogram times[SIDES], parts[PARTS];
    long lost[SIDES];
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void rest_for(int64_t ns)
{
    const struct timespec rest = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    (void)nanosleep(&rest, NULL);
}

static bool is_of_image(const struct asking *a, const builtin_interfaces_msg_dds__Time_ *stamp)
{
    return stamp->sec == a->image.header.stamp.sec && stamp->nanosec == a->image.header.stamp.nanosec;
}

/* Send the image with the time as its stamp. */
static void send_image(struct asking *a, int side)
{
    const int64_t stamp_ns = now_ns(CLOCK_REALTIME);
    a->image.header.stamp.sec = (int32_t)(stamp_ns / 1000000000);
    a->image.header.stamp.nanosec = (uint32_t)(stamp_ns % 1000000000);
    (void)dds_write(a->images[side], &a->image);
}

/* One image, until its answer has come: when it came, or -1 after a second. */
static int64_t ask(struct asking *a, int side)
{
    void *samples[1] = {NULL};
    dds_sample_info_t info;
    bool is_answered = false;
    send_image(a, side);
    while (!is_answered) {
        if (dds_waitset_wait(a->waits[side], NULL, 0, DDS_SECS(1)) <= 0) {
            return -1;
        }
        while (dds_take(a->answers[side], samples, &info, 1, 1) == 1) {
            const vision_msgs_msg_dds__Classification_ *answer = samples[0];
            is_answered = is_answered || (info.valid_data && is_of_image(a, &answer->header.stamp));
            (void)dds_return_loan(a->answers[side], samples, 1);
            samples[0] = NULL;
        }
    }
    return now_ns(CLOCK_MONOTONIC);
}

/* The next status, if there is one. */
static bool take_status(struct asking *a, einet_msgs_msg_dds__InferenceStatus_ *out)
{
    void *samples[1] = {out};
    dds_sample_info_t info;
    return dds_take(a->statuses, samples, &info, 1, 1) == 1 && info.valid_data;
}

static bool open_asking(struct asking *a, const struct setting *setting)
{
    char config[2048], threads[512] = "";
    int matched = 0;
    if (setting->priority > 0) {
        (void)snprintf(threads, sizeof threads,
                       "<Threads><Thread name=\"recv\"><Scheduling><Class>realtime</Class><Priority>%d</Priority>"
                       "</Scheduling></Thread><Thread name=\"tev\"><Scheduling><Class>realtime</Class><Priority>%d"
                       "</Priority></Scheduling></Thread></Threads>",
                       setting->priority, setting->priority);
    }
    const char *internal = setting->is_quick ? lossy_and_quick : setting->is_lossy ? lossy : "";
    (void)snprintf(config, sizeof config, network, internal, threads);
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
        ei_histogram_init(&a->times[side]);
    }
    for (int part = 0; part < PARTS; part++) {
        ei_histogram_init(&a->parts[part]);
    }
    a->statuses = open_end(participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/see/status", true, NULL);
    a->status_wait = dds_create_waitset(participant);
    (void)dds_waitset_attach(a->status_wait, dds_create_readcondition(a->statuses, DDS_ANY_STATE), 0);
    for (int i = 0; matched < 2 * SIDES + 1 && i < 30000; i++) {
        dds_publication_matched_status_t there;
        dds_subscription_matched_status_t back;
        matched = dds_get_subscription_matched_status(a->statuses, &back) == 0 && back.current_count > 0;
        for (int side = 0; side < SIDES; side++) {
            matched += dds_get_publication_matched_status(a->images[side], &there) == 0 && there.current_count > 0;
            matched += dds_get_subscription_matched_status(a->answers[side], &back) == 0 && back.current_count > 0;
        }
        rest_for(1000000);
    }
    return matched == 2 * SIDES + 1;
}

/* What the statuses that have come say of the turn that began and ended then. */
static void split(struct asking *a, int64_t begin_ns, int64_t end_ns, bool is_counted)
{
    einet_msgs_msg_dds__InferenceStatus_ status;
    while (take_status(a, &status)) {
        if (is_counted && status.answered && is_of_image(a, &status.stamp)) {
            ei_histogram_record(&a->parts[TO_START], status.start_ns - begin_ns);
            ei_histogram_record(&a->parts[IN_JOB], status.finish_ns - status.start_ns);
            ei_histogram_record(&a->parts[FROM_FINISH], end_ns - status.finish_ns);
        }
    }
}

static void ask_in_turns(struct asking *a, long turns)
{
    for (long turn = -WARM; turn < turns; turn++) {
        for (int k = 0; k < SIDES; k++) {
            const int side = (turn & 1) == 0 ? k : 1 - k;
            const int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
            const int64_t end_ns = ask(a, side);
            rest_for(REST_NS);
            if (turn >= 0 && end_ns >= 0) {
                ei_histogram_record(&a->times[side], end_ns - begin_ns);
            } else if (turn >= 0) {
                a->lost[side]++;
            }
            if (side == OURS) {
                split(a, begin_ns, end_ns, turn >= 0 && end_ns >= 0);
            }
        }
    }
}

static double us_of(const struct ei_histogram *times, double quantile)
{
    return (double)ei_histogram_quantile_ns(times, quantile) / 1e3;
}

/* Say whether an aim was met. Returns whether it was. */
static bool judge(const char *what, int64_t is_ns, int64_t aim_ns)
{
    printf("  %s: %.1f us, aim at most %.0f us: %s\n", what, (double)is_ns / 1e3, (double)aim_ns / 1e3,
           is_ns <= aim_ns ? "met" : "MISSED");
    return is_ns <= aim_ns;
}

static bool report_turns(const struct asking *a, const struct setting *setting)
{
    for (int side = 0; side < SIDES; side++) {
        const struct ei_histogram *h = &a->times[side];
        printf("%dx%dx3 %s: p50 %.1f us, p99 %.1f us, max %.1f us, %ld lost\n", setting->width_px, setting->height_px,
               side == OURS ? "run " : "echo", us_of(h, 0.5), us_of(h, 0.99), (double)ei_histogram_max_ns(h) / 1e3,
               a->lost[side]);
    }
    printf("  of the run, p50: until the job's start %.1f us, in the job %.1f us, from its finish %.1f us\n",
           us_of(&a->parts[TO_START], 0.5), us_of(&a->parts[IN_JOB], 0.5), us_of(&a->parts[FROM_FINISH], 0.5));
    const bool is_near =
        judge("run beyond echo, p50",
              ei_histogram_quantile_ns(&a->times[OURS], 0.5) - ei_histogram_quantile_ns(&a->times[BARE], 0.5),
              AIM_BEYOND_ECHO_NS);
    const bool is_steady =
        setting->width_px > SMALL_PX || judge("run, p99", ei_histogram_quantile_ns(&a->times[OURS], 0.99), AIM_P99_NS);
    return is_near && is_steady;
}

/* Images at the rate of a camera, whose answers nobody waits for: from the end of each job to its status. */
static bool follow_results(struct asking *a, const struct setting *setting)
{
    einet_msgs_msg_dds__InferenceStatus_ status;
    struct ei_histogram *way = &a->parts[FROM_FINISH];
    const int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    int64_t first_job = -1, last_job = -1;
    long came = 0;
    for (long image = 0; image < setting->turns; image++) {
        send_image(a, OURS);
        const int64_t next_ns = begin_ns + (image + 1 < setting->turns ? image + 1 : image + 100) * LOSSY_PERIOD_NS;
        for (int64_t left_ns = next_ns - now_ns(CLOCK_MONOTONIC); left_ns > 0;
             left_ns = next_ns - now_ns(CLOCK_MONOTONIC)) {
            (void)dds_waitset_wait(a->status_wait, NULL, 0, left_ns);
            while (take_status(a, &status)) {
                if (status.job_idx < 0) {
                    continue; /* found no place */
                }
                first_job = first_job < 0 ? status.job_idx : first_job;
                last_job = status.job_idx;
                came++;
                if (status.finish_ns > 0) {
                    ei_histogram_record(way, now_ns(CLOCK_MONOTONIC) - status.finish_ns);
                }
            }
        }
    }
    const long results = (long)(last_job - first_job + 1);
    printf(
        "asking side with %s settings: %ld images, %ld results, %ld of them never came; way of a result p50 %.1f us, "
        "p99 %.1f us, p99.9 %.1f us, max %.1f us\n",
        setting->is_quick ? "the same" : "CycloneDDS's own", setting->turns, results, results - came, us_of(way, 0.5),
        us_of(way, 0.99), us_of(way, 0.999), (double)ei_histogram_max_ns(way) / 1e3);
    return !setting->is_quick || judge("way of a result, p99", ei_histogram_quantile_ns(way, 0.99), AIM_LOSSY_P99_NS);
}

static int measure(const struct setting *setting)
{
    static char encoding[] = "rgb8", frame_id[] = "bench";
    static struct asking a;
    const uint32_t bytes = (uint32_t)setting->width_px * (uint32_t)setting->height_px * 3;
    a.image.width = (uint32_t)setting->width_px;
    a.image.height = (uint32_t)setting->height_px;
    a.image.encoding = encoding;
    a.image.header.frame_id = frame_id;
    a.image.step = (uint32_t)setting->width_px * 3;
    a.image.data._length = bytes;
    a.image.data._maximum = bytes;
    a.image.data._buffer = calloc(1, bytes);
    if (a.image.data._buffer == NULL || !open_asking(&a, setting)) {
        fprintf(stderr, "bench_dds: the two sides did not find each other\n");
        return 1;
    }
    if (setting->priority > 0) {
        struct einet_error err = {0};
        if (ei_thread_become_fifo(setting->priority, &err) < 0) {
            fprintf(stderr, "bench_dds: %s\n", err.text);
            return 1;
        }
    }
    bool is_met = true;
    if (setting->is_lossy) {
        is_met = follow_results(&a, setting);
    } else {
        ask_in_turns(&a, setting->turns);
        is_met = report_turns(&a, setting);
    }
    fflush(stdout);
    return is_met ? 0 : MISSED_STATUS;
}

/* Each in two processes of its own: a process has one domain of that number, once. */
static int measure_apart(const struct setting *setting)
{
    int status = 0;
    const pid_t answering = fork();
    if (answering == 0) {
        _exit(answer(setting));
    }
    const pid_t asking = fork();
    if (asking == 0) {
        _exit(measure(setting));
    }
    (void)waitpid(asking, &status, 0);
    (void)kill(answering, SIGTERM);
    (void)waitpid(answering, NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int worse_of(int a, int b)
{
    return a == 1 || b == 1 ? 1 : (a > b ? a : b);
}

int main(int argc, char **argv)
{
    const bool is_lossy = argc > 1 && strcmp(argv[1], "loss") == 0;
    argc -= is_lossy;
    argv += is_lossy;
    struct setting setting = {.width_px = SMALL_PX, .height_px = SMALL_PX, .is_lossy = is_lossy, .is_quick = is_lossy};
    setting.turns = argc > 1 ? strtol(argv[1], NULL, 10) : 2000;
    setting.priority = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 60;
    const long hogs = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    setting.cpu = argc > 4 ? (int32_t)strtol(argv[4], NULL, 10) : -1;
    pid_t spinning[HOGS_MAX];
    if (setting.turns < 1 || setting.priority < 0 || setting.priority > 98 || hogs < 0 || hogs > HOGS_MAX) {
        fprintf(stderr, "usage: bench_dds [loss] [TURNS [PRIORITY [HOGS [CPU]]]]\n");
        return 1;
    }
    for (long i = 0; i < hogs; i++) {
        spinning[i] = fork();
        for (volatile long spin = 0; spinning[i] == 0; spin++) {
        }
    }
    printf("%ld %s, priority %d, %ld hogs\n", setting.turns, is_lossy ? "images" : "turns", setting.priority, hogs);
    fflush(stdout);
    const int first = measure_apart(&setting);
    if (is_lossy) {
        setting.is_quick = false;
    } else {
        setting.width_px = 640;
        setting.height_px = 480;
    }
    const int second = measure_apart(&setting);
    for (long i = 0; i < hogs; i++) {
        (void)kill(spinning[i], SIGKILL);
        (void)waitpid(spinning[i], NULL, 0);
    }
    return worse_of(first, second);
}
