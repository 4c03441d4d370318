/* See spin.h. */
#include "stages/spin.h"

#include "rt/clock.h"

#define STEP_MAX_NS INT64_C(2000)

void ei_spin(int64_t work_ns)
{
    struct ei_mono last = ei_mono_now();
    for (int64_t done_ns = 0; done_ns < work_ns;) {
        const struct ei_mono now = ei_mono_now();
        const int64_t step_ns = ei_mono_diff_ns(now, last);
        done_ns += step_ns < STEP_MAX_NS ? step_ns : STEP_MAX_NS;
        last = now;
    }
}
