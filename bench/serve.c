/* One of our backends as a contender of bench_rivals.py: runs inferences when it is told to.
 *
 * usage: bench_serve --write DIR NETWORK      NETWORK: a weight file, or a name of the zoo, with random weights
 *        bench_serve DIR aten|dnnl [--bf16] [--tune exact|winograd|bf16]
 *
 * --write leaves manifest.json (docs/bundles.md), weights.safetensors and input.f32 in DIR, for all contenders. Serving
 * answers each line `N` on standard input with a line of N times in ns: one inference that is not counted, then N,
 * batch 1, every exit, block by block, one thread. Before the first answer it writes its logits to standard output in
 * one line.
 */
#include "bench/random_weights.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "stages/nn/bundle.h"
#include "stages/environment.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY 60
#define PATH_MAX_BYTES 4096

struct server {
    struct ei_network *net;
    const struct ei_network_info *info;
    float *input, *logits;
    size_t pixels;
};

static int fail(const struct einet_error *err)
{
    fprintf(stderr, "bench_serve: %s %s\n", err->file, err->text);
    return 5;
}

static int copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
    size_t count = 1;
    bool is_ok = in != NULL && out != NULL;
    while (is_ok && count > 0) {
        count = fread(bytes, 1, sizeof bytes, in);
        is_ok = fwrite(bytes, 1, count, out) == count;
    }
    is_ok = is_ok && ferror(in) == 0;
    if (in != NULL) {
        fclose(in);
    }
    if (out != NULL) {
        is_ok = fclose(out) == 0 && is_ok;
    }
    return is_ok ? 0 : -1;
}

static int zoo_of(const char *path, char *out, size_t size_bytes, int32_t *classes, struct einet_error *err)
{
    struct ei_safetensors *file;
    const int rc = ei_safetensors_open(path, &file, err);
    if (rc == 0) {
        const char *name = ei_safetensors_metadata(file, "zoo"), *count = ei_safetensors_metadata(file, "classes");
        snprintf(out, size_bytes, "%s", name != NULL ? name : "");
        *classes = count != NULL ? (int32_t)strtol(count, NULL, 10) : 10;
        ei_safetensors_close(file);
    }
    return rc;
}

static int write_files(const char *dir, const char *network)
{
    char path[PATH_MAX_BYTES], zoo[64];
    struct einet_error err = {0};
    int32_t classes = 10;
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    snprintf(path, sizeof path, "%s/weights.safetensors", dir);
    int rc = bundle == NULL             ? -1
             : bench_is_of_zoo(network) ? bench_write_random_weights(network, path)
                                        : copy_file(network, path);
    rc = rc == 0 ? zoo_of(path, zoo, sizeof zoo, &classes, &err) : rc;
    rc = rc == 0 ? ei_zoo_program(zoo, 3, classes, &bundle->program, &err) : rc;
    if (rc == 0) {
        snprintf(bundle->dataset, sizeof bundle->dataset, "any");
        for (int32_t i = 0; i < EI_PROGRAM_BLOCKS_MAX; i++) {
            bundle->norm_std[i % 3] = 1.0F;
            bundle->exit_accuracy[i] = -1.0F;
        }
        rc = ei_bundle_write(dir, bundle, &err);
    }
    snprintf(path, sizeof path, "%s/input.f32", dir);
    FILE *input = rc == 0 ? fopen(path, "wbe") : NULL;
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    const struct ei_shape *shape = &bundle->program.input;
    for (int32_t i = 0; input != NULL && i < shape->channels * shape->height_px * shape->width_px; i++) {
        const float pixel = (float)ei_random_normal(&rng);
        rc = fwrite(&pixel, sizeof pixel, 1, input) == 1 ? rc : -1;
    }
    rc = input == NULL || fclose(input) != 0 ? -1 : rc;
    free(bundle);
    return rc == 0 ? 0 : fail(&err);
}

static int run_once(struct server *s, int64_t *out_ns)
{
    const int64_t start_ns = ei_mono_now().ns;
    int rc = ei_network_begin(s->net, s->input, -1, -1);
    for (int32_t b = 0; rc == 0 && b < s->info->exits; b++) {
        rc = ei_network_run_conv(s->net, b);
        if (rc == 0) {
            rc = ei_network_run_branch(s->net, b, s->logits + (size_t)b * (size_t)s->info->classes);
        }
    }
    ei_network_end(s->net);
    *out_ns = ei_mono_now().ns - start_ns;
    return rc;
}

static int open_server(struct server *s, const char *dir, enum ei_network_backend_kind backend,
                       enum ei_network_precision precision, enum ei_network_tune tune, struct einet_error *err)
{
    char path[PATH_MAX_BYTES], zoo[64];
    int32_t classes;
    snprintf(path, sizeof path, "%s/weights.safetensors", dir);
    int rc = zoo_of(path, zoo, sizeof zoo, &classes, err);
    const struct ei_network_choice choice = {.tune = tune};
    const struct ei_network_zoo_config config = {
        .zoo = zoo, .weights_path = path, .threads = 1, .precision = precision, .backend = backend, .choice = &choice};
    rc = rc == 0 ? ei_network_open_zoo(&config, &s->net, err) : rc;
    rc = rc == 0 ? ei_network_thread_enter(s->net) : rc;
    if (rc != 0) {
        return rc;
    }
    s->info = ei_network_info(s->net);
    s->pixels = (size_t)s->info->channels * (size_t)s->info->height_px * (size_t)s->info->width_px;
    s->input = calloc(s->pixels, sizeof *s->input);
    s->logits = calloc((size_t)s->info->exits * (size_t)s->info->classes, sizeof *s->logits);
    snprintf(path, sizeof path, "%s/input.f32", dir);
    FILE *input = fopen(path, "rbe");
    const bool is_read = input != NULL && s->input != NULL && s->logits != NULL &&
                         fread(s->input, sizeof *s->input, s->pixels, input) == s->pixels;
    if (input != NULL) {
        fclose(input);
    }
    return is_read ? 0 : einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot be read");
}

/* What was chosen, for people. */
static void print_kernels(const struct ei_network *net)
{
    static struct ei_network_kernel kernels[EI_PROGRAM_OPS_MAX];
    const int32_t count = ei_network_kernels(net, kernels, EI_PROGRAM_OPS_MAX);
    for (int32_t i = 0; i < count; i++) {
        fprintf(stderr, "block%d.%s.%d %s\n", kernels[i].block_idx + 1, kernels[i].branch != 0 ? "branch" : "conv",
                kernels[i].op_idx, kernels[i].name);
    }
}

static int serve(struct server *s)
{
    char line[64];
    int64_t ns;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 10; i++) {
        rc = run_once(s, &ns);
    }
    for (int32_t i = 0; rc == 0 && i < s->info->exits * s->info->classes; i++) {
        printf("%.9g ", (double)s->logits[i]);
    }
    printf("\n");
    fflush(stdout);
    while (rc == 0 && fgets(line, sizeof line, stdin) != NULL) {
        const long count = strtol(line, NULL, 10);
        rc = run_once(s, &ns);
        for (long i = 0; rc == 0 && i < count; i++) {
            rc = run_once(s, &ns);
            printf("%" PRId64 " ", ns);
        }
        printf("\n");
        fflush(stdout);
    }
    if (rc != 0) {
        fprintf(stderr, "bench_serve: %s\n", ei_network_fault_text(s->net));
    }
    return rc == 0 ? 0 : 5;
}

int main(int argc, char **argv)
{
    struct server s = {0};
    struct einet_error err = {0};
    if (argc == 4 && strcmp(argv[1], "--write") == 0) {
        return write_files(argv[2], argv[3]);
    }
    if (argc < 3 || (strcmp(argv[2], "aten") != 0 && strcmp(argv[2], "dnnl") != 0)) {
        fprintf(stderr,
                "usage: bench_serve --write DIR NETWORK\n       bench_serve DIR aten|dnnl [--bf16] [--tune LEVEL]\n");
        return 1;
    }
    (void)ei_environment_apply(argv);
    (void)ei_memory_tune_malloc();
    static const char *const levels[] = {"none", "exact", "winograd", "bf16"};
    bool is_bf16 = false;
    enum ei_network_tune tune = EI_NETWORK_TUNE_NONE;
    for (int i = 3; i < argc; i++) {
        is_bf16 = is_bf16 || strcmp(argv[i], "--bf16") == 0;
        for (int level = 0; i > 3 && strcmp(argv[i - 1], "--tune") == 0 && level < 4; level++) {
            tune = strcmp(argv[i], levels[level]) == 0 ? (enum ei_network_tune)level : tune;
        }
    }
    int rc = open_server(&s, argv[1], strcmp(argv[2], "dnnl") == 0 ? EI_NETWORK_DNNL : EI_NETWORK_ATEN,
                         is_bf16 ? EI_NETWORK_BFLOAT16 : EI_NETWORK_FLOAT32, tune, &err);
    if (rc == 0) {
        (void)ei_thread_become_fifo(PRIORITY, NULL); /* refused: slower for all contenders */
    }
    if (rc == 0) {
        print_kernels(s.net);
    }
    rc = rc == 0 ? serve(&s) : fail(&err);
    ei_network_destroy(s.net);
    free(s.input);
    free(s.logits);
    return rc;
}
