/* What a file names is not there, or cannot be written; the finding is gone once it is. */
#include "tests/doctor/look.h"
#include "tests/doctor/shell.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

static const char *workload_into(const char *folder)
{
    static char text[600];
    snprintf(text, sizeof text, "outputs: { dir: \"%s/{name}-{time}\" }\n", folder);
    return workload(text);
}

EI_TEST(read_only_output_is_found_and_its_fix_works)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in_tmpdir("out"));
    EI_EQ(mkdir(folder, 0755), 0);
    EI_TRUE(geteuid() != 0 || chown(folder, NOBODY, NOBODY) == 0);
    EI_EQ(chmod(folder, 0555), 0);
    const char *file = workload_into(folder);
    struct seen seen = look(become_nobody, file, "output");
    expect_fail(&seen, 2, "Permission denied");
    EI_CONTAINS(seen.fix, folder);
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(become_nobody, file, "output");
    expect_ok(&seen);
    EI_EQ(rmdir(folder), 0); /* the probe left nothing in it */
}

EI_TEST(read_only_disk_is_found_and_its_fix_works)
{
    char folder[512];
    need_root();
    snprintf(folder, sizeof folder, "%s", in_tmpdir("disk"));
    EI_EQ(mkdir(folder, 0755), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", MS_RDONLY, "size=200m") != 0) {
        ei_test_skip("no mount namespace of our own: %s", strerror(errno));
    }
    const char *file = workload_into(folder);
    struct seen seen = look(NULL, file, "output");
    expect_fail(&seen, 2, "Read-only file system");
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(NULL, file, "output");
    expect_ok(&seen);
    EI_EQ(umount(folder), 0);
}

static const char *workload_on(const char *input)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\nlanes: { l: { kind: cpu } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 } ] } } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n    input: %s\n"
             "    stages: [ { name: n, kind: nn, model: m, lane: l } ]\n",
             input);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

EI_TEST(missing_pictures_are_found_until_they_are_there)
{
    /* one pixel */
    static const unsigned char png[] = {
        0x89, 'P',  'N',  'G',  0x0d, 0x0a, 0x1a, 0x0a, 0,    0,    0,    0x0d, 'I',  'H',  'D',  'R',  0,
        0,    0,    1,    0,    0,    0,    1,    8,    0,    0,    0,    0,    0x3a, 0x7e, 0x9b, 0x55, 0,
        0,    0,    0x0a, 'I',  'D',  'A',  'T',  0x78, 0x9c, 0x63, 0x60, 0,    0,    0,    2,    0,    1,
        0x48, 0xaf, 0xa4, 0x71, 0,    0,    0,    0,    'I',  'E',  'N',  'D',  0xae, 0x42, 0x60, 0x82};
    char input[600], path[600], fix[1200];
    snprintf(path, sizeof path, "%s", in_tmpdir("one.png"));
    snprintf(input, sizeof input, "{ kind: images, dir: \"%s\" }", in_tmpdir("pictures"));
    const char *file = workload_on(input);
    struct seen seen = look(NULL, file, "data");
    expect_fail(&seen, 2, "pictures");
    FILE *picture = fopen(path, "we");
    EI_REQUIRE(picture != NULL);
    EI_EQ(fwrite(png, 1, sizeof png, picture), sizeof png);
    fclose(picture);
    snprintf(fix, sizeof fix, "%.500s", seen.fix);
    char *word = strstr(fix, "cp PICTURES");
    EI_REQUIRE(word != NULL);
    char mended[1400];
    snprintf(mended, sizeof mended, "%.*scp '%s'%s", (int)(word - fix), fix, path, word + strlen("cp PICTURES"));
    EI_EQ(run_fix(mended), 0);
    seen = look(NULL, file, "data");
    expect_ok(&seen);
}

EI_TEST(missing_data_set_is_found_and_the_variable_mends_it)
{
    char before[512];
    const char *there = ei_test_data_or_skip("cifar-10-batches-bin");
    snprintf(before, sizeof before, "%s", there);
    const char *file = workload_on("{ kind: dataset, name: cifar10, split: test }");
    setenv("EINET_DATA", in_tmpdir("nothing"), 1);
    struct seen seen = look(NULL, file, "data");
    expect_fail(&seen, 2, "cifar-10-batches-bin");
    EI_CONTAINS(seen.fix, "export EINET_DATA=");
    setenv("EINET_DATA", before, 1);
    seen = look(NULL, file, "data");
    expect_ok(&seen);
}

EI_TEST(missing_weights_are_found)
{
    char text[1200];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\nlanes: { l: { kind: cpu } }\n"
             "models: { m: { zoo: b-alexnet, dataset: generated, weights: \"%s\" } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    input: { kind: generated, seed: 1, count: 10, split: test }\n"
             "    stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: l } ]\n",
             in_tmpdir("none.safetensors"));
    write_text(in_tmpdir("ill.yaml"), text);
    const struct seen seen = look(NULL, in_tmpdir("ill.yaml"), "weights");
    expect_fail(&seen, 2, "none.safetensors");
    EI_CONTAINS(seen.fix, "einet train --model b-alexnet --dataset generated --out '");
}

/* ---- GPU ---- */

static const char *workload_on_gpu(const char *fallback)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\n"
             "lanes: { gpu: { kind: cuda, device: 0%s }, spare: { kind: cpu } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 } ] } } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    stages: [ { name: n, kind: nn, model: m, lane: gpu } ]\n",
             fallback);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

EI_TEST(missing_gpu_is_found_and_a_fallback_mends_it)
{
    setenv("EINET_CUDA_PLUGIN", in_tmpdir("nowhere.so"), 1);
    struct seen seen = look(NULL, workload_on_gpu(""), "gpu");
    expect_fail(&seen, 5, "nowhere.so");
    EI_CONTAINS(seen.fix, "give lane 'gpu' a fallback");
    seen = look(NULL, workload_on_gpu(", fallback: spare"), "gpu");
    EI_STREQ(seen.verdict, "warn");
    EI_EQ(seen.status, 0);
    seen = look(NULL, workload(""), "gpu"); /* nobody asks for one */
    expect_ok(&seen);
    if (EINET_CUDA_FAKE[0] != '\0') {
        setenv("EINET_CUDA_PLUGIN", EINET_CUDA_FAKE, 1);
        seen = look(NULL, workload_on_gpu(""), "gpu");
        expect_ok(&seen);
    }
}
