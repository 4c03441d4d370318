/* The ring: order, drop and count, batches over the wrap, a random run against a model, and two real threads. */
#include "tests/harness/harness.h"

#include "rt/random.h"
#include "rt/spsc_ring.h"
#include "rt/thread.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

struct record {
    uint64_t number;
    uint64_t check;
    uint32_t tail;
};

static struct record record_of(uint64_t number)
{
    return (struct record){number, number * UINT64_C(0x9E3779B97F4A7C15), (uint32_t)~number};
}

static bool is_whole(const struct record *r)
{
    const struct record expected = record_of(r->number);
    return r->check == expected.check && r->tail == expected.tail;
}

EI_TEST(ring_refuses_senseless_storage)
{
    struct ei_spsc_ring ring;
    uint64_t storage[8];
    EI_EQ(ei_spsc_ring_storage_bytes(5, 8), 64);
    EI_EQ(ei_spsc_ring_storage_bytes(SIZE_MAX, 8), 0);
    EI_EQ(ei_spsc_ring_storage_bytes(SIZE_MAX / 4, 8), 0);
    EI_EQ(ei_spsc_ring_init(&ring, 0, 8, storage, sizeof storage), -EINVAL);
    EI_EQ(ei_spsc_ring_init(&ring, 8, 0, storage, sizeof storage), -EINVAL);
    EI_EQ(ei_spsc_ring_init(&ring, 8, 8, NULL, sizeof storage), -EINVAL);
    EI_EQ(ei_spsc_ring_init(&ring, 9, 8, storage, sizeof storage), -EINVAL);
    EI_EQ(ei_spsc_ring_init(&ring, 8, 8, storage, sizeof storage), 0);
}

EI_TEST(ring_sides_are_a_cache_line_apart)
{
    EI_TRUE(offsetof(struct ei_spsc_ring, consumer) >=
            offsetof(struct ei_spsc_ring, producer.dropped) + 8 + EI_CACHE_LINE_BYTES);
    EI_TRUE(offsetof(struct ei_spsc_ring, producer) >= offsetof(struct ei_spsc_ring, mask) + 8 + EI_CACHE_LINE_BYTES);
    EI_TRUE(sizeof(struct ei_spsc_ring) >= offsetof(struct ei_spsc_ring, consumer.head_copy) + 8 + EI_CACHE_LINE_BYTES);
}

EI_TEST(ring_full_drops_the_new_and_counts)
{
    struct ei_spsc_ring ring;
    struct record storage[4], out;
    EI_REQUIRE(ei_spsc_ring_init(&ring, 4, sizeof(struct record), storage, sizeof storage) == 0);
    EI_TRUE(!ei_spsc_ring_pop(&ring, &out));
    EI_TRUE(ei_spsc_ring_peek(&ring) == NULL);
    for (uint64_t i = 0; i < 6; i++) {
        const struct record r = record_of(i);
        EI_EQ(ei_spsc_ring_push(&ring, &r), i < 4);
    }
    EI_EQ(ei_spsc_ring_count(&ring), 4);
    EI_EQ(ei_spsc_ring_dropped(&ring), 2);
    for (uint64_t i = 0; i < 4; i++) {
        const struct record *seen = ei_spsc_ring_peek(&ring);
        EI_REQUIRE(seen != NULL);
        EI_EQ(seen->number, i);
        if (i % 2 == 0) {
            ei_spsc_ring_discard(&ring);
        } else {
            EI_TRUE(ei_spsc_ring_pop(&ring, &out));
            EI_EQ(out.number, i);
        }
    }
    EI_EQ(ei_spsc_ring_count(&ring), 0);
    EI_TRUE(ei_spsc_ring_peek(&ring) == NULL);
}

/* One thread, random operations, a plain counter pair as the model. */
EI_TEST(ring_random_run_agrees_with_a_model)
{
    struct ei_spsc_ring ring;
    struct record storage[16], batch[40];
    struct ei_random rng;
    uint64_t pushed = 0, taken = 0, accepted_until = 0, dropped = 0;
    uint64_t queue[16]; /* numbers inside, by index of acceptance mod 16 */
    EI_REQUIRE(ei_spsc_ring_init(&ring, 16, sizeof(struct record), storage, sizeof storage) == 0);
    ei_random_init(&rng, 6, 0);
    for (int step = 0; step < 200000 && ei_test_failures() == 0; step++) {
        if (ei_random_below(&rng, 2) == 0) {
            const struct record r = record_of(pushed);
            const bool fits = accepted_until - taken < 16;
            EI_EQ(ei_spsc_ring_push(&ring, &r), fits);
            if (fits) {
                queue[accepted_until++ % 16] = pushed;
            } else {
                dropped++;
            }
            pushed++;
        } else {
            const size_t wanted = ei_random_below(&rng, 8) == 0 ? ei_random_below(&rng, 40) : 1;
            const uint64_t inside = accepted_until - taken;
            const size_t got = ei_spsc_ring_pop_batch(&ring, batch, wanted);
            EI_EQ(got, inside < wanted ? inside : wanted);
            for (size_t i = 0; i < got; i++) {
                EI_TRUE(is_whole(&batch[i]));
                EI_EQ(batch[i].number, queue[taken++ % 16]);
            }
        }
        EI_EQ(ei_spsc_ring_count(&ring), accepted_until - taken);
    }
    EI_EQ(ei_spsc_ring_dropped(&ring), dropped);
    EI_TRUE(dropped > 0);
}

#define STREAM 300000

static void produce(void *arg)
{
    struct ei_spsc_ring *ring = arg;
    for (uint64_t i = 0; i < STREAM; i++) {
        const struct record r = record_of(i);
        ei_spsc_ring_push(ring, &r);
        if (i % 97 == 0) {
            sched_yield(); /* let the consumer see every filling */
        }
    }
    const struct record end = record_of(UINT64_MAX);
    while (!ei_spsc_ring_push(ring, &end)) {
        sched_yield();
    }
}

EI_TEST(ring_two_threads_lose_nothing_uncounted)
{
    struct ei_spsc_ring ring;
    static struct record storage[64];
    struct record batch[24];
    struct ei_thread producer;
    const struct ei_thread_attr attr = {.name = "producer"};
    EI_REQUIRE(ei_spsc_ring_init(&ring, 64, sizeof(struct record), storage, sizeof storage) == 0);
    EI_REQUIRE(ei_thread_create(&producer, &attr, produce, &ring, NULL) == 0);
    uint64_t received = 0, next = 0, torn = 0, disordered = 0;
    bool is_over = false;
    while (!is_over) {
        const size_t got = ei_spsc_ring_pop_batch(&ring, batch, sizeof batch / sizeof batch[0]);
        for (size_t i = 0; i < got; i++) {
            torn += !is_whole(&batch[i]);
            is_over = batch[i].number == UINT64_MAX;
            disordered += !is_over && batch[i].number < next;
            next = batch[i].number + 1;
            received += !is_over;
        }
        if (got == 0) {
            sched_yield();
        }
    }
    ei_thread_join(&producer);
    EI_EQ(torn, 0);
    EI_EQ(disordered, 0);
    EI_TRUE(received > 0);
    /* The end mark may have been refused a few times before it went in; those count as drops too. */
    EI_TRUE(received + ei_spsc_ring_dropped(&ring) >= STREAM);
    EI_TRUE(received <= STREAM);
}
