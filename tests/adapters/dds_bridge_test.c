/* Images in, classifications and statuses out, through libeinet_dds.so and a robot's side of its own in this process:
 * every image that is well formed ends in exactly one status, with its stamp, and says what the run says. */
#include "tests/harness/harness.h"

#include "ros2.h"
#include <dds/dds.h>
#include <dirent.h>
#include <einet/dds.h>
#include <einet/einet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIDE 32
#define IMAGES 64
#define WAIT_MS 30000

static const char text[] =
    "version: 1\nname: bridge\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 2ms, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: front-eye, arrival: { model: external, min_interarrival: 100us }, deadline: 20ms, priority: 40,\n"
    "      late_release: { queue: 2, drop: oldest }, planner: { search: all },\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: clock, arrival: { model: periodic, period: 10ms }, deadline: 10ms, priority: 70,\n"
    "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";

/* ---- both sides ---- */

struct side {
    int32_t domain;
    struct einet_workload *workload;
    struct einet_dds *dds;
    struct einet_run *run;
    dds_entity_t participant, images, classifications, statuses;
    struct einet_result results[IMAGES * 2]; /* by number of the image; callback thread, read after the end */
    atomic_int result_count;
};

static struct side side;                    /* large */
static const int32_t base_sec = 1700000000; /* long ago: images count from their coming */

static void keep_result(void *context, const struct einet_result *result)
{
    struct side *s = context;
    const int32_t number = (int32_t)(result->tag >> 32) - base_sec;
    if (result->task_idx == 0 && number >= 0 && number < IMAGES * 2) {
        s->results[number] = *result;
        s->result_count++;
    }
}

static void nap_ms(int ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

static dds_entity_t open_end(struct side *s, const dds_topic_descriptor_t *type, const char *name, bool is_reader)
{
    const dds_entity_t topic = dds_create_topic(s->participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, 0);
    const dds_entity_t end = is_reader ? dds_create_reader(s->participant, topic, qos, NULL)
                                       : dds_create_writer(s->participant, topic, qos, NULL);
    dds_delete_qos(qos);
    EI_TRUEF(end > 0, "%s: %s", name, dds_strretcode(-end));
    return end;
}

static bool open_side(struct side *s)
{
    struct einet_error err = {0};
    struct einet_dds_options bridge = {.size_bytes = sizeof bridge};
    struct einet_run_options options = {.size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED};
    const struct einet_callbacks callbacks = {.size_bytes = sizeof callbacks, .context = s, .on_result = keep_result};
    memset(s, 0, sizeof *s);
    s->domain = 20 + (int32_t)(getpid() % 180); /* other runs of the tests go on beside this one */
    bridge.domain = s->domain;
    bridge.callbacks = &callbacks;
    EI_TRUEF(einet_workload_parse(text, sizeof text - 1, NULL, &s->workload, &err) == 0, "%s", err.text);
    if (s->workload == NULL || !EI_TRUEF(einet_dds_create(s->workload, &bridge, &s->dds, &err) == 0, "%s", err.text)) {
        return false;
    }
    options.callbacks = einet_dds_callbacks(s->dds);
    s->participant = dds_create_participant((dds_domainid_t)s->domain, NULL, NULL);
    s->images = open_end(s, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", false);
    s->classifications =
        open_end(s, &vision_msgs_msg_dds__Classification__desc, "rt/einet/front_eye/classification", true);
    s->statuses = open_end(s, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/front_eye/status", true);
    return EI_TRUEF(einet_run_create(s->workload, &options, &s->run, &err) == 0, "%s", err.text) &&
           EI_TRUEF(einet_run_start(s->run, &err) == 0, "%s", err.text) &&
           EI_TRUEF(einet_dds_start(s->dds, s->run, &err) == 0, "%s", err.text);
}

static void close_side(struct side *s)
{
    (void)dds_delete(s->participant);
    einet_run_destroy(s->run);
    einet_dds_destroy(s->dds);
    einet_workload_destroy(s->workload);
}

static struct einet_dds_figures figures_of(const struct side *s)
{
    struct einet_dds_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_dds_figures(s->dds, 0, &figures), 0);
    return figures;
}

/* ---- images ---- */

static void write_image(struct side *s, int number, uint32_t step, char *encoding)
{
    static uint8_t pixels[SIDE * SIDE * 4];
    char frame_id[] = "camera_0";
    frame_id[7] = (char)('0' + number % 3);
    sensor_msgs_msg_dds__Image_ image = {
        .header = {.stamp = {.sec = base_sec + number, .nanosec = 999999999U - (uint32_t)number}, .frame_id = frame_id},
        .height = SIDE,
        .width = SIDE,
        .encoding = encoding,
        .step = step,
        .data = {._length = SIDE * SIDE * 3, ._maximum = SIDE * SIDE * 3, ._buffer = pixels}};
    EI_EQ(dds_write(s->images, &image), DDS_RETCODE_OK);
}

/* Send image `number` and wait until the bridge has it: a reader of images keeps five. */
static void send(struct side *s, int number, uint32_t step, char *encoding)
{
    const int64_t before = figures_of(s).received;
    write_image(s, number, step, encoding);
    for (int waited = 0; waited < WAIT_MS && figures_of(s).received == before; waited++) {
        nap_ms(1);
    }
    EI_EQ(figures_of(s).received, before + 1);
}

static char rgb8[] = "rgb8", bgr8[] = "bgr8", nonsense[] = "\xff\xfe%s%n";

/* ---- what came ---- */

struct seen {
    int statuses[IMAGES * 2], classifications[IMAGES * 2];
    einet_msgs_msg_dds__InferenceStatus_ status[IMAGES * 2];
};

static int number_of(const builtin_interfaces_msg_dds__Time_ *stamp)
{
    const int number = stamp->sec - base_sec;
    EI_TRUEF(number >= 0 && number < IMAGES * 2, "a strange stamp: %d s", stamp->sec);
    EI_EQ(stamp->nanosec, 999999999U - (uint32_t)number);
    return number >= 0 && number < IMAGES * 2 ? number : 0;
}

static void see_classifications(struct side *s, struct seen *seen)
{
    void *samples[IMAGES * 2] = {NULL};
    dds_sample_info_t infos[IMAGES * 2];
    const int32_t count = dds_take(s->classifications, samples, infos, IMAGES * 2, IMAGES * 2);
    for (int32_t i = 0; i < count; i++) {
        const vision_msgs_msg_dds__Classification_ *c = samples[i];
        const int number = number_of(&c->header.stamp);
        const struct einet_answer *answer = &s->results[number].answer;
        char frame_id[] = "camera_0", label[16];
        frame_id[7] = (char)('0' + number % 3);
        seen->classifications[number]++;
        EI_STREQ(c->header.frame_id, frame_id);
        EI_EQ(c->results._length, answer->top_count);
        (void)snprintf(label, sizeof label, "%d", answer->label);
        if (EI_TRUE(c->results._length > 0)) {
            EI_STREQ(c->results._buffer[0].class_id, label);
            EI_TRUE(c->results._buffer[0].score == (double)answer->top_p[0]);
        }
    }
    if (count > 0) {
        (void)dds_return_loan(s->classifications, samples, count);
    }
}

static void see_statuses(struct side *s, struct seen *seen)
{
    void *samples[IMAGES * 2] = {NULL};
    dds_sample_info_t infos[IMAGES * 2];
    const int32_t count = dds_take(s->statuses, samples, infos, IMAGES * 2, IMAGES * 2);
    for (int32_t i = 0; i < count; i++) {
        const einet_msgs_msg_dds__InferenceStatus_ *status = samples[i];
        const int number = number_of(&status->stamp);
        seen->statuses[number]++;
        seen->status[number] = *status;
    }
    if (count > 0) {
        (void)dds_return_loan(s->statuses, samples, count);
    }
}

static void expect_as_the_run_says(const einet_msgs_msg_dds__InferenceStatus_ *status,
                                   const struct einet_result *result)
{
    EI_EQ(status->outcome, result->outcome);
    EI_EQ(status->cause, result->cause);
    EI_EQ(status->answered, (result->flags & EINET_RESULT_ANSWERED) != 0);
    EI_EQ(status->deadline_met, (result->flags & EINET_RESULT_DEADLINE_MET) != 0);
    EI_EQ(status->preempted, (result->flags & EINET_RESULT_PREEMPTED) != 0);
    EI_EQ(status->job_idx, result->job_idx);
    EI_EQ(status->release_ns, result->release_ns);
    EI_EQ(status->finish_ns, result->finish_ns);
    EI_EQ(status->deadline_ns, result->deadline_ns);
    EI_EQ(status->preemptions, result->preemptions);
    EI_EQ(status->blocks_done, result->blocks_done);
    EI_EQ(status->is_final, true);
    EI_EQ(status->exit_idx, status->answered ? result->answer.exit_idx : -1);
    EI_EQ(status->label, status->answered ? result->answer.label : -1);
}

static void end_run(struct side *s)
{
    struct einet_dds_figures figures = figures_of(s);
    einet_dds_stop(s->dds);
    EI_EQ(einet_run_wait(s->run, -1, NULL), 0);
    for (int waited = 0; waited < WAIT_MS && figures.statuses < figures.released + figures.turned_away; waited++) {
        nap_ms(1);
        figures = figures_of(s);
    }
}

/* ---- the cases ---- */

EI_TEST(dds_each_image_ends_in_one_status)
{
    static struct seen seen;
    int answered = 0;
    EI_REQUIRE(open_side(&side));
    for (int i = 0; i < IMAGES; i++) {
        send(&side, i, SIDE * 3, i % 2 == 0 ? rgb8 : bgr8);
        nap_ms(i % 7 == 0 ? 8 : 1); /* some come faster than they can be looked at */
    }
    EI_EQ(einet_run_drain(side.run), 0);
    send(&side, IMAGES, SIDE * 3, rgb8); /* too late */
    end_run(&side);
    const struct einet_dds_figures figures = figures_of(&side);
    EI_EQ(figures.received, IMAGES + 1);
    EI_EQ(figures.refused, 0);
    EI_EQ(figures.released + figures.turned_away, IMAGES + 1);
    EI_EQ(figures.released, side.result_count);
    EI_EQ(figures.restamped, figures.released);
    EI_EQ(figures.statuses, IMAGES + 1);
    EI_EQ(figures.lost + figures.failed_writes, 0);
    see_classifications(&side, &seen);
    see_statuses(&side, &seen);
    for (int i = 0; i <= IMAGES; i++) {
        EI_EQ(seen.statuses[i], 1);
        EI_EQ(seen.classifications[i], seen.status[i].answered);
        if (seen.status[i].outcome == 4) {
            EI_EQ(seen.status[i].job_idx, -1);
        } else {
            expect_as_the_run_says(&seen.status[i], &side.results[i]);
        }
        answered += seen.classifications[i];
    }
    EI_EQ(seen.status[IMAGES].outcome, 4);
    EI_EQ(figures.classifications, answered);
    EI_TRUEF(answered > 0, "no image was answered");
    close_side(&side);
}

EI_TEST(dds_images_that_lie_are_counted_and_refused)
{
    static struct seen seen;
    EI_REQUIRE(open_side(&side));
    EI_STREQ(einet_dds_refusal(side.dds, 0), "");
    send(&side, 0, SIDE * 3 - 1, rgb8);
    EI_CONTAINS(einet_dds_refusal(side.dds, 0), "rows");
    send(&side, 1, UINT32_MAX, rgb8);
    EI_CONTAINS(einet_dds_refusal(side.dds, 0), "bytes");
    send(&side, 2, SIDE * 3, nonsense);
    EI_CONTAINS(einet_dds_refusal(side.dds, 0), "encoding");
    send(&side, 3, SIDE * 3, rgb8);
    EI_EQ(einet_run_drain(side.run), 0);
    end_run(&side);
    const struct einet_dds_figures figures = figures_of(&side);
    EI_EQ(figures.received, 4);
    EI_EQ(figures.refused, 3);
    EI_EQ(figures.released, 1);
    see_statuses(&side, &seen);
    EI_EQ(seen.statuses[0] + seen.statuses[1] + seen.statuses[2], 0);
    EI_EQ(seen.statuses[3], 1);
    close_side(&side);
}

/* The command in a process of its own, over the loopback interface without multicast. */
EI_TEST(dds_command_answers_over_the_network)
{
    static const char network[] =
        "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
        "name=\"lo\"/></Interfaces></General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer "
        "address=\"localhost\"/></Peers></Discovery></Domain></CycloneDDS>";
    static struct seen seen;
    char file[512], domain[16], command[600];
    int matched = 0, waited = 0, status = 0;
    dds_publication_matched_status_t match;
    dds_subscription_matched_status_t answers_match;
    memset(&side, 0, sizeof side);
    (void)snprintf(file, sizeof file, "%s/bridge.yaml", ei_test_tmpdir());
    FILE *out = fopen(file, "w");
    EI_REQUIRE(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0);
    (void)snprintf(domain, sizeof domain, "%d", 20 + (int)(getpid() % 180));
    (void)snprintf(command, sizeof command, "%s/einet-dds", ei_test_build_dir());
    EI_EQ(setenv("CYCLONEDDS_URI", network, 1), 0);
    const pid_t child = fork();
    if (child == 0) {
        execl(command, command, "--domain", domain, file, (char *)NULL);
        _exit(127);
    }
    side.participant = dds_create_participant((dds_domainid_t)atoi(domain), NULL, NULL);
    EI_REQUIRE(side.participant > 0);
    side.images = open_end(&side, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", false);
    side.classifications =
        open_end(&side, &vision_msgs_msg_dds__Classification__desc, "rt/einet/front_eye/classification", true);
    side.statuses = open_end(&side, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/front_eye/status", true);
    while (matched < 3 && waited++ < WAIT_MS) {
        matched = 0;
        matched += dds_get_publication_matched_status(side.images, &match) == 0 && match.current_count > 0;
        matched +=
            dds_get_subscription_matched_status(side.statuses, &answers_match) == 0 && answers_match.current_count > 0;
        matched += dds_get_subscription_matched_status(side.classifications, &answers_match) == 0 &&
                   answers_match.current_count > 0;
        nap_ms(1);
    }
    EI_EQ(matched, 3);
    for (int i = 0; i < IMAGES && seen.statuses[0] == 0; i++) { /* the first may come before the run has begun */
        write_image(&side, 0, SIDE * 3, rgb8);
        nap_ms(100);
        see_statuses(&side, &seen);
    }
    EI_TRUEF(seen.statuses[0] > 0, "no status came");
    EI_EQ(dds_delete(side.participant), 0);
    EI_EQ(kill(child, SIGTERM), 0);
    EI_EQ(waitpid(child, &status, 0), child);
    EI_TRUEF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "einet-dds ended with status %d", status);
}

/* The policy of a thread of this process by its name, as the kernel says, and its priority; -1 = there is none. */
static int policy_of(const char *name, int *out_priority)
{
    DIR *tasks = opendir("/proc/self/task");
    int policy = -1;
    EI_TRUE(tasks != NULL);
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        char path[64], comm[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", entry->d_name);
        FILE *in = fopen(path, "r");
        if (in != NULL && fgets(comm, sizeof comm, in) != NULL && strncmp(comm, name, strlen(name)) == 0 &&
            comm[strlen(name)] == '\n') {
            struct sched_param param = {0};
            const pid_t tid = (pid_t)atoi(entry->d_name);
            policy = sched_getscheduler(tid);
            (void)sched_getparam(tid, &param);
            *out_priority = param.sched_priority;
        }
        if (in != NULL) {
            (void)fclose(in);
        }
    }
    (void)closedir(tasks);
    return policy;
}

#define REAL_TIME_PRIORITY 41

/* A bridge of the workload, in a domain of its own, whose receiving and timed threads were seen at that priority; or
 * skip. Both are the caller's. */
static struct einet_dds *create_in_real_time(struct einet_dds_options *options, struct einet_workload **out_workload)
{
    struct einet_error err = {0};
    struct einet_dds *dds = NULL;
    int priority = 0;
    options->domain = 20 + (int32_t)(getpid() % 180);
    EI_EQ(einet_workload_parse(text, sizeof text - 1, NULL, out_workload, &err), 0);
    const int rc = einet_dds_create(*out_workload, options, &dds, &err);
    if (rc == EINET_E_PRIVILEGE) {
        einet_workload_destroy(*out_workload);
        ei_test_skip("no right to real-time threads: %s", err.text);
    }
    EI_TRUEF(rc == 0, "%s", err.text);
    EI_EQ(policy_of("recv", &priority), SCHED_FIFO);
    EI_EQ(priority, REAL_TIME_PRIORITY);
    EI_EQ(policy_of("tev", &priority), SCHED_FIFO);
    EI_EQ(priority, REAL_TIME_PRIORITY);
    return dds;
}

EI_TEST(dds_threads_have_the_policies_that_were_asked_for)
{
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds_options options = {.size_bytes = sizeof options, .priority = REAL_TIME_PRIORITY};
    int priority = 0;
    struct einet_dds *dds = create_in_real_time(&options, &workload);
    EI_EQ(policy_of("gc", &priority), SCHED_OTHER);
    EI_EQ(policy_of("dq.builtins", &priority), SCHED_OTHER);
    einet_dds_destroy(dds);
    dds = NULL;
    options.config = "<CycloneDDS><Domain id=\"any\"><Threads><Thread name=\"gc\"><Scheduling><Class>realtime</Class>"
                     "<Priority>50</Priority></Scheduling></Thread></Threads></Domain></CycloneDDS>";
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "thread gc");
    options.priority = 0;
    options.config = "<CycloneDDS><Domain id=\"any\"><Threads><Thread name=\"recv\"><Scheduling><Class>realtime</Class>"
                     "<Priority>50</Priority></Scheduling></Thread></Threads></Domain></CycloneDDS>";
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "thread recv");
    EI_TRUE(dds == NULL);
    einet_workload_destroy(workload);
}

/* What makes late answers: a thread that takes images and is no real-time one, or another than the one that the bridge
 * knows. The environment cannot bring that about. bench_dds shows what it would cost. */
EI_TEST(dds_receiving_thread_stays_in_real_time)
{
    static const char config[] =
        "<CycloneDDS><Domain "
        "id=\"any\"><Internal><MultipleReceiveThreads>true</MultipleReceiveThreads></Internal><Threads><Thread "
        "name=\"recv\"><Scheduling><Class>timeshare</Class><Priority>0"
        "</Priority></Scheduling></Thread><Thread "
        "name=\"tev\"><Scheduling><Class>realtime</Class><Priority>40</Priority>"
        "</Scheduling></Thread></Threads></Domain></CycloneDDS>";
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds_options options = {.size_bytes = sizeof options, .priority = REAL_TIME_PRIORITY, .config = config};
    int priority = 0;
    struct einet_dds *dds = create_in_real_time(&options, &workload);
    EI_EQ(policy_of("recvMC", &priority), -1);
    einet_dds_destroy(dds);
    dds = NULL;
    static char long_config[16384]; /* whose end, and what the bridge puts behind it, would be cut off */
    memset(long_config, ' ', sizeof long_config - 1);
    options.config = long_config;
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "put them into a file");
    EI_TRUE(dds == NULL);
    einet_workload_destroy(workload);
}

EI_TEST(dds_bridge_that_cannot_be_is_refused_with_a_reason)
{
    static const char other[] = "version: 1\nname: deaf\ntasks:\n"
                                "  - { name: a, arrival: { model: periodic, period: 10ms }, class: other,\n"
                                "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_dds_options options = {.size_bytes = sizeof options, .domain = 231};
    EI_REQUIRE(einet_workload_parse(other, sizeof other - 1, NULL, &workload, &err) == 0);
    EI_EQ(einet_dds_create(workload, NULL, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "kind: topic");
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "0..230");
    options = (struct einet_dds_options){.size_bytes = sizeof options, .priority = 99};
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    options.size_bytes = 0;
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), -EINVAL);
    options.size_bytes = sizeof options + 8;
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), -E2BIG);
    EI_TRUE(dds == NULL);
    einet_dds_destroy(NULL);
    einet_workload_destroy(workload);
}

EI_MAIN()
