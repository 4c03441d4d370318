/* Settings with who made them, and warnings about libraries; fake_library.c is what is loaded here. */
#include "stages/environment.h"

#include "rt/memory.h"
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ei_environment_setting *find(const struct ei_environment_setting *settings, int32_t count,
                                                 const char *name)
{
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

static void expect(const char *name, const char *value, bool is_ours)
{
    struct ei_environment_setting settings[EI_ENVIRONMENT_SETTINGS_MAX];
    const struct ei_environment_setting *found = find(settings, ei_environment_settings(settings), name);
    EI_TRUEF((found != NULL) == (value != NULL), "%s", name);
    if (found != NULL && value != NULL) {
        EI_STREQ(found->value, value);
        EI_TRUEF(found->is_ours == is_ours, "%s is %s", name, found->is_ours ? "ours" : "the user's");
    }
}

EI_TEST(who_set_what_is_told)
{
    char text[1024];
    EI_EQ(setenv("EINET_ENVIRONMENT", "OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0", 1), 0);
    EI_EQ(setenv("OMP_WAIT_POLICY", "passive", 1), 0);
    EI_EQ(setenv("GOMP_SPINCOUNT", "01", 1), 0); /* changed since: no longer ours */
    EI_EQ(setenv("OMP_PROC_BIND", "true", 1), 0);
    EI_EQ(unsetenv("OPENBLAS_CORETYPE"), 0);
    expect("OMP_WAIT_POLICY", "passive", true);
    expect("GOMP_SPINCOUNT", "01", false);
    expect("OMP_PROC_BIND", "true", false);
    expect("OPENBLAS_CORETYPE", NULL, false);
    expect("M_ARENA_MAX", NULL, true);
    if (ei_memory_tune_malloc() == 0) { /* a sanitizer's malloc takes no settings */
        expect("M_ARENA_MAX", "1", true);
    }
    ei_environment_print(text, sizeof text);
    EI_CONTAINS(text, "OMP_WAIT_POLICY=passive (einet), GOMP_SPINCOUNT=01 (user), ");
    ei_environment_print(text, 12);
    EI_EQ(strlen(text), 11);
}

/* This program executes itself: with arguments of its own it says what it has then. */
static void run_again(const char *clear, char *out, size_t size_bytes)
{
    char command[900], self[600];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    EI_REQUIRE(length > 0);
    self[length] = '\0';
    snprintf(command, sizeof command, "env %s '%s' --say-environment", clear, self);
    FILE *pipe = popen(command, "re");
    EI_REQUIRE(pipe != NULL);
    const size_t got = fread(out, 1, size_bytes - 1, pipe);
    out[got] = '\0';
    EI_EQ(pclose(pipe), 0);
}

EI_TEST(what_is_missing_is_set_before_libraries_load)
{
    char text[1024];
    run_again("-u OPENBLAS_NUM_THREADS -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT -u EINET_ENVIRONMENT", text, sizeof text);
    EI_CONTAINS(text, "OPENBLAS_NUM_THREADS=1 (einet)");
    EI_CONTAINS(text, "OMP_WAIT_POLICY=passive (einet), GOMP_SPINCOUNT=0 (einet)");
    run_again("-u GOMP_SPINCOUNT -u EINET_ENVIRONMENT OPENBLAS_NUM_THREADS=2 OMP_WAIT_POLICY=active", text,
              sizeof text);
    EI_CONTAINS(text, "OPENBLAS_NUM_THREADS=2 (user)");
    EI_CONTAINS(text, "OMP_WAIT_POLICY=active (user), GOMP_SPINCOUNT=0 (einet)");
}

EI_TEST(two_openmp_runtimes_are_found)
{
    struct ei_environment_warning warnings[EI_ENVIRONMENT_WARNINGS_MAX];
    const int32_t before = ei_environment_check(warnings);
    EI_EQ(before, 0);
    EI_TRUEF(dlopen(FAKE_GOMP, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
    EI_EQ(ei_environment_check(warnings), 0);
    EI_TRUEF(dlopen(FAKE_OMP, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
    EI_EQ(ei_environment_check(warnings), 1);
    EI_CONTAINS(warnings[0].text, "2 OpenMP runtimes are loaded");
    EI_CONTAINS(warnings[0].text, "/libgomp-fake.so");
    EI_CONTAINS(warnings[0].text, "/libomp-fake.so");
    EI_TRUE(warnings[0].remedy[0] != '\0');
}

EI_TEST(an_openblas_for_an_older_processor_is_found)
{
    struct ei_environment_warning warnings[EI_ENVIRONMENT_WARNINGS_MAX];
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx")) {
        ei_test_skip("this processor is no newer than the fake's");
    }
#else
    ei_test_skip("OpenBLAS tells x86 processors apart");
#endif
    EI_TRUEF(dlopen(FAKE_NEW_OPENBLAS, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
    EI_EQ(ei_environment_check(warnings), 0); /* unknown here: nothing is claimed */
    EI_TRUEF(dlopen(FAKE_OPENBLAS, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
    EI_EQ(ei_environment_check(warnings), 1);
    EI_CONTAINS(warnings[0].text, "/libopenblas-fake.so) computes as for a Nehalem");
    EI_CONTAINS(warnings[0].remedy, "export OPENBLAS_CORETYPE=");
    EI_TRUEF(dlopen(FAKE_BLAS_DOOR, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
    EI_EQ(ei_environment_check(warnings), 1); /* leads to the same one */
}

static int say_environment(char **argv)
{
    char text[1024];
    if (ei_environment_apply(argv) != 0) {
        return 1;
    }
    ei_environment_print(text, sizeof text);
    puts(text);
    return 0;
}

int main(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--say-environment") == 0 ? say_environment(argv) : ei_test_main(argc, argv);
}
