/* The profiles of a few folders, sorted into the pairs (network, data set) of the paper's tables.
 *
 * What a file is, is read from its own first lines, never from its name: network, data set, weights and precision. A
 * network NAME-classic counts as the single-exit counterpart of NAME, and as the compressed one when its precision is
 * not float32 (or its name ends in -bf16). Several weights of one pair are several trainings. Offline code, any thread.
 */
#ifndef MODELS_PAPER_LIBRARY_H
#define MODELS_PAPER_LIBRARY_H

#include "models/plan_evaluate.h"

#define EI_PAPER_TRAININGS_MAX 16
#define EI_PAPER_SPLIT "test"

/* ---- files ---- */

struct ei_paper_file {
    char *path; /* owned */
    /* owned; one of the three */
    struct ei_et_profile *et;
    struct ei_cs_profile *cs;
    struct ei_predictor *predictor;
    char network[EI_PROFILE_TEXT_MAX]; /* without -classic and -bf16 */
    bool is_classic;
    enum ei_profile_precision precision;
    bool is_used; /* by a pair */
};

struct ei_paper_files {
    int32_t count;
    struct ei_paper_file *item; /* owned; by folder, then by name */
};

/* Read every profile and predictor of the folders; other files are passed over. Returns 0; -errno (a folder or file
 * cannot be read, named); what the readers of planner/profile_file.h return; -ENOMEM. On error there is nothing to
 * undo. */
int ei_paper_files_read(const char *const *folders, int32_t count, struct ei_paper_files *out, struct einet_error *err);

/* Free; zeroed files are fine. */
void ei_paper_files_fini(struct ei_paper_files *files);

/* ---- pairs ---- */

/* Profiles of one training of one network. Borrowed from the files. */
struct ei_paper_training {
    struct ei_plan_profiles profiles;
    const struct ei_predictor *predictor; /* NULL = none */
    const char *cs_path;
};

struct ei_paper_trainings {
    int32_t count;
    struct ei_paper_training item[EI_PAPER_TRAININGS_MAX];
};

struct ei_paper_pair {
    char network[EI_PROFILE_TEXT_MAX], dataset[EI_PROFILE_TEXT_MAX];
    struct ei_paper_trainings whole, classic, compressed; /* whole: one or more */
};

/* What the tables would need and do not have. */
struct ei_paper_missing {
    char network[EI_PROFILE_TEXT_MAX + 16], dataset[EI_PROFILE_TEXT_MAX];
    const char *what;                       /* "network", "classic", "compressed", "light branches", "block times" */
    char command[12 * EI_PROFILE_TEXT_MAX]; /* that makes it */
};

struct ei_paper_library {
    struct ei_paper_files files;
    int32_t pair_count;
    struct ei_paper_pair *pair; /* owned; those of the paper in its order, then by network and data set */
    int32_t missing_count;
    struct ei_paper_missing *missing; /* owned */
};

/* Read the folders and sort. pairs: "NET/DATASET,..", NULL = those of the paper and all that are found. lane: only
 * block times whose lane begins with it count. Returns as ei_paper_files_read, and EINET_E_MISMATCH (block times or a
 * predictor of other weights than the scores; two files for the same; trainings of a pair with other samples; files
 * named), EINET_E_LIMIT (trainings), EINET_E_USAGE (pairs). On error there is nothing to undo. */
int ei_paper_library_read(const char *const *folders, int32_t folder_count, const char *pairs, const char *lane,
                          struct ei_paper_library *out, struct einet_error *err);

/* Free; a zeroed library is fine. */
void ei_paper_library_fini(struct ei_paper_library *library);

/* NULL: not among the pairs. */
const struct ei_paper_pair *ei_paper_pair_find(const struct ei_paper_library *library, const char *network,
                                               const char *dataset);

#endif
