/* The seqlock: nothing before the first write, no torn payload with two real threads, and a writer that died in
 * mid-write is neither believed nor a trap for the next one.
 */
#include "tests/harness/harness.h"

#include "rt/seqlock.h"
#include "rt/thread.h"
#include <errno.h>

#define PAYLOAD_WORDS 24
#define WRITES 20000

struct payload {
    uint64_t words[PAYLOAD_WORDS];
};

/* Every word follows from the first. */
static struct payload payload_of(uint64_t number)
{
    struct payload p;
    for (uint64_t i = 0; i < PAYLOAD_WORDS; i++) {
        p.words[i] = (number + i) * (2 * i + 1);
    }
    return p;
}

static bool is_whole(const struct payload *p)
{
    const struct payload expected = payload_of(p->words[0]);
    return memcmp(p, &expected, sizeof expected) == 0;
}

EI_TEST(seqlock_says_when_nothing_was_written)
{
    _Atomic uint64_t words[EI_SEQLOCK_WORDS(sizeof(struct payload))] = {0};
    struct payload out;
    EI_EQ(ei_seqlock_try_read(words, &out, sizeof out), 0);
    EI_EQ(ei_seqlock_read(words, &out, sizeof out), 0);
    const struct payload in = payload_of(7);
    ei_seqlock_write(words, &in, sizeof in);
    EI_EQ(ei_seqlock_read(words, &out, sizeof out), 1);
    EI_TRUE(memcmp(&in, &out, sizeof in) == 0);
}

EI_TEST(seqlock_left_in_mid_write_is_refused_until_written_again)
{
    _Atomic uint64_t words[EI_SEQLOCK_WORDS(sizeof(struct payload))] = {0};
    struct payload out;
    struct payload in = payload_of(1);
    ei_seqlock_write(words, &in, sizeof in);
    atomic_fetch_add(&words[0], 1);
    EI_EQ(ei_seqlock_read(words, &out, sizeof out), -EAGAIN);
    in = payload_of(2);
    ei_seqlock_write(words, &in, sizeof in);
    EI_EQ(ei_seqlock_read(words, &out, sizeof out), 1);
    EI_EQ(out.words[0], 2);
}

static _Atomic uint64_t shared[EI_SEQLOCK_WORDS(sizeof(struct payload))];
static atomic_bool is_over;

static void write_many(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= WRITES; i++) {
        const struct payload p = payload_of(i);
        ei_seqlock_write(shared, &p, sizeof p);
    }
    atomic_store(&is_over, true);
}

EI_TEST(seqlock_reader_never_sees_a_torn_payload)
{
    struct ei_thread writer;
    struct einet_error err = {0};
    const struct ei_thread_attr attr = {.name = "writer"};
    int64_t whole = 0, torn = 0, backwards = 0;
    uint64_t last = 0;
    EI_REQUIRE(ei_thread_create(&writer, &attr, write_many, NULL, &err) == 0);
    bool is_last = false;
    while (!is_last) {
        is_last = atomic_load(&is_over);
        struct payload out;
        if (ei_seqlock_read(shared, &out, sizeof out) == 1) {
            whole++;
            torn += !is_whole(&out);
            backwards += out.words[0] < last;
            last = out.words[0];
        }
    }
    EI_EQ(ei_thread_join(&writer), 0);
    EI_EQ(torn, 0);
    EI_EQ(backwards, 0);
    EI_EQ(last, WRITES);
    EI_TRUE(whole > 0);
}
