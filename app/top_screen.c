/* See top_screen.h. */
#include "app/top_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct {
    bool is_page, has_keys;
    struct termios before;
    sigset_t blocked_before;
} screen;

static volatile sig_atomic_t is_quitting;

static void on_signal(int number)
{
    is_quitting = is_quitting || number != SIGWINCH;
}

void einet_top_screen_open(bool is_page)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waiting ends */
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGWINCH);
    /* Let in only while waiting, so that none is missed between a look at the flag and the wait. */
    sigprocmask(SIG_BLOCK, &ours, &screen.blocked_before);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    screen.is_page = is_page;
    screen.has_keys = is_page && isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &screen.before) == 0;
    if (screen.has_keys) {
        struct termios raw = screen.before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    if (is_page) {
        fputs("\033[?1049h\033[?25l", stdout); /* the other page, no cursor */
        fflush(stdout);
    }
}

void einet_top_screen_close(void)
{
    if (screen.is_page) {
        fputs("\033[?25h\033[?1049l", stdout);
        fflush(stdout);
    }
    if (screen.has_keys) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
    }
    sigprocmask(SIG_SETMASK, &screen.blocked_before, NULL);
    screen.is_page = screen.has_keys = false;
}

/* One line, cut to so many columns; colours are ended with it. */
static void show_line(const char *line, size_t length, int columns)
{
    int column = 0;
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\033') {
            const size_t sequence = strcspn(&line[i], "m") + 1;
            fwrite(&line[i], 1, sequence, stdout);
            i += sequence - 1;
        } else if (((unsigned char)line[i] & 0xc0) == 0x80) { /* inside a UTF-8 character */
            if (column <= columns) {
                fputc(line[i], stdout);
            }
        } else if (++column <= columns) {
            fputc(line[i], stdout);
        }
    }
}

void einet_top_screen_show(const char *text)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    }
    fputs("\033[H", stdout);
    for (int row = 1; *text != '\0' && row <= size.ws_row; row++) {
        const size_t length = strcspn(text, "\n");
        show_line(text, length, size.ws_col);
        fputs(row < size.ws_row ? "\033[0m\033[K\r\n" : "\033[0m\033[K", stdout);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

enum einet_top_key einet_top_screen_wait(int64_t wait_ns)
{
    const struct timespec limit = {.tv_sec = (time_t)(wait_ns / 1000000000), .tv_nsec = (long)(wait_ns % 1000000000)};
    struct pollfd keys = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
    sigset_t let_in = screen.blocked_before;
    sigdelset(&let_in, SIGINT);
    sigdelset(&let_in, SIGTERM);
    sigdelset(&let_in, SIGWINCH);
    const int rc = ppoll(&keys, 1, &limit, &let_in);
    if (is_quitting) {
        return EINET_TOP_QUIT;
    }
    if (rc < 0 && errno == EINTR) {
        return EINET_TOP_REDRAW;
    }
    if (rc > 0) {
        char typed[16];
        const ssize_t count = read(STDIN_FILENO, typed, sizeof typed);
        for (ssize_t i = 0; i < count; i++) {
            if (typed[i] == 'q' || typed[i] == 'Q') {
                return EINET_TOP_QUIT;
            }
        }
        if (count <= 0) { /* the terminal is gone */
            return EINET_TOP_QUIT;
        }
        return EINET_TOP_REDRAW;
    }
    return EINET_TOP_NOTHING;
}
