/* What einet report and einet compare share: telling how far the reading of a run is. */
#ifndef APP_REPORT_COMMAND_H
#define APP_REPORT_COMMAND_H

#include "app/progress.h"

/* tell of struct ei_csv_watch; context: struct einet_progress. */
void einet_report_tell(void *context, int64_t done_bytes, int64_t whole_bytes);

#endif
