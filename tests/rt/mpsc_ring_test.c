/* The many-producer ring: order, refusal when full, and several real producers that lose and double nothing. */
#include "tests/harness/harness.h"

#include "rt/mpsc_ring.h"
#include "rt/thread.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

struct record {
    uint64_t producer, number, check;
};

static struct record record_of(uint64_t producer, uint64_t number)
{
    return (struct record){producer, number, (producer + 1) * number * UINT64_C(0x9E3779B97F4A7C15)};
}

EI_TEST(mpsc_ring_refuses_senseless_storage)
{
    struct ei_mpsc_ring ring;
    uint64_t storage[8];
    EI_EQ(ei_mpsc_ring_storage_bytes(3, 8), 4 * 16);
    EI_EQ(ei_mpsc_ring_storage_bytes(3, 9), 4 * 24);
    EI_EQ(ei_mpsc_ring_storage_bytes(0, 8), 0);
    EI_EQ(ei_mpsc_ring_storage_bytes(8, 0), 0);
    EI_EQ(ei_mpsc_ring_storage_bytes(SIZE_MAX, 8), 0);
    EI_EQ(ei_mpsc_ring_storage_bytes(SIZE_MAX / 8, SIZE_MAX / 8), 0);
    EI_EQ(ei_mpsc_ring_init(&ring, 5, 8, storage, sizeof storage), -EINVAL);
    EI_EQ(ei_mpsc_ring_init(&ring, 4, 8, NULL, sizeof storage), -EINVAL);
    EI_EQ(ei_mpsc_ring_init(&ring, 4, 8, storage, sizeof storage), 0);
}

EI_TEST(mpsc_ring_keeps_order_and_refuses_when_full)
{
    struct ei_mpsc_ring ring;
    static uint64_t storage[64];
    struct record out;
    EI_REQUIRE(ei_mpsc_ring_init(&ring, 4, sizeof(struct record), storage, sizeof storage) == 0);
    uint64_t pushed = 0, popped = 0;
    EI_TRUE(!ei_mpsc_ring_pop(&ring, &out));
    for (int lap = 0; lap < 50; lap++) { /* fill to a varying level and empty it, many times around */
        const uint64_t level = 1 + (uint64_t)lap % 5;
        for (uint64_t i = 0; i < level; i++) {
            const struct record r = record_of(0, pushed);
            const bool is_in = ei_mpsc_ring_push(&ring, &r);
            EI_EQ(is_in, pushed - popped < 4);
            pushed += is_in;
        }
        while (ei_mpsc_ring_pop(&ring, &out)) {
            EI_EQ(out.number, popped);
            popped++;
        }
        EI_EQ(popped, pushed);
    }
}

#define PRODUCERS 4
#define EACH UINT64_C(20000)

static struct {
    struct ei_mpsc_ring ring;
    uint64_t storage[64 * 4];
    atomic_int next_producer;
} shared;

static void produce(void *arg)
{
    (void)arg;
    const uint64_t producer = (uint64_t)atomic_fetch_add(&shared.next_producer, 1);
    for (uint64_t number = 0; number < EACH;) {
        const struct record r = record_of(producer, number);
        if (ei_mpsc_ring_push(&shared.ring, &r)) {
            number++;
        } else {
            sched_yield();
        }
    }
}

EI_TEST(mpsc_ring_of_several_producers_loses_and_doubles_nothing)
{
    struct ei_thread threads[PRODUCERS];
    const struct ei_thread_attr attr = {.name = "producer"};
    uint64_t next[PRODUCERS] = {0}, wrong = 0;
    struct record r;
    atomic_store(&shared.next_producer, 0);
    EI_REQUIRE(ei_mpsc_ring_init(&shared.ring, 64, sizeof r, shared.storage, sizeof shared.storage) == 0);
    for (int i = 0; i < PRODUCERS; i++) {
        EI_REQUIRE(ei_thread_create(&threads[i], &attr, produce, NULL, NULL) == 0);
    }
    for (uint64_t taken = 0; taken < PRODUCERS * EACH && wrong == 0;) {
        if (!ei_mpsc_ring_pop(&shared.ring, &r)) {
            sched_yield();
            continue;
        }
        taken++;
        const struct record want = record_of(r.producer, r.producer < PRODUCERS ? next[r.producer]++ : 0);
        wrong += r.number != want.number || r.check != want.check;
    }
    EI_EQ(wrong, 0);
    for (int i = 0; i < PRODUCERS; i++) {
        (void)ei_thread_join(&threads[i]);
    }
    EI_TRUE(!ei_mpsc_ring_pop(&shared.ring, &r));
}
