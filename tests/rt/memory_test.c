/* Prefault, locking and the fault counters. Sanitizers replace the allocator, so what depends on glibc's skips there.
 */
#include "tests/harness/harness.h"

#include "rt/memory.h"
#include "rt/thread.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

static int64_t faults(void)
{
    struct ei_thread_usage usage;
    ei_thread_usage_read(&usage);
    return usage.minor_faults + usage.major_faults;
}

static void touch(volatile unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += 4096) {
        bytes[at] = 1;
    }
}

EI_TEST(usage_counts_page_faults)
{
    unsigned char *fresh = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EI_REQUIRE(fresh != MAP_FAILED);
    EI_EQ(madvise(fresh, 256 * 4096, MADV_NOHUGEPAGE), 0);
    const int64_t before = faults();
    touch(fresh, 256 * 4096);
    EI_TRUE(faults() - before >= 256);
    munmap(fresh, 256 * 4096);
}

EI_TEST(prefaulted_range_keeps_its_contents_and_faults_no_more)
{
    unsigned char *fresh = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EI_REQUIRE(fresh != MAP_FAILED);
    fresh[4096] = 17;
    ei_memory_prefault_range(fresh, 256 * 4096);
    EI_EQ(fresh[4096], 17);
    const int64_t before = faults();
    touch(fresh, 256 * 4096);
    EI_IN(faults() - before, 0, 8);
    munmap(fresh, 256 * 4096);
}

struct stack_use {
    int64_t prefaulted;
    int64_t faults;
};

__attribute__((noinline)) static void use_stack(void)
{
    volatile unsigned char frame[300 * 1024];
    touch(frame, sizeof frame);
}

static void on_small_stack(void *arg)
{
    struct stack_use *use = arg;
    use->prefaulted = ei_memory_prefault_stack(400 * 1024);
    const int64_t before = faults();
    use_stack();
    use->faults = faults() - before;
}

EI_TEST(prefaulted_stack_faults_no_more)
{
    struct stack_use use = {0};
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "stack", .stack_bytes = 2 * MIB};
    EI_REQUIRE(ei_thread_create(&thread, &attr, on_small_stack, &use, NULL) == 0);
    ei_thread_join(&thread);
    EI_EQ(use.prefaulted, 400 * 1024);
#if HAS_SANITIZER
    ei_test_skip("a sanitizer's shadow memory faults by itself");
#endif
    EI_IN(use.faults, 0, 8);
}

static void ask_for_too_much(void *arg)
{
    *(int64_t *)arg = ei_memory_prefault_stack(1024 * MIB);
}

EI_TEST(prefault_stops_at_the_stacks_end)
{
    int64_t touched = 0;
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "stack", .stack_bytes = 2 * MIB};
    EI_REQUIRE(ei_thread_create(&thread, &attr, ask_for_too_much, &touched, NULL) == 0);
    ei_thread_join(&thread);
    EI_IN(touched, 1 * MIB, 2 * MIB); /* a sanitizer keeps some of it for itself */
}

/* In a child process: the settings stay for its life. Returns the child's exit status. */
static int in_child(int (*fn)(void))
{
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(fn());
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int use_tuned_heap(void)
{
    if (ei_memory_tune_malloc() != 0 || ei_memory_prefault_heap(16 * MIB) != 0) {
        return 1;
    }
    const int64_t before = faults();
    for (int round = 0; round < 10; round++) {
        unsigned char *block = malloc(8 * MIB); /* by default: mapped, faulted and unmapped each time */
        if (block == NULL) {
            return 2;
        }
        touch(block, 8 * MIB);
        free(block);
    }
    return faults() - before <= 16 ? 0 : 3;
}

EI_TEST(tuned_heap_keeps_its_pages)
{
#if HAS_SANITIZER
    ei_test_skip("a sanitizer replaces malloc");
#endif
    EI_EQ(in_child(use_tuned_heap), 0);
}

static int lock_all(void)
{
    if (ei_memory_lock(EI_MEMORY_LOCK_ALL, NULL) != 0) {
        return 77;
    }
    unsigned char *fresh = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) {
        return 2;
    }
    const int64_t before = faults();
    touch(fresh, 64 * 4096);
    const bool is_resident = faults() - before <= 4;
    ei_memory_unlock();
    return is_resident ? 0 : 3;
}

EI_TEST(locked_process_does_not_fault_in_new_mappings)
{
#if HAS_SANITIZER
    ei_test_skip("locking a sanitizer's shadow memory would need terabytes");
#endif
    const int status = in_child(lock_all);
    if (status == 77) {
        ei_test_skip("mlockall is not permitted here");
    }
    EI_EQ(status, 0);
}

static int lock_beyond_the_limit(void)
{
    const struct rlimit none = {0, 0};
    struct einet_error err = {0};
    char page[4096];
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)) {
        return 2;
    }
    if (ei_memory_lock(EI_MEMORY_LOCK_ALL, &err) != EINET_E_PRIVILEGE || strstr(err.text, "ulimit -l") == NULL) {
        return 3;
    }
    if (ei_memory_lock(EI_MEMORY_LOCK_NONE, NULL) != 0 || ei_memory_lock(EI_MEMORY_LOCK_RT_ONLY, NULL) != 0) {
        return 4;
    }
    return ei_memory_lock_range(page, sizeof page, NULL) == EINET_E_PRIVILEGE ? 0 : 5;
}

EI_TEST(refused_lock_names_the_fix)
{
#if HAS_SANITIZER
    ei_test_skip("sanitizers swallow mlock");
#endif
    EI_EQ(in_child(lock_beyond_the_limit), 0);
}

EI_TEST(tables_are_zeroed_and_aligned_in_every_size)
{
    static const size_t counts[] = {1, 1000, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        unsigned char *table = ei_memory_table(counts[i], 200);
        EI_REQUIRE(table != NULL);
        EI_EQ((uintptr_t)table % 128, 0);
        size_t set = 0;
        for (size_t k = 0; k < counts[i] * 200; k++) {
            set += table[k] != 0;
        }
        EI_EQ(set, 0);
        memset(table, 0xff, counts[i] * 200);
        free(table);
    }
    volatile size_t most = SIZE_MAX / 2; /* or the compiler refuses it */
    EI_TRUE(ei_memory_table(most, 4) == NULL);
}
