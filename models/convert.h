/* Single-exit networks become multi-exit ones: cut after each convolution, heads attached, exits to be trained.
 *
 * A TorchScript file whose forward is a chain of its children becomes a bundle: known children turn into layers with
 * their weights, the others stay frozen TorchScript parts. Single-exit weights of the zoo become weights of the
 * multi-exit network of the same trunk. Either way every number of the trunk and of the last exit is kept, and the
 * other exits are drawn from the seed. Nothing is printed. Offline code, one thread of the caller, which is left in
 * libtorch's inference mode.
 */
#ifndef MODELS_CONVERT_H
#define MODELS_CONVERT_H

#include "models/train.h"
#include "stages/nn/program.h"
#include "stages/nn/zoo/writer.h"

enum ei_convert_cut {
    EI_CONVERT_CUT_CONV, /* before every convolution but the first: each takes the operations after it along */
    EI_CONVERT_CUT_POOL, /* after every pool */
    EI_CONVERT_CUT_LIST  /* after the given layers */
};

struct ei_convert_chain_config {
    const char *script_path; /* TorchScript file: one float tensor [n, channels, height, width] in, [n, classes] out */
    const char *out_dir;     /* the bundle, which must not be there yet */
    const char *name;        /* of the network */
    const char *dataset;     /* that it was trained on */
    struct ei_shape input;
    int32_t classes;
    enum ei_convert_cut cut;
    int32_t cuts[EI_PROGRAM_BLOCKS_MAX]; /* LIST: layers, from 0, rising */
    int32_t cut_count;
    struct ei_head head;
    float norm_mean[3], norm_std[3]; /* of its inputs on the 0..1 scale */
    uint64_t seed;                   /* of the new exits */
    int32_t threads;
};

/* One link of the chain, as found and as used. */
struct ei_convert_layer {
    char name[96];         /* "features.0" */
    char type[48];         /* "Conv2d" */
    char op[24];           /* "conv2d"; "" = stays TorchScript; "identity" is left out */
    struct ei_shape shape; /* of its result */
    int32_t block;         /* from 1 */
    bool is_last_exit;
};

struct ei_convert_report {
    int32_t exits, scripts; /* scripts: links that stay TorchScript */
    int32_t layer_count;
    struct ei_convert_layer *layers; /* [layer_count], freed by ei_convert_report_fini */
    float difference; /* largest difference between the module and the chain, relative to the largest output */
};

/* Convert a TorchScript file into a bundle whose new exits are not trained. report may be NULL.
 * Returns 0; EINET_E_FILE (no TorchScript of one tensor); EINET_E_MISMATCH (its forward is not the chain of its
 * children, or children that do not fit); EINET_E_USAGE (a cut or size that cannot be); EINET_E_BACKEND; -ENOMEM;
 * -errno (the folder cannot be written). On error the folder is not made. */
int ei_convert_chain(const struct ei_convert_chain_config *config, struct ei_convert_report *report,
                     struct einet_error *err);
void ei_convert_report_fini(struct ei_convert_report *report);

struct ei_convert_zoo_config {
    const char *weights_path; /* of a network of the zoo, NAME-classic above all */
    const char *to;           /* "vgg-16": a network of the zoo with the same trunk */
    const char *out_path;     /* weights, .safetensors */
    uint64_t seed;            /* of the new exits */
};

/* Single-exit weights of the zoo as weights of a multi-exit network. Returns 0; EINET_E_FILE; EINET_E_MISMATCH (another
 * trunk, named); EINET_E_USAGE (no such network); -ENOMEM; -errno. */
int ei_convert_zoo(const struct ei_convert_zoo_config *config, struct einet_error *err);

/* Train the exits of a bundle, or all of it, and write weights and manifest anew. Of config, zoo, program, attach,
 * init_path and out_path are set here; norm_mean and norm_std are the bundle's. With mode exits the last exit stays as
 * it is. Returns like ei_train_run; EINET_E_USAGE when the trunk holds TorchScript parts and all of it is to be
 * trained. */
int ei_convert_train_bundle(const char *dir, const struct ei_train_config *config, const struct ei_dataset *train,
                            const struct ei_dataset *test, struct ei_train_result *out_result, struct einet_error *err);

#endif
