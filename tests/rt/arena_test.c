/* The sealed arena. */
#include "tests/harness/harness.h"

#include "rt/arena.h"
#include "rt/memory.h"
#include "rt/random.h"
#include <errno.h>

EI_TEST(arena_blocks_are_aligned_zero_and_disjoint)
{
    struct ei_arena arena;
    struct ei_random rng;
    EI_REQUIRE(ei_arena_init(&arena, 1 << 20, false, NULL) == 0);
    ei_random_init(&rng, 5, 0);
    uint8_t *end = arena.base;
    for (int i = 0; i < 300; i++) {
        const size_t size = 1 + ei_random_below(&rng, 900);
        const size_t align = (size_t)1 << ei_random_below(&rng, 10);
        uint8_t *block = ei_arena_alloc(&arena, size, align);
        EI_REQUIRE(block != NULL);
        EI_EQ((uintptr_t)block % align, 0);
        EI_TRUE(block >= end);
        for (size_t k = 0; k < size; k++) {
            if (block[k] != 0) {
                EI_EQ(block[k], 0);
            }
        }
        memset(block, 0xA5, size);
        end = block + size;
        EI_TRUE(end <= arena.base + arena.size_bytes);
    }
    ei_arena_fini(&arena);
    ei_arena_fini(&arena);
}

EI_TEST(arena_full_or_senseless_is_null)
{
    struct ei_arena arena;
    EI_REQUIRE(ei_arena_init(&arena, 4096, false, NULL) == 0);
    EI_TRUE(ei_arena_alloc(&arena, 8, 3) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, 8, 1 << 20) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, arena.size_bytes + 1, 0) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, SIZE_MAX, 0) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, 4000, 0) != NULL);
    EI_TRUE(ei_arena_alloc(&arena, 4000, 0) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, 64, 0) != NULL);
    EI_EQ(ei_arena_refused_count(&arena), 0);
    ei_arena_fini(&arena);
    EI_EQ(ei_arena_init(&arena, 0, false, NULL), -EINVAL);
    EI_EQ(ei_arena_init(&arena, SIZE_MAX - 1, false, NULL), -EINVAL);
    EI_EQ(ei_arena_init(&arena, SIZE_MAX / 2, false, NULL), -ENOMEM);
}

EI_TEST(arena_refuses_and_counts_after_seal)
{
    struct ei_arena arena;
    EI_REQUIRE(ei_arena_init(&arena, 8192, false, NULL) == 0);
    EI_TRUE(ei_arena_alloc(&arena, 16, 0) != NULL);
    const size_t used = arena.used_bytes;
    ei_arena_seal(&arena);
    EI_TRUE(ei_arena_alloc(&arena, 16, 0) == NULL);
    EI_TRUE(ei_arena_alloc(&arena, 1, 0) == NULL);
    EI_EQ(ei_arena_refused_count(&arena), 2);
    EI_EQ(arena.used_bytes, used);
    ei_arena_fini(&arena);
}

EI_TEST(arena_is_prefaulted)
{
    struct ei_arena arena;
    struct ei_thread_usage before, after;
    EI_REQUIRE(ei_arena_init(&arena, 4 << 20, false, NULL) == 0);
    uint8_t *block = ei_arena_alloc(&arena, 4 << 20, 0);
    EI_REQUIRE(block != NULL);
    ei_thread_usage_read(&before);
    for (size_t at = 0; at < (size_t)4 << 20; at += 4096) {
        ((volatile uint8_t *)block)[at] = 1;
    }
    ei_thread_usage_read(&after);
    /* 1024 pages; a few faults of the program's own code are not ours. */
    EI_IN(after.minor_faults - before.minor_faults, 0, 16);
    ei_arena_fini(&arena);
}
