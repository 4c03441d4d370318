/* CIFAR-10 and CIFAR-100, binary version (Krizhevsky 2009): records of 1 label byte (CIFAR-100: coarse, fine) and 3072
 * pixel bytes, three planes of 32x32. The format has no header, so only the exact size tells a complete file. */
#include "workloads/dataset_storage.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    SIDE_PX = 32,
    SAMPLE_BYTES = 3 * SIDE_PX * SIDE_PX,
    CIFAR10_FILE_COUNT = 10000, /* samples per file */
    CIFAR100_TRAIN_COUNT = 50000,
    CIFAR100_TEST_COUNT = 10000,
    COARSE_CLASSES = 20
};

static const char *const cifar10_names[10] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};

static const char *const cifar100_names[100] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};

/* How one split of one of the two sets lies on disk. */
struct layout {
    const char *name, *folder;
    const char *files[5];
    int32_t file_count;
    int32_t samples_per_file;
    size_t label_bytes; /* in front of the pixels; the last one is the class */
    int32_t classes;
    const char *const *class_names;
};

static const struct layout cifar10_train = {
    .name = "cifar10",
    .folder = "cifar-10-batches-bin",
    .files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
    .file_count = 5,
    .samples_per_file = CIFAR10_FILE_COUNT,
    .label_bytes = 1,
    .classes = 10,
    .class_names = cifar10_names};

static const struct layout cifar10_test = {.name = "cifar10",
                                           .folder = "cifar-10-batches-bin",
                                           .files = {"test_batch.bin"},
                                           .file_count = 1,
                                           .samples_per_file = CIFAR10_FILE_COUNT,
                                           .label_bytes = 1,
                                           .classes = 10,
                                           .class_names = cifar10_names};

static const struct layout cifar100_train = {.name = "cifar100",
                                             .folder = "cifar-100-binary",
                                             .files = {"train.bin"},
                                             .file_count = 1,
                                             .samples_per_file = CIFAR100_TRAIN_COUNT,
                                             .label_bytes = 2,
                                             .classes = 100,
                                             .class_names = cifar100_names};

static const struct layout cifar100_test = {.name = "cifar100",
                                            .folder = "cifar-100-binary",
                                            .files = {"test.bin"},
                                            .file_count = 1,
                                            .samples_per_file = CIFAR100_TEST_COUNT,
                                            .label_bytes = 2,
                                            .classes = 100,
                                            .class_names = cifar100_names};

/* Take the labels of one file's records, whose first sample is sample `first` of the set. */
static int fill_labels(const struct layout *layout, const char *path, const uint8_t *records, int32_t first,
                       struct ei_dataset *dataset, const char *remedy, struct einet_error *err)
{
    const size_t record_bytes = layout->label_bytes + SAMPLE_BYTES;
    for (int32_t i = 0; i < layout->samples_per_file; i++) {
        const size_t at_bytes = (size_t)i * record_bytes;
        if (layout->label_bytes == 2 && records[at_bytes] >= COARSE_CLASSES) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte %zu: coarse label %u is outside 0 .. %d; %s",
                                      at_bytes, records[at_bytes], COARSE_CLASSES - 1, remedy);
        }
        const size_t fine_bytes = at_bytes + layout->label_bytes - 1;
        if (records[fine_bytes] >= layout->classes) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte %zu: label %u is outside 0 .. %d; %s",
                                      fine_bytes, records[fine_bytes], layout->classes - 1, remedy);
        }
        dataset->labels[first + i] = records[fine_bytes];
    }
    return 0;
}

static int load(const struct layout *layout, const char *root, struct ei_dataset *dataset, struct einet_error *err)
{
    char remedy[256], path[EINET_ERROR_FILE_MAX];
    snprintf(remedy, sizeof remedy,
             "unpack the binary version of %s into %s/ of the data folder '%.100s', or set "
             "EINET_DATA to the folder that holds it",
             layout->classes == 10 ? "CIFAR-10" : "CIFAR-100", layout->folder, root);
    const size_t file_bytes = (size_t)layout->samples_per_file * (layout->label_bytes + SAMPLE_BYTES);
    for (int32_t i = 0; i < layout->file_count; i++) {
        const int length = snprintf(path, sizeof path, "%s/%s/%s", root, layout->folder, layout->files[i]);
        if (length >= (int)sizeof path) {
            return einet_error_set(err, EINET_E_LIMIT, "the data folder's path is longer than %zu bytes", sizeof path);
        }
        uint8_t *records = dataset->buffer + (size_t)i * file_bytes;
        int rc = ei_dataset_read_file(path, records, file_bytes, remedy, err);
        if (rc == 0) {
            rc = fill_labels(layout, path, records, i * layout->samples_per_file, dataset, remedy, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int ei_dataset_open_cifar(int classes, enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                          struct einet_error *err)
{
    const bool train = split == EI_SPLIT_TRAIN;
    const struct layout *layout =
        classes == 10 ? (train ? &cifar10_train : &cifar10_test) : (train ? &cifar100_train : &cifar100_test);
    struct ei_dataset_info info = {.count = layout->file_count * layout->samples_per_file,
                                   .classes = layout->classes,
                                   .width_px = SIDE_PX,
                                   .height_px = SIDE_PX,
                                   .channels = 3,
                                   .class_names = layout->class_names};
    snprintf(info.name, sizeof info.name, "%s", layout->name);
    snprintf(info.split, sizeof info.split, "%s", train ? "train" : "test");
    const size_t record_bytes = layout->label_bytes + SAMPLE_BYTES;
    struct ei_dataset *dataset;
    int rc = ei_dataset_storage_create(&info, (size_t)info.count * record_bytes, &dataset, err);
    if (rc < 0) {
        return rc;
    }
    dataset->first_bytes = layout->label_bytes;
    dataset->stride_bytes = record_bytes;
    dataset->sample_bytes = SAMPLE_BYTES;
    rc = load(layout, root, dataset, err);
    if (rc < 0) {
        ei_dataset_destroy(dataset);
        return rc;
    }
    *out = dataset;
    return 0;
}
