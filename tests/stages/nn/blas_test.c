/* Several threads in an OpenBLAS that was built for one: stages/torch/blas_guard.h. */
#include "rt/random.h"
#include "stages/torch/loader.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <dlfcn.h>
#include <pthread.h>

static void draw(uint64_t seed, float *out, int count)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 1);
    for (int i = 0; i < count; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

enum { ROWS = 32, INNER = 96, COLUMNS = 64, PRODUCTS = 30000 };

struct multiplier {
    const struct ei_torch_api *api;
    uint64_t seed;
    int failures, differences;
};

/* Small products one after the other: nearly all of the time between two requests for a buffer. */
static void *multiply_many(void *context)
{
    struct multiplier *m = context;
    const int64_t x_shape[] = {ROWS, INNER}, w_shape[] = {COLUMNS, INNER};
    static _Thread_local float x[ROWS * INNER], w[COLUMNS * INNER], first[ROWS * COLUMNS], out[ROWS * COLUMNS];
    struct ei_torch_tensor *in = NULL, *weight = NULL, *product = NULL;
    draw(m->seed, x, ROWS * INNER);
    draw(m->seed + 100, w, COLUMNS * INNER);
    m->failures += m->api->thread_enter(EI_TORCH_INFERENCE, 1) != 0 || m->api->tensor_create(&in) != 0 ||
                   m->api->tensor_create(&weight) != 0 || m->api->tensor_create(&product) != 0 ||
                   m->api->tensor_from_f32(in, x, x_shape, 2) != 0 ||
                   m->api->tensor_from_f32(weight, w, w_shape, 2) != 0;
    for (int i = 0; m->failures == 0 && i < PRODUCTS; i++) {
        float *to = i == 0 ? first : out;
        m->failures +=
            m->api->linear(in, weight, NULL, product) != 0 || m->api->tensor_read_f32(product, to, ROWS * COLUMNS) != 0;
        m->differences += i > 0 && memcmp(first, out, sizeof first) != 0;
    }
    m->api->tensor_destroy(in);
    m->api->tensor_destroy(weight);
    m->api->tensor_destroy(product);
    return NULL;
}

EI_TEST(threads_do_not_share_buffers_of_blas)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    struct multiplier multipliers[2];
    pthread_t threads[2];
    EI_EQ(api->blas_safe(), 1);
    for (int i = 0; i < 2; i++) {
        multipliers[i] = (struct multiplier){.api = api, .seed = (uint64_t)i};
        EI_EQ(pthread_create(&threads[i], NULL, multiply_many, &multipliers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EI_EQ(multipliers[i].failures, 0);
        EI_EQ(multipliers[i].differences, 0);
    }
}

EI_TEST(a_blas_for_one_thread_that_was_there_before_is_refused)
{
    const struct ei_torch_api *api = NULL;
    struct einet_error err = {0};
    int (*parallel)(void) = NULL;
    void *blas = dlopen("libblas.so.3", RTLD_NOW | RTLD_GLOBAL);
    if (blas != NULL) {
        *(void **)&parallel = dlsym(blas, "openblas_get_parallel");
    }
    if (parallel == NULL || parallel() != 0) {
        ei_test_skip("no OpenBLAS for one thread is installed");
    }
    EI_EQ(ei_torch_load(&api, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "single-threaded OpenBLAS");
    EI_CONTAINS(err.text, "apt-get install libopenblas0-pthread");
    EI_TRUE(api == NULL);
}

EI_MAIN()
