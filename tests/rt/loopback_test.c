/* Addresses of this machine alone: what is taken, what is refused and why. */
#include "tests/harness/harness.h"

#include "rt/loopback.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

EI_TEST(loopback_takes_addresses_of_this_machine)
{
    static const char *const good[] = {"127.0.0.1:9464", "127.255.3.4:0", "localhost:65535", "[::1]:80"};
    struct einet_error err = {0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        EI_TRUEF(ei_loopback_check(good[i], &err) == 0, "%s: %s", good[i], err.text);
    }
}

EI_TEST(loopback_refuses_everything_else)
{
    static const char *const bad[][2] = {{"0.0.0.0:9464", "this machine alone"},
                                         {"128.0.0.1:9464", "this machine alone"},
                                         {"192.168.1.2:80", "this machine alone"},
                                         {"[::]:80", "this machine alone"},
                                         {"::1:80", "this machine alone"},
                                         {"127.0.0.1.evil.example:80", "this machine alone"},
                                         {"0177.0.0.1:80", "this machine alone"},
                                         {":80", "this machine alone"},
                                         {"127.0.0.1", "no address and port"},
                                         {"127.0.0.1:", "no address and port"},
                                         {"127.0.0.1:65536", "no address and port"},
                                         {"127.0.0.1:-1", "no address and port"},
                                         {"127.0.0.1:80 ", "no address and port"},
                                         {"127.0.0.1:999999999999999999999", "no address and port"},
                                         {"9464", "no address and port"},
                                         {"", "no address and port"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct einet_error err = {0};
        EI_TRUEF(ei_loopback_check(bad[i][0], &err) == -EINVAL, "'%s' was taken", bad[i][0]);
        EI_CONTAINS(err.text, bad[i][1]);
    }
}

EI_TEST(loopback_listens_and_says_where)
{
    char first[EI_LOOPBACK_TEXT_MAX], second[EI_LOOPBACK_TEXT_MAX];
    struct einet_error err = {0};
    const int fd = ei_loopback_listen("127.0.0.1:0", first, &err);
    EI_REQUIRE(fd >= 0);
    EI_TRUE(strncmp(first, "127.0.0.1:", 10) == 0 && atoi(first + 10) > 0);
    EI_EQ(ei_loopback_listen(first, second, &err), -EADDRINUSE);
    EI_CONTAINS(err.text, first);
    close(fd);
}
