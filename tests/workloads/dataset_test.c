/* The loaders of MNIST and CIFAR: what they accept, what they refuse and how they say it. */
#include "tests/harness/harness.h"
#include "workloads/dataset.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 3, DIGIT_BYTES = 28 * 28, CIFAR_RECORDS = 10000, CIFAR10_RECORD = 3073, CIFAR100_RECORD = 3074 };

static char path_text[512];

static const char *path_in(const char *dir, const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", dir, name);
    return path_text;
}

static void write_file(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    EI_REQUIRE(file != NULL);
    EI_EQ(fwrite(bytes, 1, size_bytes, file), size_bytes);
    fclose(file);
}

/* Overwrite one byte of a file. */
static void poke(const char *path, long at_bytes, uint8_t value)
{
    FILE *file = fopen(path, "r+b");
    EI_REQUIRE(file != NULL);
    fseek(file, at_bytes, SEEK_SET);
    fputc(value, file);
    fclose(file);
}

/* A sound MNIST test split of three digits whose pixel k of digit i is (i * 50 + k) % 251. */
static const char *write_mnist(void)
{
    const char *dir = ei_test_tmpdir();
    uint8_t images[16 + DIGITS * DIGIT_BYTES] = {0, 0, 8, 3, 0, 0, 0, DIGITS, 0, 0, 0, 28, 0, 0, 0, 28};
    const uint8_t labels[8 + DIGITS] = {0, 0, 8, 1, 0, 0, 0, DIGITS, 7, 0, 9};
    for (int i = 0; i < DIGITS; i++) {
        for (int k = 0; k < DIGIT_BYTES; k++) {
            images[16 + i * DIGIT_BYTES + k] = (uint8_t)((i * 50 + k) % 251);
        }
    }
    mkdir(path_in(dir, "mnist"), 0777);
    write_file(path_in(dir, "mnist/t10k-images-idx3-ubyte"), images, sizeof images);
    write_file(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), labels, sizeof labels);
    return dir;
}

/* A sparse CIFAR file of zero pixels and zero labels. */
static const char *write_cifar(const char *folder, const char *name, long size_bytes)
{
    const char *dir = ei_test_tmpdir();
    char file_name[128];
    mkdir(path_in(dir, folder), 0777);
    snprintf(file_name, sizeof file_name, "%s/%s", folder, name);
    write_file(path_in(dir, file_name), "", 0);
    EI_EQ(truncate(path_in(dir, file_name), size_bytes), 0);
    return dir;
}

/* Opening must fail with a file error that names `file` and says `text`, and leave *out alone. */
static void expect_refusal(const char *name, enum ei_dataset_split split, const char *dir, const char *file,
                           const char *text)
{
    struct einet_error err = {0};
    struct ei_dataset *const untouched = (struct ei_dataset *)&err;
    struct ei_dataset *dataset = untouched;
    EI_EQ(ei_dataset_open(name, split, dir, &dataset, &err), EINET_E_FILE);
    EI_TRUE(dataset == untouched);
    EI_EQ(err.code, EINET_E_FILE);
    EI_CONTAINS(err.file, file);
    EI_CONTAINS(err.text, text);
    EI_CONTAINS(err.text, "EINET_DATA");
}

EI_TEST(mnist_is_padded_to_32x32)
{
    struct ei_dataset *dataset;
    struct einet_error err;
    EI_REQUIRE(ei_dataset_open("mnist", EI_SPLIT_TEST, write_mnist(), &dataset, &err) == 0);
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    EI_STREQ(info->name, "mnist");
    EI_STREQ(info->split, "test");
    EI_EQ(info->count, DIGITS);
    EI_EQ(info->classes, 10);
    EI_STREQ(info->class_names[9], "9");
    const int32_t labels[DIGITS] = {7, 0, 9};
    for (int32_t i = 0; i < DIGITS; i++) {
        struct einet_image image;
        int32_t label;
        EI_EQ(ei_dataset_sample(dataset, i, &image, &label), 0);
        EI_EQ(label, labels[i]);
        EI_EQ(image.format, EINET_PIXELS_CHW_U8);
        EI_EQ(image.width_px, 32);
        EI_EQ(image.height_px, 32);
        EI_EQ(image.channels, 1);
        EI_EQ(image.size_bytes, 32 * 32);
        int wrong = 0;
        for (int y = 0; y < 32; y++) {
            for (int x = 0; x < 32; x++) {
                const bool inside = x >= 2 && x < 30 && y >= 2 && y < 30;
                const int expected = inside ? (i * 50 + (y - 2) * 28 + x - 2) % 251 : 0;
                wrong += image.data[y * 32 + x] != expected;
            }
        }
        EI_EQ(wrong, 0);
    }
    ei_dataset_destroy(dataset);
}

EI_TEST(sample_index_is_checked_and_label_optional)
{
    struct ei_dataset *dataset;
    struct einet_image image;
    EI_REQUIRE(ei_dataset_open("mnist", EI_SPLIT_TEST, write_mnist(), &dataset, NULL) == 0);
    EI_EQ(ei_dataset_sample(dataset, -1, &image, NULL), -EINVAL);
    EI_EQ(ei_dataset_sample(dataset, DIGITS, &image, NULL), -EINVAL);
    EI_EQ(ei_dataset_sample(dataset, DIGITS - 1, &image, NULL), 0);
    ei_dataset_destroy(dataset);
    ei_dataset_destroy(NULL);
}

EI_TEST(mnist_refuses_malformed_images)
{
    static const struct {
        long at_bytes;
        uint8_t value;
        const char *text;
    } cases[] = {{3, 1, "byte 0: magic"},
                 {7, 0, "byte 4: 0 images"},
                 {7, 2, "trailing data: should end at byte 1584 but has 2368 bytes"},
                 {7, 4, "truncated: ends at byte 2368 of 3152"},
                 {4, 255, "byte 4: 4278190083 images"},
                 {11, 27, "byte 8: 27x28 pixels"},
                 {15, 29, "byte 8: 28x29 pixels"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *dir = write_mnist();
        poke(path_in(dir, "mnist/t10k-images-idx3-ubyte"), cases[i].at_bytes, cases[i].value);
        if (cases[i].at_bytes == 7 && cases[i].value != 0) { /* labels that agree, so that the size is what is wrong */
            poke(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 7, cases[i].value);
        }
        expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-images", cases[i].text);
    }
    const char *dir = write_mnist();
    EI_EQ(truncate(path_in(dir, "mnist/t10k-images-idx3-ubyte"), 9), 0);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-images", "truncated: ends at byte 9");
}

EI_TEST(mnist_refuses_malformed_labels)
{
    const char *dir = write_mnist();
    poke(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 3, 3);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-labels", "byte 0: magic");
    dir = write_mnist();
    poke(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 7, 2);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-labels", "byte 4: 2 labels for 3 images");
    dir = write_mnist();
    poke(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 9, 10);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-labels", "byte 9: label 10 is outside");
    dir = write_mnist();
    EI_EQ(truncate(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 10), 0);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-labels", "truncated: ends at byte 10 of 11");
    dir = write_mnist();
    EI_EQ(truncate(path_in(dir, "mnist/t10k-labels-idx1-ubyte"), 12), 0);
    expect_refusal("mnist", EI_SPLIT_TEST, dir, "t10k-labels", "trailing data");
}

EI_TEST(missing_files_say_where_and_what_to_do)
{
    const char *dir = ei_test_tmpdir();
    expect_refusal("mnist", EI_SPLIT_TRAIN, dir, "mnist/train-images-idx3-ubyte", dir);
    expect_refusal("cifar10", EI_SPLIT_TRAIN, dir, "cifar-10-batches-bin/data_batch_1.bin", dir);
    expect_refusal("cifar100", EI_SPLIT_TEST, dir, "cifar-100-binary/test.bin", dir);
    EI_EQ(setenv("EINET_DATA", dir, 1), 0);
    expect_refusal("cifar10", EI_SPLIT_TEST, NULL, dir, dir);
    EI_EQ(unsetenv("EINET_DATA"), 0);
    EI_EQ(chdir(dir), 0);
    expect_refusal("cifar10", EI_SPLIT_TEST, NULL, "data/cifar-10-batches-bin/test_batch.bin", "'data'");
    mkdir("mnist", 0777);
    mkdir("mnist/t10k-images-idx3-ubyte", 0777); /* a folder where a file should be */
    expect_refusal("mnist", EI_SPLIT_TEST, ".", "t10k-images", "");
}

EI_TEST(unknown_names_are_refused)
{
    struct einet_error err = {0};
    struct ei_dataset *dataset = NULL;
    EI_EQ(ei_dataset_open("imagenet", EI_SPLIT_TEST, NULL, &dataset, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "imagenet");
    EI_CONTAINS(err.text, "cifar100");
    EI_EQ(ei_dataset_open("mnist", (enum ei_dataset_split)7, NULL, &dataset, &err), EINET_E_USAGE);
    EI_EQ(ei_dataset_open("mnist", EI_SPLIT_TEST, "/nowhere", &dataset, NULL), EINET_E_FILE);
    EI_TRUE(dataset == NULL);
}

EI_TEST(cifar_refuses_malformed_files)
{
    const char *dir = write_cifar("cifar-10-batches-bin", "test_batch.bin", CIFAR_RECORDS * CIFAR10_RECORD);
    const char *path = "cifar-10-batches-bin/test_batch.bin";
    poke(path_in(dir, path), 2 * CIFAR10_RECORD, 10);
    expect_refusal("cifar10", EI_SPLIT_TEST, dir, "test_batch.bin", "byte 6146: label 10 is outside 0 .. 9");
    poke(path_in(dir, path), 2 * CIFAR10_RECORD, 9);
    EI_EQ(truncate(path_in(dir, path), CIFAR_RECORDS * CIFAR10_RECORD - 1), 0);
    expect_refusal("cifar10", EI_SPLIT_TEST, dir, "test_batch.bin", "truncated: ends at byte 30729999 of 30730000");
    EI_EQ(truncate(path_in(dir, path), CIFAR_RECORDS * CIFAR10_RECORD + 1), 0);
    expect_refusal("cifar10", EI_SPLIT_TEST, dir, "test_batch.bin", "trailing data: should end at byte 30730000");

    dir = write_cifar("cifar-100-binary", "test.bin", CIFAR_RECORDS * CIFAR100_RECORD);
    path = "cifar-100-binary/test.bin";
    poke(path_in(dir, path), CIFAR100_RECORD, 20);
    expect_refusal("cifar100", EI_SPLIT_TEST, dir, "test.bin", "byte 3074: coarse label 20");
    poke(path_in(dir, path), CIFAR100_RECORD, 19);
    poke(path_in(dir, path), CIFAR100_RECORD + 1, 100);
    expect_refusal("cifar100", EI_SPLIT_TEST, dir, "test.bin", "byte 3075: label 100 is outside 0 .. 99");
}

EI_TEST(cifar_fields_are_where_the_format_says)
{
    const char *dir = write_cifar("cifar-10-batches-bin", "test_batch.bin", CIFAR_RECORDS * CIFAR10_RECORD);
    poke(path_in(dir, "cifar-10-batches-bin/test_batch.bin"), 5L * CIFAR10_RECORD, 8);
    poke(path_in(dir, "cifar-10-batches-bin/test_batch.bin"), 5L * CIFAR10_RECORD + 1, 11);
    poke(path_in(dir, "cifar-10-batches-bin/test_batch.bin"), 5L * CIFAR10_RECORD + 3072, 22);
    struct ei_dataset *dataset;
    struct einet_image image;
    int32_t label;
    EI_REQUIRE(ei_dataset_open("cifar10", EI_SPLIT_TEST, dir, &dataset, NULL) == 0);
    EI_EQ(ei_dataset_sample(dataset, 5, &image, &label), 0);
    EI_EQ(label, 8);
    EI_STREQ(ei_dataset_info(dataset)->class_names[label], "ship");
    EI_EQ(image.size_bytes, 3072);
    EI_EQ(image.data[0], 11);
    EI_EQ(image.data[3071], 22);
    ei_dataset_destroy(dataset);

    dir = write_cifar("cifar-100-binary", "test.bin", CIFAR_RECORDS * CIFAR100_RECORD);
    poke(path_in(dir, "cifar-100-binary/test.bin"), 5L * CIFAR100_RECORD, 3);
    poke(path_in(dir, "cifar-100-binary/test.bin"), 5L * CIFAR100_RECORD + 1, 97);
    poke(path_in(dir, "cifar-100-binary/test.bin"), 5L * CIFAR100_RECORD + 2, 33);
    EI_REQUIRE(ei_dataset_open("cifar100", EI_SPLIT_TEST, dir, &dataset, NULL) == 0);
    EI_EQ(ei_dataset_sample(dataset, 5, &image, &label), 0);
    EI_EQ(label, 97);
    EI_STREQ(ei_dataset_info(dataset)->class_names[label], "wolf");
    EI_EQ(image.data[0], 33);
    ei_dataset_destroy(dataset);
}

/* Open a real split, check its size and how its labels are spread, and return the mean pixel of all samples. */
static double check_real(const char *name, enum ei_dataset_split split, const char *root, int32_t count,
                         int32_t class_min, int32_t class_max)
{
    struct ei_dataset *dataset;
    struct einet_error err = {0};
    if (!EI_TRUEF(ei_dataset_open(name, split, root, &dataset, &err) == 0, "%s: %s: %s", name, err.file, err.text)) {
        return 0.0;
    }
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    int32_t per_class[100] = {0};
    uint64_t sum = 0, pixels = 0;
    EI_EQ(info->count, count);
    for (int32_t i = 0; i < info->count; i++) {
        struct einet_image image;
        int32_t label = -1;
        if (ei_dataset_sample(dataset, i, &image, &label) != 0 || label < 0 || label >= info->classes) {
            EI_TRUEF(false, "sample %d has label %d", i, label);
            break;
        }
        per_class[label]++;
        for (size_t k = 0; k < image.size_bytes; k++) {
            sum += image.data[k];
        }
        pixels += image.size_bytes;
    }
    for (int32_t k = 0; k < info->classes; k++) {
        EI_IN(per_class[k], class_min, class_max);
    }
    ei_dataset_destroy(dataset);
    return (double)sum / (double)pixels / 255.0;
}

EI_TEST(real_mnist)
{
    const char *root = ei_test_data_or_skip("mnist/t10k-images-idx3-ubyte");
    /* The known mean of the 60000 training digits is 0.1307; the border of zeros thins it by (28/32)^2. */
    EI_NEAR(check_real("mnist", EI_SPLIT_TRAIN, root, 60000, 5421, 6742), 0.1307 * 49.0 / 64.0, 2e-4);
    check_real("mnist", EI_SPLIT_TEST, root, 10000, 892, 1135);
}

EI_TEST(real_cifar10)
{
    const char *root = ei_test_data_or_skip("cifar-10-batches-bin/test_batch.bin");
    /* The mean of the training pictures is (0.4914, 0.4822, 0.4465). */
    EI_NEAR(check_real("cifar10", EI_SPLIT_TRAIN, root, 50000, 5000, 5000), (0.4914 + 0.4822 + 0.4465) / 3.0, 2e-4);
    check_real("cifar10", EI_SPLIT_TEST, root, 10000, 1000, 1000);
}

EI_TEST(real_cifar100)
{
    const char *root = ei_test_data_or_skip("cifar-100-binary/test.bin");
    EI_NEAR(check_real("cifar100", EI_SPLIT_TRAIN, root, 50000, 500, 500), (0.5071 + 0.4865 + 0.4409) / 3.0, 2e-4);
    check_real("cifar100", EI_SPLIT_TEST, root, 10000, 100, 100);
}

EI_TEST(cifar_class_names_match_the_files)
{
    char root[256], line[64];
    snprintf(root, sizeof root, "%s", ei_test_data_or_skip("cifar-100-binary/fine_label_names.txt"));
    const struct {
        const char *name, *file;
    } sets[] = {{"cifar100", "cifar-100-binary/fine_label_names.txt"},
                {"cifar10", "cifar-10-batches-bin/batches.meta.txt"}};
    for (int i = 0; i < 2; i++) {
        struct ei_dataset *dataset;
        EI_REQUIRE(ei_dataset_open(sets[i].name, EI_SPLIT_TEST, root, &dataset, NULL) == 0);
        FILE *file = fopen(path_in(root, sets[i].file), "r");
        EI_REQUIRE(file != NULL);
        for (int32_t k = 0; k < ei_dataset_info(dataset)->classes; k++) {
            EI_REQUIRE(fgets(line, sizeof line, file) != NULL);
            line[strcspn(line, "\r\n")] = '\0';
            EI_STREQ(ei_dataset_info(dataset)->class_names[k], line);
        }
        fclose(file);
        ei_dataset_destroy(dataset);
    }
}

EI_MAIN()
