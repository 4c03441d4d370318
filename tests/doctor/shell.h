/* Do what a finding says. */
#ifndef TESTS_DOCTOR_SHELL_H
#define TESTS_DOCTOR_SHELL_H

/* Run a fix as a person would paste it, where sudo needs no password and may not be there: as this process, which is
 * then root. Returns the exit status of the shell. */
int run_fix(const char *fix);

#endif
