/* Real-time annotations of functions.
 *
 * EINET_RT         may run between a job's release and its finish: allocates nothing, takes no lock but a
 *                  priority-inheriting one, makes no system call but sleep, wake and priority change, and is bounded.
 * EINET_RT_SUBMIT  may enter a library that allocates or locks (libtorch, CUDA, libpng); such calls are bracketed by
 *                  ei_rt_submit_enter/leave (rt/section.h), measured and counted.
 * neither          set-up, tear-down and housekeeping only.
 *
 * The marks are proved, not believed: tests/realtime runs marked sections under an allocation, lock, system call and
 * page fault guard.
 */
#ifndef EINET_ATTRIBUTES_H
#define EINET_ATTRIBUTES_H

#define EINET_RT
#define EINET_RT_SUBMIT

#if defined(__GNUC__)
#define EINET_API __attribute__((visibility("default")))
#define EINET_PRINTF(fmt_idx, first_idx) __attribute__((format(printf, fmt_idx, first_idx)))
#define EINET_MUST_CHECK __attribute__((warn_unused_result))
#else
#define EINET_API
#define EINET_PRINTF(fmt_idx, first_idx)
#define EINET_MUST_CHECK
#endif

/* Compile a function for several vector widths and choose at load; all give the same bits, since the build forbids fused
 * multiply-add. For static functions (clang 14 gives clones no plain symbol of their own). Not in sanitizer builds, whose runtime is not ready when the choice is made. */
#if defined(__x86_64__) && defined(__linux__) && defined(__OPTIMIZE__) && !defined(EINET_SANITIZED)
#define EINET_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EINET_VECTOR_CLONES
#endif

#endif
