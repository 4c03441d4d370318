/* See random.h. Sources: Blackman, Vigna: Scrambled linear pseudorandom number generators (2018); Steele, Lea, Flood:
 * Fast splittable pseudorandom number generators (2014) for the seeding.
 */
#include "rt/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void ei_random_init(struct ei_random *rng, uint64_t seed, uint64_t stream)
{
    /* The stream goes through the same mixer, so that neighbouring streams start far apart. */
    uint64_t stream_state = stream;
    uint64_t state = seed ^ splitmix64(&stream_state);
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix64(&state);
    }
}

uint64_t ei_random_u64(struct ei_random *rng)
{
    uint64_t *s = rng->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double ei_random_unit(struct ei_random *rng)
{
    return (double)(ei_random_u64(rng) >> 11) * 0x1p-53;
}

uint64_t ei_random_below(struct ei_random *rng, uint64_t n)
{
    /* The 2^64 mod n lowest draws would favour small results: draw again. */
    const uint64_t threshold = (0 - n) % n;
    uint64_t draw = ei_random_u64(rng);
    while (draw < threshold) {
        draw = ei_random_u64(rng);
    }
    return draw % n;
}

double ei_random_exponential(struct ei_random *rng, double mean)
{
    return -mean * log1p(-ei_random_unit(rng));
}

double ei_random_normal(struct ei_random *rng)
{
    double x, y, r2;
    do {
        x = 2.0 * ei_random_unit(rng) - 1.0;
        y = 2.0 * ei_random_unit(rng) - 1.0;
        r2 = x * x + y * y;
    } while (r2 >= 1.0 || r2 == 0.0);
    return x * sqrt(-2.0 * log(r2) / r2);
}
