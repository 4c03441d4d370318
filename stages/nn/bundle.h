/* Bundles: a multi-exit network that a user brings, as a folder.
 *
 *     manifest.json         the program: blocks of layers and TorchScript parts (docs/bundles.md has the grammar)
 *     weights.safetensors   parameters of the layers, if there are any, named as in program.h
 *     *.pt                  the TorchScript parts
 *
 * Reading is strict: what the manifest says wrong is an error that names file, block, part and key. A bundle's identity
 * is one hash over all of these files. Offline code, not real-time safe; a read bundle is a value.
 */
#ifndef STAGES_NN_BUNDLE_H
#define STAGES_NN_BUNDLE_H

#include "stages/nn/exec.h"
#include "stages/nn/program.h"

#include <stddef.h>

#define EI_BUNDLE_MANIFEST "manifest.json"
#define EI_BUNDLE_WEIGHTS "weights.safetensors"
#define EI_BUNDLE_SIDE_MAX_PX 1024
#define EI_BUNDLE_PATH_MAX 4096

struct ei_bundle {
    struct ei_program
        program; /* open (ei_program_resolve): neither input channels nor results of scripts are written */
    char dataset[32];
    float norm_mean[3], norm_std[3];
    float exit_accuracy[EI_PROGRAM_BLOCKS_MAX]; /* 0..1; -1 = unknown */
};

/* Read and check the manifest; parts and weights are not looked at. Returns 0; EINET_E_FILE or -ENOMEM. */
int ei_bundle_read(const char *dir, struct ei_bundle *out, struct einet_error *err);

/* Write the manifest into the folder, which must be there, under a temporary name that is then renamed. Returns 0,
 * EINET_E_USAGE (a name or number that the manifest may not hold) or -errno. */
int ei_bundle_write(const char *dir, const struct ei_bundle *bundle, struct einet_error *err);

/* Load the scripts, fill in what the program leaves open (each script runs once on zeros) and make its executor without
 * setting the parameters. The calling thread must have entered libtorch. Returns 0; EINET_E_FILE (a part is missing or
 * damaged), EINET_E_MISMATCH (parts that do not fit each other), EINET_E_BACKEND, -ENOMEM. */
int ei_bundle_exec(const char *dir, const struct ei_torch_api *api, struct ei_bundle *bundle, struct ei_exec **out,
                   struct einet_error *err);

/* Load the scripts of a resolved program into its executor. Returns like ei_bundle_exec. */
int ei_bundle_load_scripts(const char *dir, const struct ei_torch_api *api, struct ei_exec *exec,
                           struct einet_error *err);

/* The bundle's identity, 64 hexadecimal digits and a NUL: SHA-256 over name and SHA-256 of the manifest, of each script
 * in the order of its first use, and of the weights if the program has parameters. Returns 0, EINET_E_FILE. */
int ei_bundle_sha256(const char *dir, const struct ei_program *program, char out_hex[65], struct einet_error *err);

/* dir/file into out, [EI_BUNDLE_PATH_MAX]. Returns 0 or EINET_E_USAGE. */
int ei_bundle_path(const char *dir, const char *file, char *out, struct einet_error *err);

#endif
