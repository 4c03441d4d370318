/* The seqlock of answer.h.
 *
 * Instead of fences around relaxed payload words (Boehm's figure 6) each word is stored with release and loaded with
 * acquire: the same mov on x86, a plain instruction on ARMv8, and thread sanitizers understand it. A reader that meets
 * a word of a newer write thereby also sees that write's odd sequence number, so its second look at the number differs.
 */
#include "stages/answer.h"
#include <errno.h>
#include <string.h>

void ei_answer_init(struct ei_answer_cell *cell)
{
    atomic_init(&cell->sequence, 0);
    for (size_t i = 0; i < EI_ANSWER_WORDS; i++) {
        atomic_init(&cell->words[i], 0);
    }
}

EINET_RT void ei_answer_publish(struct ei_answer_cell *cell, const struct ei_answer *answer)
{
    uint64_t words[EI_ANSWER_WORDS];
    memcpy(words, answer, sizeof words);
    const uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_relaxed);
    atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < EI_ANSWER_WORDS; i++) {
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
}

EINET_RT int ei_answer_finalize(struct ei_answer_cell *cell)
{
    struct ei_answer answer;
    if (ei_answer_try_read(cell, &answer) != 1) {
        return -ENOENT; /* the one writer never meets its own write, so this is "nothing published" */
    }
    answer.is_final = 1;
    ei_answer_publish(cell, &answer);
    return 0;
}

EINET_RT int ei_answer_try_read(const struct ei_answer_cell *cell, struct ei_answer *out)
{
    uint64_t words[EI_ANSWER_WORDS];
    const uint64_t before = atomic_load_explicit(&cell->sequence, memory_order_acquire);
    if (before == 0) {
        return 0;
    }
    if (before % 2 != 0) {
        return -EAGAIN;
    }
    for (size_t i = 0; i < EI_ANSWER_WORDS; i++) {
        words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
    }
    if (atomic_load_explicit(&cell->sequence, memory_order_relaxed) != before) {
        return -EAGAIN;
    }
    memcpy(out, words, sizeof words);
    return 1;
}

EINET_RT int ei_answer_read(const struct ei_answer_cell *cell, struct ei_answer *out, int *out_torn)
{
    int torn = 0, rc;
    do {
        rc = ei_answer_try_read(cell, out);
        torn += rc == -EAGAIN;
    } while (rc == -EAGAIN && torn < EI_ANSWER_ATTEMPTS_MAX);
    if (out_torn) {
        *out_torn = torn;
    }
    return rc;
}
