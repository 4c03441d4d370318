/* The guard's watch on system calls: Linux Syscall User Dispatch (5.11, x86-64). While a thread's selector byte is 1
 * the kernel turns each of its system calls into SIGSYS; the handler judges the number, makes the call itself and puts
 * the result where the caller expects it. The handler runs with the selector at 0 on a stack of its own. It must return
 * with the selector at 1, and its return is a system call, too: that one alone comes from the range the kernel lets
 * pass.
 */
#include "tests/realtime/guard_internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* SYS_sched_yield: the hand-off alone. */
const int ei_guard_allowed_calls[] = {SYS_futex,         SYS_clock_nanosleep, SYS_sched_setscheduler,
                                      SYS_sched_setattr, SYS_sched_setparam,  SYS_sched_yield,
                                      SYS_rt_sigreturn,  SYS_restart_syscall, -1};

#if defined(__x86_64__) && !GUARD_SANITIZER

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif
#define SA_RESTORER_BIT 0x04000000
#define SYSCALL_INSN_BYTES 2

/* The range that may always call the system: a signal return, written as the C library's so that unwinders know it. The
 * kernel compares the address after the instruction, hence the trailing nop. */
__asm__(".text\n"
        "nop\n"
        ".globl guard_restorer\n"
        ".hidden guard_restorer\n"
        ".type guard_restorer,@function\n"
        "guard_restorer:\n"
        "    movq $15, %rax\n"
        "    syscall\n"
        "    nop\n"
        ".globl guard_restorer_end\n"
        ".hidden guard_restorer_end\n"
        "guard_restorer_end:\n"
        ".size guard_restorer, .-guard_restorer\n");
extern const char guard_restorer[], guard_restorer_end[];

/* The kernel's struct sigaction: glibc's would put in its own restorer, which lies outside the range. */
struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    const char *restorer;
    unsigned long mask;
};

static bool is_allowed(int number)
{
    for (int i = 0; ei_guard_allowed_calls[i] >= 0; i++) {
        if (ei_guard_allowed_calls[i] == number) {
            return true;
        }
    }
    return false;
}

/* The operations of priority-inheriting locks and of rt/handoff's waiters and rt/bell. Every other one is a lock or a
 * condition of some library without inheritance, found here when it has to wait, whatever function took it. */
static bool is_allowed_futex(int operation)
{
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAKE_BITSET:
        return true;
    default:
        return false;
    }
}

/* A thread's own processor time, which budgets are counted in; the other clocks need no system call. */
static bool is_own_time(int number, greg_t clock)
{
    return number == SYS_clock_gettime && clock == CLOCK_THREAD_CPUTIME_ID;
}

/* Calls that must be made where they stand: they never return here, or return twice on another stack. */
static bool must_run_in_place(int number)
{
    return number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork ||
           number == SYS_execve || number == SYS_execveat || number == SYS_exit || number == SYS_exit_group;
}

static void on_sigsys(int signal_number, siginfo_t *info, void *context)
{
    struct guard_thread *thread = guard_self();
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const int before = errno;
    const int number = info->si_syscall;
    (void)signal_number;
    thread->selector = 0;
    if (number == SYS_futex && !is_allowed_futex((int)regs[REG_RSI])) {
        guard_violation(EI_GUARD_LOCK, "futex", regs[REG_RSI], 1);
    } else if (is_allowed(number) || is_own_time(number, regs[REG_RDI])) {
        atomic_fetch_add(&guard_allowed_count, 1);
    } else if (guard_is_watching()) {
        guard_violation(EI_GUARD_SYSCALL, "system call", number, 1);
    }
    if (number == SYS_rt_sigreturn) {
        /* The end of another signal's handler: its frame lies at the stack pointer, so go on in our own return. */
        regs[REG_RIP] = (greg_t)(uintptr_t)guard_restorer;
    } else if (must_run_in_place(number)) {
        regs[REG_RIP] -= SYSCALL_INSN_BYTES;
        errno = before;
        return; /* with the selector at 0: this thread is not watched until its next section part */
    } else {
        const long result =
            syscall(number, regs[REG_RDI], regs[REG_RSI], regs[REG_RDX], regs[REG_R10], regs[REG_R8], regs[REG_R9]);
        regs[REG_RAX] = result == -1 ? -errno : result;
    }
    errno = before;
    thread->selector = 1;
}

static int set_dispatch(unsigned long mode, volatile uint8_t *selector)
{
    const unsigned long length = mode == PR_SYS_DISPATCH_ON ? (unsigned long)(guard_restorer_end - guard_restorer) : 0;
    const unsigned long offset = mode == PR_SYS_DISPATCH_ON ? (unsigned long)(uintptr_t)guard_restorer : 0;
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, offset, length, (unsigned long)(uintptr_t)selector);
}

const char *guard_syscalls_install(void)
{
    static volatile uint8_t pass;
    /* SA_NODEFER: a foreign signal's handler may end inside ours and needs SIGSYS for its return. */
    const struct kernel_sigaction action = {.handler = on_sigsys,
                                            .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER_BIT,
                                            .restorer = guard_restorer};
    if (set_dispatch(PR_SYS_DISPATCH_ON, &pass) != 0) {
        return "this kernel has no Syscall User Dispatch (Linux 5.11 or later on x86-64)";
    }
    (void)set_dispatch(PR_SYS_DISPATCH_OFF, NULL);
    if (syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, sizeof action.mask) != 0) {
        return "the kernel refused a handler for SIGSYS";
    }
    return "";
}

bool guard_syscalls_attach(struct guard_thread *thread)
{
    const stack_t stack = {.ss_sp = thread->signal_stack, .ss_size = GUARD_STACK_BYTES};
    thread->selector = 0;
    return sigaltstack(&stack, NULL) == 0 && set_dispatch(PR_SYS_DISPATCH_ON, &thread->selector) == 0;
}

#else

const char *guard_syscalls_install(void)
{
    return GUARD_SANITIZER ? "the sanitizer's runtime makes system calls of its own"
                           : "Syscall User Dispatch is used on x86-64 only";
}

bool guard_syscalls_attach(struct guard_thread *thread)
{
    (void)thread;
    return false;
}

#endif
