/* The recorder over a libtorch without numbers (fake_torch.h): parts, order, memory, errors. */
#include "rt/random.h"
#include "stages/nn/recorder_aten.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fake_torch.h"
#include "tests/stages/nn/fixture.h"

#include <errno.h>
#include <stdlib.h>

enum { PARTS = 2 * EI_NETWORK_BLOCKS_MAX };

static int stream_of_lane;

struct recorded {
    struct ei_cuda_recorder recorder;
    int32_t blocks;
    void *graphs[PARTS];
};

static struct ei_program program;

/* What a job computes from `input` on the host: the logits of every exit. */
static void expect(const struct ei_torch_api *api, uint64_t input, uint64_t *out_logits)
{
    struct ei_exec *exec = NULL;
    struct ei_torch_tensor *first = NULL;
    void *data = NULL;
    const float zero = 0.0F;
    const int64_t shape[1] = {1};
    EI_EQ(ei_exec_create(api, &program, &exec, NULL), 0);
    EI_EQ(api->tensor_create(&first), 0);
    EI_EQ(api->tensor_from_f32(first, &zero, shape, 1), 0);
    EI_EQ(api->tensor_data(first, &data), 0);
    fake_torch_write(data, input);
    EI_EQ(api->tensor_assign(ei_exec_slot(exec, 0), first), 0);
    for (int32_t b = 0; b < program.block_count; b++) {
        EI_EQ(ei_exec_run(exec, b, false, false), 0);
        EI_EQ(ei_exec_run(exec, b, true, false), 0);
        struct ei_torch_tensor *logits = ei_exec_slot(exec, ei_exec_logits_slot(exec, b));
        EI_EQ(api->tensor_float32(logits), 0);
        EI_EQ(api->tensor_data(logits, &data), 0);
        out_logits[b] = fake_torch_read(data);
    }
    api->tensor_destroy(first);
    ei_exec_destroy(exec);
}

static int create(const struct ei_torch_api *api, enum ei_network_precision precision, struct recorded *out)
{
    struct ei_network_info info = {.exits = program.block_count,
                                   .classes = program.classes,
                                   .channels = program.input.channels,
                                   .height_px = program.input.height_px,
                                   .width_px = program.input.width_px,
                                   .precision = precision};
    struct ei_exec *exec = NULL;
    struct einet_error err = {0};
    memset(out, 0, sizeof *out);
    out->blocks = program.block_count;
    int rc = ei_exec_create(api, &program, &exec, &err);
    if (rc == 0) {
        rc = ei_recorder_aten_create(api, exec, &info, 2, &out->recorder, &err);
        if (rc != 0) {
            ei_exec_destroy(exec);
        }
    }
    return rc;
}

static int capture_all(struct recorded *r)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < 2 * r->blocks; i++) {
        rc = r->recorder.capture(r->recorder.context, i / 2, i % 2, EI_CUDA_WHOLE, &stream_of_lane, &r->graphs[i]);
    }
    return rc;
}

static void finish(struct recorded *r)
{
    for (int32_t i = 0; i < PARTS; i++) {
        fake_torch_graph_free(r->graphs[i]);
    }
    if (r->recorder.destroy != NULL) {
        r->recorder.destroy(r->recorder.context);
    }
    EI_EQ(fake_torch.tensors, 0);
    EI_EQ(fake_torch.pools, 0);
    EI_EQ(fake_torch.captures, 0);
    EI_EQ(fake_torch.graphs, 0);
}

static void check_logits(struct recorded *r, int32_t block_idx, const uint64_t *expected, const char *when)
{
    fake_torch_run(r->graphs[2 * block_idx + 1]);
    const void *logits = r->recorder.logits(r->recorder.context, block_idx);
    EI_TRUEF(fake_torch_read(logits) == expected[block_idx], "exit %d is wrong %s", block_idx + 1, when);
}

/* Jobs of random inputs that end anywhere; branches late, again, or left out; parts queued that nobody waits for. */
static void run_random_jobs(struct recorded *r, const struct ei_torch_api *api, uint64_t seed)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    for (int32_t job = 0; job < 30; job++) {
        uint64_t expected[EI_NETWORK_BLOCKS_MAX];
        const uint64_t input = ei_random_below(&rng, UINT64_C(1) << 60) + 1;
        expect(api, input, expected);
        fake_torch_write(r->recorder.input(r->recorder.context), input);
        const int32_t last = (int32_t)ei_random_below(&rng, (uint64_t)r->blocks);
        for (int32_t b = 0; b <= last; b++) {
            fake_torch_run(r->graphs[2 * b]);
            if (ei_random_below(&rng, 3) == 0) {
                check_logits(r, b, expected, "in order");
            }
            if (ei_random_below(&rng, 3) == 0) {
                check_logits(r, (int32_t)ei_random_below(&rng, (uint64_t)b + 1), expected, "late");
            }
        }
        for (int32_t b = last; b >= 0; b--) {
            check_logits(r, b, expected, "backwards");
        }
    }
}

static void check_network(const char *zoo, enum ei_network_precision precision)
{
    struct recorded r;
    EI_REQUIRE(ei_zoo_program(zoo, 3, 10, &program, NULL) == 0);
    const struct ei_torch_api *api =
        fake_torch_reset(-1, precision == EI_NETWORK_BFLOAT16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    EI_REQUIRE(create(api, precision, &r) == 0);
    EI_REQUIRE(capture_all(&r) == 0);
    EI_EQ(fake_torch.misplaced_ops, 0);
    EI_EQ(fake_torch.cold_ops, 0);
    EI_EQ(fake_torch.empty_graphs, 0);
    EI_EQ(fake_torch.eager_ops_after_capture, 0);
    EI_TRUE(fake_torch.eager_ops >= 2 * fake_torch.captured_ops - 2 * r.blocks && fake_torch.captured_ops > 0);
    EI_EQ(fake_torch.is_synchronized, 1);
    EI_TRUE(fake_torch.stream == NULL && fake_torch.device == EI_TORCH_CPU);
    EI_EQ(fake_torch.precision, EI_TORCH_FLOAT32);
    run_random_jobs(&r, api, 1);
    finish(&r);
}

EI_TEST(recorded_parts_compute_what_the_network_does)
{
    for (int32_t i = 0; ei_zoo_name(i) != NULL; i++) {
        check_network(ei_zoo_name(i), EI_NETWORK_FLOAT32);
    }
}

EI_TEST(narrow_logits_are_widened_inside_the_branch)
{
    check_network("b-alexnet", EI_NETWORK_BFLOAT16);
}

/* A network of which no part has the operation that stands in for a kernel, and one part needs it. */
EI_TEST(part_that_only_renames_is_recorded_with_a_kernel_that_has_run)
{
    struct recorded r;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &program, NULL) == 0);
    const struct ei_program_part *part = ei_program_part(&program, 0, true);
    for (int32_t i = 0; i < program.op_count; i++) {
        const bool is_of_part = i >= part->first_op && i < part->first_op + part->op_count;
        if (is_of_part || program.ops[i].kind == EI_OP_RELU) {
            program.ops[i].kind = EI_OP_DROPOUT;
        }
    }
    EI_REQUIRE(create(fake_torch_reset(-1, EI_TORCH_FLOAT32), EI_NETWORK_FLOAT32, &r) == 0);
    EI_REQUIRE(capture_all(&r) == 0);
    EI_EQ(fake_torch.empty_graphs, 0);
    EI_EQ(fake_torch.cold_ops, 0);
    finish(&r);
}

EI_TEST(parts_out_of_order_are_refused)
{
    struct recorded r;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &program, NULL) == 0);
    EI_REQUIRE(create(fake_torch_reset(-1, EI_TORCH_FLOAT32), EI_NETWORK_FLOAT32, &r) == 0);
    void *context = r.recorder.context;
    EI_EQ(r.recorder.capture(context, 0, 1, EI_CUDA_WHOLE, &stream_of_lane, &r.graphs[1]), -EINVAL);
    EI_CONTAINS(r.recorder.fault_text(context), "branch of block 1");
    EI_EQ(r.recorder.capture(context, 1, 0, EI_CUDA_WHOLE, &stream_of_lane, &r.graphs[2]), -EINVAL);
    EI_EQ(capture_all(&r), 0);
    void *again = NULL;
    EI_EQ(r.recorder.capture(context, r.blocks, 0, EI_CUDA_WHOLE, &stream_of_lane, &again), -EINVAL);
    EI_TRUE(again == NULL);
    finish(&r);
}

/* Whatever call of libtorch fails first: an error that says where, nothing leaked, the thread back where it was. */
EI_TEST(every_failure_is_reported_and_cleaned_up)
{
    struct recorded r;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &program, NULL) == 0);
    int32_t reported = 0, aborted = 0;
    for (int64_t fail_at = 0;; fail_at++) {
        int rc = create(fake_torch_reset(fail_at, EI_TORCH_FLOAT32), EI_NETWORK_FLOAT32, &r);
        if (rc == 0) {
            rc = capture_all(&r);
            if (rc != 0) {
                EI_CONTAINS(r.recorder.fault_text(r.recorder.context), "CUDA device 2: the fake was told to fail");
                EI_TRUE(fake_torch.stream == NULL && fake_torch.device == EI_TORCH_CPU);
                reported++;
            }
        }
        aborted += fake_torch.aborted_captures;
        finish(&r);
        if (rc == 0 || ei_test_failures() > 0) {
            break;
        }
    }
    EI_TRUE(reported > 100);
    EI_TRUE(aborted > 10);
}

EI_TEST(without_a_device_opening_is_refused)
{
    char path[512];
    struct fixture_weights w;
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    int32_t devices = 0;
    char reason[60];
    const struct ei_torch_api *api = fixture_torch_or_skip();
    if (api->cuda_device_count(&devices) == 0) {
        ei_test_skip("there are %d CUDA devices here", devices);
    }
    snprintf(reason, sizeof reason, "backend cuda: %.40s", api->error_text());
    EI_TRUE(strlen(reason) > strlen("backend cuda: "));
    snprintf(path, sizeof path, "%s/w.safetensors", ei_test_tmpdir());
    fixture_draw(&w, 3, 10, 1);
    fixture_write(&w, path, &fixture_metadata_cifar, -1);
    const struct ei_network_zoo_config config = {
        .zoo = "b-alexnet",
        .weights_path = path,
        .threads = 1,
        .backend = EI_NETWORK_CUDA,
        .cuda = {.priority = 50, .depth = 1, .hang_ns = 1000000000},
    };
    EI_EQ(ei_network_open_zoo(&config, &net, &err), EINET_E_BACKEND);
    EI_TRUE(net == NULL);
    EI_CONTAINS(err.text, reason);
    fixture_free(&w);
}

EI_MAIN()
