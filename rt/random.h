/* Seeded random draws: xoshiro256** (Blackman, Vigna 2018) seeded by splitmix64. One state per owner, no global state,
 * so every stream is reproducible from its printed seed. Real-time safe, any thread that owns the state.
 */
#ifndef RT_RANDOM_H
#define RT_RANDOM_H

#include <einet/attributes.h>
#include <stdint.h>

struct ei_random {
    uint64_t state[4];
};

/* Seed from a number and a stream index; different streams of one seed are independent. */
void ei_random_init(struct ei_random *rng, uint64_t seed, uint64_t stream);

/* 64 uniform bits. */
EINET_RT uint64_t ei_random_u64(struct ei_random *rng);

/* Uniform in [0, 1). */
EINET_RT double ei_random_unit(struct ei_random *rng);

/* Uniform integer in [0, n), n >= 1, without modulo bias. */
EINET_RT uint64_t ei_random_below(struct ei_random *rng, uint64_t n);

/* Exponential with the given mean (> 0), by inversion. */
EINET_RT double ei_random_exponential(struct ei_random *rng, double mean);

/* Standard normal (Marsaglia's polar method). */
EINET_RT double ei_random_normal(struct ei_random *rng);

#endif
