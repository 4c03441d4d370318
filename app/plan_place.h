/* Which field of a JSON text stands at a byte, for texts that a parser refused there. Pure. */
#ifndef APP_PLAN_PLACE_H
#define APP_PLAN_PLACE_H

#include <stddef.h>

/* Write the path of the value that is being read when `position` bytes of text have been read, as "exit_time.t_ns[2]";
 * "" outside all fields. Keys in printable ASCII, cut where out_size ends. */
void ei_plan_place(const char *text, size_t position, char *out, size_t out_size);

/* Copy `length` bytes as printable ASCII, other bytes as '?', cut to fit; ends with 0. Returns out. */
char *ei_plan_printable(const char *bytes, size_t length, char *out, size_t out_size);

#endif
