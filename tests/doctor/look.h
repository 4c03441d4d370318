/* The command in a child that something was done to first. */
#ifndef TESTS_DOCTOR_LOOK_H
#define TESTS_DOCTOR_LOOK_H

#define NOBODY 65534

/* Done in the child before it executes einet; nonzero = cannot be done here. */
typedef int (*ei_fault)(void);

struct seen {
    int status; /* exit status of einet */
    char verdict[8], found[512], wanted[512], fix[512];
};

/* What is executed; "" = einet of the build. */
extern char program[512];

/* What einet doctor says of one probe after a fault (NULL = none), for a file or NULL. Skips the case when the fault
 * cannot be made here. */
struct seen look(ei_fault before, const char *file, const char *id);

void expect_ok(const struct seen *seen);
/* It fails with this exit status, says so, and has a fix. */
void expect_fail(const struct seen *seen, int status, const char *found);

/* Skip the case without root. */
void need_root(void);
/* A fault: no user, no capabilities, no rtprio limit. */
int become_nobody(void);

/* A path in the folder of the case. Static, the last 8 are good. */
const char *in_tmpdir(const char *name);
void write_text(const char *path, const char *text);
/* A file with one real-time task of priority 40, and more of what `extra` says. */
const char *workload(const char *extra);

#endif
