/* einet plan as programs use it: answers computed by hand, every bad field, a batch that goes on, a conversation line
 * by line.
 */
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/integration/plan_talk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_LIMIT (1 << 20)

/* ---- answers by hand ---- */

/* One exit of score 0.5, ready at 200 ns: J = 0.5 * S(200). */
#define ONE "\"conv_ns\":[100],\"branch_ns\":[100],\"score\":[0.5],"

EI_TEST(plan_answers_are_those_computed_by_hand)
{
    static const struct {
        const char *line, *plan;
        double expectation;
        bool is_exact;
    } cases[] = {
        {GOOD, "[0,1]", GOOD_J, true},
        {"{" TWO TO_1000 ",\"search\":\"exact\",\"no_output_score\":0}", "[0,1]", GOOD_J, true},
        {"{" TWO TO_1000 ",\"search\":\"greedy\"}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"hybrid:6\"}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"hybrid(1)\"}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"random:1000\"}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"random:1000\",\"seed\":9}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"statistics\"}", "[0,1]", GOOD_J, true},
        {"{" TWO TO_1000 ",\"search\":\"all\"}", "[0,1]", GOOD_J, false},
        {"{" TWO TO_1000 ",\"search\":\"static:50\"}", "[1]", 0.68, false},
        {"{" TWO TO_1000 ",\"search\":\"confidence:0.5\"}", "[0]", 0.445, false},
        /* The stop is certain: only what is ready in time counts, and exit 0 first would make exit 1 late. */
        {"{" TWO "\"exit_time\":{\"kind\":\"uniform\",\"begin_ns\":320,\"horizon_ns\":320},\"search\":\"oracle\"}",
         "[1]", 1, true},
        /* Nothing is ever ready in time. */
        {"{" TWO "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":0}}", "[]", 0, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"uniform\",\"begin_ns\":100,\"horizon_ns\":300}}", "[0]", 0.25, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"exponential\",\"rate_per_s\":5000000}}", "[0]", 0.5 * 0.36787944117144233,
         true},
        {"{" ONE "\"exit_time\":{\"kind\":\"exponential\",\"rate_per_s\":0}}", "[0]", 0.5, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"knots\",\"t_ns\":[100,300],\"survival\":[1,0]}}", "[0]", 0.25, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"knots\",\"t_ns\":[100,500],\"survival\":[1.0,5e-1]}}", "[0]", 0.4375, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"steps\",\"t_ns\":[100,300],\"survival\":[0.75,0]}}", "[0]", 0.375, true},
        {"{" ONE "\"exit_time\":{\"kind\":\"product\",\"factors\":[{\"kind\":\"uniform\",\"horizon_ns\":400},"
         "{\"kind\":\"steps\",\"t_ns\":[100],\"survival\":[0.5]}]}}",
         "[0]", 0.125, true},
        /* No output is worth something; then more than the exit. */
        {"{" ONE "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":400},\"no_output_score\":0.25}", "[0]", 0.375,
         true},
        {"{" ONE "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":400},\"no_output_score\":0.625}", "[]", 0.625,
         true},
        /* On its way: conv part 0 done, 100 ns gone, branch 0 open. */
        {"{" ONE "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":400},\"convs_done\":1,\"elapsed_ns\":100}", "[0]",
         0.25, true},
        /* After exit 0 with another score than expected; held_score counts, no_output_score no more. */
        {"{" TWO TO_1000 ",\"convs_done\":1,\"first_exit\":1,\"elapsed_ns\":110,\"held_score\":0.75,"
         "\"no_output_score\":0.1}",
         "[1]", 0.75 + 0.25 * 0.67, true},
        {"{" TWO TO_1000 ",\"convs_done\":2,\"first_exit\":2,\"held_score\":1}", "[]", 1, true},
        /* Scores as written, not as the search's floats. */
        {"{\"conv_ns\":[0],\"branch_ns\":[0],\"score\":[0.7],\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":1}}",
         "[0]", 0.7, true},
        /* Blanks, any order, a carriage return. */
        {" { \"exit_time\" : { \"horizon_ns\" : 1000 , \"kind\" : \"uniform\" } , \"score\" : [ 0.5 , 1 ] ,\t"
         "\"branch_ns\" : [ 10 , 20 ] , \"conv_ns\" : [ 100 , 200 ] } \r",
         "[0,1]", GOOD_J, true},
    };
    struct talk t;
    EI_REQUIRE(talk_begin(&t, "--batch"));
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const int failures = ei_test_failures();
        check_answer(talk_ask(&t, cases[c].line), cases[c].plan, cases[c].expectation, cases[c].is_exact);
        EI_TRUEF(ei_test_failures() == failures, "of %s", cases[c].line);
    }
    EI_EQ(talk_end(&t, NULL), 0);
}

/* ---- bad lines ---- */

/* The good line with one part replaced. */
static const char *with(const char *part, const char *other)
{
    static char line[4096];
    const char *at = strstr(GOOD, part);
    if (!EI_TRUEF(at != NULL, "%s is no part of the good line", part)) {
        return "";
    }
    snprintf(line, sizeof line, "%.*s%s%s", (int)(at - GOOD), GOOD, other, at + strlen(part));
    return line;
}

#define UNIFORM "\"uniform\",\"horizon_ns\":1000"
#define LAST "1000}"
#define ONES_16 "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"
#define ONES_65 "[" ONES_16 "," ONES_16 "," ONES_16 "," ONES_16 ",1]"
#define RANGE "must be a whole number of ns within 0..1000000000000"

static const struct {
    const char *part, *other, *field, *said; /* part NULL: other is the whole line */
} bad_lines[] = {
    /* no JSON */
    {"200", "NaN", "conv_ns[1]", "must be JSON: invalid token near 'NaN'"},
    {"20]", "nan]", "branch_ns[1]", "must be JSON"},
    {"0.5", "Infinity", "score[0]", "must be JSON"},
    {"1]", "-Infinity]", "score[1]", "must be JSON"},
    {LAST, "NaN}", "exit_time.horizon_ns", "must be JSON"},
    {"0.5", "1e999", "score[0]", "must be a number that 64 bits can hold"},
    {"200", "99999999999999999999", "conv_ns[1]", "must be a number that 64 bits can hold"},
    {"0.5", "\"\xff\"", "score[0]", "must be UTF-8"},
    {"0.5", "'0.5'", "score[0]", "must be JSON"},
    {"200", "0200", "conv_ns[1]", "must be JSON"},
    {"\"score\"", "\"sc\\ud800\"", "sc\\ud800", "must be JSON"},
    {NULL, GOOD " 1", NULL, "nothing behind it"},
    {NULL, GOOD "}", NULL, "nothing behind it"},
    {NULL, GOOD GOOD, NULL, "nothing behind it"},
    {NULL, "{\"conv_ns\":[1,2", "conv_ns[1]", "must be JSON"},
    {NULL, "{\"conv_ns\":[1,]}", "conv_ns", "must be JSON"},
    {NULL, "", NULL, "is empty"},
    {NULL, " \t ", NULL, "is empty"},
    {NULL, "[]", NULL, "must be one JSON object, and is an array"},
    {NULL, "1", NULL, "must be one JSON object, and is a whole number"},
    {NULL, "null", NULL, "must be one JSON object, and is null"},
    {NULL, "plan", NULL, "must be JSON"},
    /* keys */
    {"\"score\"", "\"scores\"", "scores", "must not be there; the fields are conv_ns, branch_ns, score, exit_time"},
    {"\"score\"", "\"\xc3\xa4\"", "??", "must not be there"},
    {"\"score\"", "\"score\":[1],\"score\"", "score", "must be given once"},
    {"\"kind\"", "\"kind\":\"knots\",\"kind\"", "exit_time.kind", "must be given once"},
    {LAST, "1000,\"rate_per_s\":1}", "exit_time.rate_per_s", "the fields are kind, horizon_ns, begin_ns"},
    {"\"conv_ns\":[100,200],", "", "conv_ns", "must be given"},
    {"\"branch_ns\":[10,20],", "", "branch_ns", "must be given"},
    {"\"score\":[0.5,1],", "", "score", "must be given"},
    {"," TO_1000, "", "exit_time", "must be given"},
    /* arrays */
    {"[100,200]", "[]", "conv_ns", "must have 1..64 elements, and has 0"},
    {"[10,20]", "[]", "branch_ns", "must have 1..64 elements, and has 0"},
    {"[0.5,1]", "[]", "score", "must have 1..64 elements, and has 0"},
    {"[100,200]", ONES_65, "conv_ns", "must have 1..64 elements, and has 65"},
    {"[10,20]", ONES_65, "branch_ns", "must have 1..64 elements, and has 65"},
    {"[10,20]", "[10]", "branch_ns", "must have 2 elements, as many as conv_ns, and has 1"},
    {"[0.5,1]", "[0.5,1,1]", "score", "must have 2 elements, as many as conv_ns, and has 3"},
    {"[100,200]", "100", "conv_ns", "must be an array"},
    {"[0.5,1]", "{\"0\":1}", "score", "must be an array of 1..64 elements, and is an object"},
    /* numbers */
    {"200", "-1", "conv_ns[1]", RANGE ", and is -1"},
    {"200", "1000000000001", "conv_ns[1]", RANGE},
    {"200", "1.5", "conv_ns[1]", RANGE ", and is a number with a point"},
    {"200", "1e2", "conv_ns[1]", RANGE},
    {"200", "\"200\"", "conv_ns[1]", RANGE ", and is a string"},
    {"10,", "-9223372036854775808,", "branch_ns[0]", RANGE},
    {"10,", "true,", "branch_ns[0]", RANGE ", and is true or false"},
    {"0.5", "null", "score[0]", "must be a number, and is null"},
    {"0.5", "[0.5]", "score[0]", "must be a number, and is an array"},
    {"0.5", "1e300", "score[0]", "must be within"},
    /* exit times */
    {"{\"kind\":" UNIFORM "}", "[]", "exit_time", "must be an object with a kind"},
    {"\"kind\":\"uniform\",", "", "exit_time.kind",
     "must be given, one of uniform, exponential, knots, steps, product"},
    {"\"uniform\"", "1", "exit_time.kind", "must be a string"},
    {"\"uniform\"", "\"weibull\"", "exit_time.kind", "must be one of uniform"},
    {UNIFORM, "\"uniform\"", "exit_time.horizon_ns", "must be given"},
    {LAST, "-1}", "exit_time.horizon_ns", "must be a whole number of ns >= 0, and is -1"},
    {LAST, "1000.0}", "exit_time.horizon_ns", "must be a whole number of ns >= 0"},
    {LAST, "1000,\"begin_ns\":-1}", "exit_time.begin_ns", "must be a whole number of ns >= 0"},
    {LAST, "1000,\"begin_ns\":1001}", "exit_time.horizon_ns", "must not be before begin_ns"},
    {UNIFORM, "\"exponential\"", "exit_time.rate_per_s", "must be given"},
    {UNIFORM, "\"exponential\",\"rate_per_s\":-0.1", "exit_time.rate_per_s", "must be a finite number >= 0"},
    {UNIFORM, "\"exponential\",\"rate_per_s\":\"1\"", "exit_time.rate_per_s", "must be a number, and is a string"},
    {UNIFORM, "\"knots\",\"t_ns\":[5]", "exit_time.survival", "must be given"},
    {UNIFORM, "\"knots\",\"t_ns\":[],\"survival\":[]", "exit_time.t_ns", "must have 1..64 elements"},
    {UNIFORM, "\"knots\",\"t_ns\":" ONES_65 ",\"survival\":" ONES_65, "exit_time.t_ns", "must have 1..64 elements"},
    {UNIFORM, "\"knots\",\"t_ns\":[5,6],\"survival\":[1]", "exit_time.survival",
     "must have 2 elements, as many as t_ns"},
    {UNIFORM, "\"knots\",\"t_ns\":[5,4],\"survival\":[1,0]", "exit_time.t_ns[1]", "must not decrease"},
    {UNIFORM, "\"steps\",\"t_ns\":[-5,4],\"survival\":[1,0]", "exit_time.t_ns[0]", "must be a whole number of ns >= 0"},
    {UNIFORM, "\"steps\",\"t_ns\":[4,5,6],\"survival\":[1,0.5,0.6]", "exit_time.survival[2]", "must not increase"},
    {UNIFORM, "\"steps\",\"t_ns\":[4],\"survival\":[1.01]", "exit_time.survival[0]", "must be within 0..1"},
    {UNIFORM, "\"product\",\"factors\":[]", "exit_time.factors", "must have 1..8 elements"},
    {UNIFORM, "\"product\",\"factors\":[3]", "exit_time.factors[0]", "must be an object"},
    {UNIFORM, "\"product\",\"factors\":[{\"kind\":\"uniform\",\"horizon_ns\":1},{\"kind\":\"product\",\"factors\":[]}]",
     "exit_time.factors[1].kind", "must be one of uniform, exponential, knots, steps, and"},
    {UNIFORM, "\"product\",\"factors\":[{\"kind\":\"knots\",\"t_ns\":[1,2],\"survival\":[0.1,0.2]}]",
     "exit_time.factors[0].survival[1]", "must not increase"},
    {UNIFORM, "\"product\",\"factors\":[{\"kind\":\"uniform\",\"horizon_ns\":NaN}]", "exit_time.factors[0].horizon_ns",
     "must be JSON"},
    /* search and state */
    {LAST, LAST ",\"search\":\"best\"", "search", "there are exact, hybrid:DEPTH"},
    {LAST, LAST ",\"search\":\"hybrid:13\"", "search", "a depth within 0..12"},
    {LAST, LAST ",\"search\":6", "search", "must be a string"},
    {LAST, LAST ",\"search\":\"oracle\"", "search", "must be oracle only where the stop is known"},
    {LAST, LAST ",\"seed\":-1", "seed", "must be a whole number >= 0"},
    {LAST, LAST ",\"no_output_score\":\"0\"", "no_output_score", "must be a number"},
    {LAST, LAST ",\"convs_done\":3", "convs_done", "must be a whole number within 0..2"},
    {LAST, LAST ",\"convs_done\":2", "first_exit", "must not lie before the last computed conv part"},
    {LAST, LAST ",\"first_exit\":-1", "first_exit", "must be a whole number within 0..2"},
    {LAST, LAST ",\"elapsed_ns\":-1", "elapsed_ns", "must be a whole number of ns"},
    {LAST, LAST ",\"elapsed_ns\":9223372036854775807", "elapsed_ns", "must be a whole number of ns"},
    {LAST, LAST ",\"held_score\":true", "held_score", "must be a number"},
};

EI_TEST(plan_bad_lines_name_the_field_and_the_batch_goes_on)
{
    struct talk t;
    EI_REQUIRE(talk_begin(&t, "--batch"));
    for (size_t c = 0; c < sizeof bad_lines / sizeof bad_lines[0]; c++) {
        const int failures = ei_test_failures();
        const char *line = bad_lines[c].part != NULL ? with(bad_lines[c].part, bad_lines[c].other) : bad_lines[c].other;
        check_refusal(talk_ask(&t, line), (int64_t)(2 * c + 1), bad_lines[c].field, bad_lines[c].said);
        check_answer(talk_ask(&t, GOOD), "[0,1]", GOOD_J, true);
        EI_TRUEF(ei_test_failures() == failures, "of %s", line);
    }
    EI_EQ(talk_end(&t, NULL), 2);
}

EI_TEST(plan_any_bytes_get_one_answer_a_line)
{
    struct ei_random rng;
    struct talk t;
    int64_t line = 0;
    ei_random_init(&rng, 20260301, 0);
    EI_REQUIRE(talk_begin(&t, "--batch"));
    for (int i = 0; i < 3000; i++) {
        char bytes[sizeof GOOD] = GOOD;
        size_t length = sizeof GOOD - 1;
        for (uint64_t hits = 1 + ei_random_below(&rng, 3); hits > 0; hits--) {
            const char byte = (char)ei_random_below(&rng, 256);
            bytes[ei_random_below(&rng, length)] = byte == '\n' ? '\0' : byte;
        }
        length = ei_random_below(&rng, 8) == 0 ? ei_random_below(&rng, length) : length;
        EI_REQUIRE(talk_say(&t, bytes, length) && talk_say(&t, "\n", 1));
        json_t *root = parsed(talk_hear(&t)), *error = json_object_get(root, "error");
        line++;
        EI_TRUE(error == NULL || json_integer_value(json_object_get(error, "line")) == line);
        EI_TRUE(error != NULL || json_is_array(json_object_get(root, "plan")));
        json_decref(root);
    }
    EI_EQ(talk_end(&t, NULL), 2);
}

/* A good problem after so many blanks that the line has `length` bytes. */
static bool say_padded(struct talk *t, size_t length)
{
    char *line = malloc(length + 1);
    if (!EI_TRUE(line != NULL)) {
        return false;
    }
    memset(line, ' ', length);
    memcpy(line + length - (sizeof GOOD - 1), GOOD, sizeof GOOD - 1);
    line[length] = '\n';
    const bool is_said = talk_say(t, line, length + 1);
    free(line);
    return is_said;
}

EI_TEST(plan_a_line_too_long_is_an_error_of_its_own)
{
    struct talk t;
    EI_REQUIRE(talk_begin(&t, "--batch"));
    EI_REQUIRE(say_padded(&t, LINE_LIMIT));
    check_answer(talk_hear(&t), "[0,1]", GOOD_J, true);
    EI_REQUIRE(say_padded(&t, LINE_LIMIT + 1));
    check_refusal(talk_hear(&t), 2, NULL, "must have at most 1048576 bytes");
    check_answer(talk_ask(&t, GOOD), "[0,1]", GOOD_J, true);
    EI_REQUIRE(say_padded(&t, 5 * LINE_LIMIT + 3));
    check_refusal(talk_hear(&t), 4, NULL, "must have at most 1048576 bytes");
    check_answer(talk_ask(&t, GOOD), "[0,1]", GOOD_J, true);
    EI_EQ(talk_end(&t, NULL), 2);
}

EI_TEST(plan_the_last_line_needs_no_line_feed)
{
    struct talk t;
    EI_REQUIRE(talk_begin(&t, "--batch"));
    EI_REQUIRE(talk_say(&t, GOOD, sizeof GOOD - 1));
    close(t.to);
    check_answer(talk_hear(&t), "[0,1]", GOOD_J, true);
    t.to = open("/dev/null", O_WRONLY | O_CLOEXEC);
    EI_EQ(talk_end(&t, NULL), 0);

    EI_REQUIRE(talk_begin(&t, "--batch")); /* no line at all */
    EI_EQ(talk_end(&t, NULL), 0);
}

static long peak_kib_of(int lines)
{
    struct talk t;
    long peak_kib = 0;
    if (talk_begin(&t, "--batch")) {
        for (int i = 0; i < lines && ei_test_failures() == 0; i++) {
            const char *answer = talk_ask(&t, i % 2 == 0 ? GOOD : "{\"conv_ns\":[1,2,3],\"x\":");
            EI_TRUE(answer != NULL);
        }
        talk_end(&t, &peak_kib);
    }
    return peak_kib;
}

EI_TEST(plan_memory_does_not_grow_with_the_batch)
{
#ifdef EINET_SANITIZED
    ei_test_skip("a sanitizer keeps freed memory");
#endif
    const long few_kib = peak_kib_of(200), many_kib = peak_kib_of(20000);
    EI_TRUEF(many_kib < few_kib + 2048, "%ld KiB after 200 lines, %ld KiB after 20000", few_kib, many_kib);
}

EI_MAIN()
