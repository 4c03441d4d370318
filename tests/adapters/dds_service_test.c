/* einet-dds as a service: what it tells its manager, what einet ctl can ask of it, what of its file can change. */
#include "tests/adapters/robot.h"
#include "tests/harness/harness.h"
#include "tests/integration/serve_play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] =
    "version: 1\nname: robot\nrun: { warmup: 0s, start_delay: 0s }\nplatform: { watchdog: 0 }\n"
    "lanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 200us, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, deadline: 10s, priority: 40,\n"
    "      late_release: { queue: 64, drop: oldest },\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: clock, arrival: { model: periodic, period: 20ms }, deadline: 20ms, priority: 60,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n";

/* A chain that goes on with what another machine has found. */
static const char follower[] =
    "version: 1\nname: arm\nrun: { warmup: 0s, start_delay: 0s }\nplatform: { watchdog: 0 }\n"
    "tasks:\n"
    "  - { name: plan, arrival: { model: external, min_interarrival: 1ms }, deadline: 200ms, priority: 40,\n"
    "      late_release: { queue: 32, drop: oldest },\n"
    "      input: { kind: topic, topic: /far/status, message: status },\n"
    "      stages: [ { name: path, kind: cpu, work: { spin: 20us } } ] }\n";

/* The loopback interface without multicast. */
static const char network[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer "
    "address=\"localhost\"/></Peers></Discovery></Domain></CycloneDDS>";

#define TURNED_AWAY 4 /* outcome of a status */

static struct service service;
static struct {
    dds_entity_t participant, images, statuses;
    int32_t sec; /* of the last image */
} side;

static bool start_text(const char *workload, const char *const *more, bool has_pool)
{
    char domain[16];
    const char *args[12] = {"--domain", domain};
    int count = 2;
    (void)snprintf(domain, sizeof domain, "%d", (int)robot_domain());
    EI_EQ(setenv("CYCLONEDDS_URI", network, 1), 0);
    for (; more != NULL && more[count - 2] != NULL && count < 11; count++) {
        args[count] = more[count - 2];
    }
    /* a node of a pool as people start it, through einet; it has the same options */
    if (!service_start_of(&service, has_pool ? "einet" : "einet-dds", workload, args, true)) {
        return false;
    }
    EI_EQ(service_told(&service, "READY=1"), 1); /* said before the line that was waited for */
    return true;
}

static bool start(const char *const *more, bool has_pool)
{
    return start_text(text, more, has_pool);
}

static void open_side(void)
{
    side.participant = dds_create_participant((dds_domainid_t)robot_domain(), NULL, NULL);
    EI_REQUIRE(side.participant > 0);
    side.images = robot_writer(side.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    side.statuses = robot_reader(side.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/eye/status");
    side.sec = 1700000000;
}

/* The status of a new image, sent again until there is one: the other side may not know of the writer yet. */
static einet_msgs_msg_dds__InferenceStatus_ ask_image(void)
{
    einet_msgs_msg_dds__InferenceStatus_ found = {.outcome = UINT8_MAX};
    void *sample = NULL;
    dds_sample_info_t info;
    side.sec++;
    for (int tries = 0; tries < 100 && found.outcome == UINT8_MAX; tries++) {
        robot_write(side.images, side.sec, 1, 0);
        for (int waited = 0; waited < 100 && found.outcome == UINT8_MAX; waited++) {
            robot_nap_ms(1);
            while (dds_take(side.statuses, &sample, &info, 1, 1) == 1) {
                const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
                if (info.valid_data && status->stamp.sec == side.sec) {
                    found = *status;
                }
                (void)dds_return_loan(side.statuses, &sample, 1);
            }
        }
    }
    EI_TRUEF(found.outcome != UINT8_MAX, "no status of image %d", (int)side.sec);
    return found;
}

/* The whole reply; with is_ok false its code is to be this one. */
static json_t *ask(const char *request, const char *code)
{
    json_t *reply = service_ask(&service, request);
    char *said = json_dumps(reply, 0);
    EI_TRUEF(json_is_true(json_object_get(reply, "ok")) == (code == NULL), "%s: %s", request, said);
    if (code != NULL) {
        EI_STREQ(json_string_value(json_object_get(reply, "code")), code);
    }
    free(said);
    return reply;
}

static void do_ask(const char *request)
{
    json_decref(ask(request, NULL));
}

static int64_t of_task(const char *task, const char *key)
{
    json_t *entry = service_task(&service, task);
    const int64_t value = json_integer_value(json_object_get(entry, key));
    json_decref(entry);
    return value;
}

static const struct finished *end(void)
{
    (void)service_told(&service, "WATCHDOG=1"); /* what was not read yet: a full socket takes no more */
    return service_end_told(&service);
}

/* The case's file with other words in it. */
static void edit(const char *from, const char *to)
{
    static char edited[sizeof text + 200];
    const char *at = strstr(text, from);
    EI_REQUIRE(at != NULL);
    (void)snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    (void)write_file("service.yaml", edited);
}

EI_TEST(dds_service_is_fed_by_the_scheduler_and_says_when_it_ends)
{
    EI_REQUIRE(start(NULL, false));
    service_check_watchdog(&service, "einet");
    const struct finished *f = end();
    EI_CONTAINS(f->output, "einet-dds: starting robot with 2 tasks");
    EI_CONTAINS(f->output, "Terminated: draining, for 10 s at most");
    EI_CONTAINS(f->output, "einet-dds: ended: ");
    EI_CONTAINS(f->output, "eye: 0 images");
}

EI_TEST(dds_service_is_controlled)
{
    EI_REQUIRE(start(NULL, false));
    open_side();
    EI_TRUE(ask_image().answered);
    json_t *reply = ask("{\"command\":\"answer\",\"task\":\"eye\"}", NULL);
    EI_TRUE(json_is_object(json_object_get(reply, "answer")));
    json_decref(reply);
    /* The deadline of the next image is the new one. */
    do_ask("{\"command\":\"set\",\"task\":\"eye\",\"deadline_ns\":9000000000,\"priority\":44}");
    const einet_msgs_msg_dds__InferenceStatus_ status = ask_image();
    EI_EQ(status.deadline_ns - status.release_ns, 9000000000);
    EI_EQ(of_task("eye", "priority"), 44);
    /* Paused: each image has a status that says so. */
    do_ask("{\"command\":\"pause\",\"task\":\"eye\"}");
    EI_EQ(ask_image().outcome, TURNED_AWAY);
    do_ask("{\"command\":\"resume\",\"task\":\"eye\"}");
    EI_EQ(ask_image().outcome, EINET_JOB_COMPLETED);
    /* Whoever has no image cannot release it. */
    reply = ask("{\"command\":\"release\",\"task\":\"eye\"}", "not_external");
    EI_CONTAINS(json_string_value(json_object_get(reply, "error")), "/camera/image_raw");
    json_decref(reply);
    /* Draining by request: an end as by SIGTERM. */
    do_ask("{\"command\":\"drain\"}");
    EI_EQ(dds_delete(side.participant), 0);
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "asked by einet ctl: draining");
    EI_CONTAINS(f->output, "asked by einet ctl and done: {\"command\":\"set\"");
}

EI_TEST(dds_service_reads_its_file_again)
{
    EI_REQUIRE(start(NULL, false));
    open_side();
    EI_TRUE(ask_image().answered);
    edit("priority: 40", "priority: 45");
    EI_EQ(kill(service.pid, SIGHUP), 0);
    service_await_told(&service, "READY=1");
    EI_EQ(of_task("eye", "priority"), 45);
    /* Another topic: refused with the reason, and all goes on. */
    edit("/camera/image_raw", "/camera/other");
    json_t *reply = ask("{\"command\":\"reload\"}", "refused");
    EI_STREQ(json_string_value(json_object_get(reply, "error")),
             "task 'eye' has another topic now, which cannot change while images come: restart the service");
    json_decref(reply);
    EI_TRUE(ask_image().answered);
    static const struct {
        const char *from, *to, *says;
    } others[] = {
        {"width: 32", "width: 64", "task 'eye' has images of another shape now"},
        {"width: 32, height: 32 },\n      stages: [ { name: p, kind: cpu, op: normalize }",
         "message: compressed_image, width: 32, height: 32 },\n"
         "      stages: [ { name: p, kind: cpu, op: [ decode, resize: 32x32, normalize ] }",
         "task 'eye' has messages of another kind now"},
        {"late_release", "outputs: { status: /said }, late_release", "task 'eye' has other outputs now"},
        {"name: eye", "name: ear", "task 'ear' is new behind a topic, which"},
        {"input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 }", "input: { kind: generated }",
         "task 'eye' is behind no topic any more, which"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        edit(others[i].from, others[i].to);
        reply = ask("{\"command\":\"reload\"}", "refused");
        EI_CONTAINS(json_string_value(json_object_get(reply, "error")), others[i].says);
        json_decref(reply);
    }
    EI_TRUE(ask_image().answered);
    EI_EQ(of_task("eye", "priority"), 45);
    EI_EQ(dds_delete(side.participant), 0);
    EI_CONTAINS(end()->output, "reload refused, all goes on as before");
}

/* What cannot change while the tasks go on: another run takes over behind the same ends on the network, and each image
 * has exactly one status, of the one or of the other. */
EI_TEST(dds_service_hands_images_over_to_another_run)
{
    static int statuses[20000];
    void *sample = NULL;
    dds_sample_info_t info;
    int sent = 0, after = 0, last_idx = -1;
    memset(statuses, 0, sizeof statuses);
    EI_REQUIRE(start(NULL, false));
    open_side();
    EI_TRUE(ask_image().answered);
    const int32_t base = side.sec;
    edit("tasks:\n", "tasks:\n"
                     "  - { name: another, arrival: { model: periodic, period: 50ms }, priority: 20,\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n");
    json_t *reply = ask("{\"command\":\"reload\"}", NULL);
    EI_TRUE(json_is_true(json_object_get(reply, "takes_over")));
    json_decref(reply);
    while (sent < 19000 && after < 50) { /* until some images after it have been sent */
        robot_write(side.images, base + ++sent, 1, 0);
        robot_nap_ms(2);
        after += after > 0 || service_told(&service, "READY=1") > 0;
    }
    EI_TRUEF(after > 0, "nobody took over");
    for (int quiet = 0; quiet < 500; quiet++) {
        while (dds_take(side.statuses, &sample, &info, 1, 1) == 1) {
            const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
            const int number = info.valid_data ? status->stamp.sec - base : 0;
            if (number > 0 && number <= sent) {
                statuses[number]++;
                last_idx = status->task_idx;
                EI_TRUEF(status->outcome == EINET_JOB_COMPLETED, "image %d of %d: outcome %d", number, sent,
                         (int)status->outcome);
            }
            (void)dds_return_loan(side.statuses, &sample, 1);
            quiet = 0;
        }
        robot_nap_ms(1);
    }
    for (int i = 1; i <= sent; i++) {
        EI_TRUEF(statuses[i] == 1, "image %d of %d has %d statuses", i, sent, statuses[i]);
    }
    EI_EQ(last_idx, 1); /* the second task of the new file */
    EI_EQ(of_task("another", "priority"), 20);
    /* And what is live can change again, and a topic cannot. */
    do_ask("{\"command\":\"set\",\"task\":\"eye\",\"deadline_ns\":8000000000}");
    const einet_msgs_msg_dds__InferenceStatus_ status = ask_image();
    EI_EQ(status.deadline_ns - status.release_ns, 8000000000);
    EI_EQ(dds_delete(side.participant), 0);
    const struct finished *f = end();
    EI_CONTAINS(f->output, "another run has taken over, the old one drains");
    EI_CONTAINS(f->output, "the old run ended: ");
    EI_CONTAINS(f->output, " 0 refused, 0 turned away");
}

EI_TEST(dds_service_of_a_pool_is_one_too)
{
    EI_REQUIRE(start((const char *[]){"--pool", "play", "--node", "a", "--rank", "60", NULL}, true));
    service_check_watchdog(&service, "einet");
    open_side();
    for (int waited = 0; waited < ROBOT_WAIT_MS && of_task("eye", "completed") == 0; waited += 20) {
        robot_write(side.images, ++side.sec, 1, 0);
        robot_nap_ms(20);
    }
    EI_TRUE(of_task("eye", "completed") > 0);
    do_ask("{\"command\":\"set\",\"task\":\"eye\",\"priority\":44}");
    EI_EQ(of_task("eye", "priority"), 44);
    edit("priority: 40", "priority: 45");
    do_ask("{\"command\":\"reload\"}");
    EI_EQ(of_task("eye", "priority"), 45);
    edit("period: 20ms", "period: 40ms");
    json_t *reply = ask("{\"command\":\"reload\"}", "refused");
    EI_CONTAINS(json_string_value(json_object_get(reply, "error")), "restart the service");
    json_decref(reply);
    EI_EQ(dds_delete(side.participant), 0);
    const struct finished *f = end();
    EI_CONTAINS(f->output, "einet-dds: ended: ");
}

/* The egress runs nothing: its watchdog is fed by the thread that passes answers on. */
EI_TEST(dds_service_of_the_egress)
{
    char domain[16];
    (void)snprintf(domain, sizeof domain, "%d", (int)robot_domain());
    EI_EQ(setenv("CYCLONEDDS_URI", network, 1), 0);
    service = (struct service){0};
    EI_REQUIRE(service_launch(&service, "einet-dds",
                              (const char *[]){"egress", "--pool", "play", "--domain", domain, NULL}, "running\n",
                              true));
    EI_EQ(service_told(&service, "READY=1"), 1);
    service_check_watchdog(&service, "dds_egress");
    EI_CONTAINS(service.last_status, "STATUS=0 tasks, 0 frames passed");
    (void)end();
}

EI_TEST(units_of_systemd_for_topics_are_sound)
{
    check_unit("einet-dds", "einet-dds");
    check_unit("einet-egress", "einet-dds");
}

EI_TEST(dds_service_says_that_results_release_what_follows)
{
    EI_REQUIRE(start_text(follower, NULL, false));
    json_t *reply = ask("{\"command\":\"release\",\"task\":\"plan\"}", "not_external");
    EI_CONTAINS(json_string_value(json_object_get(reply, "error")),
                "task 'plan' is released by the results of its topic, /far/status");
    json_decref(reply);
    do_ask("{\"command\":\"drain\"}");
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
}

EI_MAIN()
