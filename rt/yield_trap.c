#include "rt/yield_trap.h"

#if defined(__x86_64__)

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SLEEP_NS 50000

/* What the kernel takes, as opposed to libc. Given to it directly: a sanitizer's sigaction would put its own handler
 * before ours, and that may want the very lock on which the thread spins. */
struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#define KERNEL_SA_RESTORER 0x04000000UL

void ei_yield_trap_return(void); /* the end of the handler: rt_sigreturn */
__asm__(".pushsection .text\n"
        ".type ei_yield_trap_return, @function\n"
        "ei_yield_trap_return:\n"
        "    mov $15, %eax\n"
        "    syscall\n"
        ".popsection\n");

static void on_trap(int signal, siginfo_t *info, void *context)
{
    const struct timespec sleep = {.tv_nsec = SLEEP_NS};
    int64_t rc;
    (void)signal;
    (void)info;
    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "a"((int64_t)SYS_nanosleep), "D"(&sleep), "S"(NULL)
                     : "rcx", "r11", "memory");
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 0;
}

void ei_yield_trap_set(void)
{
    static _Thread_local bool is_set; /* the kernel would stack a second filter upon the first */
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof steps / sizeof steps[0], .filter = steps};
    const struct kernel_sigaction action = {
        .handler = on_trap, .flags = SA_SIGINFO | SA_RESTART | KERNEL_SA_RESTORER, .restorer = ei_yield_trap_return};
    if (is_set) {
        return;
    }
    is_set = true;
    if (syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, sizeof action.mask) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
    }
}

#else

void ei_yield_trap_set(void)
{
}

#endif
