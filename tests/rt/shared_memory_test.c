/* Shared memory segments: found by others, kept from other users, refused when malformed, foreign or cut, and removed
 * when their process died.
 */
#include "tests/harness/harness.h"

#include "rt/shared_memory.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 4096

/* A prefix of this process alone, since all tests share one folder. */
static const char *prefix(void)
{
    static char text[32];
    snprintf(text, sizeof text, "einet_test%d", (int)getpid());
    return text;
}

static int count_segments(void)
{
    struct ei_shared_name names[8];
    return ei_shared_memory_list(prefix(), names, 8);
}

EI_TEST(shared_memory_is_seen_by_a_reader)
{
    struct ei_shared_memory made, seen;
    struct einet_error err = {0};
    struct ei_shared_name names[2];
    struct stat st;
    EI_REQUIRE(ei_shared_memory_create(&made, prefix(), 3, BYTES, &err) == 0);
    EI_EQ(ei_shared_memory_open(&seen, made.name, 3, BYTES, &err), -EAGAIN); /* not offered yet */
    ei_shared_memory_offer(&made);
    EI_EQ(ei_shared_memory_list(prefix(), names, 2), 1);
    EI_STREQ(names[0].name, made.name);
    EI_REQUIRE(ei_shared_memory_open(&seen, names[0].name, 3, BYTES, &err) == 0);
    EI_EQ(fstat(seen.fd, &st), 0);
    EI_EQ(st.st_mode & 0777, 0600);
    EI_EQ(seen.header->pid, getpid());
    EI_EQ(ei_shared_memory_owner(seen.header), EI_SHARED_OWNER_ALIVE);
    EI_EQ((uintptr_t)seen.payload % 64, 0);
    strcpy(made.payload, "figures");
    EI_STREQ(seen.payload, "figures");
    EI_EQ(ei_shared_memory_remove_stale(prefix()), 0); /* its process is alive */
    ei_shared_memory_close(&made);
    EI_EQ(count_segments(), 0);
    EI_STREQ(seen.payload, "figures"); /* a reader keeps what it mapped */
    EI_TRUE(ei_shared_memory_is_whole(&seen));
    ei_shared_memory_close(&seen);
    ei_shared_memory_close(&seen); /* nothing to do */
}

EI_TEST(shared_memory_of_another_run_of_this_process_stays)
{
    char name[EI_SHARED_NAME_MAX];
    struct ei_shared_memory first, second, third, seen;
    struct einet_error err = {0};
    EI_REQUIRE(ei_shared_memory_create(&first, prefix(), 1, BYTES, &err) == 0);
    ei_shared_memory_offer(&first);
    EI_REQUIRE(ei_shared_memory_create(&second, prefix(), 1, BYTES, &err) == 0);
    ei_shared_memory_offer(&second);
    EI_TRUE(strcmp(second.name, first.name) != 0);
    snprintf(name, sizeof name, "%s", first.name);
    EI_EQ(count_segments(), 2);
    ei_shared_memory_close(&first);
    EI_EQ(count_segments(), 1); /* that of the run that goes on */
    EI_REQUIRE(ei_shared_memory_open(&seen, second.name, 1, BYTES, &err) == 0);
    ei_shared_memory_close(&seen);
    EI_REQUIRE(ei_shared_memory_create(&third, prefix(), 1, BYTES, &err) == 0);
    EI_STREQ(third.name, name);
    ei_shared_memory_close(&third);
    ei_shared_memory_close(&second);
    EI_EQ(count_segments(), 0);
}

/* A process that makes a segment and is killed. Returns its segment's name, or NULL. */
static const char *leave_stale(void)
{
    static char name[EI_SHARED_NAME_MAX];
    int ready[2];
    if (pipe(ready) != 0) {
        return NULL;
    }
    const char *with = prefix();
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        struct ei_shared_memory shm;
        const bool is_made = ei_shared_memory_create(&shm, with, 1, BYTES, NULL) == 0;
        if (is_made) {
            ei_shared_memory_offer(&shm);
        }
        (void)!write(ready[1], is_made ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    char answer = 'n';
    const bool is_made = pid > 0 && read(ready[0], &answer, 1) == 1 && answer == 'y';
    snprintf(name, sizeof name, "/%s-%d", with, (int)pid);
    EI_EQ(ei_shared_memory_remove_stale(with), 0); /* not yet */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    return is_made ? name : NULL;
}

EI_TEST(shared_memory_of_a_killed_process_is_told_and_removed)
{
    struct ei_shared_memory seen;
    struct einet_error err = {0};
    const char *name = leave_stale();
    EI_REQUIRE(name != NULL);
    EI_REQUIRE(ei_shared_memory_open(&seen, name, 1, BYTES, &err) == 0);
    EI_EQ(ei_shared_memory_owner(seen.header), EI_SHARED_OWNER_DEAD);
    EI_EQ(ei_shared_memory_remove_stale(prefix()), 1);
    EI_EQ(count_segments(), 0);
    ei_shared_memory_close(&seen);
    EI_EQ(ei_shared_memory_open(&seen, name, 1, BYTES, &err), -ENOENT);
}

EI_TEST(shared_memory_tells_a_process_from_a_later_one_with_its_id)
{
    struct ei_shared_memory made;
    struct einet_error err = {0};
    EI_REQUIRE(ei_shared_memory_create(&made, prefix(), 1, BYTES, &err) == 0);
    struct ei_shared_header header = *made.header;
    EI_EQ(ei_shared_memory_owner(&header), EI_SHARED_OWNER_ALIVE);
    header.start_ticks--;
    EI_EQ(ei_shared_memory_owner(&header), EI_SHARED_OWNER_DEAD);
    header.pid_namespace++;
    EI_EQ(ei_shared_memory_owner(&header), EI_SHARED_OWNER_UNKNOWN);
    ei_shared_memory_close(&made);
}

/* ---- what is not ours ---- */

static void make_file(const char *name, const void *bytes, size_t count)
{
    const int fd = shm_open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    EI_TRUE(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    close(fd);
}

EI_TEST(shared_memory_of_others_is_refused)
{
    static char bytes[2 * BYTES];
    struct ei_shared_memory made, seen;
    struct einet_error err = {0};
    char name[64];
    memset(bytes, 'x', sizeof bytes);
    snprintf(name, sizeof name, "/%s-0", prefix());
    make_file(name, bytes, sizeof bytes);
    EI_EQ(ei_shared_memory_open(&seen, name, 1, BYTES, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "no segment of einet");
    EI_EQ(ei_shared_memory_remove_stale(prefix()), 0); /* who knows whose it is */
    shm_unlink(name);
    make_file(name, bytes, 10);
    EI_EQ(ei_shared_memory_open(&seen, name, 1, BYTES, &err), EINET_E_FILE);
    shm_unlink(name);

    char path[96];
    snprintf(path, sizeof path, "/dev/shm%s", name);
    EI_EQ(mkfifo(path, 0600), 0); /* which must not be waited for */
    EI_EQ(ei_shared_memory_open(&seen, name, 1, BYTES, &err), EINET_E_FILE);
    EI_EQ(ei_shared_memory_remove_stale(prefix()), 0);
    shm_unlink(name);

    EI_REQUIRE(ei_shared_memory_create(&made, prefix(), 2, BYTES, &err) == 0);
    ei_shared_memory_offer(&made);
    EI_EQ(ei_shared_memory_open(&seen, made.name, 1, BYTES, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "another version");
    EI_EQ(ei_shared_memory_open(&seen, made.name, 2, 2 * BYTES, &err), EINET_E_MISMATCH);
    EI_REQUIRE(ei_shared_memory_open(&seen, made.name, 2, BYTES, &err) == 0);
    EI_TRUE(ei_shared_memory_is_whole(&seen));
    const int fd = shm_open(made.name, O_RDWR | O_CLOEXEC, 0);
    EI_EQ(ftruncate(fd, 100), 0);
    close(fd);
    EI_TRUE(!ei_shared_memory_is_whole(&seen));
    ei_shared_memory_close(&seen);
    EI_EQ(ei_shared_memory_open(&seen, made.name, 2, BYTES, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "cut short");
    ei_shared_memory_close(&made);
}

EI_TEST(shared_memory_list_takes_its_own_names_only)
{
    char names[3][64];
    for (int i = 0; i < 3; i++) {
        char *name = names[i];
        snprintf(name, sizeof names[i], i == 0 ? "/%s-" : i == 1 ? "/%sx-1" : "/%s-a", prefix());
        make_file(name, "x", 1);
    }
    EI_EQ(count_segments(), 0);
    for (int i = 0; i < 3; i++) {
        shm_unlink(names[i]);
    }
}
