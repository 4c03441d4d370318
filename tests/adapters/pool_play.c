#include "tests/adapters/pool_play.h"

#include "tests/adapters/machine.h"

#include "ros2.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIDE 32
#define NS_PER_S INT64_C(1000000000)
#define BASE_SEC 1700000000 /* long ago: images count from their coming, on every node */

static const char apart[] =
    "<CycloneDDS><Domain id=\"any\"><General><Interfaces><NetworkInterface name=\"pool0\"/></Interfaces></General>"
    "</Domain></CycloneDDS>";
static const char together[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer "
    "address=\"localhost\"/></Peers></Discovery></Domain></CycloneDDS>";

/* ---- workloads ---- */

#define HEAD                                                                                                           \
    "version: 1\nname: play\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"                    \
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"                               \
    "                                      { conv: 500us, branch: 20us, score: 0.9 } ] } },\n"
#define TASK(name, priority, model, least)                                                                             \
    "  - { name: " name ", arrival: { model: external, min_interarrival: " least                                       \
    " }, deadline: 20ms, priority: " priority                                                                          \
    ",\n      late_release: { queue: 1, drop: oldest }, planner: { search: all },\n"                                   \
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"                                 \
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: " model ", lane: acc } ] }\n"

#define BEHIND(head, priority)                                                                                         \
    "  - { name: behind, arrival: { model: after, task: " head " }, deadline: 20ms, priority: " priority               \
    ",\n      late_release: { queue: 1, drop: oldest },\n"                                                             \
    "      stages: [ { name: law, kind: cpu, work: { spin: 100us } } ] }\n"
const char pool_play_one[] = HEAD "}\ntasks:\n" TASK("eye", "85", "net", "1ms");

const char pool_play_named[] =
    HEAD "}\ntasks:\n"
         "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, deadline: 20ms, priority: 85,\n"
         "      late_release: { queue: 1, drop: oldest }, planner: { search: all },\n"
         "      outputs: { classification: /scene, status: /state, partial: /seen },\n"
         "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
         "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n";

const char pool_play_law[] =
    HEAD "}\ntasks:\n"
         "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, deadline: 20ms, priority: 85,\n"
         "      late_release: { queue: 1, drop: oldest }, planner: { search: all },\n"
         "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
         "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc },\n"
         "                { name: law, kind: cpu, work: { spin: 100us } } ] }\n";

const char pool_play_law_behind[] = HEAD "}\ntasks:\n" TASK("eye", "85", "net", "1ms") BEHIND("eye", "84");

const char pool_play_law_behind_unqueued[] = HEAD "}\ntasks:\n" TASK(
    "eye", "85", "net",
    "1ms") "  - { name: behind, arrival: { model: after, task: eye }, deadline: 20ms, priority: 84,\n"
           "      stages: [ { name: law, kind: cpu, work: { spin: 100us } } ] }\n";

#define SLOW "{ conv: 920us, branch: 80us, score: 0.5 }"
#define SLOW_7 SLOW ", " SLOW ", " SLOW ", " SLOW ", " SLOW ", " SLOW ", " SLOW
#define BOTH                                                                                                           \
    "         slow: { emulate: { blocks: [ " SLOW_7 ", " SLOW_7 " ] } },\n"                                            \
    "         quick: { emulate: { blocks: [ " SLOW ", " SLOW " ] } } }\n"

#define OWN                                                                                                            \
    "  - { name: own, arrival: { model: periodic, period: 20ms }, deadline: 20ms, priority: 79, "                      \
    "planner: { search: all },\n"                                                                                      \
    "      stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"

const char pool_play_too_much[] =
    HEAD BOTH "tasks:\n" TASK("high", "80", "quick", "15ms") TASK("low", "78", "slow", "15ms") OWN;
const char pool_play_bearable[] =
    HEAD BOTH "tasks:\n" TASK("high", "80", "quick", "15ms") TASK("low", "78", "slow", "15ms");
const char pool_play_too_much_chain[] =
    HEAD BOTH "tasks:\n" TASK("high", "80", "quick", "15ms") TASK("low", "77", "slow", "15ms") BEHIND("low", "78") OWN;
const char pool_play_bearable_chain[] =
    HEAD BOTH "tasks:\n" TASK("high", "80", "quick", "15ms") TASK("low", "77", "slow", "15ms") BEHIND("low", "78");

int64_t pool_play_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

void pool_play_nap_ms(int ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&nap, NULL);
}

/* ---- the network ---- */

static const char *lay_network(struct pool_play *play)
{
    char link[100];
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        return "network namespaces (run as root, outside of a container that forbids them)";
    }
    if (!machine_ip(0, "-V")) {
        return "ip (apt-get install iproute2)";
    }
    play->keeper = machine_keep();
    if (play->keeper <= 0) {
        play->keeper = 0;
        return "a second network namespace";
    }
    (void)snprintf(link, sizeof link, "link add pool0 type veth peer name pool0 netns %d", (int)play->keeper);
    if (!machine_ip(0, link)) {
        return "veth pairs (the kernel module veth)";
    }
    const bool is_up = machine_ip(0, "addr add 10.77.0.2/24 dev pool0") && machine_ip(0, "link set pool0 up") &&
                       machine_ip(0, "link set lo up") && machine_ip(play->keeper, "addr add 10.77.0.1/24 dev pool0") &&
                       machine_ip(play->keeper, "link set pool0 up") && machine_ip(play->keeper, "link set lo up");
    return is_up ? NULL : "addresses for a veth pair";
}

/* ---- the listener ---- */

static int32_t frame_of(const builtin_interfaces_msg_dds__Time_ *stamp)
{
    const int32_t frame = (stamp->sec - BASE_SEC) * 1000 + (int32_t)(stamp->nanosec / 1000000);
    return frame > 0 && frame < POOL_PLAY_FRAMES_MAX ? frame : 0;
}

static void hear_status(dds_entity_t reader, void *arg)
{
    struct pool_heard *heard = arg;
    void *sample = NULL;
    dds_sample_info_t info;
    while (dds_take(reader, &sample, &info, 1, 1) == 1) {
        if (info.valid_data) {
            const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
            const int32_t frame = frame_of(&status->stamp);
            const int64_t now_ns = pool_play_now_ns();
            (void)pthread_mutex_lock(&heard->lock);
            if (heard->frames > 0) {
                heard->gap_ns = now_ns - heard->last_ns > heard->gap_ns ? now_ns - heard->last_ns : heard->gap_ns;
                heard->gap_frames =
                    frame - heard->last_frame > heard->gap_frames ? frame - heard->last_frame : heard->gap_frames;
            }
            heard->repeated += heard->is_known[frame];
            heard->is_known[frame] = 1;
            heard->last_ns = now_ns;
            heard->last_frame = frame;
            heard->frames++;
            heard->answered += status->answered;
            heard->late += !status->deadline_met;
            (void)pthread_mutex_unlock(&heard->lock);
        }
        (void)dds_return_loan(reader, &sample, 1);
        sample = NULL;
    }
}

static void hear_classification(dds_entity_t reader, void *arg)
{
    struct pool_heard *heard = arg;
    void *sample = NULL;
    dds_sample_info_t info;
    while (dds_take(reader, &sample, &info, 1, 1) == 1) {
        if (info.valid_data) {
            const vision_msgs_msg_dds__Classification_ *classification = sample;
            (void)pthread_mutex_lock(&heard->lock);
            const int32_t frame = frame_of(&classification->header.stamp);
            heard->backward += frame <= heard->last_answer;
            heard->last_answer = frame;
            heard->answers++;
            (void)pthread_mutex_unlock(&heard->lock);
        }
        (void)dds_return_loan(reader, &sample, 1);
        sample = NULL;
    }
}

static dds_entity_t open_end(const struct pool_play *play, const dds_topic_descriptor_t *type, const char *name,
                             bool is_reader, dds_on_data_available_fn hear, void *arg)
{
    const dds_entity_t topic = dds_create_topic(play->participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_listener_t *listener = dds_create_listener(arg);
    if (hear != NULL) {
        dds_lset_data_available(listener, hear);
    }
    dds_qset_reliability(qos, is_reader ? DDS_RELIABILITY_RELIABLE : DDS_RELIABILITY_BEST_EFFORT, DDS_SECS(1));
    dds_qset_history(qos, is_reader ? DDS_HISTORY_KEEP_ALL : DDS_HISTORY_KEEP_LAST, 5);
    const dds_entity_t end = is_reader ? dds_create_reader(play->participant, topic, qos, listener)
                                       : dds_create_writer(play->participant, topic, qos, NULL);
    dds_delete_listener(listener);
    dds_delete_qos(qos);
    return end;
}

dds_entity_t pool_play_reader(struct pool_play *play, const dds_topic_descriptor_t *type, const char *topic)
{
    return open_end(play, type, topic, true, NULL, NULL);
}

static bool listen_to(struct pool_play *play, const char *task)
{
    struct pool_heard *heard = &play->heard[play->task_count++];
    char name[100];
    heard->task = task;
    (void)pthread_mutex_init(&heard->lock, NULL);
    (void)snprintf(name, sizeof name, "rt/einet/%s/status", task);
    heard->statuses = open_end(play, &einet_msgs_msg_dds__InferenceStatus__desc, name, true, hear_status, heard);
    (void)snprintf(name, sizeof name, "rt/einet/%s/classification", task);
    heard->classifications =
        open_end(play, &vision_msgs_msg_dds__Classification__desc, name, true, hear_classification, heard);
    return heard->statuses > 0 && heard->classifications > 0;
}

/* ---- opening and closing ---- */

const char *pool_play_open(struct pool_play *play, const char *const *tasks)
{
    static char missing[EINET_ERROR_TEXT_MAX + 16];
    struct einet_error err = {0};
    play->domain = 20 + (int)(getpid() % 180); /* other runs of the tests go on beside this one */
    if (play->is_apart) {
        const char *lacking = lay_network(play);
        if (lacking != NULL) {
            return lacking;
        }
    }
    (void)setenv("CYCLONEDDS_URI", play->is_apart ? apart : together, 1);
    const struct einet_dds_egress_options options = {.size_bytes = sizeof options,
                                                     .domain = play->domain,
                                                     .priority = play->priority,
                                                     .config = getenv("CYCLONEDDS_URI"),
                                                     .pool = "play"};
    if (!play->has_egresses && einet_dds_egress_create(&options, &play->egress, &err) < 0) {
        (void)snprintf(missing, sizeof missing, "an egress: %s", err.text);
        return missing;
    }
    play->participant = dds_create_participant((dds_domainid_t)play->domain, NULL, NULL);
    play->images = open_end(play, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", false, NULL, NULL);
    for (int i = 0; tasks[i] != NULL; i++) {
        if (!listen_to(play, tasks[i])) {
            return "readers of the egress";
        }
    }
    return play->participant > 0 && play->images > 0 ? NULL : "a participant of DDS";
}

void pool_play_close(struct pool_play *play)
{
    atomic_store(&play->is_ending, true);
    if (play->has_camera) {
        (void)pthread_join(play->camera, NULL);
    }
    machine_kill(&play->nodes[0]);
    machine_kill(&play->nodes[1]);
    pool_play_kill_egress(play, 0);
    pool_play_kill_egress(play, 1);
    if (play->participant > 0) {
        (void)dds_delete(play->participant);
    }
    einet_dds_egress_destroy(play->egress);
    machine_let_go(play->keeper);
}

/* ---- nodes ---- */

static const char *const node_names[2] = {"a", "b"};

bool pool_play_start(struct pool_play *play, int node)
{
    char file[300], domain[16], priority[16], lease[32];
    (void)snprintf(file, sizeof file, "%s/node-%s.yaml", play->folder, node_names[node]);
    (void)snprintf(domain, sizeof domain, "%d", play->domain);
    (void)snprintf(priority, sizeof priority, "%d", play->priority);
    (void)snprintf(lease, sizeof lease, "%lldms", (long long)(play->lease_ns / 1000000));
    FILE *out = fopen(file, "w");
    /* each on a CPU of its own, as on two machines, if there are two */
    const char *place = node == 1 && sysconf(_SC_NPROCESSORS_ONLN) > 1 ? "platform: { housekeeping_cpus: 1 }\n" : "";
    if (out == NULL || fputs(place, out) < 0 || fputs(play->texts[node], out) < 0 || fclose(out) != 0) {
        return false;
    }
    const char *const hanging[] = {play->hanging, domain, file, "50", NULL};
    const char *const plain[] = {play->binary,
                                 "--domain",
                                 domain,
                                 "--priority",
                                 priority,
                                 "--pool",
                                 "play",
                                 "--node",
                                 node_names[node],
                                 "--rank",
                                 node == 0 ? "60" : "50",
                                 "--lease",
                                 lease,
                                 file,
                                 NULL};
    return machine_start(&play->nodes[node], node == 0 ? play->keeper : 0,
                         node == 0 && play->hanging != NULL ? hanging : plain);
}

/* ---- egresses ---- */

static void print_log_name(const struct pool_play *play, int egress, char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%s/egress-%d", play->folder, egress);
}

/* What it has printed so far. */
static void read_log(const struct pool_play *play, int egress, char *out, size_t size_bytes)
{
    char name[300];
    print_log_name(play, egress, name, sizeof name);
    FILE *in = fopen(name, "r");
    out[in != NULL ? fread(out, 1, size_bytes - 1, in) : 0] = '\0';
    if (in != NULL) {
        (void)fclose(in);
    }
}

static void become_egress(const struct pool_play *play, int egress)
{
    char domain[16], priority[16], lease[32], log[300];
    const bool is_stopping = egress == 0 && play->stopping != NULL;
    print_log_name(play, egress, log, sizeof log);
    (void)snprintf(domain, sizeof domain, "%d", play->domain);
    (void)snprintf(priority, sizeof priority, "%d", play->priority);
    (void)snprintf(lease, sizeof lease, "%lldms", (long long)(play->lease_ns / 1000000));
    const int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0) {
        _exit(126);
    }
    if (egress == 0 && play->keeper > 0 && !machine_enter(play->keeper)) {
        _exit(126);
    }
    if (is_stopping) {
        (void)execl(play->stopping, play->stopping, domain, (char *)NULL);
        _exit(127);
    }
    (void)execl(play->binary, play->binary, "egress", "--domain", domain, "--priority", priority, "--pool", "play",
                "--lease", lease, (char *)NULL);
    _exit(127);
}

bool pool_play_start_egress(struct pool_play *play, int egress)
{
    char log[300];
    print_log_name(play, egress, log, sizeof log);
    (void)unlink(log);
    const pid_t child = machine_fork();
    if (child == 0) {
        become_egress(play, egress);
    }
    play->egresses[egress] = child > 0 ? child : 0;
    return child > 0 && pool_play_await_turn(play, egress, false, NS_PER_S * 20);
}

void pool_play_kill_egress(struct pool_play *play, int egress)
{
    if (play->egresses[egress] > 0) {
        (void)kill(play->egresses[egress], SIGKILL);
        (void)waitpid(play->egresses[egress], NULL, 0);
        play->egresses[egress] = 0;
    }
}

int pool_play_end_egress(struct pool_play *play, int egress, char *out, size_t size_bytes)
{
    int status = 0;
    (void)kill(play->egresses[egress], SIGTERM);
    (void)waitpid(play->egresses[egress], &status, 0);
    play->egresses[egress] = 0;
    read_log(play, egress, out, size_bytes);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says_active(const struct pool_play *play, int egress, bool is_active)
{
    static char log[200000];
    const char *last_active = NULL, *last_idle = NULL;
    read_log(play, egress, log, sizeof log);
    for (const char *at = strstr(log, "\nactive\n"); at != NULL; at = strstr(at + 1, "\nactive\n")) {
        last_active = at;
    }
    for (const char *at = strstr(log, "\nstanding by\n"); at != NULL; at = strstr(at + 1, "\nstanding by\n")) {
        last_idle = at;
    }
    return is_active ? last_active != NULL && last_active > last_idle : last_idle != NULL && last_idle > last_active;
}

bool pool_play_await_turn(struct pool_play *play, int egress, bool is_active, int64_t limit_ns)
{
    const int64_t until_ns = pool_play_now_ns() + limit_ns;
    while (!says_active(play, egress, is_active)) {
        if (pool_play_now_ns() > until_ns) {
            return false;
        }
        pool_play_nap_ms(1);
    }
    return true;
}

bool pool_play_continue_egress(struct pool_play *play, int egress, int64_t limit_ns)
{
    int status = 0;
    (void)kill(play->egresses[egress], SIGCONT);
    if (pool_play_await_turn(play, egress, false, limit_ns)) {
        return true;
    }
    if (waitpid(play->egresses[egress], &status, WNOHANG) != play->egresses[egress]) {
        return false;
    }
    play->egresses[egress] = 0;
    fprintf(stdout, "it ended with status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return WIFEXITED(status) && WEXITSTATUS(status) == 5 && pool_play_start_egress(play, egress);
}

static int64_t frames_of(struct pool_heard *heard)
{
    (void)pthread_mutex_lock(&heard->lock);
    const int64_t frames = heard->frames;
    (void)pthread_mutex_unlock(&heard->lock);
    return frames;
}

bool pool_play_await_frames(struct pool_play *play, int64_t frames, int64_t limit_ns)
{
    const int64_t until_ns = pool_play_now_ns() + limit_ns, wanted = frames_of(&play->heard[0]) + frames;
    while (frames_of(&play->heard[0]) < wanted) {
        if (pool_play_now_ns() > until_ns) {
            return false;
        }
        pool_play_nap_ms(1);
    }
    return true;
}

/* ---- the camera ---- */

static void *roll(void *arg)
{
    struct pool_play *play = arg;
    static uint8_t pixels[SIDE * SIDE * 3];
    char encoding[] = "rgb8", frame_id[] = "camera";
    int64_t next_ns = pool_play_now_ns();
    if (play->priority > 0) {
        const struct sched_param param = {.sched_priority = play->priority};
        (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    }
    for (int32_t number = 1; !atomic_load(&play->is_ending); number++) {
        const sensor_msgs_msg_dds__Image_ image = {
            .header = {.stamp = {.sec = BASE_SEC + number / 1000, .nanosec = (uint32_t)(number % 1000) * 1000000U},
                       .frame_id = frame_id},
            .height = SIDE,
            .width = SIDE,
            .encoding = encoding,
            .step = SIDE * 3,
            .data = {._length = sizeof pixels, ._maximum = sizeof pixels, ._buffer = pixels}};
        (void)dds_write(play->images, &image);
        atomic_fetch_add(&play->sent, 1);
        next_ns += play->period_ns;
        const struct timespec next = {.tv_sec = (time_t)(next_ns / NS_PER_S), .tv_nsec = (long)(next_ns % NS_PER_S)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) {
        }
        const int64_t late_ns = pool_play_now_ns() - next_ns;
        atomic_fetch_add(&play->noise_ns, late_ns > 1000000 ? late_ns : 0);
    }
    return NULL;
}

bool pool_play_roll(struct pool_play *play)
{
    for (int waited = 0; play->egress != NULL && einet_dds_egress_is_active(play->egress) == 0; waited++) {
        if (waited == 10000) {
            return false;
        }
        pool_play_nap_ms(1);
    }
    play->has_camera = pthread_create(&play->camera, NULL, roll, play) == 0;
    return play->has_camera;
}

/* ---- looking ---- */

bool pool_play_figures(struct pool_play *play, const char *task, struct einet_dds_egress_figures *out)
{
    *out = (struct einet_dds_egress_figures){.size_bytes = sizeof *out};
    for (int32_t i = 0; einet_dds_egress_figures(play->egress, i, out) == 0; i++) {
        if (strcmp(out->task, task) == 0) {
            return true;
        }
    }
    return false;
}

bool pool_play_await(struct pool_play *play, const char *task, int node, int64_t limit_ns)
{
    struct einet_dds_egress_figures figures;
    const int64_t until_ns = pool_play_now_ns() + limit_ns;
    for (;;) {
        if (pool_play_figures(play, task, &figures) && strcmp(figures.node, node_names[node]) == 0) {
            return true;
        }
        if (pool_play_now_ns() > until_ns) {
            return false;
        }
        pool_play_nap_ms(1);
    }
}

int64_t pool_play_gap(struct pool_play *play, int task, int32_t *out_frames)
{
    struct pool_heard *heard = &play->heard[task];
    (void)pthread_mutex_lock(&heard->lock);
    const int64_t gap_ns = heard->gap_ns;
    *out_frames = heard->gap_frames;
    heard->gap_ns = 0;
    heard->gap_frames = 0;
    (void)pthread_mutex_unlock(&heard->lock);
    return gap_ns;
}
