#include "models/batch.h"
#include "stages/pre/image_ops.h"
#include "tests/harness/harness.h"

#include <stdlib.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE };

static struct ei_dataset *open_generated(int32_t count)
{
    struct ei_dataset *dataset = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, count, &dataset, &err) == 0, "%s", err.text);
    return dataset;
}

EI_TEST(stats_are_of_all_pixels)
{
    struct ei_dataset *dataset = open_generated(20);
    EI_REQUIRE(dataset != NULL);
    struct ei_batch_norm_stats stats;
    EI_EQ(ei_batch_stats(dataset, &stats, NULL), 0);
    for (int32_t c = 0; c < 3; c++) {
        double sum = 0.0, square = 0.0;
        for (int32_t s = 0; s < 20; s++) {
            struct einet_image image;
            EI_EQ(ei_dataset_sample(dataset, s, &image, NULL), 0);
            for (int32_t i = 0; i < SIDE * SIDE; i++) {
                const double v =
                    image.format == EINET_PIXELS_CHW_U8 ? image.data[c * SIDE * SIDE + i] : image.data[i * 3 + c];
                sum += v / 255.0;
                square += v / 255.0 * v / 255.0;
            }
        }
        const double mean = sum / (20 * SIDE * SIDE);
        EI_NEAR(stats.mean[c], mean, 1e-6);
        EI_NEAR(stats.std[c], sqrt(square / (20 * SIDE * SIDE) - mean * mean), 1e-6);
    }
    ei_dataset_destroy(dataset);
}

/* What training evaluates and what runs live must be the same numbers to the last bit. */
EI_TEST(plain_samples_equal_live_preprocessing)
{
    struct ei_dataset *dataset = open_generated(30);
    EI_REQUIRE(dataset != NULL);
    struct ei_batch_norm_stats stats;
    EI_EQ(ei_batch_stats(dataset, &stats, NULL), 0);
    struct ei_pre_config config = {.ops = {EI_PRE_DECODE, EI_PRE_NORMALIZE},
                                   .op_count = 2,
                                   .input_width_max_px = SIDE,
                                   .input_height_max_px = SIDE,
                                   .width_px = SIDE,
                                   .height_px = SIDE,
                                   .channels = 3};
    memcpy(config.mean, stats.mean, sizeof config.mean);
    memcpy(config.std, stats.std, sizeof config.std);
    struct ei_pre *pre = NULL;
    EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
    const struct ei_batch_augment none = {0};
    for (int32_t s = 0; s < 30; s++) {
        static float a[PIXELS], b[PIXELS];
        struct einet_image image;
        int64_t label = -1;
        int32_t expected = -2;
        EI_EQ(ei_batch_sample(dataset, &stats, &none, s, a, &label), 0);
        EI_EQ(ei_dataset_sample(dataset, s, &image, &expected), 0);
        EI_EQ(label, expected);
        EI_EQ(ei_pre_run(pre, &image, b), 0);
        EI_TRUE(memcmp(a, b, sizeof a) == 0);
    }
    const struct ei_batch_augment any = {0};
    float out[PIXELS];
    int64_t label;
    EI_TRUE(ei_batch_sample(dataset, &stats, &any, 30, out, &label) < 0);
    ei_pre_destroy(pre);
    ei_dataset_destroy(dataset);
}

/* Which shift and mirror turn the plain picture into the augmented one; -1 when none does. */
static int find_shift(const float *plain, const float *augmented, int pad, bool mirror, int *out_x, int *out_y)
{
    for (int sy = -pad; sy <= pad; sy++) {
        for (int sx = -pad; sx <= pad; sx++) {
            bool same = true;
            for (int i = 0; same && i < PIXELS; i++) {
                const int c = i / (SIDE * SIDE), y = i / SIDE % SIDE + sy, x0 = i % SIDE;
                const int x = (mirror ? SIDE - 1 - x0 : x0) + sx;
                const float want = y < 0 || y >= SIDE || x < 0 || x >= SIDE ? 0.0F : plain[(c * SIDE + y) * SIDE + x];
                same = !(fabsf(augmented[i] - want) > 0.0F);
            }
            if (same) {
                *out_x = sx;
                *out_y = sy;
                return 0;
            }
        }
    }
    return -1;
}

EI_TEST(augmentation_shifts_and_mirrors)
{
    enum { COUNT = 120, PAD = 2 };
    struct ei_dataset *dataset = open_generated(COUNT);
    EI_REQUIRE(dataset != NULL);
    struct ei_batch_norm_stats stats;
    EI_EQ(ei_batch_stats(dataset, &stats, NULL), 0);
    const struct ei_batch_augment none = {0};
    const struct ei_batch_augment some = {.crop_pad_px = PAD, .flip = true, .enabled = true, .seed = 3, .epoch = 4};
    int shifts[5][5] = {{0}}, mirrored = 0;
    for (int32_t s = 0; s < COUNT; s++) {
        static float plain[PIXELS], a[PIXELS], b[PIXELS];
        int64_t label;
        int x = 0, y = 0;
        EI_EQ(ei_batch_sample(dataset, &stats, &none, s, plain, &label), 0);
        EI_EQ(ei_batch_sample(dataset, &stats, &some, s, a, &label), 0);
        EI_EQ(ei_batch_sample(dataset, &stats, &some, s, b, &label), 0);
        EI_TRUE(memcmp(a, b, sizeof a) == 0); /* the same draw again */
        const bool is_plain = find_shift(plain, a, PAD, false, &x, &y) == 0;
        const bool is_mirrored = !is_plain && find_shift(plain, a, PAD, true, &x, &y) == 0;
        EI_TRUEF(is_plain || is_mirrored, "sample %d is no shifted or mirrored picture", s);
        mirrored += is_mirrored;
        shifts[y + PAD][x + PAD]++;
    }
    EI_IN(mirrored, 40, 80);
    int used = 0;
    for (int i = 0; i < 25; i++) {
        used += shifts[i / 5][i % 5] > 0;
    }
    EI_TRUEF(used >= 20, "%d of 25 shifts were drawn", used);
    ei_dataset_destroy(dataset);
}

/* Every old pixel counts by the area of it that a new one covers, so the mean stays. */
EI_TEST(shrinking_averages_areas)
{
    static float in[2 * SIDE * SIDE], out[2 * SIDE * SIDE];
    for (int i = 0; i < 2 * SIDE * SIDE; i++) {
        in[i] = (float)((i * 7919) % 101) - 20.0F;
    }
    ei_batch_shrink(in, 2, SIDE, 16, out);
    EI_NEAR(out[0], (in[0] + in[1] + in[SIDE] + in[SIDE + 1]) / 4.0F, 1e-5);
    EI_NEAR(out[16 * 16 + 5 * 16 + 3],
            (in[1024 + 10 * 32 + 6] + in[1024 + 10 * 32 + 7] + in[1024 + 11 * 32 + 6] + in[1024 + 11 * 32 + 7]) / 4.0F,
            1e-5);
    ei_batch_shrink(in, 1, SIDE, 24, out); /* a new pixel is 4/3 old ones wide */
    EI_NEAR(out[0], (in[0] + in[1] / 3.0F + in[SIDE] / 3.0F + in[SIDE + 1] / 9.0F) * 9.0F / 16.0F, 1e-4);
    double before = 0.0, after = 0.0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        before += (double)in[i] / (SIDE * SIDE);
        after += i < 24 * 24 ? (double)out[i] / (24 * 24) : 0.0;
    }
    EI_NEAR(before, after, 1e-4);
    ei_batch_shrink(in, 2, SIDE, SIDE, out);
    EI_TRUE(memcmp(in, out, sizeof in) == 0);
}

EI_TEST(shuffles_are_permutations_of_seed_and_epoch)
{
    enum { COUNT = 1000 };
    static int32_t a[COUNT], b[COUNT], other_epoch[COUNT], other_seed[COUNT];
    static bool seen[COUNT];
    ei_batch_shuffle(1, 0, COUNT, a);
    ei_batch_shuffle(1, 0, COUNT, b);
    ei_batch_shuffle(1, 1, COUNT, other_epoch);
    ei_batch_shuffle(2, 0, COUNT, other_seed);
    EI_TRUE(memcmp(a, b, sizeof a) == 0);
    int same_epoch = 0, same_seed = 0;
    for (int i = 0; i < COUNT; i++) {
        EI_REQUIRE(a[i] >= 0 && a[i] < COUNT && !seen[a[i]]);
        seen[a[i]] = true;
        same_epoch += a[i] == other_epoch[i];
        same_seed += a[i] == other_seed[i];
    }
    EI_TRUE(same_epoch < 20);
    EI_TRUE(same_seed < 20);
}

EI_MAIN()
