/* See live_play.h. */
#include "tests/engine/live_play.h"

#include "tests/harness/harness.h"

#include <string.h>

int live_play(const char *text, struct ei_live_options options, struct ei_workload **out_wl, struct ei_live_result *out,
              struct einet_error *err)
{
    struct ei_diagnostics diag;
    *out_wl = NULL;
    const int rc = ei_workload_parse(text, strlen(text), "test.yaml", out_wl, &diag);
    if (rc < 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    if (!EI_TRUEF(rc == 0, "no good workload")) {
        return rc;
    }
    options.out_dir = ei_test_tmpdir();
    options.program = "test_engine";
    return ei_live_run(*out_wl, &options, out, err);
}
