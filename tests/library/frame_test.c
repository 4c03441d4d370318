/* Pictures handed in with releases, through libeinet.so alone; what is in them comes from the generated set. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include "workloads/dataset.h"
#include <errno.h>
#include <stdlib.h>

#define SIDE 32
#define PICTURES 8
#define PICTURE_BYTES (SIDE * SIDE * 3)

static struct play play; /* large */
static atomic_int given_back[PICTURES * 4];
static atomic_int strange;

/* context: its counter; data: anything of ours. */
static void give_back(void *context, const void *data)
{
    atomic_fetch_add((atomic_int *)context, 1);
    strange += data == NULL;
}

static struct einet_frame frame_of(const void *data, size_t bytes, int32_t format)
{
    return (struct einet_frame){.size_bytes = sizeof(struct einet_frame),
                                .data = data,
                                .data_bytes = bytes,
                                .format = format,
                                .width_px = SIDE,
                                .height_px = SIDE,
                                .channels = 3};
}

/* ---- what the network sees ---- */

static struct einet_answer answers[2 * PICTURES];
static atomic_int answer_count;

static void keep_answer(void *context, const struct einet_result *result)
{
    (void)context;
    if (result->tag < 2 * PICTURES && (result->flags & EINET_RESULT_ANSWERED) != 0) {
        answers[result->tag] = result->answer;
    }
    answer_count++;
}

/* Rows of interleaved pixels, with a gap of garbage behind each. */
static void interleave(const uint8_t *planes, uint8_t *out, size_t row_bytes)
{
    memset(out, 0xa5, row_bytes * SIDE);
    for (size_t y = 0; y < SIDE; y++) {
        for (size_t x = 0; x < SIDE; x++) {
            for (size_t c = 0; c < 3; c++) {
                out[y * row_bytes + x * 3 + c] = planes[c * SIDE * SIDE + y * SIDE + x];
            }
        }
    }
}

static const char seeing[] =
    "version: 1\nname: seeing\nrun: { start_delay: 0s }\nlanes: { cpu0: { kind: cpu } }\n"
    "models: { m: { zoo: b-alexnet, dataset: generated,\n"
    "               weights: models/pretrained/b-alexnet-generated.safetensors } }\n"
    "tasks:\n"
    "  - name: see\n"
    "    arrival: { model: external, min_interarrival: 100us }\n"
    "    deadline: 10s\n"
    "    planner: { search: all }\n"
    "    late_release: { queue: 16, drop: newest }\n"
    "    input: { kind: caller, width: 32, height: 32 }\n"
    "    stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: cpu0 } ]\n";

/* The same picture once borrowed in planes and once copied in rows with gaps: the same answer, and mostly the right
 * one. */
EI_TEST(frame_reaches_the_network_borrowed_or_copied)
{
    static uint8_t rows[PICTURES][SIDE * (SIDE * 3 + 13)];
    struct ei_dataset *set = NULL;
    struct einet_error err = {0};
    int labels[PICTURES], right = 0;
    play_init(&play, seeing);
    play.callbacks.on_result = keep_answer;
    play.callbacks.on_miss = NULL;
    EI_REQUIRE(play_create(&play));
    const int rc = einet_run_start(play.run, &err);
    if (rc == EINET_E_BACKEND) {
        play_done(&play);
        ei_test_skip("no backend for networks: %s", err.text);
    }
    EI_TRUEF(rc == 0, "%s", err.text);
    EI_REQUIRE(ei_dataset_open_generated(1, EI_SPLIT_TEST, PICTURES, &set, &err) == 0);
    for (int i = 0; i < PICTURES; i++) {
        struct einet_image image;
        EI_EQ(ei_dataset_sample(set, i, &image, &labels[i]), 0);
        struct einet_frame planes = frame_of(image.data, image.size_bytes, EINET_PIXELS_CHW_U8);
        planes.release = give_back;
        planes.context = &given_back[i];
        const size_t row_bytes = SIDE * 3 + 13;
        interleave(image.data, rows[i], row_bytes);
        struct einet_frame copied = frame_of(rows[i], row_bytes * SIDE - 13, EINET_PIXELS_HWC_U8);
        copied.row_bytes = row_bytes;
        EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, (uint64_t)(2 * i), &planes), 0);
        EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, (uint64_t)(2 * i + 1), &copied), 0);
        memset(rows[i], 0, sizeof rows[i]); /* it was copied */
        while (answer_count < 2 * i + 2) {
            play_sleep_ms(1);
        }
    }
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    for (int i = 0; i < PICTURES; i++) {
        const struct einet_answer *a = &answers[2 * i], *b = &answers[2 * i + 1];
        EI_EQ(a->label, b->label);
        EI_TRUE(a->confidence == b->confidence && a->confidence > 0);
        EI_TRUE(memcmp(a->top_class, b->top_class, sizeof a->top_class) == 0);
        right += a->label == labels[i];
        EI_EQ(given_back[i], 1);
    }
    EI_TRUEF(right > PICTURES / 2, "%d of %d answers are right", right, PICTURES);
    EI_EQ(strange, 0);
    ei_dataset_destroy(set);
    play_done(&play);
}

/* ---- who owns it ---- */

static const char slow[] =
    "version: 1\nname: slow\nrun: { start_delay: 0s }\ntasks:\n"
    "  - { name: a, arrival: { model: external, min_interarrival: 100us }, class: other,\n"
    "      late_release: { queue: 1, drop: oldest }, input: { kind: caller, width: 32, height: 32 },\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 20ms } } ] }\n"
    "  - { name: b, arrival: { model: external, min_interarrival: 100us }, class: other,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";

/* Whatever becomes of a release, its picture comes back once; one that was refused does not. */
static void give_many(bool is_stopped)
{
    static uint8_t pixels[PICTURE_BYTES];
    int taken = 0;
    memset(given_back, 0, sizeof given_back);
    play_init(&play, slow);
    EI_REQUIRE(play_start(&play));
    for (int i = 0; i < PICTURES * 4; i++) {
        struct einet_frame frame = frame_of(pixels, sizeof pixels, EINET_PIXELS_HWC_U8);
        frame.release = give_back;
        frame.context = &given_back[i];
        const int rc = einet_run_release_frame(play.run, 0, EINET_NOW, (uint64_t)i, &frame);
        EI_TRUEF(rc == 0 || rc == -ENOBUFS, "%d", rc);
        taken += rc == 0;
        if (rc != 0) {
            given_back[i] = 1; /* so that one more is one too many */
        }
    }
    EI_EQ(is_stopped ? einet_run_stop(play.run) : einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    EI_TRUE(taken >= 10);
    for (int i = 0; i < PICTURES * 4; i++) {
        EI_TRUEF(given_back[i] == 1, "picture %d came back %d times", i, given_back[i]);
    }
    EI_EQ(play.results[0], taken);
    EI_EQ(strange, 0);
    play_done(&play);
}

EI_TEST(frame_comes_back_once_when_drained)
{
    give_many(false);
}

EI_TEST(frame_comes_back_once_when_stopped)
{
    give_many(true);
}

/* Also with nothing to call back. */
EI_TEST(frame_comes_back_without_callbacks)
{
    static uint8_t pixels[PICTURE_BYTES];
    play_init(&play, slow);
    play.options.callbacks = NULL;
    EI_REQUIRE(play_start(&play));
    struct einet_frame frame = frame_of(pixels, sizeof pixels, EINET_PIXELS_HWC_U8);
    frame.release = give_back;
    frame.context = &given_back[0];
    EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, 1, &frame), 0);
    while (given_back[0] == 0) {
        play_sleep_ms(1);
    }
    EI_EQ(einet_run_release(play.run, 0, EINET_NOW, 1), -EINVAL); /* it wants a picture */
    EI_EQ(einet_run_release_frame(play.run, 1, EINET_NOW, 1, &frame), -EINVAL);
    EI_EQ(einet_run_release(play.run, 1, EINET_NOW, 1), 0);
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    EI_EQ(given_back[0], 1);
    EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, 1, &frame), -ESHUTDOWN);
    EI_EQ(given_back[0], 1);
    play_done(&play);
}

/* ---- what is refused ---- */

static void refuse(int32_t task, struct einet_frame frame, int code, const char *why)
{
    struct einet_error err = {0};
    frame.release = frame.release != NULL ? give_back : NULL;
    frame.context = &given_back[0];
    EI_EQ(einet_run_check_frame(play.run, task, &frame, &err), code);
    EI_EQ(err.code, code);
    EI_CONTAINS(err.text, why);
    EI_EQ(einet_run_release_frame(play.run, task, EINET_NOW, 1, &frame), code);
}

EI_TEST(frame_of_the_wrong_shape_is_refused)
{
    static uint8_t pixels[PICTURE_BYTES];
    const struct einet_frame good = frame_of(pixels, sizeof pixels, EINET_PIXELS_HWC_U8);
    struct einet_frame bad;
    play_init(
        &play,
        "version: 1\nname: shapes\nlanes: { acc: { kind: cpu } }\n"
        "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 10us, score: 0.5 } ] } } }\n"
        "tasks:\n"
        "  - { name: exact, arrival: { model: external, min_interarrival: 1ms },\n"
        "      input: { kind: caller, width: 32, height: 32 },\n"
        "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n"
        "  - { name: scaled, arrival: { model: external, min_interarrival: 1ms },\n"
        "      input: { kind: caller, width: 64, height: 48 },\n"
        "      stages: [ { name: p, kind: cpu, op: [ decode, resize: 32x32, normalize ] },\n"
        "                { name: n, kind: nn, model: net, lane: acc } ] }\n");
    EI_REQUIRE(play_start(&play));
    EI_EQ(einet_run_check_frame(play.run, 0, &good, NULL), 0);
    EI_EQ(einet_run_check_frame(play.run, 1, &good, NULL), 0);
#define REFUSE(task, change, code, why)                                                                                \
    do {                                                                                                               \
        bad = good;                                                                                                    \
        change;                                                                                                        \
        refuse(task, bad, code, why);                                                                                  \
    } while (0)
    REFUSE(0, bad.width_px = 31, -EINVAL, "no op resize");
    REFUSE(1, bad.width_px = 65, -EMSGSIZE, "larger");
    REFUSE(1, bad.height_px = 49, -EMSGSIZE, "larger");
    REFUSE(1, bad.height_px = 0, -EINVAL, "size");
    REFUSE(1, bad.height_px = -1, -EINVAL, "size");
    REFUSE(0, bad.channels = 1, -EINVAL, "channels");
    REFUSE(0, bad.data = NULL, -EINVAL, "no data");
    REFUSE(0, bad.data_bytes--, -EINVAL, "fewer bytes");
    REFUSE(0, bad.row_bytes = SIDE * 3 - 1, -EINVAL, "row_bytes");
    REFUSE(0, bad.row_bytes = SIZE_MAX, -EINVAL, "fewer bytes");
    REFUSE(0, bad.row_bytes = SIDE * 3 + 1, -EINVAL, "fewer bytes");
    REFUSE(0, (bad.row_bytes = SIDE * 3 + 1, bad.release = give_back), -EINVAL, "borrowed");
    REFUSE(0, (bad.format = EINET_PIXELS_CHW_U8, bad.row_bytes = SIDE), -EINVAL, "row_bytes");
    REFUSE(0, bad.format = 99, -EINVAL, "format");
    REFUSE(0, bad.format = EINET_PIXELS_PNG, -EINVAL, "decode");
    REFUSE(1, (bad.format = EINET_PIXELS_JPEG, bad.data_bytes = (size_t)1 << 30), -EMSGSIZE, "file");
    REFUSE(0, bad.size_bytes = 0, -EINVAL, "size_bytes");
    REFUSE(2, bad.width_px = SIDE, -EINVAL, "takes none");
    REFUSE(-1, bad.width_px = SIDE, -EINVAL, "takes none");
#undef REFUSE
    EI_EQ(given_back[0], 0);
    EI_EQ(einet_run_stop(play.run), 0);
    (void)play_wait(&play);
    EI_EQ(play.results[0] + play.results[1], 0);
    play_done(&play);
}

/* A file that is none is the job's fault, not the run's. */
EI_TEST(frame_that_cannot_be_decoded_fails_its_job_alone)
{
    static const char nonsense[] = "\x89PNG\r\n\x1a\n this is no picture";
    struct einet_end end = {.size_bytes = sizeof end};
    play_init(&play, "version: 1\nname: files\nlanes: { acc: { kind: cpu } }\n"
                     "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 10us, score: 0.5 } ] } } }\n"
                     "tasks:\n"
                     "  - { name: a, arrival: { model: external, min_interarrival: 100us }, deadline: 1s,\n"
                     "      late_release: { queue: 4, drop: newest }, input: { kind: caller, width: 64, height: 48 },\n"
                     "      stages: [ { name: p, kind: cpu, op: [ decode, resize: 32x32, normalize ] },\n"
                     "                { name: n, kind: nn, model: net, lane: acc } ] }\n");
    EI_REQUIRE(play_start(&play));
    const struct einet_frame bad = frame_of(nonsense, sizeof nonsense, EINET_PIXELS_PNG);
    static uint8_t pixels[PICTURE_BYTES];
    const struct einet_frame good = frame_of(pixels, sizeof pixels, EINET_PIXELS_HWC_U8);
    EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, 1, &bad), 0);
    EI_EQ(einet_run_release_frame(play.run, 0, EINET_NOW, 2, &good), 0);
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, NULL), 0);
    EI_EQ(einet_run_end(play.run, &end), 0);
    EI_EQ(end.faulty_jobs, 1);
    EI_CONTAINS(end.fault_text, "preprocessing");
    EI_EQ(play.results[0], 2);
    EI_EQ(play.outcomes[EINET_JOB_ABORTED], 1);
    EI_EQ(play.last.tag, 2);
    play_done(&play);
}

EI_TEST(frame_that_does_not_fit_the_network_is_refused_at_start)
{
    struct einet_error err = {0};
    play_init(
        &play,
        "version: 1\nname: misfit\nlanes: { cpu0: { kind: cpu } }\n"
        "models: { m: { zoo: b-alexnet, dataset: generated,\n"
        "               weights: models/pretrained/b-alexnet-generated.safetensors } }\n"
        "tasks:\n"
        "  - { name: see, arrival: { model: external, min_interarrival: 1ms },\n"
        "      input: { kind: caller, width: 640, height: 480 },\n"
        "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: cpu0 } ] }\n");
    EI_REQUIRE(play_create(&play));
    const int rc = einet_run_start(play.run, &err);
    if (rc == EINET_E_BACKEND) {
        play_done(&play);
        ei_test_skip("no backend for networks: %s", err.text);
    }
    EI_EQ(rc, EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "resize: 32x32");
    EI_EQ(err.line, 8);
    play_done(&play);
}

EI_MAIN()
