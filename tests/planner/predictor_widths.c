/* See predictor_widths.h. The source is compiled once per width, under other names. */
#include "tests/planner/predictor_widths.h"

#include "planner/vector.h"

#include <math.h>
#include <string.h>

#undef EINET_VECTOR_CLONES

#define EINET_VECTOR_CLONES
#define at_least at_least_plain
#define inputs inputs_plain
#define hidden_layer hidden_layer_plain
#define sum_of sum_of_plain
#define correction correction_plain
#define infer infer_plain
#define ei_predictor_score predictor_score_plain
#define ei_predictor_predict predictor_predict_plain
float predictor_score_plain(const struct ei_predictor *predictor, int32_t exit_idx, float confidence);
void predictor_predict_plain(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                             int32_t first_exit, float *out_score);
#include "planner/predictor_rt.c"
#undef EINET_VECTOR_CLONES
#undef at_least
#undef inputs
#undef hidden_layer
#undef X_MAX
#undef sum_of
#undef correction
#undef infer
#undef ei_predictor_score
#undef ei_predictor_predict

#if defined(__x86_64__)

#define EINET_VECTOR_CLONES __attribute__((target("avx2")))
#define at_least at_least_avx2
#define inputs inputs_avx2
#define hidden_layer hidden_layer_avx2
#define sum_of sum_of_avx2
#define correction correction_avx2
#define infer infer_avx2
#define ei_predictor_score predictor_score_avx2
#define ei_predictor_predict predictor_predict_avx2
float predictor_score_avx2(const struct ei_predictor *predictor, int32_t exit_idx, float confidence);
void predictor_predict_avx2(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                            int32_t first_exit, float *out_score);
#include "planner/predictor_rt.c"
#undef EINET_VECTOR_CLONES
#undef at_least
#undef inputs
#undef hidden_layer
#undef X_MAX
#undef sum_of
#undef correction
#undef infer
#undef ei_predictor_score
#undef ei_predictor_predict

#define EINET_VECTOR_CLONES __attribute__((target("avx512f")))
#define at_least at_least_avx512
#define inputs inputs_avx512
#define hidden_layer hidden_layer_avx512
#define sum_of sum_of_avx512
#define correction correction_avx512
#define infer infer_avx512
#define ei_predictor_score predictor_score_avx512
#define ei_predictor_predict predictor_predict_avx512
float predictor_score_avx512(const struct ei_predictor *predictor, int32_t exit_idx, float confidence);
void predictor_predict_avx512(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                              int32_t first_exit, float *out_score);
#include "planner/predictor_rt.c"

#endif

int predictor_widths(predict_fn out[WIDTHS], const char *out_name[WIDTHS])
{
    int count = 0;
    out[count] = predictor_predict_plain;
    out_name[count++] = "plain";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        out[count] = predictor_predict_avx2;
        out_name[count++] = "avx2";
    }
    if (__builtin_cpu_supports("avx512f")) {
        out[count] = predictor_predict_avx512;
        out_name[count++] = "avx512f";
    }
#endif
    return count;
}
