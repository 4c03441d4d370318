/* einet profile: measure a network's block times and per-sample confidences, or print such a profile. */
#include "app/commands.h"
#include "app/progress.h"
#include "models/profile.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY_DEFAULT 50

static volatile sig_atomic_t stop_requested;

static const char help[] =
    "usage: einet profile --weights FILE --dataset NAME --out PREFIX [options]\n"
    "       einet profile --bundle DIR --dataset NAME --out PREFIX [options]\n"
    "       einet profile --print FILE\n"
    "\n"
    "Measure a trained network through the backend that runs it live, at batch 1, on the test split:\n"
    "PREFIX.et.csv   time of every conv part and exit on this machine (p50, p99, max)\n"
    "PREFIX.cs       confidence and answer of every exit for every sample\n"
    "\n"
    "  --weights FILE     weights of einet train\n"
    "  --bundle DIR       a bundle instead\n"
    "  --dataset NAME     generated, mnist, cifar10 or cifar100: the one it was trained on\n"
    "  --out PREFIX       the files to write\n"
    "  --data DIR         folder of the real data sets (default: environment EINET_DATA, else data)\n"
    "  --model NAME       network (default: as the weights say). NAME-classic, the single-exit network, runs on\n"
    "                     the weights of NAME, too\n"
    "  --backend B        aten (libtorch), dnnl (oneDNN, and libtorch for parts that it does not know) or auto: dnnl\n"
    "                     where it is installed and knows some part, else aten, as a lane does; default auto.\n"
    "                     cuda: a GPU; the times are PREFIX.cuda.et.csv then\n"
    "  --device N         cuda: number of the GPU, default 0\n"
    "  --wait W           cuda: block, poll or spin, as the lane that it will run on; default block\n"
    "  --precision P      fp32 or bf16: of weights and activations, default fp32\n"
    "  --tune LEVEL       dnnl: choose the kernel of every convolution and linear layer by measuring, and keep the "
    "choice\n"
    "                     in the ET-profile, which a run on this machine then follows. exact: among kernels that\n"
    "                     multiply the numbers as they are; winograd: also Winograd's; bf16: also single layers on\n"
    "                     16 bits. The last two are kept where no exit loses more than 0.2 points of accuracy\n"
    "  --runs N           measured inferences of the times, default 1000\n"
    "  --cold             empty the caches before every part: the time after a preemption, not in sequence\n"
    "  --threads N        threads inside an operation, default 1\n"
    "  --priority N       SCHED_FIFO priority of the times, 1 to 98, default 50: the one it will run with\n"
    "  --cpu N            CPU that the times are measured on, default the last one allowed\n"
    "  --only et|cs       measure only times or only confidences\n"
    "  --print FILE       print a .et.csv or .cs file as a table\n"
    "  --quiet            no progress and no list of files written\n"
    "\n"
    "The times are taken on a pinned thread under SCHED_FIFO with memory locked, as a live lane runs. Where the\n"
    "kernel refuses one of these, the command says so, goes on without it and records it in the file. A tenth of the\n"
    "time is slept, below the kernel's limit of real-time load; no measurement is left out.\n"
    "\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
    "example: einet profile --weights b-alexnet-mnist.safetensors --dataset mnist --out b-alexnet-mnist\n";

enum option_id {
    OPT_WEIGHTS = 256,
    OPT_BUNDLE,
    OPT_DATASET,
    OPT_OUT,
    OPT_DATA,
    OPT_MODEL,
    OPT_BACKEND,
    OPT_DEVICE,
    OPT_WAIT,
    OPT_PRECISION,
    OPT_TUNE,
    OPT_RUNS,
    OPT_COLD,
    OPT_THREADS,
    OPT_PRIORITY,
    OPT_CPU,
    OPT_ONLY,
    OPT_PRINT,
    OPT_QUIET,
    OPT_HELP
};

static const struct option options[] = {
    {"weights", required_argument, NULL, OPT_WEIGHTS},
    {"bundle", required_argument, NULL, OPT_BUNDLE},
    {"dataset", required_argument, NULL, OPT_DATASET},
    {"out", required_argument, NULL, OPT_OUT},
    {"data", required_argument, NULL, OPT_DATA},
    {"model", required_argument, NULL, OPT_MODEL},
    {"backend", required_argument, NULL, OPT_BACKEND},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"wait", required_argument, NULL, OPT_WAIT},
    {"precision", required_argument, NULL, OPT_PRECISION},
    {"tune", required_argument, NULL, OPT_TUNE},
    {"runs", required_argument, NULL, OPT_RUNS},
    {"cold", no_argument, NULL, OPT_COLD},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"priority", required_argument, NULL, OPT_PRIORITY},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"only", required_argument, NULL, OPT_ONLY},
    {"print", required_argument, NULL, OPT_PRINT},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct request {
    struct ei_profile_job job;
    const char *print_path;
    bool is_quiet;
};

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool parse_count(const char *text, int32_t min, int32_t max, int32_t *out)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    *out = (int32_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= min && value <= max;
}

/* Index of value among names, -1 = none of them. */
static int name_index(const char *value, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(value, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static bool parse_backend(const char *value, enum ei_network_backend_kind *out)
{
    static const char *const names[] = {"aten", "dnnl", "auto", "cuda"};
    static const enum ei_network_backend_kind kinds[] = {EI_NETWORK_ATEN, EI_NETWORK_DNNL, EI_NETWORK_AUTO,
                                                         EI_NETWORK_CUDA};
    const int i = name_index(value, names, 4);
    *out = i >= 0 ? kinds[i] : EI_NETWORK_AUTO;
    return i >= 0;
}

static bool parse_wait(const char *value, enum ei_cuda_wait *out)
{
    static const char *const names[] = {"block", "poll", "spin"};
    static const enum ei_cuda_wait waits[] = {EI_CUDA_WAIT_BLOCK, EI_CUDA_WAIT_POLL, EI_CUDA_WAIT_SPIN};
    const int i = name_index(value, names, 3);
    *out = i >= 0 ? waits[i] : EI_CUDA_WAIT_BLOCK;
    return i >= 0;
}

static bool apply_option(struct request *r, int id, const char *value)
{
    switch (id) {
    case OPT_WEIGHTS:
        r->job.weights_path = value;
        return true;
    case OPT_BUNDLE:
        r->job.bundle_dir = value;
        return true;
    case OPT_PRECISION:
        r->job.precision = strcmp(value, "bf16") == 0 ? EI_NETWORK_BFLOAT16 : EI_NETWORK_FLOAT32;
        return strcmp(value, "bf16") == 0 || strcmp(value, "fp32") == 0;
    case OPT_BACKEND:
        return parse_backend(value, &r->job.backend);
    case OPT_DEVICE:
        return parse_count(value, 0, EI_CUDA_DEVICES_MAX - 1, &r->job.et.device_idx);
    case OPT_WAIT:
        return parse_wait(value, &r->job.wait);
    case OPT_TUNE:
        r->job.tune = strcmp(value, "exact") == 0      ? EI_NETWORK_TUNE_EXACT
                      : strcmp(value, "winograd") == 0 ? EI_NETWORK_TUNE_WINOGRAD
                      : strcmp(value, "bf16") == 0     ? EI_NETWORK_TUNE_BFLOAT16
                                                       : EI_NETWORK_TUNE_NONE;
        return r->job.tune != EI_NETWORK_TUNE_NONE;
    case OPT_PRIORITY:
        return parse_count(value, 1, EI_PROFILE_PRIORITY_MAX, &r->job.et.priority);
    case OPT_CPU:
        return parse_count(value, 0, 1023, &r->job.et.cpu);
    case OPT_DATASET:
        r->job.dataset = value;
        return true;
    case OPT_OUT:
        r->job.out_prefix = value;
        return true;
    case OPT_DATA:
        r->job.data_root = value;
        return true;
    case OPT_MODEL:
        r->job.zoo = value;
        return true;
    case OPT_RUNS:
        return parse_count(value, 1, EI_PROFILE_RUNS_MAX, &r->job.et.runs);
    case OPT_COLD:
        r->job.et.mode = EI_ET_COLD;
        return true;
    case OPT_THREADS:
        return parse_count(value, 1, 1024, &r->job.et.threads);
    case OPT_ONLY:
        r->job.measure_et = strcmp(value, "et") == 0;
        r->job.measure_cs = strcmp(value, "cs") == 0;
        return r->job.measure_et || r->job.measure_cs;
    case OPT_QUIET:
        r->is_quiet = true;
        return true;
    case OPT_PRINT:
        r->print_path = value;
        return true;
    default:
        return false;
    }
}

static void on_progress(void *context, const char *phase, int64_t done, int64_t total)
{
    static const char *const phases[] = {"warm-up", "times", "scores"};
    static const char *const units[] = {"runs to warm up", "runs timed", "samples scored"};
    const int i = name_index(phase, phases, 3);
    if (done == 1) {
        einet_progress_restart(context);
    }
    einet_progress_show(context, i >= 0 ? units[i] : phase, (double)done, (double)total);
}

static void on_note(void *context, const char *text)
{
    einet_progress_end(context);
    fprintf(stderr, "einet profile: %s\n", text);
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (id == 'h' || id == OPT_HELP) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (id == '?') {
            fputs("einet profile --help lists the options\n", stderr);
            return EINET_EXIT_USAGE;
        }
        if (!apply_option(r, id, optarg)) {
            fprintf(stderr, "einet profile: '%s' is no value for --%s; einet profile --help\n", optarg,
                    options[id - OPT_WEIGHTS].name);
            return EINET_EXIT_USAGE;
        }
    }
    const bool has_one = (r->job.weights_path != NULL) != (r->job.bundle_dir != NULL);
    const bool is_complete = has_one && r->job.dataset != NULL && r->job.out_prefix != NULL;
    if (optind < argc || (r->print_path == NULL && !is_complete)) {
        fputs("einet profile: --weights or --bundle, --dataset and --out are needed, or --print FILE; "
              "einet profile --help\n",
              stderr);
        return EINET_EXIT_USAGE;
    }
    return -1;
}

int einet_profile_command(int argc, char **argv)
{
    struct request r = {
        .job = {.backend = EI_NETWORK_AUTO,
                .et = {.mode = EI_ET_SEQUENTIAL, .runs = 1000, .threads = 1, .priority = PRIORITY_DEFAULT, .cpu = -1},
                .measure_et = true,
                .measure_cs = true}};
    const int status = parse_arguments(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    struct einet_error err = {0};
    if (r.print_path != NULL) {
        return ei_profile_print(r.print_path, stdout, &err) == 0 ? EINET_EXIT_OK : einet_report_error("profile", &err);
    }
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct einet_progress shown;
    einet_progress_begin(&shown, r.is_quiet);
    const struct ei_profile_progress progress = {
        .report = on_progress, .note = on_note, .context = &shown, .stop = &stop_requested};
    const int rc = ei_profile_run(&r.job, &progress, &err);
    einet_progress_end(&shown);
    if (rc != 0) {
        return einet_report_error("profile", &err);
    }
    if (r.job.measure_et && !r.is_quiet) {
        printf("%s%s written\n", r.job.out_prefix, r.job.backend == EI_NETWORK_CUDA ? ".cuda.et.csv" : ".et.csv");
    }
    if (r.job.measure_cs && !r.is_quiet) {
        printf("%s.cs written\n", r.job.out_prefix);
    }
    return EINET_EXIT_OK;
}
