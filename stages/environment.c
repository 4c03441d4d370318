/* See environment.h. Reads the environment and /proc/self/maps; no state. */
#include "stages/environment.h"

#include "rt/memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OURS "EINET_ENVIRONMENT" /* "NAME=VALUE NAME=VALUE": what apply set */
#define OURS_BYTES 512
#define MAPPED_PATH_BYTES 1024 /* longer ones are cut, and then not found by name */

/* ---- before loading ---- */

/* Set a missing variable and note it in ours; returns whether it was missing. */
static bool ensure(const char *name, const char *value, char ours[OURS_BYTES])
{
    const size_t used = strlen(ours);
    if (getenv(name) != NULL || setenv(name, value, 0) != 0) {
        return false;
    }
    snprintf(ours + used, OURS_BYTES - used, "%s%s=%s", used > 0 ? " " : "", name, value);
    return true;
}

int ei_environment_apply(char **argv)
{
    char ours[OURS_BYTES] = "", self[PATH_MAX];
    const char *before = getenv(OURS);
    snprintf(ours, sizeof ours, "%.400s", before != NULL ? before : "");
    bool changed = ensure("OPENBLAS_NUM_THREADS", "1", ours);
    changed = ensure("OMP_WAIT_POLICY", "passive", ours) || changed;
    changed = ensure("GOMP_SPINCOUNT", "0", ours) || changed;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        changed = ensure("OPENBLAS_CORETYPE", "SKYLAKEX", ours) || changed;
    }
#endif
    if (!changed) {
        return 0;
    }
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return length < 0 ? -errno : -ENOENT;
    }
    self[length] = '\0';
    if (setenv(OURS, ours, 1) != 0) {
        return -errno;
    }
    execv(self, argv);
    return -errno;
}

/* ---- what is in force ---- */

/* Whether the note of apply holds NAME=VALUE as it is now: a variable that a user changed since is the user's. */
static bool is_noted(const char *name, const char *value)
{
    char wanted[160];
    const char *at = getenv(OURS);
    const int length = snprintf(wanted, sizeof wanted, "%s=%s", name, value);
    while (at != NULL && length > 0 && (size_t)length < sizeof wanted && (at = strstr(at, wanted)) != NULL) {
        const char *note = getenv(OURS);
        if ((at == note || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' ')) {
            return true;
        }
        at += length;
    }
    return false;
}

int32_t ei_environment_settings(struct ei_environment_setting out[EI_ENVIRONMENT_SETTINGS_MAX])
{
    static const char *const names[] = {
        "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OMP_WAIT_POLICY",        "GOMP_SPINCOUNT",   "OMP_NUM_THREADS",
        "OMP_PROC_BIND",        "OMP_PLACES",        "GOMP_CPU_AFFINITY",      "KMP_BLOCKTIME",    "KMP_AFFINITY",
        "DNNL_MAX_CPU_ISA",     "MALLOC_ARENA_MAX",  "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_"};
    static const struct ei_environment_setting tuned[] = {{"M_TRIM_THRESHOLD", "-1", true},
                                                          {"M_MMAP_MAX", "0", true},
                                                          {"M_TOP_PAD", "67108864", true},
                                                          {"M_ARENA_MAX", "1", true}};
    int32_t count = 0;
    _Static_assert(sizeof names / sizeof names[0] + sizeof tuned / sizeof tuned[0] <= EI_ENVIRONMENT_SETTINGS_MAX,
                   "all fit");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL) {
            out[count++] = (struct ei_environment_setting){names[i], value, is_noted(names[i], value)};
        }
    }
    for (size_t i = 0; ei_memory_is_malloc_tuned() && i < sizeof tuned / sizeof tuned[0]; i++) {
        out[count++] = tuned[i];
    }
    return count;
}

void ei_environment_print(char *out, size_t size_bytes)
{
    struct ei_environment_setting settings[EI_ENVIRONMENT_SETTINGS_MAX];
    const int32_t count = ei_environment_settings(settings);
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < count && used < size_bytes; i++) {
        const int more = snprintf(out + used, size_bytes - used, "%s%s=%.60s (%s)", i > 0 ? ", " : "", settings[i].name,
                                  settings[i].value, settings[i].is_ours ? "einet" : "user");
        used += more > 0 ? (size_t)more : 0;
    }
}

/* ---- after loading ---- */

/* A mapped file. */
struct mapped {
    unsigned major, minor;
    unsigned long long inode;
    char path[MAPPED_PATH_BYTES];
};

static bool next_mapped(FILE *maps, struct mapped *out)
{
    char line[PATH_MAX + 200];
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long offset;
        int path_at = 0;
        if (sscanf(line, "%*x-%*x %*4s %llx %x:%x %llu %n", &offset, &out->major, &out->minor, &out->inode, &path_at) ==
                4 &&
            out->inode != 0 && path_at > 0 && line[path_at] == '/') {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out->path, sizeof out->path, "%.1023s", line + path_at);
            return true;
        }
    }
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* libgomp is GNU's, libomp LLVM's, libiomp Intel's; wheels of PyTorch bring libgomp-HASH.so of their own. */
static bool is_openmp(const char *path)
{
    const char *name = base_name(path);
    return strncmp(name, "libgomp", 7) == 0 || strncmp(name, "libomp", 6) == 0 || strncmp(name, "libiomp", 7) == 0;
}

/* How wide an instruction set a core type of OpenBLAS stands for; -1 = unknown. */
static int width_of_core(const char *name)
{
    static const struct {
        const char *name;
        int width_bits;
    } cores[] = {{"prescott", 128},      {"core2", 128},      {"penryn", 128},    {"dunnington", 128},
                 {"atom", 128},          {"nehalem", 128},    {"barcelona", 128}, {"opteron", 128},
                 {"opteron_sse3", 128},  {"bobcat", 128},     {"generic", 128},   {"sandybridge", 255},
                 {"bulldozer", 255},     {"piledriver", 255}, {"haswell", 256},   {"steamroller", 255},
                 {"excavator", 256},     {"zen", 256},        {"skylakex", 512},  {"cooperlake", 512},
                 {"sapphirerapids", 512}};
    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++) {
        if (strcasecmp(name, cores[i].name) == 0) {
            return cores[i].width_bits;
        }
    }
    return -1;
}

/* The same of this processor; 255 = AVX without AVX2. 0 = no x86. */
static int width_of_processor(const char **out_core)
{
    *out_core = "";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        *out_core = "SKYLAKEX";
        return 512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *out_core = "HASWELL";
        return 256;
    }
    if (__builtin_cpu_supports("avx")) {
        *out_core = "SANDYBRIDGE";
        return 255;
    }
    *out_core = "NEHALEM";
    return 128;
#else
    return 0;
#endif
}

typedef const char *corename_fn(void);

/* The function of a loaded file, or of a library behind it, that says what OpenBLAS takes this processor for; NULL when
 * there is none. */
static corename_fn *corename_of(const char *path)
{
    void *handle = strstr(path, "blas") != NULL ? dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_LOCAL) : NULL;
    corename_fn *corename = NULL;
    if (handle != NULL) {
        *(void **)&corename = dlsym(handle, "openblas_get_corename");
        dlclose(handle); /* it stays loaded: RTLD_NOLOAD counted one use more */
    }
    return corename;
}

/* Debian's libblas.so.3 and liblapack.so.3 stand before one OpenBLAS: it is told of once. */
static bool is_told(corename_fn *const *told, int32_t count, corename_fn *corename)
{
    for (int32_t i = 0; i < count; i++) {
        if (told[i] == corename) {
            return true;
        }
    }
    return false;
}

static bool warn_of_core(const char *path, corename_fn *corename, struct ei_environment_warning *out)
{
    const char *fit, *core = corename();
    const int width = width_of_processor(&fit);
    if (core == NULL || width_of_core(core) < 0 || width_of_core(core) >= width) {
        return false;
    }
    snprintf(out->text, sizeof out->text, "OpenBLAS (%.200s) computes as for a %.32s, this processor can do more", path,
             core);
    snprintf(out->remedy, sizeof out->remedy, "export OPENBLAS_CORETYPE=%s  # before einet is started", fit);
    return true;
}

static void warn_of_runtimes(const struct mapped *runtimes, int32_t count, struct ei_environment_warning *out)
{
    size_t used = 0;
    used += (size_t)snprintf(out->text, sizeof out->text,
                             "%d OpenMP runtimes are loaded, each with threads of its own: ", count);
    for (int32_t i = 0; i < count && used < sizeof out->text; i++) {
        const int more =
            snprintf(out->text + used, sizeof out->text - used, "%s%.150s", i > 0 ? ", " : "", runtimes[i].path);
        used += more > 0 ? (size_t)more : 0;
    }
    snprintf(out->remedy, sizeof out->remedy,
             "build the plug-ins against libraries that share one, or run lanes on one backend only");
}

static bool is_same_file(const struct mapped *a, const struct mapped *b)
{
    return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

/* Add a runtime that is not in the list yet. */
static void add_runtime(const struct mapped *now, struct mapped *runtimes, int32_t *count)
{
    bool is_new = is_openmp(now->path) && *count < EI_OPENMP_MAX;
    for (int32_t i = 0; i < *count; i++) {
        is_new = is_new && !is_same_file(&runtimes[i], now);
    }
    if (is_new) {
        runtimes[(*count)++] = *now;
    }
}

int32_t ei_environment_check(struct ei_environment_warning out[EI_ENVIRONMENT_WARNINGS_MAX])
{
    struct mapped runtimes[EI_OPENMP_MAX], last = {0}, now;
    corename_fn *told[EI_ENVIRONMENT_WARNINGS_MAX]; /* [count] */
    int32_t runtime_count = 0, count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && next_mapped(maps, &now)) {
        const bool is_again = is_same_file(&now, &last);
        last = now;
        corename_fn *corename = is_again || count >= EI_ENVIRONMENT_WARNINGS_MAX - 1 ? NULL : corename_of(now.path);
        if (corename != NULL && !is_told(told, count, corename) && warn_of_core(now.path, corename, &out[count])) {
            told[count++] = corename;
        }
        add_runtime(&now, runtimes, &runtime_count);
    }
    if (maps != NULL) {
        fclose(maps);
    }
    if (runtime_count > 1) {
        warn_of_runtimes(runtimes, runtime_count, &out[count++]);
    }
    return count;
}

int32_t ei_environment_openmp(struct ei_openmp out[EI_OPENMP_MAX])
{
    struct mapped runtimes[EI_OPENMP_MAX], now;
    int32_t runtime_count = 0, count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && next_mapped(maps, &now)) {
        add_runtime(&now, runtimes, &runtime_count);
    }
    if (maps != NULL) {
        fclose(maps);
    }
    for (int32_t i = 0; i < runtime_count; i++) {
        void *handle = dlopen(runtimes[i].path, RTLD_NOW | RTLD_NOLOAD | RTLD_LOCAL); /* kept: its functions are used */
        struct ei_openmp found = {0};
        if (handle != NULL) {
            *(void **)&found.parallel = dlsym(handle, "GOMP_parallel");
            *(void **)&found.thread_num = dlsym(handle, "omp_get_thread_num");
        }
        if (found.parallel != NULL && found.thread_num != NULL) {
            out[count++] = found;
        }
    }
    return count;
}
