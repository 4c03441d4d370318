/* The grammar of the workload file as a JSON Schema, for editors. */
#ifndef APP_WORKLOAD_SCHEMA_H
#define APP_WORKLOAD_SCHEMA_H

#include <stdio.h>

/* Write the schema (draft 7, which editors know) of the field table of workloads/fields.h to out. It holds what can be
 * said of one value at a time: keys, kinds of values, words, ranges of numbers, what belongs to which kind of lane,
 * model, arrival, input and stage. Ranges of durations are told in the descriptions, and checked by `einet check`
 * alone, as is what several keys say together. Returns 0, -ENOMEM or the -errno of writing. */
int einet_workload_schema_print(FILE *out);

#endif
