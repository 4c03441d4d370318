/* What the page shows, as JSON: of every curve as many points as an eye can tell apart, so that its size depends on the
 * number of tasks and not on that of jobs. Thread: any.
 */
#ifndef REPORT_PAGE_DATA_H
#define REPORT_PAGE_DATA_H

#include "report/run.h"

/* A new object that the caller decrefs, NULL without memory. */
json_t *ei_report_page_data(const struct ei_report_run *run);

#endif
