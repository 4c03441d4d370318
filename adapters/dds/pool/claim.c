/* See claim.h. */
#include "adapters/dds/pool/claim.h"

#include "pool/pool.h"
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#ifndef sigev_notify_thread_id /* of Linux; older C libraries have no name for it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Of who would have the turn, and of who has it. */
enum { STRENGTH_CLAIMING = 1, STRENGTH_ACTIVE };

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int ei_pool_claim_open(struct ei_pool_claim *claim, const struct ei_pool_ends *ends, dds_entity_t participant,
                       struct einet_error *err)
{
    int rc = ei_pool_open_claim_reader(ends, participant, &claim->reader, err);
    rc = rc < 0 ? rc : ei_pool_open_claim_writer(ends, participant, &claim->writer, err);
    if (rc < 0) {
        return rc;
    }
    claim->condition = dds_create_readcondition(claim->reader, DDS_NOT_READ_SAMPLE_STATE | DDS_ANY_VIEW_STATE |
                                                                   DDS_ANY_INSTANCE_STATE);
    (void)dds_get_instance_handle(claim->writer, &claim->ours);
    ei_pool_turn_init(&claim->turn, ends->lease_ns, now_ns());
    return 0;
}

/* ---- the fence ---- */

static void on_signal(int number, siginfo_t *info, void *context)
{
    struct ei_pool_claim *claim = info->si_value.sival_ptr;
    const int error = errno;
    (void)number;
    (void)context;
    if (info->si_code == SI_TIMER && atomic_load(&claim->is_writing) && now_ns() >= atomic_load(&claim->ends_ns)) {
        claim->on_fence();
    }
    errno = error;
}

int ei_pool_claim_fence(struct ei_pool_claim *claim, int signal_number, void (*on_fence)(void))
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_number};
    sigset_t wanted;
    if (on_fence == NULL) {
        return 0;
    }
    action.sa_sigaction = on_signal;
    event.sigev_value.sival_ptr = claim;
    event.sigev_notify_thread_id = gettid();
    claim->on_fence = on_fence;
    sigemptyset(&wanted);
    sigaddset(&wanted, signal_number);
    if (sigaction(signal_number, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, &claim->timer) < 0) {
        return -errno;
    }
    claim->has_timer = true;
    return -pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
}

void ei_pool_claim_unfence(struct ei_pool_claim *claim)
{
    if (claim->has_timer) {
        (void)timer_delete(claim->timer);
        claim->has_timer = false;
    }
}

static void arm(struct ei_pool_claim *claim)
{
    const int64_t ends_ns = claim->turn.claimed_ns + claim->turn.lease_ns;
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(ends_ns / NS_PER_S), .tv_nsec = (long)(ends_ns % NS_PER_S)}};
    atomic_store(&claim->ends_ns, ends_ns);
    if (claim->has_timer) {
        (void)timer_settime(claim->timer, TIMER_ABSTIME, &when, NULL);
    }
}

bool ei_pool_claim_begin(struct ei_pool_claim *claim)
{
    atomic_store(&claim->is_writing, true); /* before the look at the clock, so that nothing lies between them */
    if (ei_pool_turn_holds(&claim->turn, now_ns())) {
        return true;
    }
    ei_pool_claim_end(claim);
    return false;
}

void ei_pool_claim_end(struct ei_pool_claim *claim)
{
    atomic_store(&claim->is_writing, false);
}

/* ---- claiming ---- */

static enum ei_pool_owner owner_of(const struct ei_pool_claim *claim)
{
    void *sample = NULL;
    dds_sample_info_t info;
    enum ei_pool_owner owner = EI_POOL_NOBODY;
    if (dds_read(claim->reader, &sample, &info, 1, 1) == 1) {
        if (info.instance_state == DDS_IST_ALIVE && info.valid_data) {
            owner = info.publication_handle == claim->ours ? EI_POOL_OURSELVES : EI_POOL_ANOTHER;
        }
        (void)dds_return_loan(claim->reader, &sample, 1);
    }
    return owner;
}

void ei_pool_claim_leave(struct ei_pool_claim *claim)
{
    const einet_pool_Claim nothing = {.machine = ""};
    if (claim->is_told) {
        (void)dds_unregister_instance(claim->writer, &nothing);
        claim->is_told = false;
    }
}

static void write_claim(struct ei_pool_claim *claim)
{
    const bool is_active = claim->turn.state == EI_POOL_ACTIVE;
    const int32_t strength = is_active ? STRENGTH_ACTIVE : STRENGTH_CLAIMING;
    einet_pool_Claim message = {.process = getpid(), .is_active = is_active};
    if (strength != claim->strength && ei_pool_set_strength(claim->writer, strength)) {
        claim->strength = strength;
    }
    (void)gethostname(message.machine, sizeof message.machine - 1);
    (void)dds_write(claim->writer, &message);
    claim->is_told = true;
}

enum ei_pool_turn_state ei_pool_claim_look(struct ei_pool_claim *claim)
{
    const enum ei_pool_turn_state before = claim->turn.state;
    const int64_t at_ns = now_ns();
    ei_pool_turn_step(&claim->turn, owner_of(claim), at_ns);
    if (ei_pool_turn_claim(&claim->turn, at_ns)) {
        arm(claim);
        write_claim(claim);
    } else if (claim->turn.state != EI_POOL_CLAIMING && claim->turn.state != EI_POOL_ACTIVE) {
        ei_pool_claim_leave(claim);
    }
    return before;
}
