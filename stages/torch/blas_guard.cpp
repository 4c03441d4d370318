/* See blas_guard.h. OpenBLAS may ask for a buffer while it is loaded, before anything here was constructed: all state
 * is constant at first, and made ready at the first call.
 */
#include "stages/torch/blas_guard.h"

#include <cstdint>
#include <dlfcn.h>
#include <pthread.h>
#include <vector>

namespace
{

pthread_once_t once = PTHREAD_ONCE_INIT;
pthread_mutex_t lock; /* its holder inherits: threads of several priorities ask */
void *(*alloc_of_openblas)(int);
void (*free_of_openblas)(void *);
thread_local bool is_reached;

void take()
{
    pthread_mutex_lock(&lock);
}

void leave()
{
    pthread_mutex_unlock(&lock);
}

void prepare()
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_atfork(take, leave, leave); /* a child's first product would wait for a thread that it has not */
    *reinterpret_cast<void **>(&alloc_of_openblas) = dlsym(RTLD_NEXT, "blas_memory_alloc");
    *reinterpret_cast<void **>(&free_of_openblas) = dlsym(RTLD_NEXT, "blas_memory_free");
}

} // namespace

/* The names are OpenBLAS's. Nobody else calls them, so both of its own are there. */
extern "C" __attribute__((visibility("default"))) void *blas_memory_alloc(int position);
extern "C" __attribute__((visibility("default"))) void blas_memory_free(void *buffer);

extern "C" void *blas_memory_alloc(int position)
{
    pthread_once(&once, prepare);
    is_reached = true;
    pthread_mutex_lock(&lock);
    void *buffer = alloc_of_openblas(position);
    pthread_mutex_unlock(&lock);
    return buffer;
}

/* What the buffer was read for is over before the next one has it, on processors that reorder as well. */
extern "C" void blas_memory_free(void *buffer)
{
    pthread_once(&once, prepare);
    pthread_mutex_lock(&lock);
    free_of_openblas(buffer);
    pthread_mutex_unlock(&lock);
}

bool einet::is_blas_safe() noexcept
{
    using sgemm_fn =
        void(const char *, const char *, const int64_t *, const int64_t *, const int64_t *, const float *,
             const float *, const int64_t *, const float *, const int64_t *, const float *, float *, const int64_t *);
    int (*parallel)(void) = nullptr;
    sgemm_fn *sgemm = nullptr;
    *reinterpret_cast<void **>(&parallel) = dlsym(RTLD_DEFAULT, "openblas_get_parallel");
    *reinterpret_cast<void **>(&sgemm) = dlsym(RTLD_DEFAULT, "sgemm_");
    if (parallel == nullptr || parallel() != 0 || sgemm == nullptr) {
        return true;
    }
    /* Large enough for a buffer. Sizes in 64 bits read as 32 on the little-endian machines that OpenBLAS is built for.
     */
    static const int64_t size = 128;
    static const float one = 1.0F, zero = 0.0F;
    try {
        const std::vector<float> a(static_cast<size_t>(size * size), 1.0F);
        std::vector<float> c(a);
        is_reached = false;
        sgemm("N", "N", &size, &size, &size, &one, a.data(), &size, a.data(), &size, &zero, c.data(), &size);
    } catch (...) {
        return false;
    }
    return is_reached;
}
