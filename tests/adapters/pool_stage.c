#include "tests/adapters/pool_stage.h"

#include "tests/harness/harness.h"

bool pool_stage_set(struct pool_play *play, const char *const *tasks)
{
    play->lease_ns = POOL_STAGE_LEASE_NS;
    play->period_ns = POOL_STAGE_PERIOD_NS;
    play->priority = machine_is_allowed(POOL_STAGE_PRIORITY) ? POOL_STAGE_PRIORITY : 0;
    (void)snprintf(play->folder, sizeof play->folder, "%s", ei_test_tmpdir());
    (void)snprintf(play->binary, sizeof play->binary, "%s/einet-dds", ei_test_build_dir());
    const char *missing = pool_play_open(play, tasks);
    if (missing != NULL) {
        const bool is_apart = play->is_apart;
        pool_play_close(play);
        if (is_apart) {
            ei_test_skip("not here: %s", missing);
        }
    }
    return EI_TRUEF(missing == NULL, "not here: %s", missing);
}

void pool_stage_run(const char *program, const char *arguments, char *out, size_t size_bytes)
{
    char command[600];
    (void)snprintf(command, sizeof command, "timeout 3 %s/%s %s 2>&1", ei_test_build_dir(), program, arguments);
    FILE *in = popen(command, "r");
    const size_t count = in != NULL ? fread(out, 1, size_bytes - 1, in) : 0;
    out[count] = '\0';
    EI_TRUE(in != NULL && pclose(in) != -1);
}
