/* See seqlock.h. */
#include "rt/seqlock.h"

#include <errno.h>
#include <string.h>

EINET_RT void ei_seqlock_write(_Atomic uint64_t *words, const void *payload, size_t bytes)
{
    const unsigned char *from = payload;
    const uint64_t sequence = atomic_load_explicit(&words[0], memory_order_relaxed);
    /* A writer that died in mid-write left it odd: then it is stable again after this write. */
    const uint64_t odd = sequence | 1;
    atomic_store_explicit(&words[0], odd, memory_order_relaxed);
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, from + at, sizeof word);
        atomic_store_explicit(&words[1 + at / sizeof word], word, memory_order_release);
    }
    atomic_store_explicit(&words[0], odd + 1, memory_order_release);
}

EINET_RT int ei_seqlock_try_read(const _Atomic uint64_t *words, void *out, size_t bytes)
{
    unsigned char *to = out;
    const uint64_t before = atomic_load_explicit(&words[0], memory_order_acquire);
    if (before == 0) {
        return 0;
    }
    if (before % 2 != 0) {
        return -EAGAIN;
    }
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        const uint64_t word = atomic_load_explicit(&words[1 + at / sizeof(uint64_t)], memory_order_acquire);
        memcpy(to + at, &word, sizeof word);
    }
    return atomic_load_explicit(&words[0], memory_order_relaxed) == before ? 1 : -EAGAIN;
}

EINET_RT int ei_seqlock_read(const _Atomic uint64_t *words, void *out, size_t bytes)
{
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < EI_SEQLOCK_ATTEMPTS_MAX; i++) {
        rc = ei_seqlock_try_read(words, out, bytes);
    }
    return rc;
}
