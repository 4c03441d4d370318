/* An egress of the pool "play" as einet-dds has one, whose process is stopped (SIGSTOP) at one moment that nobody
 * could hit from outside: when its thread has decided that a message may go out, and gives it to the network. Whatever
 * it does when it goes on, that message is the first thing.
 *
 * usage: stopping_egress DOMAIN
 *
 * SIGUSR1: at the next message. With UNFENCED in the environment nothing keeps it from going on.
 */
#include <einet/pool.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_bool is_asked;

static void ask(int number)
{
    (void)number;
    atomic_store(&is_asked, true);
}

/* Of the thread of the egress, what is long enough to be a status or a classification, and not a claim. */
static bool is_message(const struct msghdr *message)
{
    char name[16] = "";
    size_t bytes = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        bytes += message->msg_iov[i].iov_len;
    }
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    return strcmp(name, "dds_egress") == 0 && bytes >= 160;
}

/* In place of that of the C library, for CycloneDDS as well. */
__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (is_message(message) && atomic_exchange(&is_asked, false)) {
        (void)raise(SIGSTOP);
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

static void end_unwritten(void)
{
    _exit(5);
}

int main(int argc, char **argv)
{
    struct einet_error err = {0};
    struct einet_dds_egress *egress = NULL;
    if (argc < 2) {
        return 1;
    }
    const bool is_fenced = getenv("UNFENCED") == NULL;
    const struct einet_dds_egress_options options = {.size_bytes = sizeof options,
                                                     .domain = atoi(argv[1]),
                                                     .config = getenv("CYCLONEDDS_URI"),
                                                     .pool = "play",
                                                     .fence_signal = SIGRTMIN,
                                                     .on_fence = is_fenced ? end_unwritten : NULL};
    (void)signal(SIGUSR1, ask);
    if (einet_dds_egress_create(&options, &egress, &err) < 0) {
        fprintf(stderr, "stopping_egress: %s\n", err.text);
        return 1;
    }
    fputs("running\nstanding by\n", stdout);
    fflush(stdout);
    for (int32_t was_active = 0;;) {
        const int32_t is_active = einet_dds_egress_is_active(egress);
        if (is_active != was_active) {
            fputs(is_active ? "active\n" : "standing by\n", stdout);
            fflush(stdout);
        }
        was_active = is_active;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}
