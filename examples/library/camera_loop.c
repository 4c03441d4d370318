/* A camera driver with four buffers lends each picture to the run, gets it back when its job is over, and knows by the
 * tag to which picture an answer belongs.
 *
 * usage: camera_loop [MILLISECONDS]
 */
#include <einet/einet.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFERS 4
#define WIDTH_PX 320
#define HEIGHT_PX 240
#define PICTURE_BYTES (WIDTH_PX * HEIGHT_PX * 3)
#define PERIOD_NS 33000000

static const char workload_text[] = "version: 1\n"
                                    "name: camera-loop\n"
                                    "lanes: { lane: { kind: cpu } }\n"
                                    "models:\n"
                                    "  net: { emulate: { blocks: [ { conv: 2ms, branch: 200us, score: 0.5 }, { conv: "
                                    "3ms, branch: 200us, score: 0.8 },\n"
                                    "                              { conv: 4ms, branch: 200us, score: 0.9 } ] } }\n"
                                    "tasks:\n"
                                    "  - name: camera\n"
                                    "    arrival: { model: external, min_interarrival: 10ms }\n"
                                    "    deadline: 30ms\n"
                                    "    priority: 50\n"
                                    "    late_release: { queue: 2, drop: oldest }\n"
                                    "    input: { kind: caller, width: 320, height: 240 }\n"
                                    "    stages:\n"
                                    "      - { name: pre, kind: cpu, op: [ resize: 32x32, normalize ] }\n"
                                    "      - { name: see, kind: nn, model: net, lane: lane }\n";

struct buffer {
    atomic_int is_lent;
    unsigned char pixels[PICTURE_BYTES];
};

struct camera {
    struct buffer buffers[BUFFERS];
    atomic_int results, answers, returned;
};

static struct camera camera;

/* By the callback thread: the buffer may be written again. */
static void give_back(void *context, const void *data)
{
    struct buffer *buffer = context;
    (void)data;
    atomic_fetch_add(&camera.returned, 1);
    atomic_store(&buffer->is_lent, 0);
}

static void on_result(void *context, const struct einet_result *result)
{
    struct camera *c = context;
    atomic_fetch_add(&c->results, 1);
    if ((result->flags & EINET_RESULT_ANSWERED) != 0) {
        atomic_fetch_add(&c->answers, 1);
        if (result->tag % 10 == 0) {
            printf("picture %llu: class %d (%.2f) by exit %d of %d, %.1f ms after it was taken%s\n",
                   (unsigned long long)result->tag, (int)result->answer.label, (double)result->answer.confidence,
                   (int)result->answer.exit_idx + 1, (int)result->answer.exits_total,
                   (double)(result->finish_ns - result->release_ns) / 1e6,
                   (result->flags & EINET_RESULT_DEADLINE_MET) != 0 ? "" : ", late");
        }
    }
}

/* What a driver's interrupt brings: a picture in a free buffer. NULL: all are lent. */
static struct buffer *take_picture(int number)
{
    for (int i = 0; i < BUFFERS; i++) {
        int is_free = 0;
        if (atomic_compare_exchange_strong(&camera.buffers[i].is_lent, &is_free, 1)) {
            memset(camera.buffers[i].pixels, number % 256, PICTURE_BYTES);
            return &camera.buffers[i];
        }
    }
    return NULL;
}

static int hand_in(struct einet_run *run, int32_t task, struct buffer *buffer, int number)
{
    struct einet_frame frame = {0};
    frame.size_bytes = sizeof frame;
    frame.data = buffer->pixels;
    frame.data_bytes = PICTURE_BYTES;
    frame.format = EINET_PIXELS_HWC_U8;
    frame.width_px = WIDTH_PX;
    frame.height_px = HEIGHT_PX;
    frame.channels = 3;
    frame.release = give_back;
    frame.context = buffer;
    const int rc = einet_run_release_frame(run, task, EINET_NOW, (uint64_t)number, &frame);
    if (rc < 0) {
        atomic_store(&buffer->is_lent, 0); /* it stayed ours */
    }
    return rc;
}

static int drive(struct einet_run *run, int32_t task, int pictures)
{
    const struct timespec period = {0, PERIOD_NS};
    int handed = 0, lost = 0;
    for (int number = 1; number <= pictures; number++) {
        struct buffer *buffer = take_picture(number);
        const int rc = buffer != NULL ? hand_in(run, task, buffer, number) : -ENOBUFS;
        handed += rc == 0;
        lost += rc == -ENOBUFS;
        nanosleep(&period, NULL);
    }
    printf("%d pictures, %d handed in, %d lost for want of a buffer\n", pictures, handed, lost);
    return handed;
}

int main(int argc, char **argv)
{
    const int pictures = (argc > 1 ? atoi(argv[1]) : 3000) / 33 + 1;
    int handed = 0;
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_callbacks callbacks = {0};
    struct einet_run_options options = {0};
    callbacks.size_bytes = sizeof callbacks;
    callbacks.context = &camera;
    callbacks.on_result = on_result;
    options.size_bytes = sizeof options;
    options.duration_ns = EINET_UNTIL_STOPPED;
    options.callbacks = &callbacks;

    int rc = einet_workload_parse(workload_text, strlen(workload_text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = einet_run_start(run, &err);
    }
    if (rc == 0) {
        handed = drive(run, einet_workload_find_task(workload, "camera"), pictures);
        (void)einet_run_drain(run);
        rc = einet_run_wait(run, -1, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        printf("%d answers; every picture has its result and came back: %s\n", atomic_load(&camera.answers),
               atomic_load(&camera.results) == handed && atomic_load(&camera.returned) == handed ? "yes" : "no");
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
