/* Messages that are none, sent to einet-dds in a process of its own, over the network: what a hostile or broken sender
 * can put on the wire. A writer whose type has the name of an image and the layout of a row of bytes sends whatever is
 * wanted; the seconds of the stamp are then the number of the bytes behind them. All of them are counted, and the
 * images of others go on. Also what programs of others see of us. */
#include "adapters/dds/type_hash.h"
#include "rt/random.h"
#include "tests/adapters/robot.h"
#include "tests/harness/harness.h"

#include "hostile.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char text[] =
    "version: 1\nname: hostile\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 } ] } } }\n"
    "tasks:\n"
    "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, deadline: 20ms, priority: 40,\n"
    "      late_release: { queue: 2, drop: oldest }, outputs: { partial: /seen },\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: clock, arrival: { model: periodic, period: 10ms }, deadline: 10ms, priority: 70,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n"
    "  - { name: plan, arrival: { model: external, min_interarrival: 1ms }, deadline: 20ms, priority: 50,\n"
    "      late_release: { queue: 2, drop: oldest }, input: { kind: topic, topic: /far/status, message: status },\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n";

/* The loopback interface without multicast. */
static const char network[] =
    "<CycloneDDS><Domain id=\"any\"><General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface "
    "name=\"lo\"/></Interfaces></General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer "
    "address=\"localhost\"/></Peers></Discovery></Domain></CycloneDDS>";

/* ---- einet-dds beside us ---- */

static struct {
    pid_t child;
    int out; /* its standard output */
    dds_entity_t participant, images, statuses;
} side;

static void start_command(void)
{
    char file[512], out_dir[512], domain[16], command[600];
    int out[2];
    (void)snprintf(file, sizeof file, "%s/hostile.yaml", ei_test_tmpdir());
    (void)snprintf(out_dir, sizeof out_dir, "%s/out", ei_test_tmpdir());
    (void)snprintf(domain, sizeof domain, "%d", (int)robot_domain());
    (void)snprintf(command, sizeof command, "%s/einet-dds", ei_test_build_dir());
    FILE *yaml = fopen(file, "w");
    EI_REQUIRE(yaml != NULL && fputs(text, yaml) >= 0 && fclose(yaml) == 0);
    EI_REQUIRE(pipe(out) == 0);
    EI_EQ(setenv("CYCLONEDDS_URI", network, 1), 0);
    side.child = fork();
    if (side.child == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)close(out[0]);
        (void)close(out[1]);
        execl(command, command, "--domain", domain, "--out", out_dir, file, (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    side.out = out[0];
    char line[16] = "";
    EI_TRUE(read(side.out, line, sizeof line - 1) > 0); /* "running" */
    EI_STREQ(line, "running\n");
    side.participant = dds_create_participant((dds_domainid_t)robot_domain(), NULL, NULL);
    EI_REQUIRE(side.participant > 0);
}

/* SIGTERM, its last words into out_text, and its status. */
static void stop_command(char *out_text, size_t size_bytes)
{
    int status = 0;
    size_t length = 0;
    EI_EQ(dds_delete(side.participant), 0);
    EI_EQ(kill(side.child, SIGTERM), 0);
    for (ssize_t got = 1; got > 0 && length + 1 < size_bytes; length += got > 0 ? (size_t)got : 0) {
        got = read(side.out, out_text + length, size_bytes - 1 - length);
    }
    out_text[length] = '\0';
    (void)close(side.out);
    EI_EQ(waitpid(side.child, &status, 0), side.child);
    EI_TRUEF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "einet-dds ended with status %d", status);
}

static bool is_matched(dds_entity_t end)
{
    dds_publication_matched_status_t written = {0};
    dds_subscription_matched_status_t read = {0};
    return (dds_get_publication_matched_status(end, &written) == 0 && written.current_count > 0) ||
           (dds_get_subscription_matched_status(end, &read) == 0 && read.current_count > 0);
}

static void await_match(dds_entity_t end)
{
    for (int waited = 0; waited < ROBOT_WAIT_MS && !is_matched(end); waited++) {
        robot_nap_ms(1);
    }
    EI_TRUE(is_matched(end));
}

static void open_good_ends(void)
{
    side.images = robot_writer(side.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    side.statuses = robot_reader(side.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/eye/status");
    await_match(side.images);
    await_match(side.statuses);
}

/* Whether a status with these seconds in its stamp comes soon. */
static bool is_told(uint32_t sec)
{
    void *sample = NULL;
    dds_sample_info_t info;
    for (int waited = 0; waited < 100;) {
        if (dds_take(side.statuses, &sample, &info, 1, 1) != 1) {
            robot_nap_ms(1);
            waited++;
            continue;
        }
        const bool is_it = (uint32_t)((const einet_msgs_msg_dds__InferenceStatus_ *)sample)->stamp.sec == sec;
        (void)dds_return_loan(side.statuses, &sample, 1);
        if (is_it) {
            return true;
        }
    }
    return false;
}

/* Whether a good image is answered; tried again, as the other side may not know of the writer yet. */
static bool is_answered(int32_t sec)
{
    bool is_it = false;
    for (int tries = 0; tries < 100 && !is_it; tries++) {
        robot_write(side.images, sec, 1, 0);
        is_it = is_told((uint32_t)sec);
    }
    return is_it;
}

/* A type of another layout with the name of what a topic has. */
static dds_entity_t forged_end(const dds_topic_descriptor_t *layout, const dds_topic_descriptor_t *type,
                               const char *topic, dds_entity_t participant)
{
    dds_topic_descriptor_t forged;
    memcpy(&forged, layout, sizeof forged);
    *(const char **)(uintptr_t)&forged.m_typename = type->m_typename;
    return robot_writer(participant, &forged, topic, NULL);
}

static dds_entity_t forged_writer(const dds_topic_descriptor_t *layout, dds_entity_t participant)
{
    return forged_end(layout, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", participant);
}

/* ---- bytes ---- */

struct bytes {
    uint8_t at[8192];
    uint32_t length; /* behind the seconds of the stamp */
};

static void put(struct bytes *b, const void *data, uint32_t length)
{
    memcpy(b->at + b->length, data, length);
    b->length += length;
}

static void put_u32(struct bytes *b, uint32_t value)
{
    static const uint8_t none[4];
    put(b, none, -b->length % 4);
    put(b, &value, sizeof value);
}

static void put_text(struct bytes *b, const char *word)
{
    put_u32(b, (uint32_t)strlen(word) + 1);
    put(b, word, (uint32_t)strlen(word) + 1);
}

/* What a message claims; all of it true of a good one. */
struct claim {
    const char *what, *refusal; /* refusal NULL = it cannot be decoded, "" = it is good */
    uint32_t nanosec, frame_id_length, width, height, step, data_length;
    const char *encoding;
    uint32_t cut; /* bytes that are missing at the end */
};

#define PIXELS (ROBOT_SIDE * ROBOT_SIDE * 3)

static void build(const struct claim *claim, struct bytes *out)
{
    static const uint8_t pixels[PIXELS];
    out->length = 0;
    put_u32(out, claim->nanosec);
    put_u32(out, claim->frame_id_length);
    put(out, "eye", 4);
    put_u32(out, claim->height);
    put_u32(out, claim->width);
    put_text(out, claim->encoding);
    put(out, "", 1); /* is_bigendian */
    put_u32(out, claim->step);
    put_u32(out, claim->data_length);
    put(out, pixels, PIXELS);
    out->length -= claim->cut;
}

#define GOOD .frame_id_length = 4, .width = 32, .height = 32, .step = 96, .data_length = PIXELS, .encoding = "rgb8"
#define BUT(...) GOOD, __VA_ARGS__

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct claim claims[] = {
    {"nothing is wrong", "", GOOD},
    {"the last pixels are missing", NULL, BUT(.cut = 4)},
    {"all pixels are missing", NULL, BUT(.cut = PIXELS)},
    {"it ends in the header", NULL, BUT(.cut = PIXELS + 36)},
    {"4 GB of pixels", NULL, BUT(.data_length = UINT32_MAX)},
    {"4 GB of pixels less what overflows", NULL, BUT(.data_length = UINT32_MAX - 64)},
    {"2 GB of pixels", NULL, BUT(.data_length = INT32_MAX)},
    {"one pixel more than there is", NULL, BUT(.data_length = PIXELS + 1)},
    {"a frame_id of 4 GB", NULL, BUT(.frame_id_length = UINT32_MAX)},
    {"a frame_id without its end", NULL, BUT(.frame_id_length = 3)},
    {"fewer pixels than rows", "other bytes than step and height say", BUT(.data_length = PIXELS - 3)},
    {"rows shorter than their pixels", "rows shorter than their pixels", BUT(.step = 95)},
    {"rows of 4 GB", "other bytes than step and height say", BUT(.step = UINT32_MAX)},
    {"no rows", "rows shorter than their pixels", BUT(.step = 0)},
    {"no width", "no width or no height", BUT(.width = 0)},
    {"4 G rows", "larger than the input of the task", BUT(.height = UINT32_MAX)},
    {"a width whose bytes overflow", "larger than the input of the task", BUT(.width = 0x55555556)},
    {"an unknown encoding", "an encoding or a file format that is not known", BUT(.encoding = "\xff\xfe%s%n")},
    {"no encoding", "an encoding or a file format that is not known", BUT(.encoding = "")},
    {"two seconds of nanoseconds", "no fraction of a second", BUT(.nanosec = 2000000000)},
};
#pragma GCC diagnostic pop
#define CLAIMS ((int)(sizeof claims / sizeof claims[0]))
#define ROUNDS 20

static void write_bytes(dds_entity_t writer, struct bytes *bytes)
{
    const hostile_Raw raw = {.bytes = {._length = bytes->length, ._maximum = bytes->length, ._buffer = bytes->at}};
    EI_EQ(dds_write(writer, &raw), DDS_RETCODE_OK);
    robot_nap_ms(1); /* a camera's queue has five places */
}

/* A figure of what the command said in the end, which stands before a word; -1 = there is none. */
static long figure_of(const char *said, const char *before, const char *word)
{
    const char *at = strstr(said, before), *end = at != NULL ? strstr(at, word) : NULL;
    while (end != NULL && end > at && (end[-1] == ' ' || (end[-1] >= '0' && end[-1] <= '9'))) {
        end--;
    }
    return end != NULL ? strtol(end, NULL, 10) : -1;
}

EI_TEST(dds_bytes_that_are_no_image_are_counted_and_harm_nobody)
{
    static struct bytes bytes;
    char said[4096];
    int refused = 0, undecodable = 0;
    start_command();
    open_good_ends();
    const dds_entity_t forged = forged_writer(&hostile_Raw_desc, side.participant);
    await_match(forged);
    bool is_known = false;
    for (int tries = 0; tries < 100 && !is_known; tries++) { /* a good one, until the other side knows the writer */
        build(&claims[0], &bytes);
        write_bytes(forged, &bytes);
        is_known = is_told(bytes.length);
    }
    EI_TRUE(is_known);
    for (int i = 0; i < CLAIMS * ROUNDS; i++) {
        build(&claims[i % CLAIMS], &bytes);
        write_bytes(forged, &bytes);
        refused += claims[i % CLAIMS].refusal != NULL && claims[i % CLAIMS].refusal[0] != '\0';
        undecodable += claims[i % CLAIMS].refusal == NULL;
    }
    EI_TRUEF(is_answered(1700000000), "no image is answered any longer");
    stop_command(said, sizeof said);
    EI_EQ(figure_of(said, "eye: ", " refused"), refused);
    EI_EQ(figure_of(said, "\n", " messages that could not be decoded"), undecodable);
    EI_CONTAINS(said, "fraction of a second"); /* why the last one was */
}

/* Any bytes in the place of a status, most of them as long as one: they are what no run says, or what one might have
 * said; all of them are counted, and who comes after them is heard. */
EI_TEST(dds_bytes_that_are_no_result_are_counted_and_harm_nobody)
{
    enum { SENT = 2000, STATUS_BYTES = 92 /* behind the seconds */ };
    static struct bytes bytes;
    const uint64_t seed = 20261122;
    struct ei_random rng;
    char said[4096];
    start_command();
    const dds_entity_t forged =
        forged_end(&hostile_Raw_desc, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/far/status", side.participant);
    const dds_entity_t good =
        robot_writer(side.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/far/status", NULL);
    side.statuses = robot_reader(side.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/plan/status");
    await_match(forged);
    await_match(good);
    await_match(side.statuses);
    ei_random_init(&rng, seed, 0);
    for (int i = 0; i < SENT; i++) {
        bytes.length = i % 4 == 0 ? (uint32_t)ei_random_below(&rng, 200) : STATUS_BYTES;
        for (uint32_t k = 0; k < bytes.length; k++) {
            bytes.at[k] = i % 4 == 1 ? (uint8_t)(ei_random_u64(&rng) & 1) : (uint8_t)ei_random_u64(&rng);
        }
        write_bytes(forged, &bytes);
    }
    const einet_msgs_msg_dds__InferenceStatus_ status = {
        .stamp = {.sec = 1700000000}, .is_final = true, .label = -1, .exit_idx = -1};
    EI_EQ(dds_write(good, &status), DDS_RETCODE_OK);
    EI_TRUEF(is_told(1700000000), "no result is followed any longer");
    stop_command(said, sizeof said);
    const long refused = figure_of(said, "plan: ", " refused"), released = figure_of(said, "plan: ", " released"),
               skipped = figure_of(said, "plan: ", " skipped"), turned = figure_of(said, "plan: ", " turned"),
               undecodable = figure_of(said, "\n", " messages that could not be decoded");
    fprintf(stdout, "%ld refused, %ld undecodable, %ld released, %ld skipped\n", refused, undecodable, released,
            skipped);
    EI_EQ(refused + released + skipped + turned + undecodable, SENT + 1);
    EI_TRUEF(refused > 100 && undecodable > 100 && released > 0, "seed %llu: %s", (unsigned long long)seed, said);
}

/* A message of another name on the topic is no match; one of another layout with the same name is no image. */
EI_TEST(dds_other_messages_on_the_topic_are_not_believed)
{
    char said[4096], word[] = "north";
    start_command();
    const dds_entity_t other = robot_writer(side.participant, &hostile_Other_desc, "rt/camera/image_raw", NULL);
    const dds_entity_t forged = forged_writer(&hostile_Other_desc, side.participant);
    const hostile_Other message = {.number = 7, .text = word};
    open_good_ends();
    await_match(forged);
    EI_TRUEF(is_answered(1700000000), "no image is answered");
    EI_TRUE(!is_matched(other));
    for (int i = 0; i < 10; i++) {
        EI_EQ(dds_write(other, &message), DDS_RETCODE_OK);
        EI_EQ(dds_write(forged, &message), DDS_RETCODE_OK);
        robot_nap_ms(1);
    }
    EI_TRUEF(is_answered(1700000001), "no image is answered any longer");
    stop_command(said, sizeof said);
    EI_EQ(figure_of(said, "eye: ", " refused"), 0);
    EI_EQ(figure_of(said, "\n", " messages that could not be decoded"), 10);
}

/* ---- what others see ---- */

/* An end that the domain must have: topic, type, and the hash in its user data. */
struct end {
    const char *topic, *type;
    bool is_writer;
    int seen;
};

#define ENDS 7
static const struct end announced[ENDS] = {
    {"rt/camera/image_raw", "sensor_msgs::msg::dds_::Image_", false, 0},
    {"rt/einet/eye/classification", "vision_msgs::msg::dds_::Classification_", true, 0},
    {"rt/einet/eye/status", "einet_msgs::msg::dds_::InferenceStatus_", true, 0},
    {"rt/seen", "einet_msgs::msg::dds_::InferenceStatus_", true, 0},
    {"rt/far/status", "einet_msgs::msg::dds_::InferenceStatus_", false, 0},
    {"rt/einet/plan/status", "einet_msgs::msg::dds_::InferenceStatus_", true, 0},
    {"rt/diagnostics", "diagnostic_msgs::msg::dds_::DiagnosticArray_", true, 0},
};

/* What its user data says. */
static void print_hash(const struct end *end, char *out, size_t size)
{
    char hash[EI_DDS_TYPE_HASH_MAX] = "";
    EI_EQ(ei_dds_type_hash_of_dds(end->type, hash), 0);
    (void)snprintf(out, size, "typehash=%s;", hash);
}

static void look_at_end(struct end *ends, const dds_builtintopic_endpoint_t *seen, bool is_writer)
{
    for (int i = 0; i < ENDS; i++) {
        char wanted[EI_DDS_TYPE_HASH_MAX + 16];
        void *data = NULL;
        size_t length = 0;
        if (ends[i].is_writer != is_writer || strcmp(ends[i].topic, seen->topic_name) != 0) {
            continue;
        }
        EI_STREQ(seen->type_name, ends[i].type);
        print_hash(&ends[i], wanted, sizeof wanted);
        EI_TRUE(dds_qget_userdata(seen->qos, &data, &length) && length == strlen(wanted) &&
                memcmp(data, wanted, length) == 0);
        dds_free(data);
        ends[i].seen++;
    }
}

/* As tools do: from what participants announce. */
EI_TEST(dds_ends_are_announced_with_topic_type_and_hash)
{
    struct end ends[ENDS];
    char said[4096];
    int found = 0;
    memcpy(ends, announced, sizeof ends);
    start_command();
    const dds_entity_t writers = dds_create_reader(side.participant, DDS_BUILTIN_TOPIC_DCPSPUBLICATION, NULL, NULL);
    const dds_entity_t readers = dds_create_reader(side.participant, DDS_BUILTIN_TOPIC_DCPSSUBSCRIPTION, NULL, NULL);
    for (int waited = 0; waited < ROBOT_WAIT_MS && found < ENDS; waited++) {
        for (int is_writer = 0; is_writer < 2; is_writer++) {
            void *sample = NULL;
            dds_sample_info_t info;
            const dds_entity_t reader = is_writer ? writers : readers;
            while (dds_take(reader, &sample, &info, 1, 1) == 1) {
                if (info.valid_data) {
                    look_at_end(ends, sample, is_writer);
                }
                (void)dds_return_loan(reader, &sample, 1);
                sample = NULL;
            }
        }
        found = 0;
        for (int i = 0; i < ENDS; i++) {
            found += ends[i].seen;
        }
        robot_nap_ms(1);
    }
    for (int i = 0; i < ENDS; i++) {
        EI_TRUEF(ends[i].seen == 1, "%s was seen %d times", ends[i].topic, ends[i].seen);
    }
    stop_command(said, sizeof said);
}

/* CycloneDDS's own load generator in the same domain, in processes of its own. */
EI_TEST(dds_other_programs_in_the_domain_do_no_harm)
{
    char said[4096], command[256];
    if (system("command -v ddsperf >/dev/null") != 0) {
        ei_test_skip("ddsperf is not installed (cyclonedds-tools)");
    }
    start_command();
    open_good_ends();
    EI_TRUEF(is_answered(1700000000), "no image is answered");
    (void)snprintf(command, sizeof command, "ddsperf -i %d -D 2 pub 1kHz size 4k sub >%s/ddsperf 2>&1",
                   (int)robot_domain(), ei_test_tmpdir());
    EI_EQ(system(command), 0);
    EI_TRUEF(is_answered(1700000001), "no image is answered any longer");
    stop_command(said, sizeof said);
    EI_EQ(figure_of(said, "eye: ", " refused"), 0);
    EI_EQ(figure_of(said, "\n", " messages that could not be decoded"), -1);
}

/* ---- CycloneDDS for Python: another library than ours, and messages taken apart by code of its own ---- */

static void skip_without_peer(void)
{
    if (system("command -v cyclonedds >/dev/null") != 0) {
        ei_test_skip(
            "the command cyclonedds is not there (pip install cyclonedds, in a virtual environment of its own)");
    }
}

/* What a command prints; it ends with status 0. */
static void listen_to(const char *command, char *out, size_t size_bytes)
{
    FILE *in = popen(command, "r");
    EI_REQUIRE(in != NULL);
    out[fread(out, 1, size_bytes - 1, in)] = '\0';
    const int status = pclose(in);
    EI_TRUEF(status == 0, "%s: status %d\n%s", command, status, out);
}

EI_TEST(dds_a_program_of_others_lists_topics_types_and_hashes)
{
    static char seen[200000];
    char said[4096], command[256];
    skip_without_peer();
    start_command();
    (void)snprintf(command, sizeof command,
                   "COLUMNS=250 cyclonedds ls --id %d --qos --suppress-progress-bar --color none 2>&1",
                   (int)robot_domain());
    listen_to(command, seen, sizeof seen);
    for (int i = 0; i < ENDS; i++) {
        char title[64], hash[EI_DDS_TYPE_HASH_MAX + 16];
        (void)snprintf(title, sizeof title, " %s ", announced[i].topic);
        print_hash(&announced[i], hash, sizeof hash);
        const char *topic = strstr(seen, title);
        const char *ends = topic != NULL ? strstr(topic, announced[i].is_writer ? "Writers" : "Readers") : NULL;
        const char *type = topic != NULL ? strstr(topic, announced[i].type) : NULL;
        const char *user_data = topic != NULL ? strstr(topic, hash) : NULL;
        EI_TRUEF(type != NULL && type < ends && user_data != NULL && user_data < ends,
                 "%s is not listed with %s and %s:\n%s", announced[i].topic, announced[i].type, hash, seen);
    }
    stop_command(said, sizeof said);
}

/* Whether it prints a field so. */
static bool is_printed(const char *seen, const char *name, long long value)
{
    char line[100];
    (void)snprintf(line, sizeof line, "%s %lld\n", name, value);
    return strstr(seen, line) != NULL;
}

/* An image that it has put together, and the answers as it reads them and as we do. */
EI_TEST(dds_a_program_of_others_shows_an_image_and_reads_the_answers)
{
    static char seen[20000];
    char said[4096], command[256];
    void *sample = NULL;
    dds_sample_info_t info;
    skip_without_peer();
    start_command();
    side.statuses = robot_reader(side.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/eye/status");
    await_match(side.statuses);
    (void)snprintf(
        command, sizeof command,
        "$(sed -n '1s/^#!//p' $(command -v cyclonedds)) -B tests/adapters/cyclonedds_peer.py %d eye 1700000000 "
        "2>&1",
        (int)robot_domain());
    listen_to(command, seen, sizeof seen);
    bool is_same = false;
    while (!is_same && dds_take(side.statuses, &sample, &info, 1, 1) == 1) { /* it may have missed the first of them */
        const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
        is_same = info.valid_data && is_printed(seen, "status.job_idx", status->job_idx) &&
                  is_printed(seen, "status.stamp.sec", 1700000000) && is_printed(seen, "status.stamp.nanosec", 5) &&
                  is_printed(seen, "status.answered", 1) && is_printed(seen, "status.is_final", 1) &&
                  is_printed(seen, "status.deadline_met", status->deadline_met) &&
                  is_printed(seen, "status.exits_total", 1) && is_printed(seen, "status.label", status->label) &&
                  is_printed(seen, "status.blocks_done", 2) &&
                  is_printed(seen, "status.release_ns", status->release_ns) &&
                  is_printed(seen, "status.lane_busy_ns", status->lane_busy_ns) &&
                  is_printed(seen, "classification.results.0.class_id", status->label);
        (void)dds_return_loan(side.statuses, &sample, 1);
        sample = NULL;
    }
    EI_TRUEF(is_same, "it reads other answers than we do:\n%s", seen);
    EI_TRUE(is_printed(seen, "classification.header.stamp.sec", 1700000000));
    EI_CONTAINS(seen, "classification.header.frame_id peer\n");
    EI_CONTAINS(seen, "classification.results.4.score 0.0");
    stop_command(said, sizeof said);
    EI_EQ(figure_of(said, "eye: ", " refused"), 0);
}

EI_MAIN()
