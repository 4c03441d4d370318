#include "stages/nn/program.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"

/* design figures of b-alexnet at 3 channels and 10 classes, and each part recomputed from its layer list */
EI_TEST(b_alexnet_costs)
{
    struct ei_program p;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &p, NULL) == 0);
    EI_EQ(p.block_count, 3);
    struct ei_program_cost trunk, branches;
    ei_program_cost(&p, &trunk, &branches);
    EI_NEAR((double)trunk.params / 1e6, 0.543, 0.0005);
    EI_NEAR((double)trunk.macs / 1e6, 28.25, 0.005);
    EI_NEAR((double)branches.params / 1e6, 0.063, 0.0005);
    EI_NEAR((double)branches.macs / 1e6, 2.22, 0.005);

    const struct ei_program_cost conv1 = ei_program_part_cost(&p, 0, false);
    EI_EQ(conv1.params, 32 * 3 * 25 + 32 + 64 * 32 * 25 + 64);
    EI_EQ(conv1.macs, 32 * 3 * 25 * 1024 + 64 * 32 * 25 * 256);
    const struct ei_program_cost branch1 = ei_program_part_cost(&p, 0, true);
    EI_EQ(branch1.params, 32 * 64 * 9 + 32 + 32 * 32 * 9 + 32 + 512 * 10 + 10);
    EI_EQ(branch1.macs, (32 * 64 * 9 + 32 * 32 * 9) * 64 + 5120);
    const struct ei_program_cost conv2 = ei_program_part_cost(&p, 1, false);
    EI_EQ(conv2.params, 96 * 64 * 9 + 96);
    EI_EQ(conv2.macs, 96 * 64 * 9 * 64);
    const struct ei_program_cost branch2 = ei_program_part_cost(&p, 1, true);
    EI_EQ(branch2.params, 32 * 96 * 9 + 32 + 1280 + 10);
    EI_EQ(branch2.macs, 32 * 96 * 9 * 16 + 1280);
    const struct ei_program_cost conv3 = ei_program_part_cost(&p, 2, false);
    EI_EQ(conv3.params, 96 * 96 * 9 + 96 + 64 * 96 * 9 + 64 + 1024 * 256 + 256 + 256 * 128 + 128);
    EI_EQ(conv3.macs, (96 * 96 * 9 + 64 * 96 * 9) * 64 + 1024 * 256 + 256 * 128);
    const struct ei_program_cost branch3 = ei_program_part_cost(&p, 2, true);
    EI_EQ(branch3.params, 1290);
    EI_EQ(branch3.macs, 1280);
}

EI_TEST(parameters_are_named_by_place)
{
    struct ei_program p;
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    EI_REQUIRE(ei_zoo_program("b-alexnet", 1, 10, &p, NULL) == 0);
    EI_EQ(ei_program_param_count(&p), 26);
    EI_EQ(ei_program_op_params(&p, 0, false, 0, params), 2);
    EI_STREQ(params[0].name, "block1.conv.0.weight");
    EI_EQ(params[0].shape[1], 1);
    EI_EQ(params[0].fan_in, 25);
    EI_STREQ(params[1].name, "block1.conv.0.bias");
    EI_EQ(params[1].count, 32);
    EI_EQ(ei_program_op_params(&p, 0, false, 1, params), 0);
    EI_EQ(ei_program_op_params(&p, 1, true, 6, params), 0);

    struct ei_op *op = &p.ops[p.blocks[2].branch.first_op + 0];
    *op = (struct ei_op){.kind = EI_OP_BATCH_NORM, .in_channels = 7};
    EI_EQ(ei_program_op_params(&p, 2, true, 0, params), 4);
    EI_STREQ(params[2].name, "block3.branch.0.running_mean");
    EI_TRUE(!params[2].trainable);
    EI_STREQ(params[3].name, "block3.branch.0.running_var");
    EI_EQ(params[3].count, 7);
}

EI_TEST(zoo_refuses_what_it_does_not_know)
{
    struct ei_program p;
    struct einet_error err = {0};
    EI_EQ(ei_zoo_program("resnet-51", 3, 10, &p, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "'resnet-51'");
    EI_CONTAINS(err.text, "b-alexnet");
    EI_EQ(ei_zoo_program("b-alexnet", 2, 10, &p, &err), EINET_E_USAGE);
    EI_EQ(ei_zoo_program("b-alexnet", 3, 1, &p, &err), EINET_E_USAGE);
    EI_STREQ(ei_zoo_name(0), "b-alexnet");
    EI_TRUE(ei_zoo_name(8) == NULL);
}

/* Break one thing of a good program and expect the place to be named. */
static void expect_fault(const struct ei_program *p, const char *text)
{
    struct einet_error err = {0};
    EI_EQ(ei_program_check(p, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, text);
}

EI_TEST(check_names_the_place)
{
    struct ei_program good, p;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &good, NULL) == 0);
    p = good;
    p.ops[p.blocks[1].conv.first_op + 3].in_channels = 63;
    expect_fault(&p, "block2.conv.3 (conv2d)");
    p = good;
    p.ops[p.blocks[0].branch.first_op + 0].out_slot = 0;
    expect_fault(&p, "block1.branch.0 (relu): a branch may not write a trunk slot");
    p = good;
    p.ops[p.blocks[2].conv.first_op + 0].in_slot = 1; /* what branch 2 left is not there when it was skipped */
    expect_fault(&p, "block3.conv.0 (relu): it reads a slot that nothing was written to");
    p = good;
    p.ops[p.blocks[2].branch.first_op + 0].out_channels = 9;
    expect_fault(&p, "block3.branch ends with 9 numbers, not 10 logits");
    p = good;
    p.ops[p.blocks[0].conv.first_op + 2].stride_px = 0;
    expect_fault(&p, "block1.conv.2 (max_pool): its window does not fit");
    p = good;
    p.ops[p.blocks[0].branch.first_op + 9].in_slot = EI_PROGRAM_SLOTS_MAX;
    expect_fault(&p, "a slot is out of range");
    p = good;
    p.blocks[1].branch.op_count = 0;
    expect_fault(&p, "block2.branch has 0 operations");
    p = good;
    p.ops[p.blocks[2].conv.first_op + 9].p = 1.0F;
    expect_fault(&p, "block3.conv.9 (dropout)");
    p = good;
    p.block_count = 0;
    expect_fault(&p, "out of range");
}

EI_TEST(binary_operations_check_shapes)
{
    struct ei_program p;
    EI_REQUIRE(ei_zoo_program("b-alexnet", 3, 10, &p, NULL) == 0);
    struct ei_op *ops = &p.ops[p.blocks[2].branch.first_op]; /* the last part, so that it may grow */
    ops[1] = ops[0];
    ops[0] = (struct ei_op){.kind = EI_OP_CONCAT, .in_slot = 0, .in2_slot = 0, .out_slot = 1};
    ops[1].in_slot = 1;
    p.blocks[2].branch.op_count = 2;
    p.op_count++;
    expect_fault(&p, "block3.branch.1 (linear)");
    ops[1].in_channels = 256;
    EI_EQ(ei_program_check(&p, NULL), 0);
    ops[0].kind = EI_OP_ADD;
    ops[1].in_channels = 128;
    EI_EQ(ei_program_check(&p, NULL), 0);
    ops[0].in2_slot = 5;
    expect_fault(&p, "block3.branch.0 (add)");
}

EI_MAIN()
