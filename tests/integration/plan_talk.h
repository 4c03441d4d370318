/* A conversation with a running `einet plan` over pipes, and the reading of its answers. */
#ifndef TESTS_INTEGRATION_PLAN_TALK_H
#define TESTS_INTEGRATION_PLAN_TALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TWO "\"conv_ns\":[100,200],\"branch_ns\":[10,20],\"score\":[0.5,1],"
#define TO_1000 "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":1000}"
#define GOOD "{" TWO TO_1000 "}"
#define GOOD_J 0.78 /* 0.5 * 0.89 + 0.5 * 0.67 */

struct talk {
    pid_t pid;
    int to, from;
    size_t filled;
    char pending[8192];
    char line[8192];
};

/* Start `einet plan OPTION`. */
bool talk_begin(struct talk *t, const char *option);
bool talk_say(struct talk *t, const char *bytes, size_t length);
/* The next line without its line feed; NULL at the end, and with a failed check when none comes for a minute. */
const char *talk_hear(struct talk *t);
/* Say a line and hear the answer. */
const char *talk_ask(struct talk *t, const char *line);
/* End the conversation. Returns the exit status; *peak_kib = greatest memory of the command. */
int talk_end(struct talk *t, long *peak_kib);

/* The answer as an object, with a failed check when it is none; json_decref it. */
json_t *parsed(const char *answer);
double real_of(const json_t *root, const char *key);
/* The answer has this plan, as "[0,2]", and nothing but what belongs there. field NULL: the line as a whole. */
void check_answer(const char *answer, const char *plan, double expectation, bool is_exact);
void check_refusal(const char *answer, int64_t line, const char *field, const char *said);

#endif
