/* Labelled pictures as inputs of tasks, of training and of evaluation.
 *
 * A data set is read (or drawn) once, completely, into memory when it is opened and is immutable from then on: any
 * thread may read it, a sample is a borrowed view and costs no allocation and no system call. Formats and sources:
 * MNIST's IDX files (LeCun et al. 1998), the binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), a set drawn
 * from a seed (workloads/generated.h) and folders of PNG and JPEG files (workloads/images.h).
 *
 * Files are checked strictly: magic numbers, sizes, truncation, trailing bytes, label ranges. An error names the file,
 * the byte position and the remedy.
 */
#ifndef WORKLOADS_DATASET_H
#define WORKLOADS_DATASET_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <einet/image.h>
#include <stdint.h>

struct ei_dataset; /* opaque, immutable after open, any thread may read */

enum ei_dataset_split { EI_SPLIT_TRAIN, EI_SPLIT_TEST };

struct ei_dataset_info {
    char name[32];    /* "mnist", "cifar10", "cifar100", "generated", "images" */
    char split[16];   /* "train", "test"; "all" for an image folder */
    int32_t count;    /* samples, >= 1 */
    int32_t classes;  /* labels are 0 .. classes-1; 0 = unlabelled */
    int32_t width_px; /* of every sample; of an image folder: the largest of any file */
    int32_t height_px;
    int32_t channels;               /* 1 or 3 as stored; of an image folder: the largest of any file */
    const char *const *class_names; /* `classes` texts, owned by the data set; NULL when unlabelled */
};

/* Open a data set by name: "mnist" (32x32x1: 28x28 with a border of 2 zero pixels), "cifar10", "cifar100" (fine labels)
 * (both 32x32x3), or "generated" (32x32x3, seed 1, 40000 train or 4000 test samples). Pixels are EINET_PIXELS_CHW_U8.
 *
 * root: the folder that holds mnist/, cifar-10-batches-bin/ and cifar-100-binary/; NULL = environment EINET_DATA, else
 * "data". Not used by "generated".
 * Returns 0, EINET_E_USAGE (unknown name), EINET_E_FILE (missing or malformed file), -ENOMEM. *out is untouched on
 * error. Thread: any, not real-time safe. */
int ei_dataset_open(const char *name, enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                    struct einet_error *err);

/* The generated set with another seed or size, 1 <= count <= EI_DATASET_GENERATED_MAX. Train and test of one seed draw
 * from disjoint random streams; sample i is the same whatever count is. Returns 0, EINET_E_USAGE, -ENOMEM. */
#define EI_DATASET_GENERATED_MAX 1000000
int ei_dataset_open_generated(uint64_t seed, enum ei_dataset_split split, int32_t count, struct ei_dataset **out,
                              struct einet_error *err);

/* A folder of .png, .jpg and .jpeg files (upper case too). Sub-folders are the classes, in byte order of their names; a
 * folder without sub-folders is unlabelled. Samples come in byte order of their paths and stay compressed: they are
 * EINET_PIXELS_PNG or _JPEG and decoded in the job (stages/pre). Other files and names that begin with '.' are ignored.
 * Returns 0, EINET_E_FILE (nothing found, both layouts mixed, unreadable header), EINET_E_LIMIT, -ENOMEM. */
int ei_dataset_open_images(const char *dir, struct ei_dataset **out, struct einet_error *err);

/* What was opened. Borrowed until destroy. Thread: any. */
EINET_RT const struct ei_dataset_info *ei_dataset_info(const struct ei_dataset *dataset);

/* View sample idx. out_image borrows the pixels until destroy; out_label (may be NULL) is -1 when unknown.
 * Returns 0, or -EINVAL when idx is outside 0 .. count-1. Thread: any. */
EINET_RT int ei_dataset_sample(const struct ei_dataset *dataset, int32_t idx, struct einet_image *out_image,
                               int32_t *out_label);

/* Free it; NULL is fine. No view may be used afterwards. */
void ei_dataset_destroy(struct ei_dataset *dataset);

#endif
