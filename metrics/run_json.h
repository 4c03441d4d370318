/* What the collector knows of run.json (docs/run-json.md), which the engine writes. Thread: the collector's owner. */
#ifndef METRICS_RUN_JSON_H
#define METRICS_RUN_JSON_H

#include "metrics/collector.h"

#include <jansson.h>

/* Text as JSON, bytes that are no UTF-8 as '?'; NULL as null. A new reference, NULL when memory is out. */
json_t *ei_json_text(const char *text);

/* As they stand in summary.json; borrowed from the collector. */
json_t *ei_collector_machine_json(const struct ei_collector *collector);
json_t *ei_collector_degraded_json(const struct ei_collector *collector);

/* After finish: how the run ended, and what of it was lost. A new reference, NULL when memory is out. */
json_t *ei_collector_end_json(const struct ei_collector *collector);

/* Write root (indented) as folder/name, through a temporary name. Returns 0, -ENOMEM, or the -errno of the file
 * system, with nothing changed. */
int ei_json_publish(const json_t *root, const char *folder, const char *name, struct einet_error *err);

#endif
