/* Recorded networks behind the CUDA plug-in: the recorder over a libtorch without numbers (fake_torch.h), the plug-in
 * over the fake CUDA runtime. What lanes do with graphs, such as queueing the next part before this one's exit, must
 * not touch what an exit reads.
 */
#include "rt/random.h"
#include "stages/nn/network_cuda.h"
#include "stages/nn/recorder_aten.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"
#include "tests/stages/nn/fake_torch.h"

#include <stdlib.h>

enum { NETWORKS = 2, PIXELS = 3 * 32 * 32, CLASSES = 2, JOBS = 40 };

/* Logits are the 8 bytes of a cell: two floats. */
_Static_assert(CLASSES * sizeof(float) == sizeof(uint64_t), "an exit's answer is one cell");

/* A job in progress on one network. */
struct running {
    struct ei_network *net;
    struct ei_program program;
    float input[PIXELS];
    uint64_t expected[EI_NETWORK_BLOCKS_MAX];
    int32_t next_block; /* -1: no job */
    int32_t piece;      /* of that conv part */
    int32_t pieces;     /* of all parts */
};

static struct running running[NETWORKS];

static int open_recorded(const char *zoo, const struct ei_network_cuda_settings *settings,
                         const struct ei_torch_api *torch, struct running *out)
{
    struct ei_exec *exec = NULL;
    struct ei_cuda_recorder recorder;
    struct einet_error err = {0};
    int rc = ei_zoo_program(zoo, 3, CLASSES, &out->program, &err);
    const struct ei_network_info info = {
        .exits = out->program.block_count, .classes = CLASSES, .channels = 3, .height_px = 32, .width_px = 32};
    fake_torch_use_device(lane_fake());
    rc = rc == 0 ? ei_exec_create(torch, &out->program, &exec, &err) : rc;
    rc = rc == 0 ? ei_recorder_aten_create(torch, exec, &info, 0, &recorder, &err) : rc;
    rc = rc == 0 ? ei_network_cuda_create(lane_api(), recorder, &info, settings, &out->net, &err) : rc;
    fake_torch_use_device(NULL);
    out->next_block = -1;
    out->pieces = 0;
    for (int32_t i = 0; rc == 0 && i < 2 * info.exits; i++) {
        out->pieces += ei_network_piece_count(out->net, i / 2, i % 2 != 0);
    }
    EI_TRUEF(rc == 0, "%s: %s", zoo, err.text);
    return rc;
}

/* What every exit has to answer to r->input. */
static void expect(const struct ei_torch_api *torch, struct running *r)
{
    struct ei_exec *exec = NULL;
    struct ei_torch_tensor *first = NULL;
    void *data = NULL;
    const int64_t shape[1] = {1};
    EI_EQ(ei_exec_create(torch, &r->program, &exec, NULL), 0);
    EI_EQ(torch->tensor_create(&first), 0);
    EI_EQ(torch->tensor_from_f32(first, r->input, shape, 1), 0);
    EI_EQ(torch->tensor_data(first, &data), 0);
    fake_torch_write(data, fake_torch_hash(r->input, PIXELS));
    EI_EQ(torch->tensor_assign(ei_exec_slot(exec, 0), first), 0);
    for (int32_t b = 0; b < r->program.block_count; b++) {
        EI_EQ(ei_exec_run(exec, b, false, false), 0);
        EI_EQ(ei_exec_run(exec, b, true, false), 0);
        EI_EQ(torch->tensor_data(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), &data), 0);
        r->expected[b] = fake_torch_read(data);
    }
    torch->tensor_destroy(first);
    ei_exec_destroy(exec);
}

static void begin(const struct ei_torch_api *torch, struct running *r, struct ei_random *rng)
{
    for (int32_t i = 0; i < PIXELS; i++) {
        r->input[i] = (float)ei_random_normal(rng);
    }
    expect(torch, r);
    EI_EQ(ei_network_begin(r->net, r->input, 0, -1), 0);
    r->next_block = r->piece = 0;
}

static void check_exit(struct running *r, int32_t block_idx)
{
    float logits[CLASSES];
    uint64_t answer;
    EI_TRUEF(ei_network_run_branch(r->net, block_idx, logits) == 0, "%s", ei_network_fault_text(r->net));
    memcpy(&answer, logits, sizeof answer);
    EI_TRUEF(answer == r->expected[block_idx], "exit %d of %d answers something else", block_idx + 1,
             r->program.block_count);
}

/* One step of a job that may be cut anywhere; its exits run, run twice, or are left out. */
static void step(const struct ei_torch_api *torch, struct running *r, struct ei_random *rng)
{
    if (r->next_block < 0) {
        begin(torch, r, rng);
        return;
    }
    EI_TRUEF(ei_network_run_piece(r->net, r->next_block, false, r->piece, NULL) == 0, "%s",
             ei_network_fault_text(r->net));
    if (++r->piece < ei_network_piece_count(r->net, r->next_block, false)) {
        if (r->next_block > 0 &&
            ei_random_below(rng, 6) == 0) { /* an exit that comes while the next part is under way */
            check_exit(r, r->next_block - 1);
        }
        return;
    }
    r->piece = 0;
    for (uint64_t i = ei_random_below(rng, 3); i > 0; i--) {
        check_exit(r, r->next_block);
    }
    r->next_block++;
    const bool is_cut = ei_random_below(rng, 12) == 0;
    if (is_cut || r->next_block == r->program.block_count) {
        if (!is_cut) {
            check_exit(r, r->next_block - 1);
        }
        ei_network_end(r->net);
        r->next_block = -1;
    }
}

static void check_lanes(const char *first, const char *second, int32_t depth, int64_t merge_below_ns,
                        int64_t split_above_ns)
{
    const char *const zoo[NETWORKS] = {first, second};
    const struct ei_network_cuda_settings settings = {.priority = 50,
                                                      .depth = depth,
                                                      .wait = EI_CUDA_WAIT_BLOCK,
                                                      .hang_ns = INT64_C(20000000000),
                                                      .merge_below_ns = merge_below_ns,
                                                      .split_above_ns = split_above_ns};
    struct ei_random rng;
    ei_random_init(&rng, (uint64_t)depth, 0);
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 1, .is_stepped = 1});
    const struct ei_torch_api *torch = fake_torch_reset(-1, EI_TORCH_FLOAT32);
    for (int32_t i = 0; i < NETWORKS; i++) {
        EI_REQUIRE(open_recorded(zoo[i], &settings, torch, &running[i]) == 0);
    }
    EI_EQ(fake_torch.misplaced_ops, 0);
    EI_EQ(fake_torch.cold_ops, 0);
    /* The host's own reference computes where the fake expects the device's thread. */
    fake_torch.device = EI_TORCH_CUDA;
    for (int32_t i = 0; i < JOBS * 10 && ei_test_failures() == 0; i++) {
        step(torch, &running[ei_random_below(&rng, NETWORKS)], &rng);
    }
    for (int32_t i = 0; i < NETWORKS; i++) {
        ei_network_destroy(running[i].net);
    }
    EI_EQ(fake_torch.tensors, 0);
    EI_EQ(fake_torch.captures, 0);
    EI_EQ(fake_torch.pools, 0);
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(one_graph_in_the_queue)
{
    check_lanes("b-alexnet", "resnet-50", 1, 1, 0);
    check_lanes("vgg-16", "msdnet-21-light", 1, 1, 0);
}

EI_TEST(two_graphs_in_the_queue)
{
    check_lanes("b-alexnet", "resnet-50", 2, 1, 0);
    check_lanes("vgg-16", "msdnet-21-light", 2, 1, 0);
}

EI_TEST(parts_that_are_launched_together)
{
    check_lanes("b-alexnet", "resnet-50", 1, 200000, 0);
    check_lanes("vgg-16", "msdnet-21-light", 2, 200000, 0);
}

/* Kernels of the fake take 10 us each, so every layer is a piece of its own. What a layer leaves for the next one must
 * survive other networks and late exits. */
EI_TEST(parts_that_are_cut_between_layers)
{
    check_lanes("b-alexnet", "resnet-50", 1, 1, 11000);
    check_lanes("vgg-16", "msdnet-21-light", 2, 1, 11000);
    for (int32_t i = 0; i < NETWORKS; i++) {
        EI_TRUE(running[i].pieces > 2 * running[i].program.block_count);
    }
}

EI_MAIN()
