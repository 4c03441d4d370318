/* See chain_play.h. */
#include "tests/adapters/chain_play.h"

#include "ros2.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIDE 32
#define NS_PER_S INT64_C(1000000000)
#define WAIT_MS 30000

/* Who listens is one side of a comparison: what it lost would look as if it had never been said. So its receiving
 * thread is in real time, too; the machines have settings of their own for theirs. */
static const char threads[] =
    "<Threads><Thread name=\"recv\"><Scheduling><Class>realtime</Class><Priority>%d</Priority>"
    "</Scheduling></Thread></Threads>";
static const char apart[] =
    "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface name=\"chain0\"/></Interfaces></General>"
    "<Internal><MultipleReceiveThreads>false</MultipleReceiveThreads></Internal>%s</Domain></CycloneDDS>";
static const char together[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Internal><MultipleReceiveThreads>false</MultipleReceiveThreads></Internal>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>20</MaxAutoParticipantIndex><Peers>"
    "<Peer address=\"localhost\"/></Peers></Discovery>%s</Domain></CycloneDDS>";

static void set_network(const struct chain_play *play)
{
    char scheduling[300] = "", config[1200];
    if (play->priority > 0) {
        (void)snprintf(scheduling, sizeof scheduling, threads, play->priority);
    }
    (void)(play->is_apart ? snprintf(config, sizeof config, apart, scheduling)
                          : snprintf(config, sizeof config, together, scheduling));
    (void)setenv("CYCLONEDDS_URI", config, 1);
}

/* ---- workloads ---- */

#define HEAD "version: 1\nname: chain\nrun: { warmup: 0s, start_delay: 0s }\n"
#define NETWORK(conv)                                                                                                  \
    "lanes: { acc: { kind: cpu } }\n"                                                                                  \
    "models: { net: { emulate: { blocks: [ { conv: " conv ", branch: 50us, score: 0.9 } ] } } }\n"
#define SEE(deadline, late)                                                                                            \
    "  - { name: see, arrival: { model: external, min_interarrival: 1ms }, deadline: " deadline ", priority: 60,\n"    \
    "      late_release: " late ", on_deadline: finish, overlap: 1,\n"                                                 \
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"                                 \
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n"
#define STEP(name, arrival, input, deadline, priority)                                                                 \
    "  - { name: " name ", arrival: " arrival ", deadline: " deadline ", priority: " priority ",\n"                    \
    "      late_release: { queue: 8, drop: oldest }, on_deadline: finish," input                                       \
    " stages: [ { name: law, kind: cpu, work: { spin: 100us } } ] }\n"
#define AFTER(task) "{ model: after, task: " task " }"
#define OUTSIDE "{ model: external, min_interarrival: 1ms }"
#define OF(topic) " input: { kind: topic, topic: " topic ", message: status },"
#define QUEUE "{ queue: 8, drop: oldest }"

#define PLAN_AND_ACT                                                                                                   \
    HEAD "tasks:\n" STEP("plan", OUTSIDE, OF("/einet/see/status"), "45ms", "61")                                       \
        STEP("act", AFTER("plan"), "", "50ms", "62")
#define HAND(deadline) HEAD "tasks:\n" STEP("hand", OUTSIDE, OF("/einet/act/status"), deadline, "63")

const char *const chain_play_quick[CHAIN_MACHINES] = {HEAD NETWORK("500us") "tasks:\n" SEE("40ms", QUEUE), PLAN_AND_ACT,
                                                      HAND("60ms")};
/* 50 ms and more of network: `hand` has lost its 20 ms before it begins, and an image of three finds no place */
const char *const chain_play_slow[CHAIN_MACHINES] = {HEAD NETWORK("50ms") "tasks:\n" SEE("1s", QUEUE), PLAN_AND_ACT,
                                                     HAND("20ms")};
const char *const chain_play_one[CHAIN_MACHINES] = {
    HEAD NETWORK("500us") "tasks:\n" SEE("40ms", QUEUE) STEP("plan", AFTER("see"), "", "45ms", "61")
        STEP("act", AFTER("plan"), "", "50ms", "62") STEP("hand", AFTER("act"), "", "60ms", "63"),
    NULL, NULL};

/* ---- the network ---- */

/* A bridge that the machines are plugged into, in a namespace of this process. */
static const char *lay_network(struct chain_play *play)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        return "network namespaces (run as root, outside of a container that forbids them)";
    }
    if (!machine_ip(0, "-V")) {
        return "ip (apt-get install iproute2)";
    }
    if (!machine_ip(0, "link add chain0 type bridge mcast_snooping 0")) {
        return "bridges (the kernel module bridge)";
    }
    bool is_up = machine_ip(0, "addr add 10.78.0.10/24 dev chain0") && machine_ip(0, "link set chain0 up") &&
                 machine_ip(0, "link set lo up");
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        char command[120];
        play->keepers[i] = machine_keep();
        if (play->keepers[i] <= 0) {
            play->keepers[i] = 0;
            return "further network namespaces";
        }
        (void)snprintf(command, sizeof command, "link add plug%d type veth peer name chain0 netns %d", i,
                       (int)play->keepers[i]);
        if (!machine_ip(0, command)) {
            return "veth pairs (the kernel module veth)";
        }
        (void)snprintf(command, sizeof command, "link set plug%d master chain0 up", i);
        is_up = is_up && machine_ip(0, command);
        (void)snprintf(command, sizeof command, "addr add 10.78.0.%d/24 dev chain0", i + 1);
        is_up = is_up && machine_ip(play->keepers[i], command) && machine_ip(play->keepers[i], "link set chain0 up") &&
                machine_ip(play->keepers[i], "link set lo up");
    }
    return is_up ? NULL : "addresses for veth pairs";
}

/* ---- who listens ---- */

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* CLOCK_MONOTONIC of a CLOCK_REALTIME, by the closest of some pairs of looks. */
static int64_t to_monotonic_ns(int64_t real_ns)
{
    int64_t best_ns = INT64_MAX, offset_ns = 0;
    for (int i = 0; i < 5; i++) {
        const int64_t before_ns = read_ns(CLOCK_MONOTONIC), now_ns = read_ns(CLOCK_REALTIME),
                      width_ns = read_ns(CLOCK_MONOTONIC) - before_ns;
        if (width_ns < best_ns) {
            best_ns = width_ns;
            offset_ns = now_ns - before_ns - width_ns / 2;
        }
    }
    return real_ns - offset_ns;
}

/* The number of the image of that stamp, which is one of the last; -1 = none. */
static int32_t number_of(const struct chain_play *play, const builtin_interfaces_msg_dds__Time_ *stamp)
{
    const int64_t real_ns = (int64_t)stamp->sec * NS_PER_S + stamp->nanosec;
    int32_t number = atomic_load(&play->sent) - 1;
    while (number >= 0 && play->stamp_ns[number] != real_ns) {
        number--;
    }
    return number;
}

static void hear(dds_entity_t reader, void *arg)
{
    struct chain_heard *heard = arg;
    void *sample = NULL;
    dds_sample_info_t info;
    while (dds_take(reader, &sample, &info, 1, 1) == 1) {
        const einet_msgs_msg_dds__InferenceStatus_ *said = sample;
        const int32_t number = number_of(heard->play, &said->stamp);
        if (info.valid_data && number >= 0) {
            struct chain_status *status = &heard->status[number];
            *status = (struct chain_status){.count = status->count + 1,
                                            .outcome = said->outcome,
                                            .cause = said->cause,
                                            .job_idx = said->job_idx,
                                            .release_ns = said->release_ns,
                                            .start_ns = said->start_ns,
                                            .finish_ns = said->finish_ns,
                                            .deadline_ns = said->deadline_ns,
                                            .is_met = said->deadline_met};
            atomic_fetch_add(&heard->count, number >= atomic_load(&heard->play->first));
        } else if (info.valid_data) {
            atomic_fetch_add(&heard->strange, 1);
        }
        (void)dds_return_loan(reader, &sample, 1);
        sample = NULL;
    }
}

static dds_entity_t open_end(const struct chain_play *play, const dds_topic_descriptor_t *type, const char *name,
                             struct chain_heard *heard)
{
    const dds_entity_t topic = dds_create_topic(play->participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_listener_t *listener = dds_create_listener(heard);
    dds_lset_data_available(listener, hear);
    dds_qset_reliability(qos, heard != NULL ? DDS_RELIABILITY_RELIABLE : DDS_RELIABILITY_BEST_EFFORT, DDS_SECS(1));
    dds_qset_history(qos, heard != NULL ? DDS_HISTORY_KEEP_ALL : DDS_HISTORY_KEEP_LAST, 5);
    const dds_entity_t end = heard != NULL ? dds_create_reader(play->participant, topic, qos, listener)
                                           : dds_create_writer(play->participant, topic, qos, NULL);
    dds_delete_listener(listener);
    dds_delete_qos(qos);
    return end;
}

/* ---- opening and closing ---- */

const char *chain_play_open(struct chain_play *play)
{
    static const char *const tasks[CHAIN_TASKS] = {"see", "plan", "act", "hand"};
    play->domain = 20 + (int)(getpid() % 180); /* other runs of the tests go on beside this one */
    const char *missing = play->is_apart ? lay_network(play) : NULL;
    if (missing != NULL) {
        return missing;
    }
    set_network(play);
    play->participant = dds_create_participant((dds_domainid_t)play->domain, NULL, NULL);
    if (play->participant < 0) {
        return "a participant of DDS";
    }
    play->images = open_end(play, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    bool is_open = play->images > 0;
    for (int i = 0; i < CHAIN_TASKS; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "rt/einet/%s/status", tasks[i]);
        play->heard[i].task = tasks[i];
        play->heard[i].play = play;
        play->heard[i].statuses = open_end(play, &einet_msgs_msg_dds__InferenceStatus__desc, name, &play->heard[i]);
        is_open = is_open && play->heard[i].statuses > 0;
    }
    return is_open ? NULL : "ends of DDS";
}

void chain_play_close(struct chain_play *play)
{
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        machine_kill(&play->nodes[i]);
    }
    if (play->participant > 0) {
        (void)dds_delete(play->participant);
    }
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        char file[300];
        machine_let_go(play->keepers[i]);
        (void)snprintf(file, sizeof file, "%s/chain-%d.yaml", play->folder, i);
        (void)unlink(file);
    }
}

/* ---- the camera ---- */

static void send_image(struct chain_play *play)
{
    static uint8_t pixels[SIDE * SIDE * 3];
    char encoding[] = "rgb8", frame_id[] = "eye";
    const int32_t number = atomic_load(&play->sent);
    const int64_t now_ns = read_ns(CLOCK_REALTIME);
    const sensor_msgs_msg_dds__Image_ image = {
        .header = {.stamp = {.sec = (int32_t)(now_ns / NS_PER_S), .nanosec = (uint32_t)(now_ns % NS_PER_S)},
                   .frame_id = frame_id},
        .height = SIDE,
        .width = SIDE,
        .encoding = encoding,
        .step = SIDE * 3,
        .data = {._length = sizeof pixels, ._maximum = sizeof pixels, ._buffer = pixels}};
    if (number < CHAIN_IMAGES_MAX) {
        play->stamp_ns[number] = now_ns;
        play->made_ns[number] = to_monotonic_ns(now_ns);
        atomic_store(&play->sent, number + 1);
        (void)dds_write(play->images, &image);
    }
}

static void nap_ms(int ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&nap, NULL);
}

/* Whether each image that the first task speaks of was spoken of by all. */
static bool is_told(const struct chain_play *play)
{
    bool is_whole = true;
    for (int i = 1; i < CHAIN_TASKS; i++) {
        is_whole = is_whole && atomic_load(&play->heard[i].count) >= atomic_load(&play->heard[CHAIN_SEE].count);
    }
    return is_whole;
}

/* Nothing comes any more, and what came is whole. */
static bool await_rest(const struct chain_play *play)
{
    int64_t seen = -1;
    for (int waited = 0, still = 0; waited < WAIT_MS; waited += 10, still += 10) {
        const int64_t count = atomic_load(&play->heard[CHAIN_SEE].count);
        still = count == seen && count > 0 ? still : 0;
        seen = count;
        if (still >= 500 && is_told(play)) {
            return true;
        }
        nap_ms(10);
    }
    return false;
}

struct rolling {
    struct chain_play *play;
    int32_t images;
    int64_t period_ns;
};

static void *roll(void *arg)
{
    const struct rolling *rolling = arg;
    int64_t next_ns = read_ns(CLOCK_MONOTONIC);
    const struct sched_param param = {.sched_priority = rolling->play->priority};
    if (param.sched_priority > 0) {
        (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    }
    for (int32_t i = 0; i < rolling->images; i++) {
        send_image(rolling->play);
        next_ns += rolling->period_ns;
        const struct timespec next = {.tv_sec = (time_t)(next_ns / NS_PER_S), .tv_nsec = (long)(next_ns % NS_PER_S)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) {
        }
    }
    return NULL;
}

bool chain_play_roll(struct chain_play *play, int32_t images, int64_t period_ns)
{
    struct rolling rolling = {.play = play, .images = images, .period_ns = period_ns};
    pthread_t camera;
    for (int i = 0; i < CHAIN_TASKS; i++) {
        atomic_store(&play->heard[i].count, 0);
    }
    atomic_store(&play->first, atomic_load(&play->sent));
    return pthread_create(&camera, NULL, roll, &rolling) == 0 && pthread_join(camera, NULL) == 0 && await_rest(play);
}

/* ---- machines ---- */

bool chain_play_start(struct chain_play *play, const char *const texts[CHAIN_MACHINES])
{
    char domain[16], priority[16], file[300];
    (void)snprintf(domain, sizeof domain, "%d", play->domain);
    (void)snprintf(priority, sizeof priority, "%d", play->priority);
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        (void)snprintf(file, sizeof file, "%s/chain-%d.yaml", play->folder, i);
        const char *const argv[] = {play->binary, "--domain", domain, "--priority", priority, file, NULL};
        FILE *out = texts[i] != NULL ? fopen(file, "w") : NULL;
        if (texts[i] != NULL && (out == NULL || fputs(texts[i], out) < 0 || fclose(out) != 0 ||
                                 !machine_start(&play->nodes[i], play->keepers[i], argv))) {
            return false;
        }
    }
    /* all know each other when the last of them speaks of an image */
    const int32_t first = atomic_load(&play->sent);
    const struct chain_status *last = play->heard[CHAIN_HAND].status;
    for (int waited = 0; waited < WAIT_MS; waited += 100) {
        send_image(play);
        nap_ms(100);
        for (int32_t i = first; i < atomic_load(&play->sent); i++) {
            if (last[i].count > 0) {
                nap_ms(500); /* those that are under way */
                return true;
            }
        }
    }
    return false;
}

bool chain_play_end(struct chain_play *play)
{
    bool is_well = true;
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        is_well =
            (play->nodes[i].pid == 0 || machine_end(&play->nodes[i], play->words[i], sizeof play->words[i]) == 0) &&
            is_well;
    }
    return is_well;
}
