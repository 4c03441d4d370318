/* A seqlock over plain 64-bit words: one writer that never waits, any number of readers, in this process or, over
 * shared memory, in another one.
 *
 *     word 0: sequence, even = stable, odd = a write is under way, 0 = nothing was written yet
 *     words 1..n: the payload
 *
 * Every word is atomic, so that concurrent access is no data race (Boehm, MSPC 2012); payload words are stored with
 * release and loaded with acquire, which is a plain move on x86 and which thread sanitizers understand: a reader that
 * meets a word of a newer write also sees that write's odd sequence number, so its second look at it differs.
 * A reader only loads, so a read-only mapping does.
 */
#ifndef RT_SEQLOCK_H
#define RT_SEQLOCK_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic word would not work across processes");

/* Words that a payload of so many bytes needs, the sequence number included. */
#define EI_SEQLOCK_WORDS(payload_bytes) (1 + ((payload_bytes) + sizeof(uint64_t) - 1) / sizeof(uint64_t))

/* Attempts of one ei_seqlock_read. */
#define EI_SEQLOCK_ATTEMPTS_MAX 1000

/* Write a payload of `bytes` (a multiple of 8). Thread: the one writer; wait-free. */
EINET_RT void ei_seqlock_write(_Atomic uint64_t *words, const void *payload, size_t bytes);

/* One attempt. Returns 1 and fills out; 0 when nothing was written yet; -EAGAIN when a write was under way (out then
 * holds nothing of use). Thread: any; wait-free. */
EINET_RT int ei_seqlock_try_read(const _Atomic uint64_t *words, void *out, size_t bytes);

/* The same, repeated while torn, at most EI_SEQLOCK_ATTEMPTS_MAX times: -EAGAIN then means that the writer stands still
 * or died in mid-write. */
EINET_RT int ei_seqlock_read(const _Atomic uint64_t *words, void *out, size_t bytes);

#endif
