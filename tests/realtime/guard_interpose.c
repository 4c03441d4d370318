/* The guard's malloc family and locks, in front of libc's. Under a sanitizer, whose runtime must own malloc, its hooks
 * are used instead. Visible to the whole process, libraries that are loaded later included.
 */
#include "tests/realtime/guard_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define EXPORTED __attribute__((visibility("default")))
#define PRIO_INHERIT_BIT 32 /* glibc's PTHREAD_MUTEX_PRIO_INHERIT_NP in a mutex's kind */

static void saw_allocation(const char *what, size_t size_bytes)
{
    if (guard_is_watching()) {
        guard_violation(EI_GUARD_ALLOCATION, what, (int64_t)size_bytes, 1);
    }
}

#if GUARD_SANITIZER

/* <sanitizer/allocator_interface.h>, which not every compiler package brings along. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void on_malloc(const volatile void *block, size_t size_bytes)
{
    (void)block;
    saw_allocation("malloc", size_bytes);
}

static void on_free(const volatile void *block)
{
    (void)block;
    saw_allocation("free", 0);
}

const char *guard_interpose_install(void)
{
    return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0
               ? ""
               : "the sanitizer has no room for another malloc hook";
}

#else

/* glibc's own names of its allocator: no look-up is needed, so these work from the first instruction of the process. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

EXPORTED void *malloc(size_t size)
{
    saw_allocation("malloc", size);
    return __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    saw_allocation("calloc", count * size);
    return __libc_calloc(count, size);
}

EXPORTED void *realloc(void *block, size_t size)
{
    saw_allocation("realloc", size);
    return __libc_realloc(block, size);
}

EXPORTED void free(void *block)
{
    if (block != NULL) {
        saw_allocation("free", 0);
    }
    __libc_free(block);
}

EXPORTED void *memalign(size_t alignment, size_t size)
{
    saw_allocation("memalign", size);
    return __libc_memalign(alignment, size);
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    saw_allocation("aligned_alloc", size);
    return __libc_memalign(alignment, size);
}

EXPORTED int posix_memalign(void **out_block, size_t alignment, size_t size)
{
    saw_allocation("posix_memalign", size);
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    const int before = errno;
    void *block = __libc_memalign(alignment, size);
    errno = before;
    if (block == NULL) {
        return ENOMEM;
    }
    *out_block = block;
    return 0;
}

typedef void *(*mmap_fn)(void *, size_t, int, int, int, off_t);
typedef int (*munmap_fn)(void *, size_t);

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    static mmap_fn next;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "mmap");
    }
    saw_allocation("mmap", length);
    return next(address, length, protection, flags, fd, offset);
}

EXPORTED int munmap(void *address, size_t length)
{
    static munmap_fn next;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "munmap");
    }
    saw_allocation("munmap", length);
    return next(address, length);
}

const char *guard_interpose_install(void)
{
    return "";
}

#endif

#if GUARD_TSAN

const char *guard_locks_why_not(void)
{
    return "ThreadSanitizer owns the locks";
}

#else

typedef int (*mutex_fn)(pthread_mutex_t *);
typedef int (*rwlock_fn)(pthread_rwlock_t *);

EXPORTED int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static mutex_fn next;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    }
    const int kind = mutex->__data.__kind;
    if ((kind & PRIO_INHERIT_BIT) == 0 && guard_is_watching()) {
        guard_violation(EI_GUARD_LOCK, "pthread_mutex_lock", kind, 1);
    }
    return next(mutex);
}

EXPORTED int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    static rwlock_fn next;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
    }
    if (guard_is_watching()) {
        guard_violation(EI_GUARD_LOCK, "pthread_rwlock_rdlock", 0, 1);
    }
    return next(lock);
}

EXPORTED int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    static rwlock_fn next;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
    }
    if (guard_is_watching()) {
        guard_violation(EI_GUARD_LOCK, "pthread_rwlock_wrlock", 0, 1);
    }
    return next(lock);
}

const char *guard_locks_why_not(void)
{
    return "";
}

#endif
