/* See cuda_lane.h. */
#include "bench/cuda_lane.h"

#include "bench/random_weights.h"
#include "rt/clock.h"
#include "rt/random.h"

#include <stdio.h>
#include <stdlib.h>

/* Of a stand-in: the blocks of a network on a GPU are this long, and uneven. */
static const int64_t stand_in_ns[] = {150000, 90000, 40000, 200000, 120000, 60000};

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct ei_bench_figures ei_bench_figures(int64_t *ns, int32_t count)
{
    qsort(ns, (size_t)count, sizeof *ns, by_value);
    return (struct ei_bench_figures){(double)ns[(count - 1) / 2] / 1e3, (double)ns[(int32_t)(0.99 * (count - 1))] / 1e3,
                                     (double)ns[count - 1] / 1e3};
}

json_t *ei_bench_figures_json(struct ei_bench_figures figures)
{
    return json_pack("{s:f,s:f,s:f}", "p50_us", figures.p50_us, "p99_us", figures.p99_us, "worst_us", figures.worst_us);
}

struct ei_network_cuda_settings ei_bench_cuda_settings(const struct ei_bench_cuda *bench)
{
    return (struct ei_network_cuda_settings){.device_idx = bench->device_idx,
                                             .priority = 50,
                                             .depth = 1,
                                             .wait = EI_CUDA_WAIT_POLL,
                                             .poll_ns = 100000,
                                             .hang_ns = INT64_C(5000000000),
                                             .merge_below_ns = 1};
}

static int open_stand_in(const struct ei_network_cuda_settings *settings, struct ei_network **out,
                         struct einet_error *err)
{
    struct ei_network_emulate_config config = {.classes = 10,
                                               .channels = 3,
                                               .height_px = 32,
                                               .width_px = 32,
                                               .seed = 1,
                                               .is_on_cuda = true,
                                               .cuda = *settings};
    config.exits = (int32_t)(sizeof stand_in_ns / sizeof stand_in_ns[0]);
    for (int32_t b = 0; b < config.exits; b++) {
        config.conv_ns[b] = config.conv_p99_ns[b] = stand_in_ns[b];
        config.branch_ns[b] = config.branch_p99_ns[b] = 20000;
        config.score[b] = 0.9F;
    }
    return ei_network_open_emulate(&config, out, err);
}

struct ei_network *ei_bench_cuda_open(const struct ei_bench_cuda *bench, const char *zoo,
                                      const struct ei_network_cuda_settings *settings)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    char path[4096];
    int rc;
    if (bench->is_emulated) {
        rc = open_stand_in(settings, &net, &err);
    } else {
        snprintf(path, sizeof path, "%s/%s.safetensors", bench->folder, zoo);
        rc = bench_write_random_weights(zoo, path);
        const struct ei_network_zoo_config config = {
            .zoo = zoo, .weights_path = path, .threads = 1, .backend = EI_NETWORK_CUDA, .cuda = *settings};
        if (rc == 0) {
            rc = ei_network_open_zoo(&config, &net, &err);
            (void)remove(path);
        }
    }
    if (rc != 0) {
        fprintf(stderr, "bench_cuda: %s: %s\n", zoo, err.text);
        return NULL;
    }
    return net;
}

bool ei_bench_job_init(struct ei_bench_job *job, const struct ei_network *net)
{
    const struct ei_network_info *info = ei_network_info(net);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    job->input = calloc(pixels, sizeof *job->input);
    job->logits = calloc((size_t)info->exits * (size_t)info->classes, sizeof *job->logits);
    for (size_t i = 0; job->input != NULL && i < pixels; i++) {
        job->input[i] = (float)ei_random_normal(&rng);
    }
    return job->input != NULL && job->logits != NULL;
}

void ei_bench_job_fini(struct ei_bench_job *job)
{
    free(job->input);
    free(job->logits);
}

int ei_bench_run_blocks(struct ei_network *net, struct ei_bench_job *job, int64_t *part_ns)
{
    const struct ei_network_info *info = ei_network_info(net);
    int rc = ei_network_begin(net, job->input, 0, 0);
    int64_t last_ns = ei_mono_now().ns;
    for (int32_t part = 0; rc == 0 && part < 2 * info->exits; part++) {
        const int32_t b = part / 2;
        rc = part % 2 == 0 ? ei_network_run_conv(net, b)
                           : ei_network_run_branch(net, b, job->logits + (size_t)b * (size_t)info->classes);
        if (part_ns != NULL) {
            const int64_t now_ns = ei_mono_now().ns;
            part_ns[part] = now_ns - last_ns;
            last_ns = now_ns;
        }
    }
    ei_network_end(net);
    if (rc != 0) {
        fprintf(stderr, "bench_cuda: %s: %s\n", info->name, ei_network_fault_text(net));
    }
    return rc;
}

int ei_bench_run_whole(struct ei_network *net, struct ei_bench_job *job)
{
    const int rc = ei_network_run_monolithic(net, job->input, job->logits);
    if (rc != 0) {
        fprintf(stderr, "bench_cuda: %s: %s\n", ei_network_info(net)->name, ei_network_fault_text(net));
    }
    return rc;
}

int64_t ei_bench_longest_ns(const struct ei_bench_cuda *bench, const struct ei_network *net)
{
    const struct ei_cuda_parts *parts = ei_network_cuda_parts(net);
    int64_t longest_ns = 0, together_ns = 0;
    for (int32_t b = 0; b < ei_network_info(net)->exits; b++) {
        together_ns += bench->api->part_ns(parts, b, 0);
        if (bench->api->merged_until(parts, b) > b) {
            continue; /* the next one is of the same launch */
        }
        const bool is_merged = b > 0 && bench->api->merged_until(parts, b - 1) == b;
        longest_ns = is_merged && together_ns > longest_ns ? together_ns : longest_ns;
        together_ns = 0;
    }
    for (int32_t part = 0; part < 2 * ei_network_info(net)->exits; part++) {
        for (int32_t i = 0; i < ei_network_piece_count(net, part / 2, part % 2 != 0); i++) {
            const int64_t ns = bench->api->piece_ns(parts, part / 2, part % 2, i);
            longest_ns = ns > longest_ns ? ns : longest_ns;
        }
    }
    return longest_ns;
}
