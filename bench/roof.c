/* The matrix product is the usual one of packed panels: a tile of the result stays in registers while a panel of B (in
 * the first cache) meets strips of A (in the second).
 */
#include "bench/roof.h"

#include "rt/clock.h"
#include "rt/pages.h"

#include <einet/attributes.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define DEPTH 256 /* products behind each number of the result */
#define STRIPS 10 /* of A */
#define PANELS 8  /* of B */
#define ROWS_MAX 14
#define COLUMNS_MAX 32
#define PRODUCTS 16 /* a measurement */
#define PASSES 2    /* over the memory that is read */
#define READ_BYTES (192LL << 20)
#define THREADS_MAX 64

/* A tile of the result: for each step of the depth `rows` numbers of A and `columns` of B lie side by side. A step is
 * one product, or two of bfloat16, whose numbers lie in pairs in the place of a float. */
typedef void tile_fn(const float *a, const float *b, float *out);

struct tile {
    tile_fn *multiply;
    int32_t rows, columns;
};

#if defined(__x86_64__)

/* 28 of 32 registers hold the tile. */
__attribute__((target("avx512f"))) static void multiply_avx512(const float *a, const float *b, float *out)
{
    __m512 sum[14][2];
    for (int r = 0; r < 14; r++) {
        sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    }
    for (int32_t k = 0; k < DEPTH; k++, a += 14, b += 32) {
        const __m512 left = _mm512_loadu_ps(b), right = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 14
        for (int r = 0; r < 14; r++) {
            const __m512 one = _mm512_set1_ps(a[r]);
            sum[r][0] = _mm512_fmadd_ps(one, left, sum[r][0]);
            sum[r][1] = _mm512_fmadd_ps(one, right, sum[r][1]);
        }
    }
    for (int r = 0; r < 14; r++) {
        _mm512_storeu_ps(out + 32 * r, sum[r][0]);
        _mm512_storeu_ps(out + 32 * r + 16, sum[r][1]);
    }
}

__attribute__((target("avx512f,avx512bf16"))) static void multiply_bfloat16(const float *a, const float *b, float *out)
{
    __m512 sum[14][2];
    for (int r = 0; r < 14; r++) {
        sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    }
    for (int32_t k = 0; k < DEPTH / 2; k++, a += 14, b += 32) {
        const __m512bh left = (__m512bh)_mm512_loadu_ps(b), right = (__m512bh)_mm512_loadu_ps(b + 16);
#pragma GCC unroll 14
        for (int r = 0; r < 14; r++) {
            const __m512bh pair = (__m512bh)_mm512_set1_ps(a[r]);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], pair, left);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], pair, right);
        }
    }
    for (int r = 0; r < 14; r++) {
        _mm512_storeu_ps(out + 32 * r, sum[r][0]);
        _mm512_storeu_ps(out + 32 * r + 16, sum[r][1]);
    }
}

/* 12 of 16 registers. */
__attribute__((target("avx2,fma"))) static void multiply_avx2(const float *a, const float *b, float *out)
{
    __m256 sum[6][2];
    for (int r = 0; r < 6; r++) {
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    }
    for (int32_t k = 0; k < DEPTH; k++, a += 6, b += 16) {
        const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++) {
            const __m256 one = _mm256_set1_ps(a[r]);
            sum[r][0] = _mm256_fmadd_ps(one, left, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(one, right, sum[r][1]);
        }
    }
    for (int r = 0; r < 6; r++) {
        _mm256_storeu_ps(out + 16 * r, sum[r][0]);
        _mm256_storeu_ps(out + 16 * r + 8, sum[r][1]);
    }
}

#endif

/* As the compiler makes it: 16 registers of four numbers. */
static void multiply_plain(const float *a, const float *b, float *out)
{
    float sum[4][8] = {{0}};
    for (int32_t k = 0; k < DEPTH; k++, a += 4, b += 8) {
        for (int r = 0; r < 4; r++) {
            for (int c = 0; c < 8; c++) {
                sum[r][c] += a[r] * b[c];
            }
        }
    }
    memcpy(out, sum, sizeof sum);
}

/* multiply is NULL where this processor has no such products. */
static struct tile tile_of(bool bf16)
{
#if defined(__x86_64__)
    if (bf16) {
        return __builtin_cpu_supports("avx512bf16") ? (struct tile){multiply_bfloat16, 14, 32} : (struct tile){0};
    }
    if (__builtin_cpu_supports("avx512f")) {
        return (struct tile){multiply_avx512, 14, 32};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (struct tile){multiply_avx2, 6, 16};
    }
#endif
    return bf16 ? (struct tile){0} : (struct tile){multiply_plain, 4, 8};
}

struct worker {
    struct bench_roof *roof;
    pthread_t thread;
    int32_t cpu, idx;
    float *a, *b, *out;
    uint64_t seen; /* so that reading cannot be left out */
};

struct bench_roof {
    struct tile tile;
    struct ei_pages pages;
    uint64_t *memory;
    int32_t threads;
    bool is_reading, is_over;
    pthread_barrier_t begin, end;
    struct worker workers[THREADS_MAX];
};

static void multiply(const struct worker *w, const struct tile *tile)
{
    for (int32_t p = 0; p < PANELS; p++) {
        const float *panel = w->b + (size_t)p * DEPTH * (size_t)tile->columns;
        for (int32_t s = 0; s < STRIPS; s++) {
            float *out = w->out + (size_t)((p * STRIPS + s) * tile->rows * tile->columns);
            tile->multiply(w->a + (size_t)s * DEPTH * (size_t)tile->rows, panel, out);
        }
    }
}

EINET_VECTOR_CLONES static uint64_t read_all(const uint64_t *from, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum ^= from[i];
    }
    return sum;
}

static void work(struct worker *w)
{
    const size_t count = (size_t)READ_BYTES / sizeof(uint64_t) / (size_t)w->roof->threads;
    if (w->roof->is_reading) {
        w->seen ^= read_all(w->roof->memory + (size_t)w->idx * count, count);
    } else if (w->roof->tile.multiply != NULL) {
        multiply(w, &w->roof->tile);
    }
}

static void *serve(void *context)
{
    struct worker *w = context;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)w->cpu, &cpus);
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
    for (;;) {
        pthread_barrier_wait(&w->roof->begin);
        if (w->roof->is_over) {
            return NULL;
        }
        work(w);
        pthread_barrier_wait(&w->roof->end);
    }
}

/* All threads once. */
static int64_t measure_once(struct bench_roof *roof)
{
    if (roof->threads > 1) {
        pthread_barrier_wait(&roof->begin);
    }
    const int64_t start_ns = ei_mono_now().ns;
    work(&roof->workers[0]);
    if (roof->threads > 1) {
        pthread_barrier_wait(&roof->end);
    }
    return ei_mono_now().ns - start_ns;
}

/* Small whole numbers, which bfloat16 holds exactly; the upper half of a pair is left zero. */
static void fill(float *out, size_t count, bool bf16)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(i % 7) - 3.0F;
        if (bf16) {
            uint32_t bits;
            memcpy(&bits, &out[i], sizeof bits);
            bits >>= 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}

/* A benchmark that multiplies wrongly measures nothing. */
static bool is_right(const struct worker *w, const struct tile *tile, bool bf16)
{
    double sum = 0.0;
    const int32_t steps = bf16 ? DEPTH / 2 : DEPTH, row = tile->rows - 1, column = tile->columns - 1;
    for (int32_t k = 0; k < steps; k++) {
        sum += (double)((k * tile->rows + row) % 7 - 3) * (double)((k * tile->columns + column) % 7 - 3);
    }
    tile->multiply(w->a, w->b, w->out);
    return fabs(sum - (double)w->out[row * tile->columns + column]) < 1e-3;
}

static bool open_worker(struct bench_roof *roof, int32_t idx, int32_t cpu, bool bf16)
{
    const struct tile *tile = &roof->tile;
    struct worker *w = &roof->workers[idx];
    const size_t a = (size_t)(STRIPS * DEPTH * tile->rows), b = (size_t)(PANELS * DEPTH * tile->columns);
    const size_t out = (size_t)(STRIPS * PANELS * tile->rows * tile->columns);
    *w = (struct worker){.roof = roof, .cpu = cpu, .idx = idx};
    float *memory = ei_pages_take(&roof->pages, (int64_t)((a + b + out + 1) * sizeof *memory));
    if (memory == NULL) {
        return false;
    }
    w->b = memory;
    w->a = memory + b;
    w->out = memory + b + a;
    fill(w->a, a, bf16);
    fill(w->b, b, bf16);
    if (tile->multiply != NULL && !is_right(w, tile, bf16)) {
        fprintf(stderr, "the benchmark's own matrix product is wrong here\n");
        roof->tile.multiply = NULL;
    }
    return idx == 0 || pthread_create(&w->thread, NULL, serve, w) == 0;
}

struct bench_roof *bench_roof_open(const int32_t *cpus, int32_t threads, bool bf16)
{
    struct bench_roof *roof = calloc(1, sizeof *roof);
    bool is_ok = roof != NULL && threads <= THREADS_MAX;
    if (is_ok) {
        roof->tile = tile_of(bf16);
        roof->threads = threads;
        roof->memory = ei_pages_take(&roof->pages, READ_BYTES);
        pthread_barrier_init(&roof->begin, NULL, (unsigned)threads);
        pthread_barrier_init(&roof->end, NULL, (unsigned)threads);
        is_ok = roof->memory != NULL;
    }
    for (int32_t i = 0; is_ok && i < threads; i++) {
        is_ok = open_worker(roof, i, cpus[i], bf16);
    }
    if (!is_ok) {
        fprintf(stderr, "no memory or no threads for the benchmark's own probes\n");
        exit(5);
    }
    memset(roof->memory, 1, (size_t)READ_BYTES);
    return roof;
}

struct bench_roof_speed bench_roof_measure(struct bench_roof *roof)
{
    const double products = (double)roof->threads * STRIPS * PANELS * roof->tile.rows * roof->tile.columns * DEPTH;
    struct bench_roof_speed speed = {0};
    roof->is_reading = false;
    for (int32_t i = 0; roof->tile.multiply != NULL && i < PRODUCTS; i++) {
        speed.gflops = fmax(speed.gflops, 2.0 * products / (double)measure_once(roof));
    }
    roof->is_reading = true;
    for (int32_t i = 0; i < PASSES; i++) {
        speed.read_gbps = fmax(speed.read_gbps, (double)READ_BYTES / (double)measure_once(roof));
    }
    return speed;
}

void bench_roof_close(struct bench_roof *roof)
{
    roof->is_over = true;
    if (roof->threads > 1) {
        pthread_barrier_wait(&roof->begin);
    }
    for (int32_t i = 1; i < roof->threads; i++) {
        pthread_join(roof->workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&roof->begin);
    pthread_barrier_destroy(&roof->end);
    ei_pages_fini(&roof->pages);
    free(roof);
}

double bench_roof_us(const struct bench_roof_speed *speed, double macs, double bytes)
{
    const double products_us = speed->gflops > 0.0 ? 2.0 * macs / speed->gflops / 1e3 : 0.0;
    return fmax(products_us, bytes / speed->read_gbps / 1e3);
}

/* Of the cache that a CPU has at hand: sysconf counts those of the whole socket on some processors. */
static double cache_bytes_here(void)
{
    long kib = 0;
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "re");
    if (file != NULL) {
        kib = fscanf(file, "%ldK", &kib) == 1 ? kib : 0;
        fclose(file);
    }
    return kib > 0 ? 1024.0 * (double)kib : (double)sysconf(_SC_LEVEL3_CACHE_SIZE);
}

double bench_roof_streamed(double weight_bytes)
{
    const double cache_bytes = cache_bytes_here();
    return weight_bytes > cache_bytes ? 1.0 - cache_bytes / weight_bytes : 0.0;
}
