/* Pictures in memory of a device, through libeinet.so, on the CUDA plug-in with a fake CUDA runtime (tests/fakes). */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 16
#define HEIGHT 8
#define FRAMES 5

enum { SEE, HOST };

static const char text[] =
    "version: 1\nname: t\nrun: { start_delay: 0s }\nplatform: { lock_memory: none }\n"
    "lanes: { gpu: { kind: cuda, device: 1 }, acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: see, arrival: { model: external, min_interarrival: 5ms }, deadline: 1s, priority: 40,\n"
    "      late_release: { queue: 8, drop: newest },\n"
    "      input: { kind: caller, width: 16, height: 8, channels: 1, memory: device },\n"
    "      stages: [ { name: n, kind: nn, model: net, lane: gpu } ] }\n"
    "  - { name: host, arrival: { model: external, min_interarrival: 5ms }, priority: 30,\n"
    "      input: { kind: caller, width: 16, height: 8, channels: 1 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n";

static struct play play; /* large */
static float pixels[FRAMES][HEIGHT * WIDTH];
static atomic_int given_back[FRAMES];

static void give_back(void *context, const void *data)
{
    (void)context;
    for (int i = 0; i < FRAMES; i++) {
        atomic_fetch_add(&given_back[i], data == pixels[i]);
    }
}

static struct einet_frame frame_of(int idx)
{
    return (struct einet_frame){.size_bytes = sizeof(struct einet_frame),
                                .data = pixels[idx],
                                .data_bytes = sizeof pixels[idx],
                                .format = EINET_PIXELS_CHW_F32,
                                .width_px = WIDTH,
                                .height_px = HEIGHT,
                                .channels = 1,
                                .release = give_back,
                                .device_idx = 1};
}

static void keep(void *context, const struct einet_result *result)
{
    struct play *p = context;
    p->results[result->task_idx]++;
    p->outcomes[result->outcome]++;
}

static bool create(void)
{
    play_init(&play, text);
    play.callbacks.on_result = keep;
    play.callbacks.on_miss = NULL;
    return play_create(&play);
}

static void need_plugin(void)
{
    const char *plugin = getenv("EINET_CUDA_PLUGIN");
    if (plugin == NULL || plugin[0] == '\0') {
        ei_test_skip("the CUDA plug-in on the fake runtime is not built: no CUDA headers here");
    }
    setenv("EINET_FAKE_CUDA", "devices=2", 1);
}

EI_TEST(picture_on_the_device_is_lent_to_its_job)
{
    struct einet_end end = {.size_bytes = sizeof end};
    struct einet_error err = {0};
    need_plugin();
    EI_REQUIRE(create());
    EI_TRUEF(einet_run_start(play.run, &err) == 0, "%s", err.text);
    EI_EQ(einet_run_release(play.run, SEE, EINET_NOW, 1), -EINVAL); /* not without a picture */
    for (int i = 0; i < FRAMES; i++) {
        const struct einet_frame frame = frame_of(i);
        EI_EQ(einet_run_release_frame(play.run, SEE, EINET_NOW, (uint64_t)i + 1, &frame), 0);
    }
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, &err), 0);
    EI_EQ(play.results[SEE], FRAMES);
    EI_EQ(play.outcomes[EINET_JOB_COMPLETED], FRAMES);
    for (int i = 0; i < FRAMES; i++) {
        EI_EQ(given_back[i], 1);
    }
    EI_EQ(einet_run_end(play.run, &end), 0);
    EI_TRUE(end.is_accounted);
    EI_EQ(end.faulty_jobs, 0);
    play_done(&play);
}

#define REFUSE(task, change, code, said)                                                                               \
    do {                                                                                                               \
        struct einet_frame bad = frame_of(0);                                                                          \
        change;                                                                                                        \
        EI_EQ(einet_run_check_frame(play.run, task, &bad, &err), code);                                                \
        EI_CONTAINS(err.text, said);                                                                                   \
        EI_EQ(einet_run_release_frame(play.run, task, EINET_NOW, 1, &bad), code);                                      \
    } while (0)

EI_TEST(picture_that_the_lane_cannot_read_is_refused)
{
    struct einet_error err = {0};
    EI_REQUIRE(create());
    REFUSE(HOST, (void)bad, -EINVAL, "give the task a lane of kind cuda");
    REFUSE(SEE, bad.format = EINET_PIXELS_CHW_U8, -EINVAL, "memory: device");
    REFUSE(SEE, bad.format = EINET_PIXELS_PNG, -EINVAL, "memory: device");
    REFUSE(SEE, bad.device_idx = 0, -EINVAL, "another device");
    REFUSE(SEE, bad.release = NULL, -EINVAL, "only be borrowed");
    REFUSE(SEE, bad.width_px = WIDTH / 2, -EINVAL, "another shape");
    REFUSE(SEE, bad.channels = 3, -EINVAL, "another shape");
    REFUSE(SEE, bad.row_bytes = WIDTH * 8, -EINVAL, "row_bytes");
    REFUSE(SEE, bad.data_bytes -= 1, -EINVAL, "fewer bytes");
    EI_EQ(given_back[0], 0);
    play_done(&play);
}

EI_TEST(without_a_device_the_start_says_so)
{
    struct einet_error err = {0};
    setenv("EINET_CUDA_PLUGIN", "/nonexistent/libeinet_cuda.so", 1);
    EI_REQUIRE(create());
    EI_EQ(einet_run_start(play.run, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "lane 'gpu' cannot run task 'see'");
    play_done(&play);
}

EI_MAIN()
