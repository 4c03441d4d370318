#include "tests/stages/cuda/fixture.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <math.h>
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

/* A layer passes on what it was given, if it was the layer before it that ran last; the last one computes. */
static void run_layer(void *context)
{
    const struct lane_kernel *k = context;
    struct lane_recorder *r = k->recorder;
    struct lane_between *between = k->is_branch != 0 ? &r->branch_between : &r->conv_between;
    const int32_t b = k->block_idx;
    if (k->layer_idx == 0) {
        between->value = k->is_branch != 0 ? r->state[b] : b == 0 ? input_sum(r->input) : r->state[b - 1];
    } else if (between->block_idx != b || between->layer_idx != k->layer_idx - 1) {
        between->value = NAN;
    }
    between->block_idx = b;
    between->layer_idx = k->layer_idx;
    if (k->layer_idx + 1 < k->layers) {
        return;
    }
    if (k->is_branch == 0) {
        r->state[b] = conv(between->value, b);
        return;
    }
    for (int32_t c = 0; c < LANE_CLASSES; c++) {
        r->logits[b * LANE_CLASSES + c] = between->value * (float)(c + 1);
    }
}

int64_t lane_layer_ns(int64_t part_ns, int32_t layers, int32_t layer_idx)
{
    const int64_t shares = (int64_t)layers * (layers + 1) / 2;
    return part_ns * (layer_idx + 1) / shares;
}

static int recorder_capture(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx, void *stream,
                            void **out_graph)
{
    const struct fake_cuda_control *fake = lane_fake();
    struct lane_recorder *r = context;
    const int64_t part_ns = is_branch != 0 ? r->branch_ns[block_idx] : r->conv_ns[block_idx];
    if (is_branch == 0 && block_idx == r->fail_block_idx) {
        return EINET_E_BACKEND;
    }
    r->stream_id = fake->stream_id(stream);
    r->groups = fake->stream_groups(stream);
    int rc = fake->capture_begin(stream);
    const bool is_begun = rc == 0;
    for (int32_t i = 0; rc == 0 && i < r->layers; i++) {
        struct lane_kernel *k = &r->kernel[block_idx][is_branch][i];
        *k = (struct lane_kernel){r, block_idx, i, r->layers, is_branch};
        if (layer_idx == EI_CUDA_WHOLE || layer_idx == i) {
            rc = fake->kernel(stream, lane_layer_ns(part_ns, r->layers, i), run_layer, k);
        }
    }
    /* A capture that has begun must end, or its stream stays unusable. */
    void *graph = NULL;
    int ended = is_begun ? fake->capture_end(stream, &graph) : 0;
    if (ended != 0) {
        (void)fake->capture_end(stream, &graph);
    }
    if (rc != 0 || ended != 0) {
        lane_api()->graph_destroy(graph);
        return EINET_E_BACKEND;
    }
    *out_graph = graph;
    return 0;
}

static int32_t recorder_layers(void *context, int32_t block_idx, int32_t is_branch)
{
    (void)block_idx;
    (void)is_branch;
    return ((struct lane_recorder *)context)->layers;
}

static void recorder_layer_name(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx,
                                char out[EI_CUDA_LAYER_NAME_MAX])
{
    (void)context;
    snprintf(out, EI_CUDA_LAYER_NAME_MAX, "%s layer %d.%d", is_branch != 0 ? "branch" : "conv", block_idx, layer_idx);
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
    return lane_open_layers(exits, 1, durations_ns, settings, destroyed, out, out_recorder, err);
}

int lane_open_layers(int32_t exits, int32_t layers, const int64_t *durations_ns,
                     const struct ei_network_cuda_settings *settings, int32_t *destroyed, struct ei_network **out,
                     struct lane_recorder **out_recorder, struct einet_error *err)
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
        .layers = layers,
        .input = fake->memory_create(LANE_INPUT * sizeof(float)),
        .state = fake->memory_create((size_t)info.exits * sizeof(float)),
        .logits = fake->memory_create((size_t)info.exits * LANE_CLASSES * sizeof(float)),
    };
    for (int32_t b = 0; b < info.exits; b++) {
        r->conv_ns[b] = durations_ns[2 * b];
        r->branch_ns[b] = durations_ns[2 * b + 1];
    }
    const struct ei_cuda_recorder recorder = {
        .context = r,
        .capture = recorder_capture,
        .input = recorder_input,
        .logits = recorder_logits,
        .fault_text = recorder_fault_text,
        .destroy = recorder_destroy,
        .layers = recorder_layers,
        .layer_name = recorder_layer_name,
    };
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
