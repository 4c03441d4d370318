/* A run that cannot go on says why and leaves the last good checkpoint, from which it continues to the same bits. */
#include "tests/models/train_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

enum limited { FILE_BYTES, ADDRESS_BYTES };

/* Change a soft limit; returns what it was. */
static rlim_t limit(enum limited what, rlim_t to)
{
    struct rlimit both;
    EI_EQ(what == FILE_BYTES ? getrlimit(RLIMIT_FSIZE, &both) : getrlimit(RLIMIT_AS, &both), 0);
    const rlim_t was = both.rlim_cur;
    both.rlim_cur = to;
    EI_EQ(what == FILE_BYTES ? setrlimit(RLIMIT_FSIZE, &both) : setrlimit(RLIMIT_AS, &both), 0);
    return was;
}

static void keep_copy(char *out, size_t size)
{
    snprintf(out, size, "%s.kept", checkpoint_path);
    EI_EQ(link(checkpoint_path, out), 0); /* a rename puts a new file there, so the link keeps the old one */
}

/* From the checkpoint that is there to the end; the outcome must be that of a run without trouble. */
static void finish(struct ei_train_config c, const char *whole_path)
{
    struct ei_train_result result;
    struct einet_error err;
    watch = (struct watch){0};
    c.resume = true;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_TRUE(result.finished);
    EI_TRUE(is_same_file(whole_path, out_path));
    EI_TRUE(access(checkpoint_path, F_OK) != 0);
}

EI_TEST(full_disk_keeps_a_checkpoint_to_go_on_from)
{
    char whole_path[512], kept[600];
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = small_config("b-alexnet", "whole");
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    snprintf(whole_path, sizeof whole_path, "%s", out_path);
    c = small_config("b-alexnet", "full");
    watch.stop_after_step = 4; /* the first epoch has 3 steps */
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    keep_copy(kept, sizeof kept);
    watch = (struct watch){0};
    c.resume = true;
    EI_TRUE(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    const rlim_t was = limit(FILE_BYTES, 64 * 1024);
    EI_EQ(run(&c, &result, &err), -EFBIG);
    limit(FILE_BYTES, was);
    EI_CONTAINS(err.text, "the earlier file, if any, is unchanged");
    EI_STREQ(err.file, checkpoint_path);
    EI_TRUE(is_same_file(kept, checkpoint_path));
    finish(c, whole_path);
}

EI_TEST(no_number_keeps_a_checkpoint_to_go_on_from)
{
    char whole_path[512], kept[600];
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = small_config("b-alexnet", "whole");
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    snprintf(whole_path, sizeof whole_path, "%s", out_path);
    c = small_config("b-alexnet", "kept");
    watch.stop_after_step = 4;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    keep_copy(kept, sizeof kept);
    struct ei_train_config wild = c;
    watch = (struct watch){0};
    wild.lr = 100.0F;
    wild.warmup_fraction = 0.0F;
    EI_EQ(run(&wild, &result, &err), EINET_E_FAULT);
    EI_CONTAINS(err.text, "lower --lr");
    EI_TRUE(is_same_file(kept, checkpoint_path));
    EI_TRUE(access(out_path, F_OK) != 0);
    finish(c, whole_path);
}

EI_TEST(short_memory_is_told)
{
    if (HAS_SANITIZER) {
        ei_test_skip("a sanitizer's address space cannot be limited");
    }
    enum { SAMPLES = 2000 };
    char kept[600];
    struct ei_train_result result;
    struct einet_error err = {0};
    struct ei_dataset *many = NULL;
    long pages = 0;
    struct ei_train_config c = small_config("b-alexnet", "memory");
    EI_REQUIRE(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, SAMPLES, &many, NULL) == 0);
    c.epochs = 1;
    c.batch = SAMPLES;
    watch.stop = 1; /* before the first step */
    EI_TRUEF(ei_train_run(&c, many, test_set, &result, &err) == 0, "%s", err.text);
    EI_TRUE(!result.finished);
    keep_copy(kept, sizeof kept);
    FILE *statm = fopen("/proc/self/statm", "re");
    EI_REQUIRE(statm != NULL);
    EI_EQ(fscanf(statm, "%ld", &pages), 1);
    fclose(statm);
    watch = (struct watch){0};
    c.resume = true;
    /* The batch fits, but not the result of the first convolution, 2000 * 32 * 32 * 32 floats, 250 MiB. */
    const rlim_t was = limit(ADDRESS_BYTES, (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (200 << 20));
    EI_EQ(ei_train_run(&c, many, test_set, &result, &err), -ENOMEM);
    limit(ADDRESS_BYTES, was);
    EI_CONTAINS(err.text, "lower --batch");
    EI_TRUE(is_same_file(kept, checkpoint_path));
    ei_dataset_destroy(many);
}

static void read_line(const char *path, char *out, int size, int line)
{
    FILE *in = fopen(path, "re");
    EI_REQUIRE(in != NULL);
    for (int i = 0; i <= line; i++) {
        EI_REQUIRE(fgets(out, size, in) != NULL);
    }
    fclose(in);
}

EI_TEST(log_lines_hold_everything)
{
    char log_path[600], line[1024];
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = small_config("b-alexnet", "log");
    snprintf(log_path, sizeof log_path, "%s.log", out_path);
    c.log_path = log_path;
    c.eval_every = 2;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    read_line(log_path, line, sizeof line, 0);
    EI_CONTAINS(line, "{\"epoch\":1,\"phase\":\"joint\",\"group\":1,\"groups\":1,\"exits\":[1,3],\"step\":3,\"lr\":");
    EI_CONTAINS(line, "\"loss\":");
    EI_CONTAINS(line, "\"accuracy\":[null,null,null],\"elapsed_s\":");
    EI_CONTAINS(line, "\"left_s\":");
    EI_CONTAINS(line, "\"samples_per_s\":");
    read_line(log_path, line, sizeof line, 1);
    EI_CONTAINS(line, "{\"epoch\":2,");
    EI_CONTAINS(line, "\"accuracy\":[0.");
}

EI_MAIN()
