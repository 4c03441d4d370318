/* What a lane keeps up: memory over many inferences, two lanes at once beside one, two threads in a block beside one.
 *
 * usage: bench_sustain growth|pair|threads NETWORK [--backend aten|dnnl] [--runs N] [--rounds N] [--cpus A,B]
 *        NETWORK: a weight file, or a name of the zoo, which then gets random weights
 *
 * growth   page faults and heap of N inferences (default 100000) after 200 to warm up
 * pair     two lanes on CPUs A and B (default 0,1): each alone, then both at once, in turns; the sum of their speeds
 *          against one alone
 * threads  one thread on CPU B beside two on B and A, in turns
 *
 * Turns are of about 150 ms each, so that what else the machine does falls on all alike. Of each side a turn's value is
 * its median inference, of a round the best turn's; ratios are of these, over all rounds lowest to highest.
 */
#include "bench/random_weights.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "stages/environment.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "stages/workers.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WARM_UP_RUNS 200
#define TURN_NS (150 * EI_NS_PER_MS)
#define TURNS 5 /* a round */
#define SAMPLES_MAX 4096
#define PRIORITY 60

struct request {
    const char *mode, *weights;
    enum ei_network_backend_kind backend;
    int32_t runs, rounds, cpus[2];
};

/* A lane: its network, and the thread that runs it when it is told to. */
struct side {
    const char *name;
    struct ei_network *net;
    struct ei_workers_config place;
    bool is_fifo;
    float *input, *logits;
    int64_t samples_ns[SAMPLES_MAX];
    int32_t sample_count;
    sem_t go, done;
    bool is_over, is_broken;
};

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int run_once(const struct side *side)
{
    const struct ei_network_info *info = ei_network_info(side->net);
    int rc = ei_network_begin(side->net, side->input, -1, -1);
    for (int32_t b = 0; rc == 0 && b < info->exits; b++) {
        rc = ei_network_run_conv(side->net, b);
        if (rc == 0) {
            rc = ei_network_run_branch(side->net, b, side->logits + (size_t)b * (size_t)info->classes);
        }
    }
    ei_network_end(side->net);
    return rc;
}

static int open_side(struct side *side, const struct request *r, int32_t threads)
{
    struct einet_error err = {0};
    struct ei_safetensors *file;
    char zoo[64] = "";
    int rc = ei_safetensors_open(r->weights, &file, &err);
    if (rc == 0) {
        const char *name = ei_safetensors_metadata(file, "zoo");
        snprintf(zoo, sizeof zoo, "%s", name != NULL ? name : "");
        ei_safetensors_close(file);
        const struct ei_network_zoo_config config = {
            .zoo = zoo, .weights_path = r->weights, .threads = threads, .backend = r->backend};
        rc = ei_network_open_zoo(&config, &side->net, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "bench_sustain: %s %s\n", err.file, err.text);
        return rc;
    }
    const struct ei_network_info *info = ei_network_info(side->net);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    side->input = calloc(pixels, sizeof *side->input);
    side->logits = calloc((size_t)info->exits * (size_t)info->classes, sizeof *side->logits);
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    for (size_t i = 0; side->input != NULL && i < pixels; i++) {
        side->input[i] = (float)ei_random_normal(&rng);
    }
    return side->input != NULL && side->logits != NULL ? 0 : -1;
}

static void close_side(struct side *side)
{
    ei_network_destroy(side->net);
    free(side->input);
    free(side->logits);
}

/* ---- growth ---- */

static int measure_growth(const struct request *r)
{
    static struct side side;
    int rc = open_side(&side, r, 1);
    rc = rc != 0 ? rc : ei_network_thread_enter(side.net);
    for (int32_t i = 0; rc == 0 && i < WARM_UP_RUNS; i++) {
        rc = run_once(&side);
    }
    struct rusage before = {0}, after = {0};
    const struct mallinfo2 heap = mallinfo2();
    const int64_t start_ns = ei_mono_now().ns;
    (void)getrusage(RUSAGE_SELF, &before);
    for (int32_t i = 0; rc == 0 && i < r->runs; i++) {
        rc = run_once(&side);
    }
    (void)getrusage(RUSAGE_SELF, &after);
    const struct mallinfo2 end = mallinfo2();
    if (rc == 0) {
        printf("%s on %s, %d inferences of every exit in %.1f s\n", ei_network_info(side.net)->name,
               ei_network_info(side.net)->backend, r->runs, (double)(ei_mono_now().ns - start_ns) / 1e9);
        printf("page faults: %ld minor, %ld major\n", after.ru_minflt - before.ru_minflt,
               after.ru_majflt - before.ru_majflt);
        printf("heap: %+lld bytes in use, %+lld bytes from the system\n",
               (long long)end.uordblks - (long long)heap.uordblks,
               (long long)(end.arena + end.hblkhd) - (long long)(heap.arena + heap.hblkhd));
    }
    close_side(&side);
    return rc;
}

/* ---- turns ---- */

static void *serve(void *arg)
{
    struct side *side = arg;
    struct einet_error err = {0};
    int rc = ei_network_thread_enter(side->net);
    for (int32_t i = 0; rc == 0 && i < 20; i++) {
        rc = run_once(side);
    }
    side->is_fifo = ei_thread_become_fifo(PRIORITY, &err) == 0;
    side->place.is_fifo = side->is_fifo;
    side->place.priority = side->is_fifo ? PRIORITY : 0;
    if (rc == 0 && side->place.threads == 1) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((size_t)side->place.cpus[0], &cpus);
        rc = sched_setaffinity(0, sizeof cpus, &cpus);
    } else if (rc == 0) {
        rc = ei_workers_place(&side->place, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "bench_sustain: %s %s\n", err.text, ei_network_fault_text(side->net));
    }
    side->is_broken = rc != 0;
    sem_post(&side->done);
    for (;;) {
        while (sem_wait(&side->go) != 0) {
        }
        if (side->is_over) {
            return NULL;
        }
        const int64_t end_ns = ei_mono_now().ns + TURN_NS;
        side->sample_count = 0;
        for (int64_t now_ns = ei_mono_now().ns; now_ns < end_ns && side->sample_count < SAMPLES_MAX;) {
            rc = run_once(side);
            const int64_t then_ns = now_ns;
            now_ns = ei_mono_now().ns;
            side->samples_ns[side->sample_count++] = now_ns - then_ns;
            side->is_broken = side->is_broken || rc != 0;
        }
        sem_post(&side->done);
    }
}

/* Let some of the sides run for one turn, at once; their medians in us. A rest follows, or Linux would stall them. */
static void take_turn(struct side *sides, const bool *is_on, double *out_us)
{
    for (int i = 0; i < 2; i++) {
        if (is_on[i]) {
            sem_post(&sides[i].go);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (is_on[i]) {
            while (sem_wait(&sides[i].done) != 0) {
            }
            qsort(sides[i].samples_ns, (size_t)sides[i].sample_count, sizeof(int64_t), compare_ns);
            const double us = (double)sides[i].samples_ns[sides[i].sample_count / 2] / 1e3;
            out_us[i] = us < out_us[i] || out_us[i] <= 0.0 ? us : out_us[i];
        }
    }
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), TURN_NS / 5));
}

struct spread {
    double lowest, highest, sum;
    int32_t count;
};

static void add(struct spread *s, double value)
{
    s->lowest = s->count == 0 || value < s->lowest ? value : s->lowest;
    s->highest = s->count == 0 || value > s->highest ? value : s->highest;
    s->sum += value;
    s->count++;
}

static void take_rounds(struct side *sides, const struct request *r, bool is_pair)
{
    static const bool turns[3][2] = {{true, false}, {false, true}, {true, true}};
    struct spread ratio = {0}, first = {0}, second = {0};
    for (int32_t round = 0; round < r->rounds; round++) {
        double alone[2] = {0}, together[2] = {0};
        for (int t = 0; t < TURNS; t++) {
            take_turn(sides, turns[0], alone);
            take_turn(sides, turns[1], alone);
            if (is_pair) {
                take_turn(sides, turns[2], together);
            }
        }
        add(&first, alone[0]);
        add(&second, alone[1]);
        add(&ratio, is_pair ? alone[0] / together[0] + alone[1] / together[1] : alone[0] / alone[1]);
    }
    const struct ei_network_info *info = ei_network_info(sides[0].net);
    printf("%s on %s, %d rounds of %d turns%s\n", info->name, info->backend, r->rounds, TURNS,
           sides[0].is_fifo ? "" : ", without SCHED_FIFO");
    printf("%-24s %9.1f us (rounds %.1f .. %.1f)\n", sides[0].name, first.sum / first.count, first.lowest,
           first.highest);
    printf("%-24s %9.1f us (rounds %.1f .. %.1f)\n", sides[1].name, second.sum / second.count, second.lowest,
           second.highest);
    printf("%s %.3f (rounds %.3f .. %.3f)\n", is_pair ? "throughput of both at once against one" : "speed-up",
           ratio.sum / ratio.count, ratio.lowest, ratio.highest);
}

static int measure_turns(const struct request *r, bool is_pair)
{
    static struct side sides[2];
    pthread_t threads[2];
    int rc = 0, started = 0;
    for (int i = 0; i < 2; i++) {
        struct side *side = &sides[i];
        side->name =
            is_pair ? (i == 0 ? "first lane alone" : "second lane alone") : (i == 0 ? "one thread" : "two threads");
        side->place = (struct ei_workers_config){.threads = is_pair || i == 0 ? 1 : 2};
        side->place.cpus[0] = is_pair ? r->cpus[i] : r->cpus[1];
        side->place.cpus[1] = r->cpus[0];
        rc = rc != 0 ? rc : open_side(side, r, side->place.threads);
        sem_init(&side->go, 0, 0);
        sem_init(&side->done, 0, 0);
    }
    for (; rc == 0 && started < 2; started++) {
        rc = pthread_create(&threads[started], NULL, serve, &sides[started]);
        while (rc == 0 && sem_wait(&sides[started].done) != 0) {
        }
    }
    if (rc == 0 && !sides[0].is_broken && !sides[1].is_broken) {
        take_rounds(sides, r, is_pair);
    }
    for (int i = 0; i < started; i++) {
        sides[i].is_over = true;
        sem_post(&sides[i].go);
        pthread_join(threads[i], NULL);
        rc = sides[i].is_broken ? -1 : rc;
    }
    close_side(&sides[0]);
    close_side(&sides[1]);
    return rc;
}

static bool read_request(int argc, char **argv, struct request *out)
{
    *out = (struct request){.backend = EI_NETWORK_AUTO, .runs = 100000, .rounds = 7, .cpus = {0, 1}};
    if (argc < 3 || argc % 2 == 0) {
        return false;
    }
    out->mode = argv[1];
    out->weights = argv[2];
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--backend") == 0) {
            out->backend = strcmp(value, "aten") == 0 ? EI_NETWORK_ATEN : EI_NETWORK_DNNL;
        } else if (strcmp(argv[i], "--runs") == 0) {
            out->runs = (int32_t)strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--rounds") == 0) {
            out->rounds = (int32_t)strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--cpus") != 0 || sscanf(value, "%d,%d", &out->cpus[0], &out->cpus[1]) != 2) {
            return false;
        }
    }
    return out->runs > 0 && out->rounds > 0;
}

int main(int argc, char **argv)
{
    struct request r;
    (void)ei_environment_apply(argv);
    const bool is_read = read_request(argc, argv, &r);
    (void)ei_memory_tune_malloc();
    int rc = -1;
    char path[64];
    snprintf(path, sizeof path, "bench_sustain.%d.safetensors", (int)getpid());
    const bool is_random = is_read && bench_is_of_zoo(r.weights);
    if (is_random && bench_write_random_weights(r.weights, path) != 0) {
        return 2;
    }
    r.weights = is_random ? path : r.weights;
    if (is_read && strcmp(r.mode, "growth") == 0) {
        rc = measure_growth(&r);
    } else if (is_read && (strcmp(r.mode, "pair") == 0 || strcmp(r.mode, "threads") == 0)) {
        rc = measure_turns(&r, strcmp(r.mode, "pair") == 0);
    } else {
        fprintf(stderr,
                "usage: bench_sustain growth|pair|threads NETWORK [--backend aten|dnnl] [--runs N] [--rounds N] "
                "[--cpus A,B]\n");
        rc = -1;
    }
    if (is_random) {
        (void)unlink(path);
    }
    return rc == 0 ? 0 : 5;
}
