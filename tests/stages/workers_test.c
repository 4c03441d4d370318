/* Where OpenMP workers run, read back from the kernel. Workers are made by the libraries that compute, so the cases
 * skip without them.
 */
#include "stages/workers.h"

#include "rt/cpuset.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include "stages/environment.h"
#include "stages/nn/network.h"
#include "tests/harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEIGHTS "models/pretrained/b-alexnet-mnist.safetensors"

static struct ei_network *open_or_skip(enum ei_network_backend_kind backend, int32_t threads)
{
    const struct ei_network_zoo_config config = {
        .zoo = "b-alexnet", .weights_path = WEIGHTS, .threads = threads, .backend = backend};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    if (ei_network_open_zoo(&config, &net, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    return net;
}

static void run(struct ei_network *net, const float *input, float *out_logits)
{
    EI_EQ(ei_network_begin(net, input, -1, -1), 0);
    for (int32_t b = 0; b < ei_network_info(net)->exits; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        EI_EQ(ei_network_run_branch(net, b, out_logits + b * 10), 0);
    }
    ei_network_end(net);
}

/* The line "Cpus_allowed_list:" of a thread. */
static void read_cpus(const char *tid, char *out, size_t size_bytes)
{
    char path[300], line[300];
    out[0] = '\0';
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", tid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Cpus_allowed_list:", 18) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out, size_bytes, "%.20s", line + 19);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Where and how a thread runs: "1 fifo 40". */
static void describe(int tid, char *out, size_t size_bytes)
{
    char name[20], cpus[24];
    struct sched_param param = {0};
    snprintf(name, sizeof name, "%d", tid);
    read_cpus(name, cpus, sizeof cpus);
    (void)sched_getparam(tid, &param);
    snprintf(out, size_bytes, "%s %s %d", cpus, sched_getscheduler(tid) == SCHED_FIFO ? "fifo" : "other",
             param.sched_priority);
}

struct team {
    struct ei_openmp runtime;
    atomic_int count, tid[EI_WORKERS_MAX];
};

static void take_number(void *context)
{
    struct team *team = context;
    team->tid[team->runtime.thread_num()] = (int)ei_thread_self_tid();
    team->count++;
}

/* The threads that compute with the calling one. */
static void look(struct team *team, int32_t threads)
{
    struct ei_openmp runtimes[EI_OPENMP_MAX];
    EI_EQ(ei_environment_openmp(runtimes), 1);
    team->runtime = runtimes[0];
    team->runtime.parallel(take_number, team, (unsigned)threads, 0);
}

struct job {
    enum ei_network_backend_kind backend;
    struct ei_workers_config place;
    struct ei_network *net;
    int rc;
};

/* What a job thread does: enters, warms up, becomes what it will be, is placed, runs. */
static void *run_job(void *arg)
{
    struct job *job = arg;
    static float input[32 * 32], logits[30];
    static struct team before, team;
    struct einet_error err = {0};
    char found[40], expected[40];
    EI_EQ(ei_network_thread_enter(job->net), 0);
    run(job->net, input, logits);
    look(&before, job->place.threads);
    if (job->place.is_fifo && ei_thread_become_fifo(job->place.priority, &err) != 0) {
        job->rc = EINET_E_PRIVILEGE;
        return NULL;
    }
    EI_TRUEF(ei_workers_place(&job->place, &err) == 0, "%s", err.text);
    run(job->net, input, logits);
    look(&team, job->place.threads);
    EI_EQ(team.count, job->place.threads);
    EI_EQ(team.tid[0], ei_thread_self_tid());
    for (int32_t i = 0; i < job->place.threads; i++) {
        EI_EQ(team.tid[i], before.tid[i]); /* the same that the network warmed up */
        describe(team.tid[i], found, sizeof found);
        snprintf(expected, sizeof expected, "%d %s %d", job->place.cpus[i], job->place.is_fifo ? "fifo" : "other",
                 job->place.is_fifo ? job->place.priority : 0);
        EI_STREQ(found, expected);
    }
    return NULL;
}

/* The first two CPUs of this process, or skip. */
static void two_cpus(int32_t out[2])
{
    struct ei_thread_state self;
    EI_EQ(ei_thread_read(0, &self), 0);
    out[0] = ei_cpuset_next(&self.cpus, 0);
    out[1] = ei_cpuset_next(&self.cpus, out[0] + 1);
    if (out[1] < 0) {
        ei_test_skip("this process has one CPU");
    }
}

static void expect_placed(enum ei_network_backend_kind backend, bool is_fifo)
{
    int32_t cpus[2];
    two_cpus(cpus);
    struct job job = {.place = {.threads = 2, .is_fifo = is_fifo, .priority = is_fifo ? 12 : 0}};
    job.place.cpus[0] = cpus[1]; /* the other way round: inherited it would be wrong */
    job.place.cpus[1] = cpus[0];
    job.net = open_or_skip(backend, 2);
    pthread_t thread;
    EI_EQ(pthread_create(&thread, NULL, run_job, &job), 0);
    pthread_join(thread, NULL);
    ei_network_destroy(job.net);
    if (job.rc == EINET_E_PRIVILEGE) {
        ei_test_skip("this process may not use SCHED_FIFO");
    }
}

EI_TEST(workers_of_dnnl_are_where_they_were_asked_for)
{
    expect_placed(EI_NETWORK_DNNL, false);
}

EI_TEST(workers_of_aten_are_where_they_were_asked_for)
{
    expect_placed(EI_NETWORK_ATEN, false);
}

EI_TEST(workers_have_policy_and_priority_of_their_thread)
{
    expect_placed(EI_NETWORK_DNNL, true);
}

static void nothing(void *context)
{
    (void)context;
}

/* A region of two ends the third worker; the one that comes in its place is put where that was. Two of the three share
 * a CPU here, which is nothing for a lane, but enough to see who is where. */
static void *lose_a_worker(void *arg)
{
    const struct job *job = arg;
    static struct team team;
    char found[40], expected[40];
    struct einet_error err = {0};
    EI_EQ(ei_network_thread_enter(job->net), 0);
    EI_TRUEF(ei_workers_place(&job->place, &err) == 0, "%s", err.text);
    look(&team, 3);
    team.runtime.parallel(nothing, NULL, 2, 0);
    ei_workers_keep();
    look(&team, 3);
    for (int32_t i = 0; i < 3; i++) {
        describe(team.tid[i], found, sizeof found);
        snprintf(expected, sizeof expected, "%d other 0", job->place.cpus[i]);
        EI_STREQ(found, expected);
    }
    return NULL;
}

EI_TEST(workers_that_come_later_are_placed_too)
{
    int32_t cpus[2];
    two_cpus(cpus);
    struct job job = {.place = {.threads = 3}, .net = open_or_skip(EI_NETWORK_DNNL, 3)};
    job.place.cpus[0] = cpus[0];
    job.place.cpus[1] = cpus[1];
    job.place.cpus[2] = cpus[1];
    pthread_t thread;
    EI_EQ(pthread_create(&thread, NULL, lose_a_worker, &job), 0);
    pthread_join(thread, NULL);
    ei_network_destroy(job.net);
}

EI_TEST(what_cannot_be_placed_is_refused)
{
    struct einet_error err = {0};
    struct ei_workers_config config = {.threads = 1};
    EI_EQ(ei_workers_place(&config, &err), 0);
    config.threads = EI_WORKERS_MAX + 1;
    EI_EQ(ei_workers_place(&config, &err), EINET_E_USAGE);
    config = (struct ei_workers_config){.threads = 2, .cpus = {0, -1}};
    EI_EQ(ei_workers_place(&config, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "there is no CPU -1");
    config.cpus[1] = 0;
    EI_EQ(ei_workers_place(&config, &err), EINET_E_BACKEND); /* nothing is loaded */
    EI_CONTAINS(err.text, "no OpenMP runtime is loaded");
    EI_EQ(setenv("OMP_WAIT_POLICY", "active", 1), 0);
    EI_EQ(ei_workers_place(&config, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "OpenMP workers would spin while they wait: unset OMP_WAIT_POLICY");
}

/* Two threads compute what one does, but for the order of additions. */
EI_TEST(two_threads_answer_as_one)
{
    static float input[32 * 32], one[30], two[30];
    for (int i = 0; i < 32 * 32; i++) {
        input[i] = (float)(i % 37) / 18.0F - 1.0F;
    }
    struct ei_network *single = open_or_skip(EI_NETWORK_DNNL, 1);
    EI_EQ(ei_network_thread_enter(single), 0);
    run(single, input, one);
    struct ei_network *pair = open_or_skip(EI_NETWORK_DNNL, 2);
    EI_EQ(ei_network_thread_enter(pair), 0);
    run(pair, input, two);
    for (int i = 0; i < 30; i++) {
        EI_NEAR(two[i], one[i], 1e-4 * fmax(1.0, fabs((double)one[i])));
    }
    ei_network_destroy(single);
    ei_network_destroy(pair);
}

EI_MAIN()
