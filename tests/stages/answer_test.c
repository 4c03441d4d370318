/* The published answer: nothing, something, final, and never a mixture of two, however many read. */
#include "stages/answer.h"
#include "tests/harness/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 3, PUBLICATIONS = 200000 };

/* An answer all of whose fields follow from one number, so that a mixture of two shows. */
static struct ei_answer answer_of(int64_t number)
{
    struct ei_answer answer = {.job_idx = number,
                               .published_ns = number * 3 + 1,
                               .task_idx = (int32_t)(number % 7),
                               .exit_idx = (int32_t)(number % 40),
                               .exits_total = 40,
                               .label = (int32_t)(number % 10),
                               .confidence = (float)(number % 1000) / 1000.0F,
                               .is_final = (int32_t)(number % 2),
                               .top_count = EI_ANSWER_TOP};
    for (int i = 0; i < EI_ANSWER_TOP; i++) {
        answer.top_class[i] = (int32_t)((number + i) % 10);
        answer.top_p[i] = (float)((number + i) % 1000) / 1000.0F;
    }
    return answer;
}

static bool is_consistent(const struct ei_answer *answer)
{
    const struct ei_answer expected = answer_of(answer->job_idx);
    return memcmp(answer, &expected, sizeof expected) == 0;
}

EI_TEST(nothing_is_published_at_first)
{
    struct ei_answer_cell cell;
    struct ei_answer answer = {.label = 42};
    int torn = -1;
    ei_answer_init(&cell);
    EI_EQ(ei_answer_try_read(&cell, &answer), 0);
    EI_EQ(ei_answer_read(&cell, &answer, &torn), 0);
    EI_EQ(torn, 0);
    EI_EQ(answer.label, 42);
    EI_EQ(ei_answer_finalize(&cell), -ENOENT);
    EI_EQ(ei_answer_read(&cell, &answer, NULL), 0);
}

EI_TEST(the_last_publication_is_read)
{
    struct ei_answer_cell cell;
    struct ei_answer answer;
    ei_answer_init(&cell);
    for (int64_t number = 0; number < 100; number += 2) {
        const struct ei_answer published = answer_of(number);
        ei_answer_publish(&cell, &published);
        EI_EQ(ei_answer_read(&cell, &answer, NULL), 1);
        EI_EQ(answer.job_idx, number);
        EI_TRUE(is_consistent(&answer));
    }
    EI_EQ(ei_answer_finalize(&cell), 0);
    EI_EQ(ei_answer_read(&cell, &answer, NULL), 1);
    EI_EQ(answer.is_final, 1);
    answer.is_final = 0;
    EI_TRUE(is_consistent(&answer)); /* nothing else changed */
}

EI_TEST(a_write_under_way_is_noticed_and_the_wait_bounded)
{
    struct ei_answer_cell cell;
    struct ei_answer answer = {.label = 42};
    const struct ei_answer published = answer_of(5);
    int torn;
    ei_answer_init(&cell);
    ei_answer_publish(&cell, &published);
    atomic_fetch_add(&cell.sequence, 1); /* what a writer that was preempted in mid-write leaves behind */
    EI_EQ(ei_answer_try_read(&cell, &answer), -EAGAIN);
    EI_EQ(ei_answer_read(&cell, &answer, &torn), -EAGAIN);
    EI_EQ(torn, EI_ANSWER_ATTEMPTS_MAX);
    EI_EQ(answer.label, 42);
    atomic_fetch_add(&cell.sequence, 1);
    EI_EQ(ei_answer_read(&cell, &answer, &torn), 1);
    EI_EQ(torn, 0);
}

struct stress {
    struct ei_answer_cell cell;
    _Atomic bool done;
    _Atomic int64_t mixtures, backwards, reads;
};

static void *read_until_done(void *argument)
{
    struct stress *stress = argument;
    int64_t last = -1, reads = 0;
    bool done;
    do {
        struct ei_answer answer;
        done = atomic_load(&stress->done);
        if (ei_answer_read(&stress->cell, &answer, NULL) == 1) {
            reads++;
            atomic_fetch_add(&stress->mixtures, !is_consistent(&answer));
            atomic_fetch_add(&stress->backwards, answer.job_idx < last);
            last = answer.job_idx;
        }
    } while (!done);
    atomic_fetch_add(&stress->reads, reads);
    return NULL;
}

EI_TEST(readers_never_see_a_mixture)
{
    static struct stress stress;
    pthread_t readers[READERS];
    ei_answer_init(&stress.cell);
    for (int i = 0; i < READERS; i++) {
        EI_REQUIRE(pthread_create(&readers[i], NULL, read_until_done, &stress) == 0);
    }
    for (int64_t number = 0; number < PUBLICATIONS; number++) {
        const struct ei_answer answer = answer_of(number);
        ei_answer_publish(&stress.cell, &answer);
    }
    atomic_store(&stress.done, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    EI_EQ(atomic_load(&stress.mixtures), 0);
    EI_EQ(atomic_load(&stress.backwards), 0);
    EI_TRUE(atomic_load(&stress.reads) >= READERS);
}

EI_MAIN()
