/* report.html: one page that holds its style, its script and its data and asks the network for nothing. Thread: any. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "report/run.h"

/* Write the page of the run to path, under a temporary name first, so that a page is whole where it is. */
int ei_report_page_write(const struct ei_report_run *run, const char *path, struct einet_error *err);

#endif
