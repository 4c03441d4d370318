/* A libtorch without numbers: every tensor is one cell that holds what its value is a function of. Cells are given out
 * again as libtorch's allocator does, and captured graphs can be run in any order, so a recorder that lets one part's
 * memory be reused too early computes another value here. One thread; everything is reset by fake_torch_reset.
 */
#ifndef TESTS_STAGES_NN_FAKE_TORCH_H
#define TESTS_STAGES_NN_FAKE_TORCH_H

#include "stages/torch/torch.h"
#include "tests/fakes/fake_cudart.h"

struct fake_torch_state {
    /* Of the calling thread. */
    void *stream;
    enum ei_torch_device device;
    enum ei_torch_precision precision;
    /* Counts. */
    int64_t calls, eager_ops, captured_ops, eager_ops_after_capture;
    int32_t tensors, pools, captures, graphs; /* alive */
    int32_t aborted_captures, is_synchronized;
    int32_t empty_graphs;
    int32_t misplaced_ops; /* on the CPU, in the wrong precision, on the default stream or before that was waited for */
    int32_t cold_ops;      /* captured before they ever ran: their kernels would be loaded in the capture */
    int32_t is_default_synchronized;
};

extern struct fake_torch_state fake_torch;

/* The table; calls of it fail from the fail_at-th on that can fail, -1 = never. wanted: of the operations. */
const struct ei_torch_api *fake_torch_reset(int64_t fail_at, enum ei_torch_precision wanted);

/* From now on captures become graphs of the fake CUDA runtime, which then runs them, and tensors from numbers keep
 * them, so that a lane can copy an input there; what such a tensor's value is, fake_torch_hash says. NULL: as before.
 */
void fake_torch_use_device(const struct fake_cuda_control *device);
uint64_t fake_torch_hash(const float *numbers, int64_t count);

/* What the device memory at data holds, as tensor_data said. */
uint64_t fake_torch_read(const void *data);
void fake_torch_write(void *data, uint64_t value);

/* Run and free what capture_end gave out. */
void fake_torch_run(const void *graph);
void fake_torch_graph_free(void *graph);

#endif
