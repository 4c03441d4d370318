/* A network of this program, as blocks and exits that it computes itself: it says which of four tones a microphone
 * hears. Each block looks at more of the sound, so each exit is surer than the one before. The run plans its exits,
 * lets a control loop have the lane between two blocks, and answers with the last exit that was reached.
 *
 * usage: own_network [MILLISECONDS]
 */
#include <einet/einet.h>

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 4
#define TONES 4
#define SAMPLES_PER_BLOCK 1200
#define PI 3.14159265358979
#define NOISE_POWER 12.0 /* of numbers spread evenly over 12 */

/* The blocks stand in the workload with the times and scores that simulation and analysis shall reckon with. */
static const char workload_text[] =
    "version: 1\n"
    "name: own-network\n"
    "lanes: { lane: { kind: cpu } }\n"
    "models:\n"
    "  ear: { emulate: { blocks: [ { conv: 300us, branch: 1us, score: 0.5 }, { conv: 300us, branch: 1us, score: 0.7 "
    "},\n"
    "                              { conv: 300us, branch: 1us, score: 0.8 }, { conv: 300us, branch: 1us, score: 0.9 } "
    "] } }\n"
    "  quick: { emulate: { blocks: [ { conv: 200us, branch: 10us, score: 0.9 } ] } }\n"
    "tasks:\n"
    "  - { name: hear, arrival: { model: periodic, period: 20ms }, deadline: 15ms, priority: 40,\n"
    "      stages: [ { name: ear, kind: nn, model: ear, lane: lane } ] }\n"
    "  - { name: brake, arrival: { model: periodic, period: 10ms, offset: 700us }, deadline: 5ms, priority: 70,\n"
    "      stages: [ { name: see, kind: nn, model: quick, lane: lane } ] }\n";

/* The instance of one task: what a block leaves for the next. Jobs of a task are in it one after the other. */
struct ear {
    uint32_t noise;
    int tone;  /* that this job hears */
    int heard; /* samples */
    double re[TONES], im[TONES];
};

static int open_ear(void *context, void **out_instance)
{
    struct ear *ear = calloc(1, sizeof *ear);
    (void)context;
    *out_instance = ear;
    return ear != NULL ? 0 : -12; /* -ENOMEM */
}

static void close_ear(void *instance)
{
    free(instance);
}

static int begin(void *instance, const struct einet_job *job, const float *input_chw)
{
    struct ear *ear = instance;
    (void)input_chw;
    ear->tone = job != NULL ? (int)(job->job_idx % TONES) : 0;
    ear->heard = 0;
    memset(ear->re, 0, sizeof ear->re);
    memset(ear->im, 0, sizeof ear->im);
    return 0;
}

/* A tone under much noise. */
static double sample(struct ear *ear)
{
    ear->noise = ear->noise * 1664525U + 1013904223U;
    return 0.3 * sin(2 * PI * (ear->tone + 1) * ear->heard / 100) + ((double)ear->noise / 4294967296.0 - 0.5) * 12;
}

static int run_block(void *instance, int32_t block_idx)
{
    struct ear *ear = instance;
    (void)block_idx;
    for (int i = 0; i < SAMPLES_PER_BLOCK; i++, ear->heard++) {
        const double heard = sample(ear);
        for (int t = 0; t < TONES; t++) {
            const double phase = 2 * PI * (t + 1) * ear->heard / 100;
            ear->re[t] += heard * cos(phase);
            ear->im[t] += heard * sin(phase);
        }
    }
    return 0;
}

/* How loud each tone is beside the noise, as logits; the run makes probabilities of them. */
static int run_exit(void *instance, int32_t exit_idx, float *out_scores, float *out_confidence)
{
    const struct ear *ear = instance;
    (void)exit_idx;
    (void)out_confidence; /* the probability of the loudest will do */
    for (int t = 0; t < TONES; t++) {
        out_scores[t] = (float)((ear->re[t] * ear->re[t] + ear->im[t] * ear->im[t]) / (ear->heard * NOISE_POWER));
    }
    return 0;
}

/* The callback thread's. */
struct tally {
    atomic_int exits[BLOCKS], right, answered, preempted, jobs;
};

static void count(void *context, const struct einet_result *result)
{
    struct tally *tally = context;
    if (result->task_idx != 0) {
        return;
    }
    atomic_fetch_add(&tally->jobs, 1);
    atomic_fetch_add(&tally->preempted, (result->flags & EINET_RESULT_PREEMPTED) != 0);
    if ((result->flags & EINET_RESULT_ANSWERED) != 0) {
        atomic_fetch_add(&tally->answered, 1);
        atomic_fetch_add(&tally->exits[result->answer.exit_idx], 1);
        atomic_fetch_add(&tally->right, result->answer.label == (int32_t)(result->job_idx % TONES));
    }
}

static int play(struct einet_run *run, const struct einet_network *network, struct einet_error *err)
{
    int rc = einet_run_set_network(run, 0, network, err);
    if (rc == 0) {
        rc = einet_run_start(run, err);
    }
    return rc == 0 ? einet_run_wait(run, -1, err) : rc;
}

int main(int argc, char **argv)
{
    const int ms = argc > 1 ? atoi(argv[1]) : 2000;
    struct tally tally = {0};
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_callbacks callbacks = {0};
    struct einet_run_options options = {0};
    struct einet_network network = {0};
    callbacks.size_bytes = sizeof callbacks;
    callbacks.context = &tally;
    callbacks.on_result = count;
    options.size_bytes = sizeof options;
    options.duration_ns = (int64_t)ms * 1000000;
    options.callbacks = &callbacks;
    network.size_bytes = sizeof network;
    network.exits = BLOCKS;
    network.classes = TONES;
    network.open = open_ear;
    network.close = close_ear;
    network.begin = begin;
    network.run_block = run_block;
    network.run_exit = run_exit;

    int rc = einet_workload_parse(workload_text, strlen(workload_text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = play(run, &network, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        const int jobs = atomic_load(&tally.jobs), answered = atomic_load(&tally.answered);
        printf("%d jobs, %d answered at exits", jobs, answered);
        for (int k = 0; k < BLOCKS; k++) {
            printf(" %d", atomic_load(&tally.exits[k]));
        }
        printf(", %d of them right, %d preempted\n", atomic_load(&tally.right), atomic_load(&tally.preempted));
        printf("an answer of its own network: %s\n", jobs > 0 && answered > 0 ? "yes" : "no");
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
