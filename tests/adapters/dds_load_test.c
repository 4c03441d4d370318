/* A bridge in this process, a camera and its reader in another, over the loopback interface: a flood, lost datagrams,
 * and a long run. EINET_SOAK_S says how long the last one is (scripts/soak-dds). */
#include "tests/harness/harness.h"

#include "ros2.h"
#include <dds/dds.h>
#include <einet/dds.h>
#include <einet/einet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000
#define CAMERA_PERIOD_US 10000
#define RT_PRIORITY 60
#define GROWTH_MAX_BYTES (1024L * 1024)
#define SOAK_S 6

/* Half of both processes' pools is there after this many images. */
#define SETTLED_PERCENT 30

/* Of this process alone: other tests may have come upon the same domain. */
static const char format[] =
    "version: 1\nname: load\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 1ms, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: control, arrival: { model: periodic, period: 10ms }, deadline: 10ms, priority: 95,\n"
    "      stages: [ { name: law, kind: cpu, work: { spin: 200us } } ] }\n"
    "  - { name: eye%d, arrival: { model: external, min_interarrival: 10ms }, deadline: 30ms, priority: 40,\n"
    "      late_release: { queue: 2, drop: oldest }, planner: { search: all },\n"
    "      input: { kind: topic, topic: /camera%d/image_raw, width: 320, height: 240 },\n"
    "      stages: [ { name: p, kind: cpu, op: [ resize: 32x32, normalize ] },\n"
    "                { name: n, kind: nn, model: net, lane: acc } ] }\n";
#define CONTROL 0
#define EYE 1

static const char network[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Internal><NackDelay>1 ms</NackDelay><Test><XmitLossiness>%d</XmitLossiness>"
    "</Test></Internal><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address=\"localhost\"/></Peers>"
    "</Discovery></Domain></CycloneDDS>";

/* What the camera is to do. */
struct plan {
    int32_t domain, id;
    int32_t width_px, height_px;
    long images;
    int period_us;
    int lost_per_mille; /* datagrams that CycloneDDS throws away, on either side */
};

/* What the camera has seen. */
struct report {
    int64_t sent, statuses, again, strange, backwards; /* backwards: an answer behind a later one */
    int64_t answered, classifications;
};

static void nap_us(long us)
{
    const struct timespec nap = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&nap, NULL);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the camera's process: no check of the harness, which would not reach the other ---- */

struct camera {
    dds_entity_t images, classifications, statuses;
    struct report report;
    uint8_t *seen;  /* [images] */
    int64_t base_s; /* the stamp of image i is i nanoseconds after it */
    int64_t last;
};

static dds_entity_t open_end(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *name,
                             bool is_reader)
{
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, 0);
    const dds_entity_t end =
        is_reader ? dds_create_reader(participant, topic, qos, NULL) : dds_create_writer(participant, topic, qos, NULL);
    dds_delete_qos(qos);
    return end;
}

static bool open_camera(struct camera *camera, const struct plan *plan)
{
    char config[1024];
    int matched = 0;
    (void)snprintf(config, sizeof config, network, plan->lost_per_mille);
    camera->seen = calloc((size_t)plan->images, 1);
    camera->base_s = time(NULL) - 1000; /* long ago: images count from their coming */
    camera->last = -1;
    if (camera->seen == NULL || dds_create_domain((dds_domainid_t)plan->domain, config) < 0) {
        return false;
    }
    const dds_entity_t participant = dds_create_participant((dds_domainid_t)plan->domain, NULL, NULL);
    char name[64];
    (void)snprintf(name, sizeof name, "rt/camera%d/image_raw", plan->id);
    camera->images = open_end(participant, &sensor_msgs_msg_dds__Image__desc, name, false);
    (void)snprintf(name, sizeof name, "rt/einet/eye%d/classification", plan->id);
    camera->classifications = open_end(participant, &vision_msgs_msg_dds__Classification__desc, name, true);
    (void)snprintf(name, sizeof name, "rt/einet/eye%d/status", plan->id);
    camera->statuses = open_end(participant, &einet_msgs_msg_dds__InferenceStatus__desc, name, true);
    for (int waited = 0; waited < WAIT_MS && matched < 3; waited++) {
        dds_publication_matched_status_t there;
        dds_subscription_matched_status_t back;
        matched = dds_get_publication_matched_status(camera->images, &there) == 0 && there.current_count > 0;
        matched += dds_get_subscription_matched_status(camera->statuses, &back) == 0 && back.current_count > 0;
        matched += dds_get_subscription_matched_status(camera->classifications, &back) == 0 && back.current_count > 0;
        nap_us(1000);
    }
    return matched == 3;
}

static void see(struct camera *camera, const struct plan *plan)
{
    einet_msgs_msg_dds__InferenceStatus_ status;
    void *statuses[1] = {&status}, *answers[1] = {NULL};
    dds_sample_info_t info;
    struct report *report = &camera->report;
    while (dds_take(camera->statuses, statuses, &info, 1, 1) == 1) {
        const int64_t image = (int64_t)status.stamp.nanosec;
        if (!info.valid_data || status.stamp.sec != camera->base_s || image >= plan->images) {
            report->strange++;
            continue;
        }
        report->statuses++;
        report->again += camera->seen[image] != 0;
        report->answered += status.answered;
        report->backwards += status.answered && status.job_idx <= camera->last;
        camera->last = status.answered ? status.job_idx : camera->last;
        camera->seen[image] = 1;
    }
    while (dds_take(camera->classifications, answers, &info, 1, 1) == 1) {
        report->classifications += info.valid_data;
        (void)dds_return_loan(camera->classifications, answers, 1);
        answers[0] = NULL;
    }
}

/* One image of three has its colours the other way round. */
static void send_images(struct camera *camera, const struct plan *plan)
{
    static char frame_id[] = "eye", rgb8[] = "rgb8", bgr8[] = "bgr8";
    const uint32_t bytes = (uint32_t)plan->width_px * (uint32_t)plan->height_px * 3;
    sensor_msgs_msg_dds__Image_ image = {.header = {.stamp = {.sec = (int32_t)camera->base_s}, .frame_id = frame_id},
                                         .height = (uint32_t)plan->height_px,
                                         .width = (uint32_t)plan->width_px,
                                         .step = (uint32_t)plan->width_px * 3,
                                         .data = {._length = bytes, ._maximum = bytes, ._buffer = calloc(bytes, 1)}};
    const int64_t begin_us = now_us();
    for (long i = 0; image.data._buffer != NULL && i < plan->images; i++) {
        image.header.stamp.nanosec = (uint32_t)i;
        image.encoding = i % 3 == 0 ? bgr8 : rgb8;
        camera->report.sent += dds_write(camera->images, &image) == DDS_RETCODE_OK;
        see(camera, plan);
        const int64_t left_us = begin_us + (i + 1) * plan->period_us - now_us();
        if (left_us > 0) {
            nap_us(left_us);
        }
    }
    free(image.data._buffer);
}

/* Tells how many it has sent, hears how many statuses were written, waits for them and tells what it has seen. */
static int be_camera(const struct plan *plan, int from, int to)
{
    struct camera camera = {0};
    int64_t written = 0;
    if (!open_camera(&camera, plan)) {
        return 1;
    }
    send_images(&camera, plan);
    if (write(to, &camera.report, sizeof camera.report) != sizeof camera.report ||
        read(from, &written, sizeof written) != sizeof written) {
        return 1;
    }
    for (int waited = 0; waited < WAIT_MS && camera.report.statuses < written; waited++) {
        nap_us(1000);
        see(&camera, plan);
    }
    nap_us(100000); /* for one too many */
    see(&camera, plan);
    return write(to, &camera.report, sizeof camera.report) != sizeof camera.report;
}

/* ---- the bridge's process ---- */

struct load {
    struct einet_workload *workload;
    struct einet_dds *dds;
    struct einet_run *run;
    pid_t camera;
    int from, to; /* the camera */
    struct report report;
    struct einet_dds_figures figures;
};

static struct einet_dds_figures figures_of(const struct load *load)
{
    struct einet_dds_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_dds_figures(load->dds, EYE, &figures), 0);
    return figures;
}

/* Before any thread of this process, so that the other is a whole one. */
static bool start_camera(struct load *load, const struct plan *plan)
{
    int there[2], back[2];
    if (!EI_TRUE(pipe(there) == 0 && pipe(back) == 0)) {
        return false;
    }
    load->camera = fork();
    if (load->camera == 0) {
        _exit(be_camera(plan, there[0], back[1]));
    }
    (void)close(there[0]);
    (void)close(back[1]);
    load->from = back[0];
    load->to = there[1];
    return EI_TRUE(load->camera > 0);
}

static bool start_bridge(struct load *load, const struct plan *plan)
{
    char config[1024], text[2048];
    struct einet_error err = {0};
    struct einet_dds_options bridge = {
        .size_bytes = sizeof bridge, .domain = plan->domain, .priority = RT_PRIORITY, .config = config};
    struct einet_run_options options = {
        .size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED, .callback_priority = RT_PRIORITY};
    (void)snprintf(config, sizeof config, network, plan->lost_per_mille);
    (void)snprintf(text, sizeof text, format, plan->id, plan->id);
    if (!EI_TRUEF(einet_workload_parse(text, strlen(text), NULL, &load->workload, &err) == 0, "%s", err.text)) {
        return false;
    }
    int rc = einet_dds_create(load->workload, &bridge, &load->dds, &err);
    if (rc == EINET_E_PRIVILEGE) {
        bridge.priority = 0;
        options.callback_priority = 0;
        rc = einet_dds_create(load->workload, &bridge, &load->dds, &err);
    }
    if (!EI_TRUEF(rc == 0, "%s", err.text)) {
        return false;
    }
    options.callbacks = einet_dds_callbacks(load->dds);
    return EI_TRUEF(einet_run_create(load->workload, &options, &load->run, &err) == 0, "%s", err.text) &&
           EI_TRUEF(einet_run_start(load->run, &err) == 0, "%s", err.text) &&
           EI_TRUEF(einet_dds_start(load->dds, load->run, &err) == 0, "%s", err.text);
}

/* The camera has sent all: let what is under way end, and hear what it has seen. */
static void finish(struct load *load)
{
    int status = 0;
    EI_EQ(read(load->from, &load->report, sizeof load->report), sizeof load->report);
    nap_us(100000); /* what is on its way */
    einet_dds_stop(load->dds);
    EI_EQ(einet_run_drain(load->run), 0);
    EI_EQ(einet_run_wait(load->run, -1, NULL), 0);
    load->figures = figures_of(load);
    for (int waited = 0;
         waited < WAIT_MS && load->figures.statuses < load->figures.released + load->figures.turned_away; waited++) {
        nap_us(1000);
        load->figures = figures_of(load);
    }
    EI_EQ(write(load->to, &load->figures.statuses, sizeof load->figures.statuses), sizeof load->figures.statuses);
    EI_EQ(read(load->from, &load->report, sizeof load->report), sizeof load->report);
    EI_EQ(waitpid(load->camera, &status, 0), load->camera);
    EI_TRUEF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the camera ended with status %d", status);
}

static void free_load(struct load *load)
{
    einet_run_destroy(load->run);
    einet_dds_destroy(load->dds);
    einet_workload_destroy(load->workload);
    (void)close(load->from);
    (void)close(load->to);
}

/* Every image that was taken was released, turned away or refused, and all but the last have one status, which came. */
static void expect_one_status_each(const struct load *load)
{
    const struct einet_dds_figures *f = &load->figures;
    const struct report *r = &load->report;
    EI_EQ(f->received, f->released + f->turned_away + f->refused);
    EI_EQ(f->refused, 0);
    EI_EQ(f->statuses, f->received);
    EI_EQ(f->lost + f->failed_writes, 0);
    EI_TRUEF(f->received <= r->sent, "%lld images were taken of %lld", (long long)f->received, (long long)r->sent);
    EI_EQ(r->statuses, f->statuses);
    EI_EQ(r->again, 0);
    EI_EQ(r->strange, 0);
    EI_EQ(r->backwards, 0);
    EI_EQ(r->answered, f->classifications);
    EI_EQ(r->classifications, f->classifications);
}

/* ---- the cases ---- */

static int32_t own_domain(void)
{
    return 20 + (int32_t)(getpid() % 180); /* other runs of the tests go on beside this one */
}

/* A figure of the first task in the summary of a run. */
static long long first_task_says(const struct einet_run *run, const char *name)
{
    struct einet_end end = {.size_bytes = sizeof end};
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    EI_EQ(einet_run_end(run, &end), 0);
    const char *at = strstr(end.summary, key);
    return EI_TRUEF(at != NULL, "the summary has no %s", name) ? strtoll(at + strlen(key), NULL, 10) : -1;
}

EI_TEST(dds_flood_is_counted_and_holds_up_no_higher_job)
{
    static struct load load;
    const struct plan plan = {
        .domain = own_domain(), .width_px = 64, .height_px = 64, .images = 3000, .period_us = CAMERA_PERIOD_US / 10};
    struct einet_figures control = {.size_bytes = sizeof control};
    EI_REQUIRE(start_camera(&load, &plan) && start_bridge(&load, &plan));
    const size_t before = mallinfo2().uordblks;
    finish(&load);
    const long grown = (long)mallinfo2().uordblks - (long)before;
    expect_one_status_each(&load);
    EI_TRUEF(load.figures.turned_away > load.figures.received / 2, "no flood: %lld of %lld were turned away",
             (long long)load.figures.turned_away, (long long)load.figures.received);
    EI_TRUE(load.figures.released > 0 && load.report.answered > 0);
    EI_TRUEF(grown < 2 * GROWTH_MAX_BYTES, "the flood left %ld bytes", grown);
    EI_EQ(einet_run_figures(load.run, CONTROL, &control), 0);
    EI_TRUE(control.completed > 100);
    /* but for those that gaps of the machine explain, which stop a probe of priority 99 as well */
    EI_EQ(control.misses, first_task_says(load.run, "misses_machine_explained"));
    EI_EQ(control.skipped + control.dropped + control.aborted, first_task_says(load.run, "not_run_machine_explained"));
    free_load(&load);
}

EI_TEST(dds_results_survive_lost_datagrams)
{
    static struct load load;
    const struct plan plan = {.domain = own_domain(),
                              .id = (int32_t)getpid(),
                              .width_px = 32,
                              .height_px = 32,
                              .images = 200,
                              .period_us = 2 * CAMERA_PERIOD_US, /* writers keep ten: what is sent anew has 200 ms */
                              .lost_per_mille = 50};
    EI_REQUIRE(start_camera(&load, &plan) && start_bridge(&load, &plan));
    finish(&load);
    expect_one_status_each(&load);
    EI_TRUEF(load.figures.received < load.report.sent, "no image was lost");
    EI_TRUEF(load.figures.received > load.report.sent / 4, "most images were lost");
    free_load(&load);
}

static long resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *in = fopen("/proc/self/statm", "re");
    EI_TRUE(in != NULL && fscanf(in, "%ld %ld", &pages, &resident) == 2);
    if (in != NULL) {
        (void)fclose(in);
    }
    return resident * sysconf(_SC_PAGESIZE);
}

EI_TEST(dds_long_run_needs_no_more_memory)
{
    static struct load load;
    const char *wish = getenv("EINET_SOAK_S");
    const long seconds = wish != NULL ? strtol(wish, NULL, 10) : SOAK_S;
    EI_REQUIRE(seconds > 0);
    const struct plan plan = {.domain = own_domain(),
                              .id = (int32_t)getpid(),
                              .width_px = 320,
                              .height_px = 240,
                              .images = seconds * (1000000 / CAMERA_PERIOD_US),
                              .period_us = CAMERA_PERIOD_US};
    EI_REQUIRE(start_camera(&load, &plan) && start_bridge(&load, &plan));
    for (int waited = 0; waited < WAIT_MS && figures_of(&load).received == 0; waited++) {
        nap_us(1000);
    }
    nap_us(seconds * (10000L * SETTLED_PERCENT));
    const long heap = (long)mallinfo2().uordblks, resident = resident_bytes();
    finish(&load);
    const long heap_grown = (long)mallinfo2().uordblks - heap, resident_grown = resident_bytes() - resident;
    printf("%lld images, %lld taken, %lld statuses, %lld answered; heap %+ld bytes, resident %+ld bytes of %ld\n",
           (long long)load.report.sent, (long long)load.figures.received, (long long)load.report.statuses,
           (long long)load.report.answered, heap_grown, resident_grown, resident);
    expect_one_status_each(&load);
    EI_TRUEF(load.figures.received > load.report.sent / 2, "most images were lost on the way");
    EI_TRUEF(heap_grown < GROWTH_MAX_BYTES, "the heap has grown by %ld bytes", heap_grown);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
    EI_TRUEF(resident_grown < GROWTH_MAX_BYTES, "the process has grown by %ld bytes", resident_grown);
#endif
    free_load(&load);
}

EI_MAIN()
