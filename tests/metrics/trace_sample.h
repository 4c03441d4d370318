/* Records of a made-up run with two tasks, drawn into the case's folder, for tests of traces. */
#ifndef TESTS_METRICS_TRACE_SAMPLE_H
#define TESTS_METRICS_TRACE_SAMPLE_H

#include "metrics/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define MS INT64_C(1000000)
#define T0_NS (INT64_C(1000) * 1000 * MS)

enum { CONTROL, CAMERA, TASKS };
enum { PRE, NET, POST };

#define CAMERA_JOBS "einet demo/task camera/jobs"
#define CAMERA_MARKS "einet demo/task camera/deadlines and preemptions"
#define CAMERA_BACKLOG "einet demo/task camera/backlog"
#define CAMERA_CONFIDENCE "einet demo/task camera/confidence"
#define CAMERA_THREAD "einet demo/thread camera 4002"
#define LANE "einet demo/lane gpu"

extern const struct ei_trace_task trace_tasks[TASKS];

struct ei_trace_setup trace_setup(void);
const char *trace_path(const char *name);
bool has_trace(const char *name);
int64_t trace_bytes(const char *name);
struct ei_trace *begin_trace(const struct ei_trace_options *options);
struct ei_trace_counts end_trace(struct ei_trace *trace);
void add_stage(struct ei_trace *trace, int32_t task, int64_t job, int32_t stage, int64_t start_ns, int64_t end_ns);
void add_block(struct ei_trace *trace, int32_t task, int64_t job, int32_t block, bool is_branch, int64_t start_ns,
               int64_t end_ns);
struct ei_record trace_job(int32_t task, int64_t job, int64_t release_ns, int64_t finish_ns, int64_t deadline_ns);
/* A job of the camera in thread `slot`: 1 ms pre, net of two conv parts with a branch each, post; 8 ms in all. */
void add_camera_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int32_t slot);
void add_control_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int64_t response_ns);

#endif
