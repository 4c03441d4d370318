/* Sorting profiles into pairs, and what is missing from them. Cold. */
#include "models/paper_library.h"

#include "models/paper_figures.h"
#include "stages/nn/zoo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_TEXT_MAX 1024

struct sorter {
    struct ei_paper_library *library;
    const char *lane;
    struct einet_error *err;
};

/* ---- what belongs to what ---- */

static bool is_same_network(const struct ei_paper_file *a, const struct ei_paper_file *b)
{
    return strcmp(a->network, b->network) == 0 && a->is_classic == b->is_classic && a->precision == b->precision;
}

static const char *weights_of(const struct ei_paper_file *file)
{
    return file->et ? file->et->weights_sha256 : file->cs ? file->cs->weights_sha256 : file->predictor->weights_sha256;
}

static bool is_same_weights(const struct ei_paper_file *a, const struct ei_paper_file *b)
{
    return is_same_network(a, b) && strcmp(weights_of(a), weights_of(b)) == 0;
}

static bool is_on_lane(const struct sorter *sorter, const struct ei_paper_file *file)
{
    return file->et && strncmp(file->et->lane, sorter->lane, strlen(sorter->lane)) == 0;
}

static bool is_of_split(const struct ei_paper_file *file)
{
    return file->cs && strcmp(file->cs->split, EI_PAPER_SPLIT) == 0;
}

/* Whether no scores are of these block times' weights. */
static bool is_orphan(const struct sorter *sorter, const struct ei_paper_file *et)
{
    const struct ei_paper_files *files = &sorter->library->files;
    for (int32_t f = 0; f < files->count; f++) {
        if (files->item[f].cs && is_same_weights(&files->item[f], et)) {
            return false;
        }
    }
    return true;
}

static int refuse_two(const struct sorter *sorter, const struct ei_paper_file *a, const struct ei_paper_file *b,
                      const char *what)
{
    return einet_error_set_at(sorter->err, EINET_E_MISMATCH, b->path, 0, 0,
                              "%s of the same weights as %.200s; keep one of the two in the folders", what, a->path);
}

/* The block times of a score file's weights; NULL when there are none. Those of other weights that belong to no scores
 * say that the two files are of two trainings, which must not pass as "not there". */
static int find_times(const struct sorter *sorter, const struct ei_paper_file *cs, struct ei_paper_file **out)
{
    const struct ei_paper_files *files = &sorter->library->files;
    const struct ei_paper_file *other = NULL;
    *out = NULL;
    for (int32_t f = 0; f < files->count; f++) {
        struct ei_paper_file *et = &files->item[f];
        if (!is_on_lane(sorter, et) || !is_same_network(et, cs)) {
            continue;
        }
        if (!is_same_weights(et, cs)) {
            other = is_orphan(sorter, et) ? et : other;
        } else if (*out) {
            return refuse_two(sorter, *out, et, "these are block times");
        } else {
            *out = et;
        }
    }
    if (!*out && other) {
        return einet_error_set_at(sorter->err, EINET_E_MISMATCH, cs->path, 0, 0,
                                  "these scores are of weights %.12s, the block times %.200s of weights %.12s; profile "
                                  "both with the same weights",
                                  weights_of(cs), other->path, weights_of(other));
    }
    struct einet_error reason = {0};
    if (*out && ei_cs_profile_match(cs->cs, NULL, (*out)->et->exits, NULL, &reason) != 0) {
        return einet_error_set_at(sorter->err, EINET_E_MISMATCH, cs->path, 0, 0,
                                  "these scores do not belong to the block times %.120s: %.200s", (*out)->path,
                                  reason.text);
    }
    return 0;
}

static int find_predictor(const struct sorter *sorter, const struct ei_paper_file *cs, struct ei_paper_file **out)
{
    const struct ei_paper_files *files = &sorter->library->files;
    *out = NULL;
    for (int32_t f = 0; f < files->count; f++) {
        struct ei_paper_file *file = &files->item[f];
        if (!file->predictor || !is_same_weights(file, cs) || strcmp(file->predictor->dataset, cs->cs->dataset) != 0) {
            continue;
        }
        if (*out) {
            return refuse_two(sorter, *out, file, "this is a predictor");
        }
        *out = file;
    }
    return 0;
}

/* ---- missing ---- */

/* scripts/train-zoo has recipes for the networks; their counterparts are made by the commands themselves. */
static void set_command(struct ei_paper_missing *missing)
{
    const char *network = missing->network, *dataset = missing->dataset;
    char *command = missing->command;
    const size_t size = sizeof missing->command;
    if (strcmp(missing->what, "block times") == 0) {
        snprintf(command, size, "einet profile --weights %s-%s.safetensors --dataset %s --only et --out %s-%s", network,
                 dataset, dataset, network, dataset);
    } else if (strcmp(missing->what, "classic") == 0) {
        snprintf(command, size,
                 "einet train --model %s --dataset %s --out %s-%s.safetensors && einet profile --weights "
                 "%s-%s.safetensors --dataset %s --out %s-%s",
                 network, dataset, network, dataset, network, dataset, dataset, network, dataset);
    } else if (strcmp(missing->what, "compressed") == 0) {
        snprintf(command, size,
                 "einet profile --weights %s-%s.safetensors --dataset %s --precision bf16 --out %s-bf16-%s", network,
                 dataset, dataset, network, dataset);
    } else {
        snprintf(command, size, "scripts/train-zoo %s/%s", network, dataset);
    }
}

static int add_missing(const struct sorter *sorter, const char *network, const char *suffix, const char *dataset,
                       const char *what)
{
    struct ei_paper_library *library = sorter->library;
    struct ei_paper_missing *grown =
        realloc(library->missing, ((size_t)library->missing_count + 1) * sizeof *library->missing);
    if (!grown) {
        return einet_error_set(sorter->err, -ENOMEM, "no memory for the list of what is not trained");
    }
    library->missing = grown;
    struct ei_paper_missing *missing = &grown[library->missing_count++];
    *missing = (struct ei_paper_missing){.what = what};
    snprintf(missing->network, sizeof missing->network, "%s%s", network, suffix);
    snprintf(missing->dataset, sizeof missing->dataset, "%s", dataset);
    set_command(missing);
    return 0;
}

/* ---- sorting ---- */

const struct ei_paper_pair *ei_paper_pair_find(const struct ei_paper_library *library, const char *network,
                                               const char *dataset)
{
    for (int32_t p = 0; p < library->pair_count; p++) {
        if (strcmp(library->pair[p].network, network) == 0 && strcmp(library->pair[p].dataset, dataset) == 0) {
            return &library->pair[p];
        }
    }
    return NULL;
}

static struct ei_paper_pair *pair_of(struct ei_paper_library *library, const char *network, const char *dataset)
{
    const struct ei_paper_pair *found = ei_paper_pair_find(library, network, dataset);
    if (found) {
        return &library->pair[found - library->pair];
    }
    struct ei_paper_pair *grown = realloc(library->pair, ((size_t)library->pair_count + 1) * sizeof *grown);
    if (!grown) {
        return NULL;
    }
    library->pair = grown;
    struct ei_paper_pair *pair = &grown[library->pair_count++];
    memset(pair, 0, sizeof *pair);
    snprintf(pair->network, sizeof pair->network, "%s", network);
    snprintf(pair->dataset, sizeof pair->dataset, "%s", dataset);
    return pair;
}

/* All that is compared is compared sample by sample. */
static int check_samples(const struct sorter *sorter, const struct ei_paper_pair *pair,
                         const struct ei_paper_file *file)
{
    const struct ei_paper_training *first = &pair->whole.item[0];
    const struct ei_cs_profile *a = first->profiles.cs, *b = file->cs;
    if (a->samples != b->samples || memcmp(a->label, b->label, (size_t)a->samples * sizeof a->label[0]) != 0) {
        return einet_error_set_at(sorter->err, EINET_E_MISMATCH, file->path, 0, 0,
                                  "its %d samples are not the %d of %.200s in the same order; profile both on the same "
                                  "split",
                                  b->samples, a->samples, first->cs_path);
    }
    return 0;
}

static int add_training(const struct sorter *sorter, struct ei_paper_pair *pair, struct ei_paper_trainings *trainings,
                        struct ei_paper_file *cs, struct ei_paper_file *et)
{
    struct ei_paper_file *predictor;
    int status = find_predictor(sorter, cs, &predictor);
    if (status == 0 && pair->whole.count > 0) {
        status = check_samples(sorter, pair, cs);
    }
    if (status != 0) {
        return status;
    }
    for (int32_t t = 0; t < trainings->count; t++) {
        const struct ei_paper_training *other = &trainings->item[t];
        if (strcmp(other->profiles.cs->weights_sha256, cs->cs->weights_sha256) == 0) {
            return einet_error_set_at(sorter->err, EINET_E_MISMATCH, cs->path, 0, 0,
                                      "these are scores of the same weights as %.200s; keep one of the two in the "
                                      "folders",
                                      other->cs_path);
        }
    }
    if (trainings->count == EI_PAPER_TRAININGS_MAX) {
        return einet_error_set_at(sorter->err, EINET_E_LIMIT, cs->path, 0, 0,
                                  "more than %d trainings of %.60s on %.60s; leave some out", EI_PAPER_TRAININGS_MAX,
                                  cs->network, cs->cs->dataset);
    }
    trainings->item[trainings->count++] = (struct ei_paper_training){
        .profiles = {et->et, cs->cs}, .predictor = predictor ? predictor->predictor : NULL, .cs_path = cs->path};
    cs->is_used = et->is_used = true;
    if (predictor) {
        predictor->is_used = true;
    }
    return 0;
}

/* One score file, as a training of its pair. Counterparts come after the networks they are compared with. */
static int sort_file(const struct sorter *sorter, struct ei_paper_file *cs)
{
    struct ei_paper_library *library = sorter->library;
    const char *dataset = cs->cs->dataset;
    const bool is_whole = !cs->is_classic;
    struct ei_paper_file *et;
    if (!is_whole && !ei_paper_pair_find(library, cs->network, dataset)) {
        return 0; /* nothing to compare it with */
    }
    int status = find_times(sorter, cs, &et);
    if (status != 0) {
        return status;
    }
    if (!et) {
        return add_missing(sorter, cs->cs->network, "", dataset, "block times");
    }
    struct ei_paper_pair *pair = pair_of(library, cs->network, dataset);
    if (!pair) {
        return einet_error_set(sorter->err, -ENOMEM, "no memory for the pairs of networks and data sets");
    }
    struct ei_paper_trainings *trainings = is_whole                              ? &pair->whole
                                           : cs->precision == EI_PROFILE_FLOAT32 ? &pair->classic
                                                                                 : &pair->compressed;
    return add_training(sorter, pair, trainings, cs, et);
}

/* A predictor of no weights that are here, beside scores of its network and data set, was left from another training.
 */
static int check_predictors(const struct sorter *sorter)
{
    const struct ei_paper_files *files = &sorter->library->files;
    for (int32_t f = 0; f < files->count; f++) {
        const struct ei_paper_file *file = &files->item[f];
        const struct ei_paper_pair *pair =
            file->predictor && !file->is_used && !file->is_classic
                ? ei_paper_pair_find(sorter->library, file->network, file->predictor->dataset)
                : NULL;
        if (pair) {
            return einet_error_set_at(sorter->err, EINET_E_MISMATCH, file->path, 0, 0,
                                      "this predictor is of weights %.12s, the scores %.200s are not; train it anew on "
                                      "them",
                                      weights_of(file), pair->whole.item[0].cs_path);
        }
    }
    return 0;
}

static int sort_files(const struct sorter *sorter)
{
    struct ei_paper_files *files = &sorter->library->files;
    for (int counterparts = 0; counterparts < 2; counterparts++) {
        for (int32_t f = 0; f < files->count; f++) {
            struct ei_paper_file *file = &files->item[f];
            const bool is_whole = !file->is_classic && file->precision == EI_PROFILE_FLOAT32;
            const bool is_due = counterparts ? file->is_classic : is_whole;
            const int status = is_of_split(file) && is_due ? sort_file(sorter, file) : 0;
            if (status != 0) {
                return status;
            }
        }
    }
    return check_predictors(sorter);
}

/* ---- order, choice ---- */

static int32_t rank(const struct ei_paper_pair *pair)
{
    int32_t count;
    const struct ei_paper_figure *figures = ei_paper_figures(&count);
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(figures[i].network, pair->network) == 0 && strcmp(figures[i].dataset, pair->dataset) == 0) {
            return i;
        }
    }
    return count;
}

static int by_rank(const void *a, const void *b)
{
    const struct ei_paper_pair *x = a, *y = b;
    const int32_t difference = rank(x) - rank(y);
    const int by_network = strcmp(x->network, y->network);
    return difference != 0 ? difference : by_network != 0 ? by_network : strcmp(x->dataset, y->dataset);
}

static bool is_in_list(const char *pairs, const char *network, const char *dataset)
{
    char name[2 * EI_PROFILE_TEXT_MAX];
    const size_t length = (size_t)snprintf(name, sizeof name, "%s/%s", network, dataset);
    for (const char *at = pairs; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return pairs == NULL;
}

static bool is_in_zoo(const char *network)
{
    bool is_found = false;
    for (int32_t i = 0; !is_found && ei_zoo_name(i); i++) {
        is_found = strcmp(ei_zoo_name(i), network) == 0;
    }
    return is_found;
}

/* What was asked for by name and is not there. */
static int check_choice(const struct sorter *sorter, const char *pairs)
{
    char list[PAIRS_TEXT_MAX], *rest = list;
    if (strlen(pairs) >= sizeof list) {
        return einet_error_set(sorter->err, EINET_E_USAGE, "--pairs: the list is longer than %zu bytes; name fewer",
                               sizeof list - 1);
    }
    strcpy(list, pairs);
    while (rest) {
        const char *network = strsep(&rest, ",");
        char *slash = strchr(network, '/');
        if (!slash || slash == network || slash[1] == '\0' || strchr(slash + 1, '/')) {
            return einet_error_set(sorter->err, EINET_E_USAGE,
                                   "--pairs: '%.80s' is no pair; write NETWORK/DATASET, as in vgg-16/cifar10", network);
        }
        *slash = '\0';
        const char *dataset = slash + 1;
        if (ei_paper_pair_find(sorter->library, network, dataset) || ei_paper_figure_find(network, dataset)) {
            continue; /* the paper's are listed as missing below */
        }
        if (!is_in_zoo(network)) {
            return einet_error_set(sorter->err, EINET_E_USAGE,
                                   "--pairs: %.80s is no network of the zoo and has no profiles in the folders; einet "
                                   "models lists the networks",
                                   network);
        }
        const int status = add_missing(sorter, network, "", dataset, "network");
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

static int add_missing_of(const struct sorter *sorter, const struct ei_paper_pair *pair, const char *pairs)
{
    char light[EI_PROFILE_TEXT_MAX + 8];
    int status = 0;
    if (pair->classic.count == 0) {
        status = add_missing(sorter, pair->network, EI_ZOO_CLASSIC_SUFFIX, pair->dataset, "classic");
    }
    if (status == 0 && pair->compressed.count == 0) {
        status = add_missing(sorter, pair->network, EI_ZOO_CLASSIC_SUFFIX, pair->dataset, "compressed");
    }
    snprintf(light, sizeof light, "%s-light", pair->network);
    if (status == 0 && is_in_zoo(light) && is_in_list(pairs, light, pair->dataset) &&
        !ei_paper_pair_find(sorter->library, light, pair->dataset)) {
        status = add_missing(sorter, light, "", pair->dataset, "light branches");
    }
    return status;
}

static bool is_listed(const struct ei_paper_library *library, const char *network, const char *dataset)
{
    for (int32_t m = 0; m < library->missing_count; m++) {
        if (strcmp(library->missing[m].network, network) == 0 && strcmp(library->missing[m].dataset, dataset) == 0) {
            return true;
        }
    }
    return false;
}

static int list_missing(const struct sorter *sorter, const char *pairs)
{
    const struct ei_paper_library *library = sorter->library;
    int32_t count;
    const struct ei_paper_figure *figures = ei_paper_figures(&count);
    int status = 0;
    for (int32_t i = 0; status == 0 && i < count; i++) {
        if (is_in_list(pairs, figures[i].network, figures[i].dataset) &&
            !ei_paper_pair_find(library, figures[i].network, figures[i].dataset) &&
            !is_listed(library, figures[i].network, figures[i].dataset)) {
            status = add_missing(sorter, figures[i].network, "", figures[i].dataset, "network");
        }
    }
    for (int32_t p = 0; status == 0 && p < library->pair_count; p++) {
        status = add_missing_of(sorter, &library->pair[p], pairs);
    }
    return status;
}

static void keep_chosen(struct ei_paper_library *library, const char *pairs)
{
    int32_t kept = 0;
    for (int32_t p = 0; p < library->pair_count; p++) {
        if (is_in_list(pairs, library->pair[p].network, library->pair[p].dataset)) {
            library->pair[kept++] = library->pair[p];
        }
    }
    library->pair_count = kept;
}

int ei_paper_library_read(const char *const *folders, int32_t folder_count, const char *pairs, const char *lane,
                          struct ei_paper_library *out, struct einet_error *err)
{
    struct ei_paper_library library = {.pair = NULL};
    const struct sorter sorter = {.library = &library, .lane = lane, .err = err};
    int status = ei_paper_files_read(folders, folder_count, &library.files, err);
    if (status == 0) {
        status = sort_files(&sorter);
    }
    if (status == 0 && library.pair_count > 0) {
        qsort(library.pair, (size_t)library.pair_count, sizeof library.pair[0], by_rank);
    }
    if (status == 0 && pairs) {
        status = check_choice(&sorter, pairs);
        keep_chosen(&library, pairs);
    }
    if (status == 0) {
        status = list_missing(&sorter, pairs);
    }
    if (status != 0) {
        ei_paper_library_fini(&library);
        return status;
    }
    *out = library;
    return 0;
}

void ei_paper_library_fini(struct ei_paper_library *library)
{
    ei_paper_files_fini(&library->files);
    free(library->pair);
    free(library->missing);
    *library = (struct ei_paper_library){.pair = NULL};
}
