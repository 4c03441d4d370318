/* Machines as a test has them: network namespaces, and programs of ours in them, which all go with this process.
 */
#ifndef TESTS_ADAPTERS_MACHINE_H
#define TESTS_ADAPTERS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Whether this process may make real-time threads of that priority. */
bool machine_is_allowed(int priority);

/* fork(2), in a process that ends with this one. */
pid_t machine_fork(void);

/* Run ip(8), inside the namespace of a keeper unless that is 0. */
bool machine_ip(pid_t keeper, const char *arguments);

/* A process that does nothing but keep a network namespace; <= 0: that cannot be. Of machine_let_go. */
pid_t machine_keep(void);
void machine_let_go(pid_t keeper);

/* The calling process moves into the namespace of a keeper. */
bool machine_enter(pid_t keeper);

/* A program that prints a line "running", runs until SIGTERM, and then prints its last words. */
struct machine_node {
    pid_t pid;  /* 0 = does not run */
    FILE *told; /* what it prints */
};

/* Start it, inside the namespace of a keeper unless that is 0, and wait until it runs. False: it does not. */
bool machine_start(struct machine_node *node, pid_t keeper, const char *const *argv);
/* Ask it to end and wait: its exit status, -1 = killed; what it says goes to out_words, which may be NULL. */
int machine_end(struct machine_node *node, char *out_words, size_t size_bytes);
/* SIGKILL it, if it runs, and bury it. */
void machine_kill(struct machine_node *node);

#endif
