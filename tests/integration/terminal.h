/* What a command says to somebody who sits before a terminal, and to a program that reads it through a pipe. */
#ifndef TESTS_INTEGRATION_TERMINAL_H
#define TESTS_INTEGRATION_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* What a shell command says on its standard error: a terminal (then also its standard output), or a pipe. */
void einet_read_said(const char *command, bool is_terminal, char *out, size_t size_bytes);

#endif
