/* Parts that are cut into pieces, on the fake CUDA runtime: where they are cut, order, answers, what cannot be cut. */
#include "rt/random.h"
#include "stages/nn/emulate.h"
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#include <errno.h>

#define US INT64_C(1000)
#define S INT64_C(1000000000)

static const struct ei_network_cuda_settings base = {
    .priority = 50, .depth = 1, .wait = EI_CUDA_WAIT_BLOCK, .hang_ns = 20 * S, .merge_below_ns = 1};

/* On a device whose time passes only in kernels; a launch costs the host less than the slack that the cases leave. */
static struct ei_network *open_split(int32_t exits, int32_t layers, const int64_t *durations_ns, int32_t depth,
                                     int64_t split_above_ns)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    struct ei_network_cuda_settings settings = base;
    settings.depth = depth;
    settings.split_above_ns = split_above_ns;
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 1, .is_stepped = 1});
    const int rc = lane_open_layers(exits, layers, durations_ns, &settings, NULL, &net, NULL, &err);
    EI_TRUEF(rc == 0, "%s", err.text);
    return net;
}

static void check_pieces(const struct ei_network *net, int32_t block_idx, bool is_branch, const int64_t *wanted_ns,
                         int32_t count)
{
    const struct ei_cuda_parts *parts = ei_network_cuda_parts(net);
    EI_EQ(ei_network_piece_count(net, block_idx, is_branch), count);
    for (int32_t i = 0; i < count && i < ei_network_piece_count(net, block_idx, is_branch); i++) {
        EI_NEAR((double)lane_api()->piece_ns(parts, block_idx, is_branch, i), (double)wanted_ns[i], 200.0);
    }
}

/* Layers of 100, 200, 300, ... ms: the fewest pieces, and of those the most even ones. */
EI_TEST(long_parts_are_cut_between_layers)
{
    const int64_t ms = 1000 * US;
    const int64_t durations[] = {2100 * ms, 210 * ms, 21 * ms, 1050 * ms};
    struct ei_network *net = open_split(2, 6, durations, 1, 1600 * ms);
    EI_REQUIRE(net != NULL);
    check_pieces(net, 0, false, (const int64_t[]){1000 * ms, 1100 * ms}, 2);
    check_pieces(net, 0, true, (const int64_t[]){210 * ms}, 1);
    check_pieces(net, 1, false, (const int64_t[]){21 * ms}, 1);
    check_pieces(net, 1, true, (const int64_t[]){1050 * ms}, 1);
    EI_NEAR((double)ei_network_part_ns(net, 0, false), (double)(2100 * ms), 500.0);
    struct ei_network_layer layer;
    EI_EQ(ei_network_uncut(net, &layer), 0);
    const int64_t before = lane_fake()->graphs();
    EI_EQ(lane_job(net, 5), 0);
    EI_EQ(lane_fake()->graphs() - before, 5);
    ei_network_destroy(net);

    net = open_split(2, 6, durations, 2, 650 * ms);
    EI_REQUIRE(net != NULL);
    check_pieces(net, 0, false, (const int64_t[]){600 * ms, 400 * ms, 500 * ms, 600 * ms}, 4);
    check_pieces(net, 1, true, (const int64_t[]){500 * ms, 550 * ms}, 2);
    EI_EQ(lane_job(net, 6), 0);
    ei_network_destroy(net);
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(without_a_limit_nothing_is_cut)
{
    const int64_t durations[] = {900000 * US, US, 900000 * US, US};
    struct ei_network *net = open_split(2, 3, durations, 1, 0);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_piece_count(net, 0, false), 1);
    const int64_t before = lane_fake()->graphs();
    EI_EQ(lane_job(net, 1), 0);
    EI_EQ(lane_fake()->graphs() - before, 4);
    ei_network_destroy(net);
}

/* The layers of the second branch take 100, 200 and 300 ms. */
EI_TEST(layer_that_cannot_be_cut_is_named)
{
    const int64_t durations[] = {60000 * US, US, 60000 * US, 600000 * US};
    struct ei_network_layer layer = {.block_idx = -1};
    struct ei_network *net = open_split(2, 3, durations, 1, 250000 * US);
    EI_REQUIRE(net != NULL);
    EI_NEAR((double)ei_network_uncut(net, &layer), 300e6, 200.0);
    EI_EQ(layer.block_idx, 1);
    EI_TRUE(layer.is_branch);
    EI_STREQ(layer.name, "branch layer 1.2");
    EI_EQ(ei_network_piece_count(net, 1, true), 3); /* 100 and 200 do not go together, either */
    ei_network_destroy(net);
}

/* Short conv parts still go together, but not beyond the limit. */
EI_TEST(what_is_launched_together_keeps_to_the_limit)
{
    const int64_t durations[] = {40000 * US, US, 40000 * US, US, 40000 * US, US, 900000 * US, US};
    struct ei_network *net = NULL;
    struct ei_network_cuda_settings settings = base;
    settings.merge_below_ns = 500000 * US;
    settings.split_above_ns = 100000 * US;
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 1, .is_stepped = 1});
    EI_REQUIRE(lane_open_layers(4, 1, durations, &settings, NULL, &net, NULL, NULL) == 0);
    const struct ei_cuda_parts *parts = ei_network_cuda_parts(net);
    EI_EQ(lane_api()->merged_until(parts, 0), 1);
    EI_EQ(lane_api()->merged_until(parts, 2), 2);
    EI_EQ(lane_job(net, 1), 0);
    ei_network_destroy(net);
}

EI_TEST(pieces_keep_their_order)
{
    const int64_t durations[] = {900000 * US, 900000 * US, 900000 * US, US};
    float input[LANE_INPUT], logits[LANE_CLASSES];
    struct ei_network *net = open_split(2, 3, durations, 1, 500000 * US);
    EI_REQUIRE(net != NULL);
    EI_REQUIRE(ei_network_piece_count(net, 0, false) == 2 && ei_network_piece_count(net, 0, true) == 2);
    lane_input(1, input);
    EI_EQ(ei_network_run_piece(net, 0, false, 0, NULL), -EINVAL); /* no job yet */
    EI_EQ(ei_network_begin(net, input, 0, 0), 0);
    EI_EQ(ei_network_run_piece(net, 0, false, 1, NULL), -EINVAL);
    EI_EQ(ei_network_run_piece(net, 0, false, 0, NULL), 0);
    EI_EQ(ei_network_run_piece(net, 0, false, 0, NULL), -EINVAL);
    EI_EQ(ei_network_run_branch(net, 0, logits), -EINVAL); /* its conv part is not complete */
    EI_EQ(ei_network_run_piece(net, 1, false, 0, NULL), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 0), 0); /* the rest of it */
    /* The next conv part has begun: the branch before it does not need it, and goes on where it was. */
    EI_EQ(ei_network_run_piece(net, 0, true, 0, logits), 0);
    EI_EQ(ei_network_run_piece(net, 1, false, 0, NULL), 0);
    EI_EQ(ei_network_run_piece(net, 0, true, 1, logits), 0);
    EI_TRUE(lane_is_right(input, 0, logits));
    EI_EQ(ei_network_run_piece(net, 1, false, 1, NULL), 0);
    EI_EQ(ei_network_run_branch(net, 1, logits), 0);
    EI_TRUE(lane_is_right(input, 1, logits));
    /* A job that is cut in the midst of a part leaves nothing to the next one. */
    EI_EQ(ei_network_begin(net, input, 0, 0), 0);
    EI_EQ(ei_network_run_piece(net, 0, false, 0, NULL), 0);
    ei_network_end(net);
    EI_EQ(ei_network_run_piece(net, 0, false, 1, NULL), -EINVAL);
    EI_EQ(lane_job(net, 2), 0);
    float all[2 * LANE_CLASSES];
    EI_EQ(ei_network_run_monolithic(net, input, all), 0);
    EI_TRUE(lane_is_right(input, 0, all) && lane_is_right(input, 1, all + LANE_CLASSES));
    ei_network_destroy(net);
}

/* Jobs that run some parts in pieces and some whole, leave branches out, come late to them, begin them twice. Every
 * answer is the one that uncut parts give. */
static void play_random_jobs(struct ei_network *net, uint64_t seed, int32_t jobs)
{
    struct ei_random rng;
    float input[LANE_INPUT], logits[LANE_CLASSES];
    const int32_t exits = ei_network_info(net)->exits;
    ei_random_init(&rng, seed, 0);
    for (int32_t job = 0; job < jobs; job++) {
        lane_input(ei_random_u64(&rng), input);
        EI_EQ(ei_network_begin(net, input, -1, -1), 0);
        int32_t piece[2] = {0, 0}, next = 0;
        bool has_branch = false;
        while (next < exits && ei_random_below(&rng, 30) != 0) {
            const bool is_branch = has_branch && ei_random_below(&rng, 2) == 0;
            const int32_t b = is_branch ? next - 1 : next, count = ei_network_piece_count(net, b, is_branch);
            const bool is_rest = ei_random_below(&rng, 4) == 0;
            EI_EQ(is_rest ? is_branch ? ei_network_run_branch(net, b, logits) : ei_network_run_conv(net, b)
                          : ei_network_run_piece(net, b, is_branch, piece[is_branch], logits),
                  0);
            piece[is_branch]++;
            if (!is_rest && piece[is_branch] < count) {
                continue;
            }
            piece[is_branch] = 0;
            if (is_branch) {
                EI_TRUEF(lane_is_right(input, b, logits), "job %d of seed %d, exit %d", job, (int)seed, b);
                has_branch = false;
            } else {
                piece[1] = 0;
                next++;
                has_branch = true;
            }
        }
        ei_network_end(net);
    }
}

EI_TEST(pieces_answer_as_whole_parts_do)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct ei_random rng;
        int64_t durations[8];
        ei_random_init(&rng, seed, 1);
        for (int32_t i = 0; i < 8; i++) {
            durations[i] = (int64_t)ei_random_below(&rng, 1000) * 1000 * US;
        }
        struct ei_network *net =
            open_split(4, 1 + (int32_t)(seed % LANE_LAYERS_MAX), durations, 1 + (int32_t)(seed % 2), 200000 * US);
        EI_REQUIRE(net != NULL);
        play_random_jobs(net, seed, 60);
        ei_network_destroy(net);
        EI_EQ(lane_fake()->objects(), 0);
    }
}

/* ---- emulated ---- */

EI_TEST(emulated_times_are_cut_evenly)
{
    struct ei_network_emulate_config config = {.exits = 2,
                                               .classes = 10,
                                               .channels = 3,
                                               .height_px = 32,
                                               .width_px = 32,
                                               .conv_ns = {900 * US, 20 * US},
                                               .branch_ns = {30 * US, 401 * US},
                                               .conv_p99_ns = {1500 * US},
                                               .score = {0.3F, 0.9F},
                                               .seed = 7};
    struct ei_network *on_cpu = NULL, *net = NULL;
    float logits[2][10];
    EI_REQUIRE(ei_network_open_emulate(&config, &on_cpu, NULL) == 0);
    config.is_on_cuda = true;
    config.cuda = base;
    config.cuda.split_above_ns = 400 * US;
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 1});
    EI_REQUIRE(ei_network_open_emulate(&config, &net, NULL) == 0);
    EI_EQ(ei_network_piece_count(net, 0, false), 4); /* by its 99th percentile */
    EI_EQ(ei_network_piece_count(net, 0, true), 1);
    EI_EQ(ei_network_piece_count(net, 1, false), 1);
    EI_EQ(ei_network_piece_count(net, 1, true), 2);
    struct ei_network_layer layer;
    EI_EQ(ei_network_uncut(net, &layer), 0);
    for (int32_t sample = 0; sample < 5; sample++) {
        EI_EQ(ei_network_begin(on_cpu, NULL, sample, sample), 0);
        EI_EQ(ei_network_begin(net, NULL, sample, sample), 0);
        for (int32_t part = 0; part < 4; part++) {
            for (int32_t i = 0; i < ei_network_piece_count(net, part / 2, part % 2 != 0); i++) {
                EI_EQ(ei_network_run_piece(net, part / 2, part % 2 != 0, i, logits[0]), 0);
            }
            EI_EQ(ei_network_run_piece(on_cpu, part / 2, part % 2 != 0, 0, logits[1]), 0);
            EI_TRUE(part % 2 == 0 || memcmp(logits[0], logits[1], sizeof logits[0]) == 0);
        }
    }
    ei_network_destroy(net);
    struct einet_error err = {0};
    config.cuda.split_above_ns = US;
    EI_EQ(ei_network_open_emulate(&config, &net, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "at most 512 pieces");
    ei_network_destroy(on_cpu);
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(shares_add_up)
{
    for (int64_t ns = 0; ns < 200; ns += 7) {
        for (int32_t pieces = 1; pieces < 9; pieces++) {
            int64_t sum_ns = 0;
            for (int32_t i = 0; i < pieces; i++) {
                sum_ns += ei_emulated_piece_ns(ns, pieces, i);
                EI_TRUE(ei_emulated_piece_ns(ns, pieces, i) <= (ns + pieces - 1) / pieces);
            }
            EI_EQ(sum_ns, ns);
        }
    }
    EI_EQ(ei_emulated_pieces(400, 0, 400), 1);
    EI_EQ(ei_emulated_pieces(401, 0, 400), 2);
    EI_EQ(ei_emulated_pieces(100, 801, 400), 3);
    EI_EQ(ei_emulated_pieces(100, 801, 0), 1);
}

EI_MAIN()
