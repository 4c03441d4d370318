/* einet profile: measure a network's block times and per-sample confidences, or print such a profile. */
#include "app/commands.h"
#include "app/json_output.h"
#include "command/options.h"
#include "app/progress.h"
#include "metrics/run_json.h"
#include "models/profile.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY_DEFAULT 50
#define PATH_BYTES 4096
#define SMS_MAX 1024

static volatile sig_atomic_t stop_requested;

struct request {
    struct ei_profile_job job;
    const char *print_path;
    bool is_cold, is_quiet, is_json;
};

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

/* ---- options ---- */

static int take_only(void *request, const char *value, struct einet_error *err)
{
    struct ei_profile_job *job = &((struct request *)request)->job;
    (void)err;
    job->measure_et = strcmp(value, "et") == 0;
    job->measure_cs = strcmp(value, "cs") == 0;
    return job->measure_et || job->measure_cs ? 0 : -EINVAL;
}

#define FIELD(field) EINET_FIELD(struct request, field)

static const struct einet_option rows[] = {
    {.name = "weights", .argument = "FILE", FIELD(job.weights_path), .help = "weights of einet train"},
    {.name = "bundle", .argument = "DIR", FIELD(job.bundle_dir), .help = "a bundle instead"},
    {.name = "dataset",
     .argument = "NAME",
     FIELD(job.dataset),
     .help = "generated, mnist, cifar10 or cifar100: the one it was trained on"},
    {.name = "out", .argument = "PREFIX", FIELD(job.out_prefix), .help = "the files to write"},
    {.name = "data",
     .argument = "DIR",
     FIELD(job.data_root),
     .help = "folder of the real data sets (default: environment EINET_DATA, else data)"},
    {.name = "model",
     .argument = "NAME",
     FIELD(job.zoo),
     .help = "network (default: as the weights say). NAME-classic, the single-exit network, runs on the weights of "
             "NAME, too"},
    {.name = "backend",
     .argument = "B",
     FIELD(job.backend),
     .words = {[EI_NETWORK_ATEN] = "aten",
               [EI_NETWORK_DNNL] = "dnnl",
               [EI_NETWORK_AUTO] = "auto",
               [EI_NETWORK_CUDA] = "cuda"},
     .help = "aten (libtorch), dnnl (oneDNN, and libtorch for parts that it does not know) or auto: dnnl where it is "
             "installed and knows some part, else aten, as a lane does; default auto. cuda: a GPU; the times are "
             "PREFIX.cuda.et.csv then"},
    {.name = "device",
     .argument = "N",
     FIELD(job.et.device_idx),
     .high = EI_CUDA_DEVICES_MAX - 1,
     .help = "cuda: number of the GPU, default 0"},
    {.name = "sms",
     .argument = "N",
     FIELD(job.et.sms),
     .low = 1,
     .high = SMS_MAX,
     .help =
         "cuda: on N multiprocessors of its own, as a lane with sms: N has; the times are PREFIX.cuda-N.et.csv then"},
    {.name = "wait",
     .argument = "W",
     FIELD(job.wait),
     .words = {[EI_CUDA_WAIT_BLOCK] = "block", [EI_CUDA_WAIT_POLL] = "poll", [EI_CUDA_WAIT_SPIN] = "spin"},
     .help = "cuda: block, poll or spin, as the lane that it will run on; default block"},
    {.name = "precision",
     .argument = "P",
     FIELD(job.precision),
     .words = {[EI_NETWORK_FLOAT32] = "fp32", [EI_NETWORK_BFLOAT16] = "bf16"},
     .help = "fp32 or bf16: of weights and activations, default fp32"},
    {.name = "tune",
     .argument = "LEVEL",
     FIELD(job.tune),
     .words = {[EI_NETWORK_TUNE_EXACT] = "exact",
               [EI_NETWORK_TUNE_WINOGRAD] = "winograd",
               [EI_NETWORK_TUNE_BFLOAT16] = "bf16"},
     .help = "dnnl: choose the kernel of every convolution and linear layer by measuring, and keep the choice in the "
             "ET-profile, which a run on this machine then follows. exact: among kernels that multiply the numbers as "
             "they are; winograd: also Winograd's; bf16: also single layers on 16 bits. The last two are kept where no "
             "exit loses more than 0.2 points of accuracy"},
    {.name = "runs",
     .argument = "N",
     FIELD(job.et.runs),
     .low = 1,
     .high = EI_PROFILE_RUNS_MAX,
     .help = "measured inferences of the times, default 1000"},
    {.name = "cold",
     FIELD(is_cold),
     .help = "empty the caches before every part: the time after a preemption, not in sequence"},
    {.name = "threads",
     .argument = "N",
     FIELD(job.et.threads),
     .low = 1,
     .high = 1024,
     .help = "threads inside an operation, default 1"},
    {.name = "priority",
     .argument = "N",
     FIELD(job.et.priority),
     .low = 1,
     .high = EI_PROFILE_PRIORITY_MAX,
     .help = "SCHED_FIFO priority of the times, 1 to 98, default 50: the one it will run with"},
    {.name = "cpu",
     .argument = "N",
     FIELD(job.et.cpu),
     .high = 1023,
     .help = "CPU that the times are measured on, default the last one allowed"},
    {.name = "only",
     .argument = "et|cs",
     .take = take_only,
     .expected = "et or cs",
     .help = "measure only times or only confidences"},
    {.name = "print", .argument = "FILE", FIELD(print_path), .help = "print a .et.csv or .cs file as a table"},
    {.name = "json",
     FIELD(is_json),
     .help = "print what was measured, or what FILE holds, as one JSON object (docs/command-json.md)"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress and no list of files written"},
};

static const struct einet_usage usage = {
    .command = "profile",
    .head = "usage: einet profile --weights FILE --dataset NAME --out PREFIX [options]\n"
            "       einet profile --bundle DIR --dataset NAME --out PREFIX [options]\n"
            "       einet profile --print FILE [--json]\n"
            "\n"
            "Measure a trained network through the backend that runs it live, at batch 1, on the test split:\n"
            "PREFIX.et.csv   time of every conv part and exit on this machine (p50, p99, max)\n"
            "PREFIX.cs       confidence and answer of every exit for every sample\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot =
        "The times are taken on a pinned thread under SCHED_FIFO with memory locked, as a live lane runs. Where the\n"
        "kernel refuses one of these, the command says so, goes on without it and records it in the file. A tenth of "
        "the\n"
        "time is slept, below the kernel's limit of real-time load; no measurement is left out.\n"
        "\n"
        "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
        "example: einet profile --weights b-alexnet-mnist.safetensors --dataset mnist --out b-alexnet-mnist\n",
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    struct einet_arguments arguments;
    const int status = einet_options_read(&usage, argc, argv, r, &arguments);
    if (status >= 0) {
        return status;
    }
    r->job.et.mode = r->is_cold ? EI_ET_COLD : EI_ET_SEQUENTIAL;
    const bool has_one = (r->job.weights_path != NULL) != (r->job.bundle_dir != NULL);
    const bool is_complete = has_one && r->job.dataset != NULL && r->job.out_prefix != NULL;
    if (r->print_path == NULL && !is_complete) {
        return einet_options_refuse(&usage, "--weights or --bundle, --dataset and --out are needed, or --print FILE");
    }
    return -1;
}

/* ---- while it measures ---- */

struct told {
    struct einet_progress progress;
    json_t *notes; /* what was refused, for --json */
};

static void on_progress(void *context, const char *phase, int64_t done, int64_t total)
{
    static const char *const phases[] = {"warm-up", "times", "scores"};
    static const char *const units[] = {"runs to warm up", "runs timed", "samples scored"};
    struct einet_progress *progress = &((struct told *)context)->progress;
    const char *unit = phase;
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        unit = strcmp(phase, phases[i]) == 0 ? units[i] : unit;
    }
    if (done == 1) {
        einet_progress_restart(progress);
    }
    einet_progress_show(progress, unit, (double)done, (double)total);
}

static void on_note(void *context, const char *text)
{
    struct told *told = context;
    einet_progress_end(&told->progress);
    fprintf(stderr, "einet profile: %s\n", text);
    (void)json_array_append_new(told->notes, ei_json_text(text));
}

/* ---- JSON ---- */

static json_t *quantiles(const struct ei_time_stats *stats, int32_t exits)
{
    json_t *p50 = json_array(), *p99 = json_array(), *max = json_array();
    for (int32_t i = 0; i < exits; i++) {
        (void)json_array_append_new(p50, json_integer(stats[i].p50_ns));
        (void)json_array_append_new(p99, json_integer(stats[i].p99_ns));
        (void)json_array_append_new(max, json_integer(stats[i].max_ns));
    }
    return json_pack("{s:o, s:o, s:o}", "p50", p50, "p99", p99, "max", max);
}

static int times_json(const char *path, json_t **out, struct einet_error *err)
{
    struct ei_et_profile *et = malloc(sizeof *et);
    struct ei_et_kernels kernels = {0};
    const int rc = et == NULL ? einet_error_set(err, -ENOMEM, "no memory for a profile")
                              : ei_et_profile_read_kernels(path, et, &kernels, err);
    if (rc == 0) {
        *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:i, s:s, s:s, s:i, s:b, s:s, s:i, s:i, s:o, s:o}", "path",
                         ei_json_text(path), "network", ei_json_text(et->network), "backend", ei_json_text(et->backend),
                         "lane", ei_json_text(et->lane), "cpus",
                         et->cpus[0] != '\0' ? ei_json_text(et->cpus) : json_null(), "runs", (json_int_t)et->samples,
                         "threads", et->threads, "mode", et->mode == EI_ET_COLD ? "cold" : "sequential", "policy",
                         et->policy == EI_ET_FIFO ? "fifo" : "other", "priority", et->priority, "is_memory_locked",
                         et->memory == EI_ET_LOCKED, "precision", ei_profile_precision_name(et->precision), "exits",
                         et->exits, "chosen_kernels", kernels.count, "conv_ns", quantiles(et->conv, et->exits),
                         "branch_ns", quantiles(et->branch, et->exits));
    }
    ei_et_kernels_fini(&kernels);
    free(et);
    return rc;
}

static int scores_json(const char *path, json_t **out, struct einet_error *err)
{
    struct ei_cs_profile cs;
    const int rc = ei_cs_profile_read(path, &cs, err);
    if (rc == 0) {
        *out = json_pack("{s:o, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:o, s:o}", "path", ei_json_text(path), "network",
                         ei_json_text(cs.network), "dataset", ei_json_text(cs.dataset), "split", ei_json_text(cs.split),
                         "precision", ei_profile_precision_name(cs.precision), "exits", cs.exits, "samples", cs.samples,
                         "classes", cs.classes, "mean_score", einet_json_shares(cs.mean_score, cs.exits), "accuracy",
                         einet_json_shares(cs.accuracy, cs.exits));
        ei_cs_profile_fini(&cs);
    }
    return rc;
}

/* What the files say, one or both NULL. notes are taken. */
static int print_json(const char *times_path, const char *scores_path, bool is_written, json_t *notes)
{
    struct einet_error err = {0};
    json_t *times = json_null(), *scores = json_null(), *answer = einet_json_begin("profile");
    const char *const written[] = {is_written ? times_path : NULL, is_written ? scores_path : NULL};
    int rc = times_path != NULL ? times_json(times_path, &times, &err) : 0;
    rc = rc == 0 && scores_path != NULL ? scores_json(scores_path, &scores, &err) : rc;
    einet_json_set(&answer, "times", times);
    einet_json_set(&answer, "scores", scores);
    einet_json_set(&answer, "notes", notes);
    einet_json_set(&answer, "files", einet_json_texts(written, 2));
    if (rc != 0) {
        json_decref(answer);
        return einet_report_error("profile", &err);
    }
    return einet_json_print("profile", answer, EINET_EXIT_OK);
}

/* ---- the command ---- */

static int print_file(const struct request *r)
{
    const size_t length = strlen(r->print_path);
    const bool is_scores = length >= 3 && strcmp(r->print_path + length - 3, ".cs") == 0;
    struct einet_error err = {0};
    if (r->is_json) {
        return print_json(is_scores ? NULL : r->print_path, is_scores ? r->print_path : NULL, false, json_array());
    }
    return ei_profile_print(r->print_path, stdout, &err) == 0 ? EINET_EXIT_OK : einet_report_error("profile", &err);
}

static int tell_files(const struct request *r, json_t *notes)
{
    char times[PATH_BYTES], scores[PATH_BYTES], ending[EI_ET_ENDING_MAX];
    ei_et_profile_ending(r->job.backend == EI_NETWORK_CUDA, r->job.et.sms, ending);
    snprintf(times, sizeof times, "%s%s", r->job.out_prefix, ending);
    snprintf(scores, sizeof scores, "%s.cs", r->job.out_prefix);
    if (r->is_json) {
        return print_json(r->job.measure_et ? times : NULL, r->job.measure_cs ? scores : NULL, true, notes);
    }
    json_decref(notes);
    if (r->job.measure_et && !r->is_quiet) {
        printf("%s written\n", times);
    }
    if (r->job.measure_cs && !r->is_quiet) {
        printf("%s written\n", scores);
    }
    return EINET_EXIT_OK;
}

int einet_profile_command(int argc, char **argv)
{
    struct request r = {.job = {.backend = EI_NETWORK_AUTO,
                                .et = {.runs = 1000, .threads = 1, .priority = PRIORITY_DEFAULT, .cpu = -1},
                                .measure_et = true,
                                .measure_cs = true}};
    const int status = parse_arguments(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    if (r.print_path != NULL) {
        return print_file(&r);
    }
    struct einet_error err = {0};
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct told told = {.notes = json_array()};
    einet_progress_begin(&told.progress, r.is_quiet);
    const struct ei_profile_progress progress = {
        .report = on_progress, .note = on_note, .context = &told, .stop = &stop_requested};
    const int rc = ei_profile_run(&r.job, &progress, &err);
    einet_progress_end(&told.progress);
    if (rc != 0) {
        json_decref(told.notes);
        return einet_report_error("profile", &err);
    }
    return tell_files(&r, told.notes);
}
