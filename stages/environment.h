/* What the libraries that compute take from their surroundings: variables that BLAS and OpenMP read while they are
 * loaded, and what may be wrong about them once they are. Not for real-time threads.
 */
#ifndef STAGES_ENVIRONMENT_H
#define STAGES_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_ENVIRONMENT_SETTINGS_MAX 24
#define EI_ENVIRONMENT_WARNINGS_MAX 4
#define EI_OPENMP_MAX 4

/* Set the environment that libraries read while they are loaded, by executing the program once more when something is
 * missing: OPENBLAS_NUM_THREADS=1, OMP_WAIT_POLICY=passive, GOMP_SPINCOUNT=0 and, where the processor has AVX-512,
 * OPENBLAS_CORETYPE=SKYLAKEX. Variables that are set already are left alone. What was set here is noted in
 * EINET_ENVIRONMENT. Call first thing in main, before threads. argv: main's. Returns 0 when nothing was to be done,
 * else does not return; a failed execution returns -errno. */
int ei_environment_apply(char **argv);

struct ei_environment_setting {
    const char *name, *value; /* borrowed from the environment, or static */
    bool is_ours;             /* set by this program, else by the user */
};

/* The settings of BLAS, OpenMP, oneDNN and malloc that are in force, malloc's own as "M_ARENA_MAX". Returns how many.
 */
int32_t ei_environment_settings(struct ei_environment_setting out[EI_ENVIRONMENT_SETTINGS_MAX]);

/* The same in one line: "OPENBLAS_NUM_THREADS=1 (einet), OMP_NUM_THREADS=4 (user)". */
void ei_environment_print(char *out, size_t size_bytes);

struct ei_environment_warning {
    char text[400], remedy[200];
};

/* Look at what this process has loaded by now: two OpenMP runtimes, of which each has worker threads of its own, or an
 * OpenBLAS that computes for an older processor than this one. Returns the number of warnings. */
int32_t ei_environment_check(struct ei_environment_warning out[EI_ENVIRONMENT_WARNINGS_MAX]);

/* The entry points of a loaded OpenMP runtime; GNU's, LLVM's and Intel's all have them. */
struct ei_openmp {
    void (*parallel)(void (*run)(void *), void *context, unsigned threads, unsigned flags); /* GOMP_parallel */
    int (*thread_num)(void);
};

/* Those that are loaded. Returns how many. */
int32_t ei_environment_openmp(struct ei_openmp out[EI_OPENMP_MAX]);

#endif
