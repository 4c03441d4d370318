/* The seqlock: nothing before the first write, no torn payload with two real threads, and a writer that died in
 * mid-write is neither believed nor a trap for the next one.
 */
#include "tests/harness/harness.h"

#include "rt/seqlock.h"
#include "rt/thread.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>

#define PAYLOAD_WORDS 128
#define INTERRUPTIONS 500
#define READS 5000       /* that meet a payload */
#define WRITES_MAX 30000 /* even when the reader hardly runs */

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

/* A writer that comes in the middle of a read, for sure and on any number of CPUs: a signal handler. */
static _Atomic uint64_t interrupted[EI_SEQLOCK_WORDS(sizeof(struct payload))];
static volatile sig_atomic_t interruptions;

static void write_between(int signal_number)
{
    (void)signal_number;
    interruptions++;
    const struct payload p = payload_of((uint64_t)interruptions);
    ei_seqlock_write(interrupted, &p, sizeof p);
}

EI_TEST(seqlock_notices_a_write_in_mid_read)
{
    const struct sigaction action = {.sa_handler = write_between};
    const struct itimerval often = {.it_interval.tv_usec = 50, .it_value.tv_usec = 50}, never = {0};
    int64_t torn = 0, noticed = 0;
    struct payload out = payload_of(0);
    ei_seqlock_write(interrupted, &out, sizeof out);
    EI_EQ(sigaction(SIGALRM, &action, NULL), 0);
    EI_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int64_t reads = 0; interruptions < INTERRUPTIONS; reads++) {
        const int rc = ei_seqlock_try_read(interrupted, &out, sizeof out);
        noticed += rc == -EAGAIN;
        torn += rc == 1 && !is_whole(&out);
        if (reads % 256 == 0) {
            sched_yield(); /* a thread sanitizer hands signals over here only */
        }
    }
    EI_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    EI_EQ(torn, 0);
    EI_TRUE(noticed <= INTERRUPTIONS);
}

static _Atomic uint64_t shared[EI_SEQLOCK_WORDS(sizeof(struct payload))];
static atomic_bool is_over, is_enough;
static uint64_t written;
static struct payload ready[16]; /* so that the writer writes nearly all the time */

static void write_many(void *arg)
{
    (void)arg;
    while (written < WRITES_MAX && !atomic_load_explicit(&is_enough, memory_order_relaxed)) {
        ei_seqlock_write(shared, &ready[++written % 16], sizeof ready[0]);
    }
    atomic_store(&is_over, true);
}

EI_TEST(seqlock_reader_never_sees_a_torn_payload)
{
    struct ei_thread writer;
    struct einet_error err = {0};
    const struct ei_thread_attr attr = {.name = "writer"};
    int64_t whole = 0, torn = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < 16; i++) {
        ready[i] = payload_of(i);
    }
    EI_REQUIRE(ei_thread_create(&writer, &attr, write_many, NULL, &err) == 0);
    bool is_last = false;
    while (!is_last) {
        is_last = atomic_load(&is_over);
        struct payload out;
        if (ei_seqlock_read(shared, &out, sizeof out) == 1) {
            whole++;
            torn += !is_whole(&out);
            last = out.words[0];
            if (whole == READS) {
                atomic_store_explicit(&is_enough, true, memory_order_relaxed);
            }
        }
    }
    EI_EQ(ei_thread_join(&writer), 0);
    EI_EQ(torn, 0);
    EI_EQ(last, written % 16);
    EI_TRUE(whole > 0);
}
