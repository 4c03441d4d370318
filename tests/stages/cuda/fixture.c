#include "tests/stages/cuda/fixture.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <stdlib.h>

const struct ei_cuda_api *lane_api(void)
{
    const struct ei_cuda_api *api = NULL;
    struct einet_error err = {0};
    if (getenv("EINET_CUDA_PLUGIN") == NULL || getenv("EINET_CUDA_PLUGIN")[0] == '\0') {
        ei_test_skip("no CUDA headers were found at configuration");
    }
    if (!EI_TRUEF(ei_cuda_load(&api, &err) == 0, "%s", err.text)) {
        ei_test_skip("no plug-in");
    }
    return api;
}

const struct fake_cuda_control *lane_fake(void)
{
    (void)lane_api();
    void *handle = dlopen(getenv("EINET_CUDA_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
    const struct fake_cuda_control *(*entry)(void);
    *(void **)&entry = handle != NULL ? dlsym(handle, FAKE_CUDA_ENTRY) : NULL;
    if (entry == NULL) {
        ei_test_skip("the plug-in is not the one on the fake");
    }
    return entry();
}

/* ---- the network: state[b] = state[b - 1] / 2 + b + 1, from the sum of the input; logits[c] = state[b] * (c + 1) ----
 */

static float conv(float before, int32_t block_idx)
{
    return before * 0.5F + (float)(block_idx + 1);
}

static float input_sum(const float *input)
{
    float sum = 0.0F;
    for (int32_t i = 0; i < LANE_INPUT; i++) {
        sum += input[i];
    }
    return sum;
}

void lane_reference(const float *input, int32_t block_idx, float *out_logits)
{
    float state = input_sum(input);
    for (int32_t b = 0; b <= block_idx; b++) {
        state = conv(state, b);
    }
    for (int32_t c = 0; c < LANE_CLASSES; c++) {
        out_logits[c] = state * (float)(c + 1);
    }
}

int lane_is_right(const float *input, int32_t block_idx, const float *logits)
{
    float wanted[LANE_CLASSES];
    lane_reference(input, block_idx, wanted);
    return memcmp(wanted, logits, sizeof wanted) == 0;
}

void lane_input(uint64_t seed, float *out_input)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    for (int32_t i = 0; i < LANE_INPUT; i++) {
        out_input[i] = (float)ei_random_unit(&rng);
    }
}

static void run_conv(void *context)
{
    const struct lane_kernel *k = context;
    struct lane_recorder *r = k->recorder;
    r->state[k->block_idx] = conv(k->block_idx == 0 ? input_sum(r->input) : r->state[k->block_idx - 1], k->block_idx);
}

static void run_branch(void *context)
{
    const struct lane_kernel *k = context;
    for (int32_t c = 0; c < LANE_CLASSES; c++) {
        k->recorder->logits[k->block_idx * LANE_CLASSES + c] = k->recorder->state[k->block_idx] * (float)(c + 1);
    }
}

static int recorder_capture(void *context, int32_t block_idx, int32_t is_branch, void *stream, void **out_graph)
{
    const struct fake_cuda_control *fake = lane_fake();
    struct lane_recorder *r = context;
    if (is_branch == 0 && block_idx == r->fail_block_idx) {
        return EINET_E_BACKEND;
    }
    r->kernel[block_idx] = (struct lane_kernel){r, block_idx};
    r->stream_id = fake->stream_id(stream);
    int rc = fake->capture_begin(stream);
    if (rc == 0) {
        rc = fake->kernel(stream, is_branch != 0 ? r->branch_ns[block_idx] : r->conv_ns[block_idx],
                          is_branch != 0 ? run_branch : run_conv, &r->kernel[block_idx]);
    }
    if (rc == 0) {
        rc = fake->capture_end(stream, out_graph);
    }
    return rc == 0 ? 0 : EINET_E_BACKEND;
}

static void *recorder_input(void *context)
{
    return ((struct lane_recorder *)context)->input;
}

static void *recorder_logits(void *context, int32_t block_idx)
{
    return ((struct lane_recorder *)context)->logits + block_idx * LANE_CLASSES;
}

static const char *recorder_fault_text(void *context)
{
    (void)context;
    return "the recorder of the test refused";
}

static void recorder_destroy(void *context)
{
    struct lane_recorder *r = context;
    if (r->destroyed != NULL) {
        ++*r->destroyed;
    }
    lane_fake()->memory_destroy(r->input);
    lane_fake()->memory_destroy(r->state);
    lane_fake()->memory_destroy(r->logits);
    free(r);
}

static struct lane_recorder *kept; /* of lost devices; one thread at a time opens networks there */

int lane_open(int32_t exits, const int64_t *durations_ns, const struct ei_network_cuda_settings *settings,
              int32_t *destroyed, struct ei_network **out, struct lane_recorder **out_recorder, struct einet_error *err)
{
    const struct fake_cuda_control *fake = lane_fake();
    const struct ei_network_info info = {.name = "test",
                                         .exits = exits < 0 ? -exits : exits,
                                         .classes = LANE_CLASSES,
                                         .channels = 3,
                                         .height_px = 2,
                                         .width_px = 2};
    struct lane_recorder *r = calloc(1, sizeof *r);
    *r = (struct lane_recorder){
        .exits = info.exits,
        .fail_block_idx = exits < 0 ? info.exits - 1 : -1,
        .destroyed = destroyed,
        .input = fake->memory_create(LANE_INPUT * sizeof(float)),
        .state = fake->memory_create((size_t)info.exits * sizeof(float)),
        .logits = fake->memory_create((size_t)info.exits * LANE_CLASSES * sizeof(float)),
    };
    for (int32_t b = 0; b < info.exits; b++) {
        r->conv_ns[b] = durations_ns[2 * b];
        r->branch_ns[b] = durations_ns[2 * b + 1];
    }
    const struct ei_cuda_recorder recorder = {
        r, recorder_capture, recorder_input, recorder_logits, recorder_fault_text, recorder_destroy};
    const int rc = ei_network_cuda_create(lane_api(), recorder, &info, settings, out, err);
    if (rc == 0 && out_recorder != NULL) {
        *out_recorder = r;
    }
    if (rc != 0 && lane_api()->device_is_lost(settings->device_idx) == 0) {
        recorder_destroy(r);
    } else if (rc != 0) { /* after a hang the device may still read what was recorded */
        r->next_kept = kept;
        kept = r;
    }
    return rc;
}

int lane_job(struct ei_network *net, uint64_t seed)
{
    float input[LANE_INPUT], logits[LANE_CLASSES];
    lane_input(seed, input);
    int rc = ei_network_begin(net, input, -1, -1);
    for (int32_t b = 0; rc == 0 && b < ei_network_info(net)->exits; b++) {
        rc = ei_network_run_conv(net, b);
        if (rc == 0) {
            rc = ei_network_run_branch(net, b, logits);
            EI_TRUEF(rc != 0 || lane_is_right(input, b, logits), "exit %d of job %d answers wrong", b, (int)seed);
        }
    }
    EI_TRUEF(rc == 0 || ei_network_fault_text(net)[0] != '\0', "a failure without a text");
    ei_network_end(net);
    return rc;
}
