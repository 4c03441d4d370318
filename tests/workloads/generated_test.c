/* The generated set: the same pixels everywhere, balanced labels, disjoint splits, shapes where they should be. */
#include "tests/harness/harness.h"
#include "workloads/dataset.h"
#include "workloads/generated.h"
#include <stdlib.h>

enum { PINNED_SAMPLES = 64, PLANE = EI_GENERATED_SIDE_PX * EI_GENERATED_SIDE_PX };

/* FNV-1a, 64 bit. */
static uint64_t hash_of(uint64_t hash, const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

static uint64_t hash_of_split(uint64_t seed, enum ei_dataset_split split)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    uint8_t pixels[EI_GENERATED_SAMPLE_BYTES];
    for (int32_t i = 0; i < PINNED_SAMPLES; i++) {
        const uint8_t label = (uint8_t)ei_generated_label(seed, split, i);
        ei_generated_draw(seed, split, i, pixels);
        hash = hash_of(hash_of(hash, &label, 1), pixels, sizeof pixels);
    }
    return hash;
}

/* Shipped weights were trained on these pixels. When this fails, either the drawing changed (train anew, then pin
 * the new sums) or this compiler computes doubles in another way (see the head of generated.c). */
EI_TEST(pixels_are_pinned)
{
    EI_TRUEF(hash_of_split(1, EI_SPLIT_TRAIN) == UINT64_C(0xb2c1d1dca2c584d1), "train: 0x%016" PRIx64,
             hash_of_split(1, EI_SPLIT_TRAIN));
    EI_TRUEF(hash_of_split(1, EI_SPLIT_TEST) == UINT64_C(0xeb8c02dcdccc4265), "test: 0x%016" PRIx64,
             hash_of_split(1, EI_SPLIT_TEST));
}

EI_TEST(a_sample_does_not_depend_on_the_count)
{
    struct ei_dataset *few, *many;
    EI_REQUIRE(ei_dataset_open_generated(5, EI_SPLIT_TRAIN, 7, &few, NULL) == 0);
    EI_REQUIRE(ei_dataset_open_generated(5, EI_SPLIT_TRAIN, 50, &many, NULL) == 0);
    for (int32_t i = 0; i < 7; i++) {
        struct einet_image a, b;
        int32_t label_a, label_b;
        EI_EQ(ei_dataset_sample(few, i, &a, &label_a), 0);
        EI_EQ(ei_dataset_sample(many, i, &b, &label_b), 0);
        EI_EQ(label_a, label_b);
        EI_EQ(memcmp(a.data, b.data, EI_GENERATED_SAMPLE_BYTES), 0);
    }
    ei_dataset_destroy(few);
    ei_dataset_destroy(many);
}

EI_TEST(labels_are_balanced_and_shuffled)
{
    int same_as_first_run = 0;
    for (int32_t run = 0; run < 100; run++) {
        int seen[EI_GENERATED_CLASSES] = {0}, same = 1;
        for (int32_t i = 0; i < EI_GENERATED_CLASSES; i++) {
            const int32_t label = ei_generated_label(9, EI_SPLIT_TEST, run * EI_GENERATED_CLASSES + i);
            EI_REQUIRE(label >= 0 && label < EI_GENERATED_CLASSES);
            seen[label]++;
            same = same && label == ei_generated_label(9, EI_SPLIT_TEST, i);
        }
        for (int k = 0; k < EI_GENERATED_CLASSES; k++) {
            EI_EQ(seen[k], 1);
        }
        same_as_first_run += same;
    }
    EI_IN(same_as_first_run, 1, 3); /* 10! orders: chance repeats none of them */
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

EI_TEST(splits_and_seeds_are_disjoint)
{
    enum { EACH = 500, ALL = 4 * EACH };
    uint64_t hashes[ALL];
    uint8_t pixels[EI_GENERATED_SAMPLE_BYTES];
    for (int32_t i = 0; i < ALL; i++) {
        const uint64_t seed = i < 2 * EACH ? 1 : 2;
        ei_generated_draw(seed, i / EACH % 2 == 0 ? EI_SPLIT_TRAIN : EI_SPLIT_TEST, i % EACH, pixels);
        hashes[i] = hash_of(UINT64_C(14695981039346656037), pixels, sizeof pixels);
    }
    qsort(hashes, ALL, sizeof hashes[0], compare_u64);
    for (int i = 1; i < ALL; i++) {
        EI_TRUE(hashes[i] != hashes[i - 1]);
    }
}

/* Averaged over many samples the middle of a picture has more contrast than its corners, because shapes lie there. This
 * fails for a class whose shape is not painted. */
EI_TEST(every_class_paints_its_shape)
{
    enum { SAMPLES = 2000 };
    double energy[EI_GENERATED_CLASSES] = {0};
    uint8_t pixels[EI_GENERATED_SAMPLE_BYTES];
    for (int32_t i = 0; i < SAMPLES; i++) {
        const int32_t label = ei_generated_label(1, EI_SPLIT_TEST, i);
        ei_generated_draw(1, EI_SPLIT_TEST, i, pixels);
        for (int c = 0; c < 3; c++) {
            for (int y = 8; y < 24; y++) { /* steps between neighbours two pixels apart, inside against the corner */
                for (int x = 8; x < 24; x++) {
                    const uint8_t *at = pixels + c * PLANE + y * EI_GENERATED_SIDE_PX + x;
                    energy[label] += abs(at[0] - at[2]) + abs(at[0] - at[2 * EI_GENERATED_SIDE_PX]);
                }
            }
            for (int corner = 0; corner < 4; corner++) {
                for (int k = 0; k < 64; k++) {
                    const int x = k % 8 + (corner % 2 ? 22 : 0), y = k / 8 + (corner / 2 ? 22 : 0);
                    const uint8_t *at = pixels + c * PLANE + y * EI_GENERATED_SIDE_PX + x;
                    energy[label] -= abs(at[0] - at[2]) + abs(at[0] - at[2 * EI_GENERATED_SIDE_PX]);
                }
            }
        }
    }
    for (int k = 0; k < EI_GENERATED_CLASSES; k++) {
        const double per_step = energy[k] / (SAMPLES / EI_GENERATED_CLASSES) / (3 * 256 * 2);
        EI_TRUEF(per_step > 2.0, "%s: %.2f levels more contrast inside than in the corners",
                 ei_generated_class_names[k], per_step);
    }
}

EI_TEST(default_set_and_arguments)
{
    struct ei_dataset *dataset = NULL;
    struct einet_error err;
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, 0, &dataset, &err), EINET_E_USAGE);
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, EI_DATASET_GENERATED_MAX + 1, &dataset, &err), EINET_E_USAGE);
    EI_EQ(ei_dataset_open_generated(1, (enum ei_dataset_split)2, 1, &dataset, &err), EINET_E_USAGE);
    EI_TRUE(dataset == NULL);
    EI_REQUIRE(ei_dataset_open("generated", EI_SPLIT_TEST, "/nowhere", &dataset, &err) == 0);
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    EI_STREQ(info->name, "generated");
    EI_STREQ(info->split, "test");
    EI_EQ(info->count, 4000);
    EI_EQ(info->classes, EI_GENERATED_CLASSES);
    EI_EQ(info->channels, 3);
    EI_STREQ(info->class_names[9], "hook-z");
    struct einet_image image;
    int32_t label;
    uint8_t pixels[EI_GENERATED_SAMPLE_BYTES];
    EI_EQ(ei_dataset_sample(dataset, 3999, &image, &label), 0);
    ei_generated_draw(1, EI_SPLIT_TEST, 3999, pixels);
    EI_EQ(label, ei_generated_label(1, EI_SPLIT_TEST, 3999));
    EI_EQ(image.size_bytes, sizeof pixels);
    EI_EQ(memcmp(image.data, pixels, sizeof pixels), 0);
    ei_dataset_destroy(dataset);
}

EI_MAIN()
