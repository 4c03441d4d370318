/* The field table and look-ups in it. See fields.h. */
#include "workloads/fields.h"

#include "rt/clock.h"
#include <string.h>

#define BIT(value) (UINT32_C(1) << (value))
#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

static const struct ei_word privileges_words[] = {
    {"degrade", EI_SPEC_PRIVILEGES_DEGRADE}, {"require", EI_SPEC_PRIVILEGES_REQUIRE}, END};
static const struct ei_word lock_words[] = {
    {"all", EI_SPEC_LOCK_ALL}, {"none", EI_SPEC_LOCK_NONE}, {"rt_only", EI_WORD_ABSENT}, END};
static const struct ei_word lane_words[] = {{"cpu", EI_SPEC_LANE_CPU}, {"cuda", EI_SPEC_LANE_CUDA}, END};
static const struct ei_word wait_words[] = {
    {"block", EI_SPEC_WAIT_BLOCK}, {"poll", EI_SPEC_WAIT_POLL}, {"spin", EI_SPEC_WAIT_SPIN}, END};
static const struct ei_term_number wait_numbers[] = {
    {EI_SPEC_WAIT_POLL, 1000, 10000000, true, 50000, "longest spin", true}, {0, 0, 0, false, 0, NULL, false}};
static const struct ei_word preempt_words[] = {
    {"block", EI_SPEC_LANE_PREEMPT_BLOCK}, {"kernel", EI_SPEC_LANE_PREEMPT_KERNEL}, END};
static const struct ei_word backend_words[] = {
    {"auto", EI_SPEC_BACKEND_AUTO}, {"aten", EI_SPEC_BACKEND_ATEN}, {"dnnl", EI_SPEC_BACKEND_DNNL}, END};
/* As stages/nn/zoo.h has them; a test compares. */
static const struct ei_word zoo_words[] = {{"b-alexnet", 0},
                                           {"b-alexnet-classic", 0},
                                           {"flexvgg-16", 0},
                                           {"flexvgg-16-classic", 0},
                                           {"vgg-16", 0},
                                           {"vgg-16-classic", 0},
                                           {"resnet-50", 0},
                                           {"resnet-50-classic", 0},
                                           {"msdnet-21", 0},
                                           {"msdnet-21-classic", 0},
                                           {"msdnet-40", 0},
                                           {"msdnet-40-classic", 0},
                                           {"msdnet-21-light", 0},
                                           {"msdnet-21-light-classic", 0},
                                           {"msdnet-40-light", 0},
                                           {"msdnet-40-light-classic", 0},
                                           END};
static const struct ei_word model_set_words[] = {{"generated", 0}, {"mnist", 0}, {"cifar10", 0}, {"cifar100", 0}, END};
static const struct ei_word input_set_words[] = {{"mnist", 0}, {"cifar10", 0}, {"cifar100", 0}, END};
static const struct ei_word policy_words[] = {{"fixed_priority", EI_SPEC_POLICY_FIXED_PRIORITY},
                                              {"rate_monotonic", EI_SPEC_POLICY_RATE_MONOTONIC},
                                              {"deadline_monotonic", EI_SPEC_POLICY_DEADLINE_MONOTONIC},
                                              {"edf", EI_SPEC_POLICY_EDF},
                                              END};
static const struct ei_word admission_words[] = {
    {"none", EI_SPEC_ADMISSION_NONE}, {"warn", EI_SPEC_ADMISSION_WARN}, {"reject", EI_SPEC_ADMISSION_REJECT}, END};
static const struct ei_word search_words[] = {{"exact", EI_SPEC_SEARCH_EXACT},
                                              {"all", EI_SPEC_SEARCH_ALL},
                                              {"static", EI_SPEC_SEARCH_STATIC},
                                              {"hybrid", EI_SPEC_SEARCH_HYBRID},
                                              {"greedy", EI_SPEC_SEARCH_GREEDY},
                                              {"random", EI_SPEC_SEARCH_RANDOM},
                                              {"confidence", EI_SPEC_SEARCH_CONFIDENCE},
                                              {"statistics", EI_SPEC_SEARCH_STATISTICS},
                                              {"oracle", EI_WORD_ABSENT},
                                              END};
static const struct ei_term_number search_numbers[] = {
    {EI_SPEC_SEARCH_STATIC, 1, 100, true, 0, "percent", false},
    {EI_SPEC_SEARCH_HYBRID, 0, 12, true, -1, "exits", false},
    {EI_SPEC_SEARCH_RANDOM, 1, 10000, true, 0, "draws", false},
    {EI_SPEC_SEARCH_CONFIDENCE, 0, 1, false, -1, "confidence", false},
    {0, 0, 0, false, 0, NULL, false}};
static const struct ei_word exit_time_words[] = {
    {"uniform", EI_SPEC_EXIT_TIME_UNIFORM},   {"exponential", EI_SPEC_EXIT_TIME_EXPONENTIAL},
    {"schedule", EI_SPEC_EXIT_TIME_SCHEDULE}, {"empirical", EI_SPEC_EXIT_TIME_EMPIRICAL},
    {"trace", EI_SPEC_EXIT_TIME_TRACE},       END};
static const struct ei_term_number exit_time_numbers[] = {
    {EI_SPEC_EXIT_TIME_EXPONENTIAL, 0.001, 1000000, false, 0, "stops per second", false},
    {EI_SPEC_EXIT_TIME_EMPIRICAL, 0, 1000000, true, 300, "jobs remembered", false},
    {0, 0, 0, false, 0, NULL, false}};
static const struct ei_word predictor_words[] = {{"auto", 0}, {"none", 1}, END};
static const struct ei_word replan_words[] = {
    {"auto", EI_SPEC_REPLAN_AUTO}, {"inline", EI_SPEC_REPLAN_INLINE}, {"overlapped", EI_SPEC_REPLAN_OVERLAPPED}, END};
static const struct ei_word first_exit_words[] = {
    {"mandatory", EI_SPEC_FIRST_EXIT_MANDATORY}, {"optional", EI_SPEC_FIRST_EXIT_OPTIONAL}, END};
static const struct ei_word arrival_words[] = {{"periodic", EI_ARRIVAL_PERIODIC},   {"sporadic", EI_ARRIVAL_SPORADIC},
                                               {"aperiodic", EI_ARRIVAL_APERIODIC}, {"burst", EI_ARRIVAL_BURST},
                                               {"after", EI_ARRIVAL_AFTER},         {"external", EI_ARRIVAL_EXTERNAL},
                                               {"trace", EI_ARRIVAL_APERIODIC},     END};
static const struct ei_word dist_words[] = {
    {"exponential", EI_ARRIVAL_EXPONENTIAL}, {"uniform", EI_ARRIVAL_UNIFORM}, {"lognormal", EI_ARRIVAL_LOGNORMAL}, END};
static const struct ei_word class_words[] = {
    {"fifo", EI_SPEC_CLASS_FIFO}, {"other", EI_SPEC_CLASS_OTHER}, {"deadline", EI_SPEC_CLASS_DEADLINE}, END};
static const struct ei_word late_words[] = {{"skip", EI_SPEC_LATE_SKIP}, END};
static const struct ei_word drop_words[] = {
    {"oldest", EI_SPEC_LATE_DROP_OLDEST}, {"newest", EI_SPEC_LATE_DROP_NEWEST}, END};
static const struct ei_word on_preempt_words[] = {
    {"exit", EI_SPEC_ON_PREEMPT_EXIT},       {"resume", EI_SPEC_ON_PREEMPT_RESUME},   {"none", EI_SPEC_ON_PREEMPT_NONE},
    {"elastic", EI_SPEC_ON_PREEMPT_ELASTIC}, {"restart", EI_SPEC_ON_PREEMPT_RESTART}, END};
static const struct ei_word on_deadline_words[] = {{"exit", EI_SPEC_ON_DEADLINE_EXIT},
                                                   {"finish", EI_SPEC_ON_DEADLINE_FINISH},
                                                   {"abort", EI_SPEC_ON_DEADLINE_ABORT},
                                                   END};
static const struct ei_word on_overrun_words[] = {
    {"finish", EI_SPEC_ON_OVERRUN_FINISH}, {"exit", EI_SPEC_ON_OVERRUN_EXIT}, {"abort", EI_SPEC_ON_OVERRUN_ABORT}, END};
static const struct ei_word input_words[] = {{"dataset", EI_SPEC_INPUT_DATASET},     {"images", EI_SPEC_INPUT_IMAGES},
                                             {"generated", EI_SPEC_INPUT_GENERATED}, {"caller", EI_SPEC_INPUT_CALLER},
                                             {"topic", EI_SPEC_INPUT_TOPIC},         END};
static const struct ei_word message_words[] = {{"image", EI_SPEC_MESSAGE_IMAGE},
                                               {"compressed_image", EI_SPEC_MESSAGE_COMPRESSED_IMAGE},
                                               {"classification", EI_SPEC_MESSAGE_CLASSIFICATION},
                                               {"status", EI_SPEC_MESSAGE_STATUS},
                                               END};
static const struct ei_word memory_words[] = {{"host", EI_SPEC_MEMORY_HOST}, {"device", EI_SPEC_MEMORY_DEVICE}, END};
static const struct ei_word split_words[] = {{"test", EI_SPLIT_TEST}, {"train", EI_SPLIT_TRAIN}, END};
static const struct ei_word stage_words[] = {{"cpu", EI_SPEC_STAGE_CPU}, {"nn", EI_SPEC_STAGE_NN}, END};
static const struct ei_word jobs_words[] = {{"csv", EI_SPEC_JOBS_CSV}, {"none", EI_SPEC_JOBS_NONE}, END};
static const struct ei_word hist_words[] = {{"hlog", EI_SPEC_HIST_HLOG}, {"none", EI_SPEC_HIST_NONE}, END};
static const struct ei_word trace_words[] = {{"none", EI_SPEC_TRACE_NONE}, {"perfetto", EI_SPEC_TRACE_PERFETTO}, END};
static const struct ei_word trace_format_words[] = {{"perfetto", EI_SPEC_TRACE_PERFETTO}, END};
static const struct ei_word save_words[] = {{"always", EI_SPEC_SAVE_ALWAYS}, {"miss", EI_SPEC_SAVE_MISS}, END};
static const struct ei_word stages_words[] = {{"csv", EI_SPEC_STAGES_CSV}, {"none", EI_SPEC_STAGES_NONE}, END};

const struct ei_word ei_op_words[] = {{"decode", EI_SPEC_OP_DECODE},           {"resize", EI_SPEC_OP_RESIZE},
                                      {"normalize", EI_SPEC_OP_NORMALIZE},     {"softmax", EI_SPEC_OP_SOFTMAX},
                                      {"argmax", EI_SPEC_OP_ARGMAX},           {"top5", EI_SPEC_OP_TOP5},
                                      {"append_file", EI_SPEC_OP_APPEND_FILE}, END};

#define FILE_AT(member) .context = EI_CONTEXT_FILE, .offset = offsetof(struct ei_workload, member)
#define RUN_AT(member) .context = EI_CONTEXT_RUN, .offset = offsetof(struct ei_run_spec, member)
#define PLATFORM_AT(member) .context = EI_CONTEXT_PLATFORM, .offset = offsetof(struct ei_platform_spec, member)
#define LANE_AT(member) .context = EI_CONTEXT_LANE, .offset = offsetof(struct ei_lane_spec, member)
#define MODEL_AT(member) .context = EI_CONTEXT_MODEL, .offset = offsetof(struct ei_model_spec, member)
#define EMULATE_AT(member) .context = EI_CONTEXT_EMULATE, .offset = offsetof(struct ei_model_spec, member)
#define BLOCK_AT(member) .context = EI_CONTEXT_BLOCK, .offset = offsetof(struct ei_emulated_block, member)
#define LOGNORMAL_AT(member) .context = EI_CONTEXT_LOGNORMAL, .offset = offsetof(struct ei_emulated_time, member)
#define SCHEDULER_AT(member) .context = EI_CONTEXT_SCHEDULER, .offset = offsetof(struct ei_scheduler_spec, member)
#define PLANNER_AT(member) .context = EI_CONTEXT_PLANNER, .offset = offsetof(struct ei_planner_spec, member)
#define TASK_AT(member) .context = EI_CONTEXT_TASK, .offset = offsetof(struct ei_task_spec, member)
#define ARRIVAL_AT(member) .context = EI_CONTEXT_ARRIVAL, .offset = offsetof(struct ei_arrival_spec, member)
#define LATE_AT(member) .context = EI_CONTEXT_LATE, .offset = offsetof(struct ei_late_spec, member)
#define INPUT_AT(member) .context = EI_CONTEXT_INPUT, .offset = offsetof(struct ei_input_spec, member)
#define TOPICS_AT(member) .context = EI_CONTEXT_TOPICS, .offset = offsetof(struct ei_topics_spec, member)
#define STAGE_AT(member) .context = EI_CONTEXT_STAGE, .offset = offsetof(struct ei_stage_spec, member)
#define WORK_AT(member) .context = EI_CONTEXT_WORK, .offset = offsetof(struct ei_stage_spec, member)
#define SLO_AT(member) .context = EI_CONTEXT_SLO, .offset = offsetof(struct ei_slo_spec, member)
#define OUTPUTS_AT(member) .context = EI_CONTEXT_OUTPUTS, .offset = offsetof(struct ei_outputs_spec, member)

#define TRACE_AT(member) .context = EI_CONTEXT_TRACE, .offset = offsetof(struct ei_trace_spec, member)

/* clang-format off */
const struct ei_field ei_fields[] = {
    {FILE_AT(version), .key = "version", .type = EI_FIELD_INT, .lo = 1, .hi = 1, .doc = "Version of this grammar."},
    {FILE_AT(name), .key = "name", .type = EI_FIELD_NAME, .doc = "Name of the workload, used for the output folder."},
    {FILE_AT(run), .key = "run", .type = EI_FIELD_MAP, .child = EI_CONTEXT_RUN, .computed = "its defaults",
     .doc = "How long to run, and with which seed."},
    {FILE_AT(platform), .key = "platform", .type = EI_FIELD_MAP, .child = EI_CONTEXT_PLATFORM,
     .computed = "its defaults", .doc = "What to ask of the machine."},
    {FILE_AT(lanes), .key = "lanes", .type = EI_FIELD_NAMED, .child = EI_CONTEXT_LANE, .lo = 0, .hi = EI_LANES_MAX,
     .count_offset = offsetof(struct ei_workload, lane_count), .element_bytes = sizeof(struct ei_lane_spec),
     .computed = "none", .doc = "Places where network blocks run, by name."},
    {FILE_AT(models), .key = "models", .type = EI_FIELD_NAMED, .child = EI_CONTEXT_MODEL, .lo = 0, .hi = EI_MODELS_MAX,
     .count_offset = offsetof(struct ei_workload, model_count), .element_bytes = sizeof(struct ei_model_spec),
     .computed = "none", .doc = "Networks, by name; each has one of zoo, bundle and emulate."},
    {FILE_AT(scheduler), .key = "scheduler", .type = EI_FIELD_MAP, .child = EI_CONTEXT_SCHEDULER,
     .computed = "its defaults", .doc = "How tasks share processors and lanes."},
    {FILE_AT(planner), .key = "planner", .type = EI_FIELD_MAP, .child = EI_CONTEXT_PLANNER, .computed = "its defaults",
     .doc = "How exits are chosen, for all tasks that do not say otherwise."},
    {FILE_AT(tasks), .key = "tasks", .type = EI_FIELD_LIST, .child = EI_CONTEXT_TASK, .lo = 1, .hi = EI_TASKS_MAX,
     .count_offset = offsetof(struct ei_workload, task_count), .element_bytes = sizeof(struct ei_task_spec),
     .doc = "The tasks."},
    {FILE_AT(outputs), .key = "outputs", .type = EI_FIELD_MAP, .child = EI_CONTEXT_OUTPUTS, .computed = "its defaults",
     .doc = "Which files to write."},

    {RUN_AT(duration_ns), .key = "duration", .type = EI_FIELD_DURATION, .default_text = "30s", .lo = EI_NS_PER_MS,
     .hi = 7 * 86400 * EI_NS_PER_S, .doc = "Length of the counted part of the run, after the warm-up."},
    {RUN_AT(warmup_ns), .key = "warmup", .type = EI_FIELD_DURATION, .default_text = "0s", .lo = 0,
     .hi = 3600 * EI_NS_PER_S, .doc = "Jobs released in this first part run and are logged, but not counted."},
    {RUN_AT(seed), .key = "seed", .type = EI_FIELD_SEED, .default_text = "1",
     .doc = "Seed of every random draw of the run."},
    {RUN_AT(start_delay_ns), .key = "start_delay", .type = EI_FIELD_DURATION, .default_text = "100ms", .lo = 0,
     .hi = 60 * EI_NS_PER_S, .doc = "From all threads being ready to time zero."},

    {PLATFORM_AT(privileges), .key = "privileges", .type = EI_FIELD_WORD, .words = privileges_words,
     .default_text = "degrade",
     .doc = "Without the right to SCHED_FIFO and memory locking: degrade runs all the same and says so in every output, "
            "require refuses."},
    {PLATFORM_AT(lock_memory), .key = "lock_memory", .type = EI_FIELD_WORD, .words = lock_words, .default_text = "all",
     .doc = "Which memory is locked against paging."},
    {PLATFORM_AT(stack_bytes), .key = "stack", .type = EI_FIELD_SIZE, .default_text = "256KiB", .lo = 64 * KIB,
     .hi = 64 * MIB, .doc = "Stack of each job thread, prefaulted."},
    {PLATFORM_AT(cpu_dma_latency_ns), .key = "cpu_dma_latency", .type = EI_FIELD_DURATION, .default_text = "0us",
     .none_text = "none", .lo = 0, .hi = EI_NS_PER_S,
     .doc = "Longest wake-up latency that idle states may cost, held for the run, in whole microseconds; none leaves "
            "the machine alone."},
    {PLATFORM_AT(rt_load_cap), .key = "rt_load_cap", .type = EI_FIELD_RATIO, .default_text = "0.9", .lo = 5, .hi = 100,
     .doc = "Share of each CPU and second that real-time jobs may use; multi-exit jobs end early before it is "
            "reached."},
    {PLATFORM_AT(watchdog), .key = "watchdog", .type = EI_FIELD_INT, .default_text = "10", .lo = 0, .hi = 1000,
     .doc = "A job that uses more than this many times the budgets of its stages has run away: its thread is demoted to "
            "SCHED_OTHER; 0 = never. See WATCHDOG."},
    {PLATFORM_AT(housekeeping_cpus), .key = "housekeeping_cpus", .type = EI_FIELD_CPUS, .default_text = "0",
     .none_text = "none", .doc = "CPUs for logging and other threads that are no jobs."},

    {LANE_AT(kind), .key = "kind", .type = EI_FIELD_WORD, .words = lane_words, .default_text = "cpu",
     .is_discriminator = true,
     .doc = "What the lane is. cpu: blocks run on the CPU of their job. cuda: blocks run on a GPU, and the CPU of their "
            "job is free meanwhile, see GPU LANES."},
    {LANE_AT(cpus), .key = "cpus", .type = EI_FIELD_CPUS, .default_text = "auto", .none_text = "auto",
     .only = BIT(EI_SPEC_LANE_CPU),
     .doc = "CPUs of the lane; auto is all that the process may use but the housekeeping ones, or all if none is left."},
    {LANE_AT(preempt), .key = "preempt", .type = EI_FIELD_WORD, .words = preempt_words, .default_text = "block",
     .only = BIT(EI_SPEC_LANE_CPU),
     .doc = "When a higher job goes first; block: it gets the lane at the next block boundary, as on an accelerator; "
            "kernel: nobody holds the lane, each job computes in its own thread, and SCHED_FIFO preempts in mid-block."},
    {LANE_AT(backend), .key = "backend", .type = EI_FIELD_WORD, .words = backend_words, .default_text = "auto",
     .only = BIT(EI_SPEC_LANE_CPU),
     .doc = "Library that computes networks with weights; aten: libtorch; dnnl: oneDNN, prepared once, and libtorch for "
            "the parts that oneDNN does not know; auto: dnnl where it is installed and knows some part, else aten."},
    {LANE_AT(threads), .key = "threads", .type = EI_FIELD_INT, .default_text = "1", .lo = 1, .hi = 64,
     .only = BIT(EI_SPEC_LANE_CPU),
     .doc = "Threads inside a block of a network with weights, one on each of the lane's first CPUs, which must be as many; "
            "a job's own thread is on the first. More than 1: not for einet analyze, einet simulate and admission."},
    {LANE_AT(device_idx), .key = "device", .type = EI_FIELD_INT, .default_text = "0", .lo = 0, .hi = 15,
     .only = BIT(EI_SPEC_LANE_CUDA), .doc = "Number of the GPU, as CUDA counts."},
    {LANE_AT(wait), .key = "wait", .type = EI_FIELD_TERM, .words = wait_words, .numbers = wait_numbers,
     .default_text = "block", .only = BIT(EI_SPEC_LANE_CUDA),
     .doc = "How a job waits for its block; block: asleep; poll: asleep until shortly before the block should end, then "
            "spinning at most that long; spin: spinning, so that its CPU is taken as on a lane of kind cpu."},
    {LANE_AT(depth), .key = "depth", .type = EI_FIELD_INT, .default_text = "1", .lo = 1, .hi = 2,
     .only = BIT(EI_SPEC_LANE_CUDA),
     .doc = "Blocks in the queue of the GPU; with 2 the next conv part is launched behind the one that runs, so a job "
            "that is preempted may keep the GPU for one block more."},
    {LANE_AT(sms), .key = "sms", .type = EI_FIELD_INT, .default_text = "0", .lo = 0, .hi = 1024,
     .only = BIT(EI_SPEC_LANE_CUDA),
     .doc = "Multiprocessors of the GPU that belong to this lane alone, in whole groups of what the GPU allows (8 on recent "
            "ones); 0: all of them, shared with whatever else runs there. All lanes of a GPU have sms, or none has."},
    {LANE_AT(hang_ns), .key = "hang", .type = EI_FIELD_DURATION, .default_text = "1s", .lo = EI_NS_PER_MS,
     .hi = 60 * EI_NS_PER_S, .only = BIT(EI_SPEC_LANE_CUDA),
     .doc = "A block that takes longer is given up: the GPU counts as lost from then on."},
    {LANE_AT(fallback), .key = "fallback", .type = EI_FIELD_NAME, .default_text = "none", .none_text = "none",
     .only = BIT(EI_SPEC_LANE_CUDA),
     .doc = "Lane of kind cpu on which jobs go on when the GPU is lost or not there, or cpu for the first such lane of the "
            "file."},

    {MODEL_AT(zoo), .key = "zoo", .type = EI_FIELD_CHOICE, .words = zoo_words, .only = BIT(EI_SPEC_MODEL_ZOO),
     .doc = "A network of the built-in zoo; NAME-classic is its trunk with the last exit alone."},
    {MODEL_AT(dataset), .key = "dataset", .type = EI_FIELD_CHOICE, .words = model_set_words,
     .only = BIT(EI_SPEC_MODEL_ZOO), .doc = "Data set that it was trained on: fixes input shape and classes."},
    {MODEL_AT(weights), .key = "weights", .type = EI_FIELD_PATH, .only = BIT(EI_SPEC_MODEL_ZOO),
     .doc = "File with the weights (safetensors)."},
    {MODEL_AT(bundle), .key = "bundle", .type = EI_FIELD_PATH, .only = BIT(EI_SPEC_MODEL_BUNDLE),
     .doc = "Folder of a network of your own: manifest.json, weights and TorchScript parts (docs/bundles.md)."},
    {MODEL_AT(profile), .key = "profile", .type = EI_FIELD_PATH,
     .only = BIT(EI_SPEC_MODEL_ZOO) | BIT(EI_SPEC_MODEL_BUNDLE),
     .computed = "none: the .cs file beside weights or bundle, if there is one", .none_text = "none",
     .doc = "CS-profile: the scores of each exit, to plan with. Block times are measured before the run."},
    {.context = EI_CONTEXT_MODEL, .key = "emulate", .type = EI_FIELD_MAP, .child = EI_CONTEXT_EMULATE,
     .only = BIT(EI_SPEC_MODEL_EMULATE), .doc = "A network that only takes time: no weights, no pictures."},

    {EMULATE_AT(blocks), .key = "blocks", .type = EI_FIELD_LIST, .child = EI_CONTEXT_BLOCK, .lo = 1,
     .hi = EI_EMULATED_BLOCKS_MAX, .count_offset = offsetof(struct ei_model_spec, block_count),
     .element_bytes = sizeof(struct ei_emulated_block), .doc = "The blocks in order; each has an exit."},

    {BLOCK_AT(conv), .key = "conv", .type = EI_FIELD_TIME, .child = EI_CONTEXT_LOGNORMAL, .lo = 0,
     .hi = 10 * EI_NS_PER_S, .doc = "Time of the block's conv part: a duration or {lognormal: {median, p99}}."},
    {BLOCK_AT(branch), .key = "branch", .type = EI_FIELD_TIME, .child = EI_CONTEXT_LOGNORMAL, .default_text = "0s",
     .lo = 0, .hi = 10 * EI_NS_PER_S, .doc = "Time of the block's exit branch, likewise."},
    {BLOCK_AT(score), .key = "score", .type = EI_FIELD_RATIO, .lo = 0, .hi = 100, .doc = "Confidence of the exit."},

    {LOGNORMAL_AT(median_ns), .key = "median", .type = EI_FIELD_DURATION, .lo = 0, .hi = 10 * EI_NS_PER_S,
     .doc = "Median time."},
    {LOGNORMAL_AT(p99_ns), .key = "p99", .type = EI_FIELD_DURATION, .lo = 0, .hi = 10 * EI_NS_PER_S,
     .doc = "99th percentile, at least the median."},

    {SCHEDULER_AT(policy), .key = "policy", .type = EI_FIELD_WORD, .words = policy_words,
     .default_text = "fixed_priority",
     .doc = "Who goes first. fixed_priority: as the tasks' priorities say. rate_monotonic, deadline_monotonic: the "
            "shorter period (min_interarrival) or deadline, on CPUs and lanes; ties and tasks without one in the order "
            "of the file, those without last. edf: on lanes the job whose absolute deadline is earliest; CPUs, which "
            "have fixed priorities, as deadline_monotonic."},
    {SCHEDULER_AT(admission), .key = "admission", .type = EI_FIELD_WORD, .words = admission_words,
     .default_text = "none",
     .doc = "Whether einet run analyses the task set before the first release: none does not, warn says which deadlines "
            "are not guaranteed, reject refuses to run then."},

    {PLANNER_AT(search), .key = "search", .type = EI_FIELD_TERM, .words = search_words, .numbers = search_numbers,
     .default_text = "exact", .absent_why = "it would need to know the future, which only einet evaluate does",
     .doc = "How the exits to compute are chosen: exact maximises the expected accuracy, all takes every exit, "
            "static(P) takes P percent of them, evenly spaced, the last one included, hybrid(M) enumerates the first M "
            "and adds the others greedily, random(R) is the best of R draws, confidence(Q) goes on until an answer is "
            "that confident, statistics keeps one plan for all jobs."},
    {PLANNER_AT(exit_time), .key = "exit_time", .type = EI_FIELD_TERM, .words = exit_time_words,
     .numbers = exit_time_numbers, .default_text = "schedule",
     .doc = "Distribution of the time of a forced exit that the plan assumes: uniform until the deadline; "
            "exponential(R), R stops a second; schedule, from the higher-priority tasks that share the lane; "
            "empirical(N), learnt from the last N jobs or so (300 when left out, 0: all); trace, read from exit_times."},
    {PLANNER_AT(exit_times), .key = "exit_times", .type = EI_FIELD_PATH, .computed = "none; required by exit_time: trace",
     .doc = "Recorded stops, one time with unit a line, counted from the release; 'censored' behind it says that the job "
            "ended by itself."},
    {PLANNER_AT(predictor), .key = "predictor", .type = EI_FIELD_PATH, .words = predictor_words, .default_text = "auto",
     .doc = "Guesses the scores of later exits from those so far; auto takes the .predictor file beside weights or "
            "bundle if there is one."},
    {PLANNER_AT(replan), .key = "replan", .type = EI_FIELD_WORD, .words = replan_words, .default_text = "auto",
     .doc = "Where a job plans again after an answer: in its own thread, or overlapped with the next conv part on a "
            "housekeeping CPU; auto measures at start."},
    {PLANNER_AT(first_exit), .key = "first_exit", .type = EI_FIELD_WORD, .words = first_exit_words,
     .default_text = "mandatory",
     .doc = "Whether a job that is stopped before its first answer still computes the nearest exit."},

    {TASK_AT(name), .key = "name", .type = EI_FIELD_NAME, .doc = "Name of the task, unique in the file."},
    {TASK_AT(arrival), .key = "arrival", .type = EI_FIELD_MAP, .child = EI_CONTEXT_ARRIVAL,
     .doc = "When its jobs are released."},
    {TASK_AT(deadline_ns), .key = "deadline", .type = EI_FIELD_DURATION, .none_text = "none",
     .computed = "the period or min_interarrival, of a chain's first task; none for aperiodic and for a single burst", .lo = EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S,
     .doc = "From the nominal release (of the chain's first task) to the latest finish. Longer than the period needs a "
            "queue (late_release)."},
    {TASK_AT(priority), .key = "priority", .type = EI_FIELD_INT, .lo = 1, .hi = 98,
     .computed = "assigned from 80 down: by deadline, the shortest first; under rate_monotonic by period",
     .doc = "SCHED_FIFO priority, higher goes first. Under policy fixed_priority either all tasks of class fifo have one "
            "or none has; the other policies assign it, and it is not given."},
    {TASK_AT(cpus), .key = "cpus", .type = EI_FIELD_CPUS, .none_text = "auto",
     .computed = "the CPUs of its lane; auto without a lane",
     .doc = "CPUs that the job thread may use; with an nn stage inside those of its lane. auto is all that the process "
            "may use but the housekeeping ones, or all if none is left; with class deadline it is all."},
    {TASK_AT(class_), .key = "class", .type = EI_FIELD_WORD, .words = class_words, .default_text = "fifo",
     .doc = "Scheduling class: fifo is SCHED_FIFO, other is SCHED_OTHER without a priority, deadline is SCHED_DEADLINE, "
            "above all of class fifo, see CLASS DEADLINE."},
    {TASK_AT(late_release), .key = "late_release", .type = EI_FIELD_LATE, .words = late_words,
     .child = EI_CONTEXT_LATE, .default_text = "skip",
     .doc = "A release that finds the previous job still active (with overlap: as many jobs as may be): skip it, or queue "
            "it: {queue: N, drop: WHICH}."},
    {TASK_AT(overlap), .key = "overlap", .type = EI_FIELD_INT, .default_text = "1", .lo = 1, .hi = EI_OVERLAP_MAX,
     .doc = "Jobs of the task in flight at most: while one is in its network the next one may be in preprocessing and the "
            "one before it in postprocessing. Each stage serves them in order, one at a time, and they finish in order."},
    {TASK_AT(rehearse_ns), .key = "rehearse", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "none",
     .lo = 50 * EI_NS_PER_US, .hi = 10 * EI_NS_PER_MS,
     .doc = "So long before each release the task's thread wakes and goes through what a job does beside its blocks, which "
            "then finds code and data in the caches; less than the time between two releases. none: it does not."},
    {TASK_AT(on_preempt), .key = "on_preempt", .type = EI_FIELD_WORD, .words = on_preempt_words,
     .default_text = "exit",
     .doc = "When a higher job wants the lane, at a block boundary: exit with the best answer so far; resume later; "
            "elastic: resume if the next planned exit can still be reached before the deadline, else exit; restart "
            "later with the first block; none: keep the lane."},
    {TASK_AT(max_preemptions), .key = "max_preemptions", .type = EI_FIELD_INT, .default_text = "0", .lo = 0,
     .hi = 30000, .doc = "A job that gave its lane away this often keeps it from then on; 0: no limit."},
    {TASK_AT(max_blocking_ns), .key = "max_blocking", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "none",
     .lo = EI_NS_PER_US, .hi = 60 * EI_NS_PER_S,
     .doc = "Longest time that a job may hold its lane between preemption points: shorter blocks run together up to it; a "
            "longer block is an error on a CPU, and on a GPU it is split between its layers, which must be no longer. "
            "none: every block boundary is a preemption point."},
    {TASK_AT(on_deadline), .key = "on_deadline", .type = EI_FIELD_WORD, .words = on_deadline_words,
     .default_text = "exit",
     .doc = "When the deadline comes: exit with the best answer so far, finish late, or abort without an answer."},
    {TASK_AT(on_overrun), .key = "on_overrun", .type = EI_FIELD_WORD, .words = on_overrun_words,
     .default_text = "finish",
     .doc = "When a stage is over its budget or timeout: finish and count it, exit with the best answer so far, or abort "
            "without an answer. See BUDGETS."},
    {TASK_AT(planner), .key = "planner", .type = EI_FIELD_MAP, .child = EI_CONTEXT_PLANNER, .is_inherited = true,
     .computed = "the workload's planner", .doc = "Planner settings of this task."},
    {TASK_AT(input), .key = "input", .type = EI_FIELD_MAP, .child = EI_CONTEXT_INPUT, .computed = "none",
     .doc = "Where its pictures come from."},
    {TASK_AT(topics), .key = "outputs", .type = EI_FIELD_MAP, .child = EI_CONTEXT_TOPICS, .computed = "its defaults",
     .doc = "Topics of ROS 2 that say what becomes of the messages of a topic, through einet-dds: of the task that has them as "
            "its input, and of those behind it in a chain."},
    {TASK_AT(stages), .key = "stages", .type = EI_FIELD_LIST, .child = EI_CONTEXT_STAGE, .lo = 1, .hi = EI_STAGES_MAX,
     .count_offset = offsetof(struct ei_task_spec, stage_count), .element_bytes = sizeof(struct ei_stage_spec),
     .doc = "What a job does, in order; at most one stage of kind nn."},
    {TASK_AT(slo), .key = "slo", .type = EI_FIELD_MAP, .child = EI_CONTEXT_SLO, .computed = "nothing is asked for",
     .doc = "Service level objectives, checked after the run."},

    {ARRIVAL_AT(model), .key = "model", .type = EI_FIELD_WORD, .words = arrival_words, .is_discriminator = true,
     .doc = "periodic: every period. sporadic: at random, never closer than min_interarrival. aperiodic: at the times "
            "of a file; trace is another word for it. burst: count releases spacing apart, again after each period. "
            "after: when a job of another task has finished, see CHAINS. external: when somebody outside says so, never "
            "closer than min_interarrival, see EXTERNAL RELEASES."},
    {ARRIVAL_AT(period_ns), .key = "period", .type = EI_FIELD_DURATION, .lo = 100 * EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S, .only = BIT(EI_ARRIVAL_PERIODIC), .doc = "Distance of two nominal releases."},
    {ARRIVAL_AT(period_ns), .key = "period", .type = EI_FIELD_DURATION, .lo = 100 * EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S, .none_text = "none", .computed = "none: one burst only", .only = BIT(EI_ARRIVAL_BURST),
     .doc = "From the start of a burst to the start of the next."},
    {ARRIVAL_AT(offset_ns), .key = "offset", .type = EI_FIELD_DURATION, .default_text = "0s", .lo = 0,
     .hi = 3600 * EI_NS_PER_S,
     .only = BIT(EI_ARRIVAL_PERIODIC) | BIT(EI_ARRIVAL_SPORADIC) | BIT(EI_ARRIVAL_BURST),
     .doc = "Time of the first nominal release; of a sporadic task the time before which nothing is released."},
    {ARRIVAL_AT(jitter_ns), .key = "jitter", .type = EI_FIELD_DURATION, .default_text = "0s", .lo = 0,
     .hi = 3600 * EI_NS_PER_S, .only = BIT(EI_ARRIVAL_PERIODIC),
     .doc = "Each job starts up to this much after its nominal release, drawn uniformly; less than the period."},
    {ARRIVAL_AT(min_interarrival_ns), .key = "min_interarrival", .type = EI_FIELD_DURATION, .lo = 100 * EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S, .only = BIT(EI_ARRIVAL_SPORADIC) | BIT(EI_ARRIVAL_EXTERNAL),
     .doc = "Shortest distance of two releases; of an external task, one that is asked for earlier is held back."},
    {ARRIVAL_AT(mean_ns), .key = "mean", .type = EI_FIELD_DURATION, .lo = 100 * EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S, .only = BIT(EI_ARRIVAL_SPORADIC),
     .doc = "Mean distance of two releases, at least min_interarrival."},
    {ARRIVAL_AT(dist), .key = "dist", .type = EI_FIELD_WORD, .words = dist_words, .default_text = "exponential",
     .only = BIT(EI_ARRIVAL_SPORADIC),
     .doc = "Distribution of what a distance exceeds min_interarrival by, its mean being mean - min_interarrival: "
            "exponential; uniform from 0 to twice that mean; lognormal with the median median - min_interarrival."},
    {ARRIVAL_AT(median_ns), .key = "median", .type = EI_FIELD_DURATION, .lo = 100 * EI_NS_PER_US,
     .hi = 3600 * EI_NS_PER_S, .none_text = "none", .computed = "none; dist lognormal needs it",
     .only = BIT(EI_ARRIVAL_SPORADIC),
     .doc = "Median distance of two releases, more than min_interarrival and at most mean: the further below the mean, "
            "the longer the tail."},
    {ARRIVAL_AT(count), .key = "count", .type = EI_FIELD_INT, .lo = 1, .hi = 10000, .only = BIT(EI_ARRIVAL_BURST),
     .doc = "Releases in one burst."},
    {ARRIVAL_AT(spacing_ns), .key = "spacing", .type = EI_FIELD_DURATION, .lo = 0, .hi = 3600 * EI_NS_PER_S,
     .only = BIT(EI_ARRIVAL_BURST), .doc = "Distance of two releases in one burst."},
    {ARRIVAL_AT(trace), .key = "trace", .type = EI_FIELD_PATH, .only = BIT(EI_ARRIVAL_APERIODIC),
     .doc = "CSV file with the release times, see TRACE FILES."},
    {ARRIVAL_AT(after), .key = "task", .type = EI_FIELD_NAME, .only = BIT(EI_ARRIVAL_AFTER),
     .doc = "The task whose finished jobs release those of this one."},

    {LATE_AT(queue), .key = "queue", .type = EI_FIELD_INT, .lo = 1, .hi = EI_SPEC_QUEUE_MAX,
     .doc = "Jobs that may wait."},
    {LATE_AT(policy), .key = "drop", .type = EI_FIELD_WORD, .words = drop_words, .default_text = "oldest",
     .doc = "Which job goes when the queue is full."},

    {INPUT_AT(kind), .key = "kind", .type = EI_FIELD_WORD, .words = input_words, .is_discriminator = true,
     .doc = "dataset: a real data set. images: a folder of PNG and JPEG files, a sub-folder per class. generated: drawn "
            "from a seed. caller: each comes with its release, from a program that embeds the run; topic: each comes as "
            "a message of ROS 2, through einet-dds: a picture, or a result of another run. Both need arrival external."},
    {INPUT_AT(name), .key = "name", .type = EI_FIELD_CHOICE, .words = input_set_words,
     .only = BIT(EI_SPEC_INPUT_DATASET), .doc = "Which data set."},
    {INPUT_AT(split), .key = "split", .type = EI_FIELD_WORD, .words = split_words, .default_text = "test",
     .only = BIT(EI_SPEC_INPUT_DATASET) | BIT(EI_SPEC_INPUT_GENERATED), .doc = "Which part of it."},
    {INPUT_AT(root), .key = "root", .type = EI_FIELD_PATH, .computed = "none: environment EINET_DATA, else data/",
     .none_text = "none", .only = BIT(EI_SPEC_INPUT_DATASET), .doc = "Folder of the data sets."},
    {INPUT_AT(dir), .key = "dir", .type = EI_FIELD_PATH, .only = BIT(EI_SPEC_INPUT_IMAGES),
     .doc = "Folder of the pictures."},
    {INPUT_AT(seed), .key = "seed", .type = EI_FIELD_SEED, .default_text = "1", .only = BIT(EI_SPEC_INPUT_GENERATED),
     .doc = "Seed of the set; the shipped weights were trained on seed 1."},
    {INPUT_AT(count), .key = "count", .type = EI_FIELD_INT, .default_text = "4000", .lo = 1,
     .hi = EI_DATASET_GENERATED_MAX, .only = BIT(EI_SPEC_INPUT_GENERATED), .doc = "Pictures to draw before the run."},
    {INPUT_AT(topic), .key = "topic", .type = EI_FIELD_TEXT, .only = BIT(EI_SPEC_INPUT_TOPIC),
     .doc = "Name of the topic, from the root: /camera/image_raw, /einet/camera/status."},
    {INPUT_AT(message), .key = "message", .type = EI_FIELD_WORD, .words = message_words, .default_text = "image",
     .only = BIT(EI_SPEC_INPUT_TOPIC),
     .doc = "image: sensor_msgs/Image. compressed_image: sensor_msgs/CompressedImage, JPEG or PNG; needs op decode. "
            "classification, status: results of a task of another run, on this machine or another; the task goes on with "
            "the chain that began there, without a picture. See docs/dds.md."},
    {INPUT_AT(width_px), .key = "width", .type = EI_FIELD_INT, .lo = 1, .hi = EI_SPEC_SIDE_MAX_PX,
     .only = BIT(EI_SPEC_INPUT_CALLER),
     .doc = "Width of the pictures, in pixels; the largest where a stage has op resize."},
    {INPUT_AT(height_px), .key = "height", .type = EI_FIELD_INT, .lo = 1, .hi = EI_SPEC_SIDE_MAX_PX,
     .only = BIT(EI_SPEC_INPUT_CALLER),
     .doc = "Height of the pictures, in pixels; the largest where a stage has op resize."},
    {INPUT_AT(channels), .key = "channels", .type = EI_FIELD_INT, .default_text = "3", .lo = 1, .hi = 3,
     .only = BIT(EI_SPEC_INPUT_CALLER), .doc = "Of each pixel: 1 or 3."},
    {INPUT_AT(width_px), .key = "width", .type = EI_FIELD_INT, .lo = 1, .hi = EI_SPEC_SIDE_MAX_PX,
     .computed = "required for pictures, none for results", .only = BIT(EI_SPEC_INPUT_TOPIC),
     .doc = "The same of pictures in messages."},
    {INPUT_AT(height_px), .key = "height", .type = EI_FIELD_INT, .lo = 1, .hi = EI_SPEC_SIDE_MAX_PX,
     .computed = "required for pictures, none for results", .only = BIT(EI_SPEC_INPUT_TOPIC),
     .doc = "The same of pictures in messages."},
    {INPUT_AT(channels), .key = "channels", .type = EI_FIELD_INT, .computed = "3 for pictures, none for results",
     .lo = 1, .hi = 3, .only = BIT(EI_SPEC_INPUT_TOPIC), .doc = "The same of pictures in messages."},
    {INPUT_AT(memory), .key = "memory", .type = EI_FIELD_WORD, .words = memory_words, .default_text = "host",
     .only = BIT(EI_SPEC_INPUT_CALLER),
     .doc = "host: pictures as they come from a camera, for the stages before the network. device: what the network takes, "
            "normalized float32, in memory of the GPU of its lane, which has no fallback then; no stage works on them."},
    {INPUT_AT(is_loop), .key = "loop", .type = EI_FIELD_BOOL, .default_text = "true",
     .only = BIT(EI_SPEC_INPUT_DATASET) | BIT(EI_SPEC_INPUT_IMAGES) | BIT(EI_SPEC_INPUT_GENERATED),
     .doc = "Start again after the last picture; with false a run with more jobs than pictures is refused."},

    {TOPICS_AT(classification), .key = "classification", .type = EI_FIELD_TEXT, .default_text = "auto",
     .none_text = "none",
     .doc = "Topic of the answers (vision_msgs/Classification); auto: /einet/TASK/classification, where what is no letter or "
            "digit in TASK becomes _, and none without an nn stage."},
    {TOPICS_AT(status), .key = "status", .type = EI_FIELD_TEXT, .default_text = "auto", .none_text = "none",
     .doc = "Topic of what became of each image (einet_msgs/InferenceStatus); auto: /einet/TASK/status."},
    {TOPICS_AT(partial), .key = "partial", .type = EI_FIELD_TEXT, .default_text = "none", .none_text = "none",
     .doc = "Topic of the answer of each exit as soon as it is there (einet_msgs/InferenceStatus); auto: "
            "/einet/TASK/partial."},

    {STAGE_AT(name), .key = "name", .type = EI_FIELD_NAME, .doc = "Name of the stage, unique in its task."},
    {STAGE_AT(kind), .key = "kind", .type = EI_FIELD_WORD, .words = stage_words, .is_discriminator = true,
     .doc = "cpu: operations or plain work on the processor. nn: a network, block by block, on a lane."},
    {.context = EI_CONTEXT_STAGE, .key = "op", .type = EI_FIELD_OPS, .words = ei_op_words, .lo = 1, .hi = EI_STAGE_OPS_MAX,
     .only = BIT(EI_SPEC_STAGE_CPU), .computed = "none",
     .doc = "Operation or list of operations. Before the network: decode, resize: WxH, normalize. After it: softmax, "
            "argmax, top5. Anywhere: append_file."},
    {.context = EI_CONTEXT_STAGE, .key = "work", .type = EI_FIELD_MAP, .child = EI_CONTEXT_WORK, .only = BIT(EI_SPEC_STAGE_CPU),
     .computed = "none", .doc = "Plain work in place of op."},
    {STAGE_AT(path), .key = "path", .type = EI_FIELD_TEXT, .only = BIT(EI_SPEC_STAGE_CPU),
     .computed = "TASK.log with op append_file", .doc = "File of append_file, in the output folder of the run."},
    {STAGE_AT(model_idx), .key = "model", .type = EI_FIELD_MODEL, .only = BIT(EI_SPEC_STAGE_NN),
     .doc = "Network, by its name under models."},
    {.context = EI_CONTEXT_STAGE, .key = "lane", .type = EI_FIELD_LANE, .only = BIT(EI_SPEC_STAGE_NN),
     .doc = "Where it runs, by its name under lanes; a list of names, or any for all lanes of the file: each job takes the "
            "first that is free, or queues for the one where the fewest go before it. Lanes of a list have the same cpus."},
    {STAGE_AT(budget_ns), .key = "budget", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "none",
     .lo = EI_NS_PER_US, .hi = 3600 * EI_NS_PER_S,
     .doc = "Processor time that a job may take in the stage, of a network on a GPU the time of its blocks; the sum over "
            "the stages must not exceed the deadline."},
    {STAGE_AT(timeout_ns), .key = "timeout", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "none",
     .lo = EI_NS_PER_US, .hi = 3600 * EI_NS_PER_S,
     .doc = "Longest time from the stage's beginning to its end, waits for processor and lane included."},

    {WORK_AT(spin_ns), .key = "spin", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "none",
     .lo = EI_NS_PER_US, .hi = 60 * EI_NS_PER_S, .doc = "Processor time to use up."},

    {SLO_AT(max_miss_ratio), .key = "max_miss_ratio", .type = EI_FIELD_RATIO, .none_text = "none", .computed = "none",
     .lo = 0, .hi = 100, .doc = "Share of jobs that may miss: finished late, skipped, dropped or aborted."},
    {.context = EI_CONTEXT_SLO, .key = "mk", .type = EI_FIELD_MK, .none_text = "none", .computed = "none", .lo = 0, .hi = 10000,
     .doc = "[m, k]: at most m misses in any k jobs in a row, 0 <= m < k."},
    {SLO_AT(p50_response_ns), .key = "p50_response", .type = EI_FIELD_DURATION, .none_text = "none",
     .computed = "none", .lo = 1, .hi = 3600 * EI_NS_PER_S, .doc = "Median response time, at most."},
    {SLO_AT(p99_response_ns), .key = "p99_response", .type = EI_FIELD_DURATION, .none_text = "none",
     .computed = "none", .lo = 1, .hi = 3600 * EI_NS_PER_S, .doc = "99th percentile of the response time, at most."},
    {SLO_AT(p999_response_ns), .key = "p999_response", .type = EI_FIELD_DURATION, .none_text = "none",
     .computed = "none", .lo = 1, .hi = 3600 * EI_NS_PER_S, .doc = "99.9th percentile of the response time, at most."},
    {SLO_AT(min_accuracy), .key = "min_accuracy", .type = EI_FIELD_RATIO, .none_text = "none", .computed = "none",
     .lo = 0, .hi = 100, .doc = "Share of delivered answers that are right, at least; needs a labelled input."},
    {SLO_AT(min_coverage), .key = "min_coverage", .type = EI_FIELD_RATIO, .none_text = "none", .computed = "none",
     .lo = 0, .hi = 100, .doc = "Share of jobs that deliver an answer, at least."},

    {OUTPUTS_AT(dir), .key = "dir", .type = EI_FIELD_TEXT, .default_text = "out/{name}-{time}",
     .doc = "Folder for the results, made when missing; {name} is the workload's name, {time} the time of the start."},
    {OUTPUTS_AT(jobs), .key = "jobs", .type = EI_FIELD_WORD, .words = jobs_words, .default_text = "csv",
     .doc = "Whether a line per job is written to jobs.csv."},
    {OUTPUTS_AT(stages), .key = "stages", .type = EI_FIELD_WORD, .words = stages_words, .default_text = "csv",
     .doc = "Whether a line per stage and per network block is written to stages.csv."},
    {OUTPUTS_AT(hist), .key = "hist", .type = EI_FIELD_WORD, .words = hist_words, .default_text = "hlog",
     .doc = "Whether the histograms of the run are written to latency.hlog."},
    {OUTPUTS_AT(trace), .key = "trace", .type = EI_FIELD_TRACE, .words = trace_words, .child = EI_CONTEXT_TRACE,
     .default_text = "none",
     .doc = "A timeline of jobs, stages, blocks, exits and preemptions for Perfetto (ui.perfetto.dev): of the whole run "
            "(perfetto) in trace.pftrace, or of its interesting parts: {last: 30s, save_on: miss}."},
    {OUTPUTS_AT(metrics), .key = "metrics", .type = EI_FIELD_TEXT, .default_text = "none", .none_text = "none",
     .doc = "Where einet run serves its live figures over HTTP, as text for Prometheus under /metrics and a word under "
            "/healthz: an address of this machine alone with a port, such as \"127.0.0.1:9464\"; port 0 takes any that "
            "is free, and the run says which."},

    {TRACE_AT(format), .key = "format", .type = EI_FIELD_WORD, .words = trace_format_words, .default_text = "perfetto",
     .doc = "Of the file."},
    {TRACE_AT(last_ns), .key = "last", .type = EI_FIELD_DURATION, .none_text = "none", .computed = "the whole run",
     .lo = 10 * EI_NS_PER_MS, .hi = 3600 * EI_NS_PER_S,
     .doc = "Keep the newest records of so long a time in memory, 32 MiB at most, and write only these."},
    {TRACE_AT(save_on), .key = "save_on", .type = EI_FIELD_WORD, .words = save_words, .default_text = "always",
     .doc = "always: at the end of the run, to trace.pftrace. miss: whenever a deadline was missed or a job did not run, "
            "three quarters of that time before it and one after, to trace-1.pftrace and so on."},
};
/* clang-format on */

const int32_t ei_field_count = (int32_t)(sizeof ei_fields / sizeof ei_fields[0]);

int32_t ei_field_next(enum ei_context context, int32_t from)
{
    for (int32_t i = from; i < ei_field_count; i++) {
        if (ei_fields[i].context == context) {
            return i;
        }
    }
    return -1;
}

const struct ei_field *ei_field_find(enum ei_context context, const char *key, int32_t value)
{
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        if (strcmp(ei_fields[i].key, key) == 0 && ei_field_is_for(&ei_fields[i], value)) {
            return &ei_fields[i];
        }
    }
    return NULL;
}

bool ei_field_is_of_pictures(const struct ei_field *field)
{
    return field->context == EI_CONTEXT_INPUT && (field->offset == offsetof(struct ei_input_spec, width_px) ||
                                                  field->offset == offsetof(struct ei_input_spec, height_px) ||
                                                  field->offset == offsetof(struct ei_input_spec, channels));
}

const struct ei_field *ei_field_discriminator(enum ei_context context)
{
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        if (ei_fields[i].is_discriminator) {
            return &ei_fields[i];
        }
    }
    return NULL;
}

const char *ei_context_title(enum ei_context context)
{
    static const char *const titles[EI_CONTEXT_COUNT] = {
        [EI_CONTEXT_FILE] = "the file",       [EI_CONTEXT_RUN] = "run",
        [EI_CONTEXT_PLATFORM] = "platform",   [EI_CONTEXT_LANE] = "lane",
        [EI_CONTEXT_MODEL] = "model",         [EI_CONTEXT_EMULATE] = "emulate",
        [EI_CONTEXT_BLOCK] = "block",         [EI_CONTEXT_LOGNORMAL] = "lognormal",
        [EI_CONTEXT_SCHEDULER] = "scheduler", [EI_CONTEXT_PLANNER] = "planner",
        [EI_CONTEXT_TASK] = "task",           [EI_CONTEXT_ARRIVAL] = "arrival",
        [EI_CONTEXT_LATE] = "late_release",   [EI_CONTEXT_INPUT] = "input",
        [EI_CONTEXT_TOPICS] = "outputs",      [EI_CONTEXT_STAGE] = "stage",
        [EI_CONTEXT_WORK] = "work",           [EI_CONTEXT_SLO] = "slo",
        [EI_CONTEXT_OUTPUTS] = "outputs",     [EI_CONTEXT_TRACE] = "trace",
    };
    return titles[context];
}
