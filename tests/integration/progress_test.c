/* Long work tells on a terminal how far it is and the time left; not with --quiet, and not where nobody looks. */
#include "tests/integration/command.h"
#include "tests/integration/terminal.h"

#include "tests/harness/harness.h"

#include <stdio.h>
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

EI_MAIN()
