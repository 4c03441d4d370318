/* Long work tells on a terminal how far it is and the time left; not with --quiet, and not where nobody looks. */
#include "tests/integration/command.h"
#include "tests/integration/terminal.h"

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CIFAR "models/pretrained/b-alexnet-cifar10"

static char said[65536];

/* The command on a terminal, on one with --quiet, and into a pipe: the first alone says `what`, and the time left. */
static void check_progress(const char *arguments, const char *what)
{
    for (int i = 0; i < 3; i++) {
        char command[2048];
        snprintf(command, sizeof command, "exec '%.500s/einet' %s %s >/dev/null", ei_test_build_dir(), arguments,
                 i == 1 ? "--quiet" : "");
        einet_read_said(command, i < 2, said, sizeof said);
        const bool is_told = strstr(said, what) != NULL && strstr(said, " left") != NULL;
        EI_TRUEF(is_told == (i == 0), "%s, %d: %s", arguments, i, said);
        EI_TRUEF(i == 0 || strstr(said, "\033[K") == NULL, "%s, %d: %s", arguments, i, said);
    }
}

static void require(const char *path)
{
    if (access(path, R_OK) != 0) {
        ei_test_skip("%s is not there", path);
    }
}

EI_TEST(evaluation_tells_its_progress)
{
    require(CIFAR ".et.csv");
    require(CIFAR ".cs");
    check_progress("evaluate --et " CIFAR ".et.csv --cs " CIFAR ".cs --resamples 0 --json", " jobs  ");
}

EI_TEST(evaluation_of_the_paper_tells_its_progress)
{
    require(CIFAR ".et.csv");
    require("models/pretrained/b-alexnet-mnist.cs");
    check_progress("evaluate --paper --pairs b-alexnet/cifar10,b-alexnet/mnist --resamples 0 --json", "1 of 2 pairs  ");
}

EI_TEST(predictor_training_tells_its_progress)
{
    require(CIFAR ".cs");
    char arguments[1024];
    snprintf(arguments, sizeof arguments,
             "predictor train --cs " CIFAR ".cs --out '%.500s' --hidden 16 --epochs 2 --json", in_tmpdir("p"));
    check_progress(arguments, " of 2 epochs  ");
    EI_EQ(access(in_tmpdir("p"), R_OK), 0);
}

EI_TEST(profile_tells_its_progress)
{
    require("models/pretrained/b-alexnet-generated.safetensors");
    char arguments[1024];
    snprintf(arguments, sizeof arguments,
             "profile --weights models/pretrained/b-alexnet-generated.safetensors --dataset generated --only et "
             "--runs 20 --out '%.500s'",
             in_tmpdir("profile"));
    check_progress(arguments, " of 10 runs to warm up  ");
}

EI_TEST(doctor_tells_its_progress)
{
    check_progress("doctor configs/edge-server.yaml", " ms measured  ");
}

/* What takes less than a second says nothing, so the reading is halted for longer than that. */
static void check_halted(const char *command, const char *folder)
{
    for (int i = 0; i < 3; i++) {
        char line[2048], files[1200];
        snprintf(files, sizeof files, "'%.500s' '%.500s'", folder, command[0] == 'c' ? folder : "--json");
        snprintf(line, sizeof line,
                 "'%.500s/einet' %s %s %s >/dev/null & pid=$!; sleep 0.2; kill -STOP $pid; sleep 1.2; kill -CONT $pid; "
                 "wait $pid",
                 ei_test_build_dir(), command, files, i == 1 ? "--quiet" : "");
        einet_read_said(line, i < 2, said, sizeof said);
        const bool is_told = strstr(said, " MB read  ") != NULL && strstr(said, " left") != NULL;
        EI_TRUEF(is_told == (i == 0), "%s, %d: %s", command, i, said);
    }
}

EI_TEST(reports_and_comparisons_tell_their_progress)
{
    char line[1600], folder[600];
    if (system("command -v python3 >/dev/null") != 0) {
        ei_test_skip("no python3");
    }
    snprintf(folder, sizeof folder, "%s", in_tmpdir("many"));
    EI_TRUE(
        einet_run((const char *[]){"simulate", "configs/edge-server.yaml", "--duration", "2s", "--out", folder, NULL})
            ->status != 1);
    snprintf(line, sizeof line, "'%.500s/einet' report '%s'", ei_test_build_dir(), folder);
    einet_read_said(line, true, said, sizeof said); /* a short one */
    EI_TRUEF(strstr(said, "read") == NULL, "%s", said);
    snprintf(line, sizeof line, "python3 tests/report/write_many.py '%s' 1000000", folder);
    EI_EQ(system(line), 0);
    EI_EQ(unlink(in_tmpdir("many/latency.hlog")), 0);
    check_halted("report", folder);
    check_halted("compare", folder);
}

EI_MAIN()
