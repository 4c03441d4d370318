/* Results of another run in the bytes of their messages: what is read of them, and what is believed. Each message lies
 * in a block of its own size, so that AddressSanitizer sees a look behind its end. */
#include "adapters/dds/cdr.h"
#include "rt/random.h"
#include "tests/harness/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum ei_dds_fault (*reader_fn)(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message,
                                       struct einet_result *out_result);

/* ---- a writer of CDR ---- */

struct bytes {
    uint8_t data[65536];
    size_t count;
    bool is_xcdr2;
};

static struct bytes begun(bool is_xcdr2)
{
    return (struct bytes){.data = {0, is_xcdr2 ? 7 : 1, 0, 0}, .count = 4, .is_xcdr2 = is_xcdr2};
}

static void put(struct bytes *to, const void *value, size_t size)
{
    const size_t step = to->is_xcdr2 && size > 4 ? 4 : size;
    while ((to->count - 4) % step != 0) {
        to->data[to->count++] = 0;
    }
    memcpy(&to->data[to->count], value, size);
    to->count += size;
}

static void put_i32(struct bytes *to, int32_t value)
{
    put(to, &value, sizeof value);
}

static void put_i64(struct bytes *to, int64_t value)
{
    put(to, &value, sizeof value);
}

static void put_text(struct bytes *to, const char *text)
{
    const size_t size = strlen(text) + 1;
    put_i32(to, (int32_t)size);
    memcpy(&to->data[to->count], text, size);
    to->count += size;
}

static void put_class(struct bytes *to, const char *name, double score)
{
    put_text(to, name);
    put(to, &score, sizeof score);
}

/* What can be wrong in a status. */
struct said {
    uint8_t outcome, cause, answered, is_final;
    int32_t exit_idx, exits_total, label;
    float confidence;
};

static const struct said right = {
    .answered = 1, .is_final = 1, .exit_idx = 2, .exits_total = 3, .label = 7, .confidence = 0.75F};

static struct bytes status_of(const struct said *said, bool is_xcdr2)
{
    struct bytes to = begun(is_xcdr2);
    const uint8_t flags[] = {said->outcome, said->cause, said->answered, 1, 1, 1, said->is_final};
    put_i32(&to, -3);
    put_i32(&to, 999999999);
    put_i64(&to, 41);
    put_i32(&to, 5);
    for (size_t i = 0; i < sizeof flags; i++) {
        put(&to, &flags[i], 1);
    }
    put_i32(&to, said->exit_idx);
    put_i32(&to, said->exits_total);
    put_i32(&to, 1);
    put_i32(&to, said->label);
    put(&to, &said->confidence, sizeof said->confidence);
    put_i32(&to, 11);
    put_i32(&to, 12);
    for (int64_t i = 101; i <= 105; i++) {
        put_i64(&to, i);
    }
    return to;
}

static struct bytes header(void)
{
    struct bytes to = begun(false);
    put_i32(&to, 8);
    put_i32(&to, 9);
    put_text(&to, "eye");
    return to;
}

static enum ei_dds_fault read_copy(reader_fn read, const uint8_t *cdr, size_t count, struct ei_dds_message *message,
                                   struct einet_result *result)
{
    uint8_t *copy = malloc(count + (count == 0));
    if (!EI_TRUE(copy != NULL)) {
        return EI_DDS_FAULT_NONE;
    }
    memcpy(copy, cdr, count);
    const enum ei_dds_fault fault = read(copy, count, message, result);
    if (fault == EI_DDS_FAULT_NONE) {
        EI_TRUE(strlen(message->frame_id) <= count);
        EI_TRUE(result->answer.top_count >= 0 && result->answer.top_count <= EINET_TOP_MAX);
    }
    free(copy);
    return fault;
}

static enum ei_dds_fault judge_status(const struct said *said)
{
    const struct bytes cdr = status_of(said, false);
    struct ei_dds_message message = {.sec = 99};
    struct einet_result result = {.job_idx = 99};
    const enum ei_dds_fault fault = read_copy(ei_dds_read_status, cdr.data, cdr.count, &message, &result);
    EI_EQ(message.sec, fault == EI_DDS_FAULT_NONE ? -3 : 99); /* else left alone */
    EI_EQ(result.job_idx, fault == EI_DDS_FAULT_NONE ? 41 : 99);
    return fault;
}

/* ---- statuses ---- */

EI_TEST(dds_result_of_a_status_is_read_whole)
{
    for (int is_xcdr2 = 0; is_xcdr2 < 2; is_xcdr2++) {
        const struct bytes cdr = status_of(&right, is_xcdr2 == 1);
        struct ei_dds_message message;
        struct einet_result r;
        EI_EQ(read_copy(ei_dds_read_status, cdr.data, cdr.count, &message, &r), EI_DDS_FAULT_NONE);
        EI_TRUE(message.sec == -3 && message.nanosec == 999999999);
        EI_STREQ(message.frame_id, "");
        EI_TRUE(r.size_bytes == sizeof r && r.answer.size_bytes == sizeof r.answer);
        EI_TRUE(r.job_idx == 41 && r.answer.job_idx == 41 && r.task_idx == 5 && r.answer.task_idx == 5);
        EI_TRUE(r.outcome == EINET_JOB_COMPLETED && r.cause == EINET_CAUSE_PLAN_DONE);
        EI_EQ(r.flags, EINET_RESULT_ANSWERED | EINET_RESULT_DEADLINE_MET | EINET_RESULT_PREEMPTED);
        EI_TRUE(r.answer.exit_idx == 2 && r.answer.exits_total == 3 && r.planned_exit == 1);
        EI_TRUE(r.answer.label == 7 && r.answer.confidence == 0.75F && r.answer.is_final == 1);
        EI_TRUE(r.blocks_done == 11 && r.preemptions == 12 && r.answer.top_count == 0);
        EI_TRUE(r.release_ns == 101 && r.start_ns == 102 && r.finish_ns == 103 && r.deadline_ns == 104 &&
                r.lane_busy_ns == 105);
    }
}

EI_TEST(dds_result_that_no_run_has_is_refused)
{
    struct said said = right;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_NONE);
    for (said.outcome = 0; said.outcome < 255; said.outcome++) {
        EI_EQ(judge_status(&said), said.outcome <= 4   ? EI_DDS_FAULT_NONE
                                   : said.outcome == 5 ? EI_DDS_FAULT_PARTIAL
                                                       : EI_DDS_FAULT_RESULT);
    }
    said = right;
    for (said.cause = 0; said.cause < 255; said.cause++) {
        EI_EQ(judge_status(&said), said.cause <= EINET_CAUSE_OVERRUN ? EI_DDS_FAULT_NONE : EI_DDS_FAULT_RESULT);
    }
    said = right;
    said.is_final = 0;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_PARTIAL);
    static const float scores[] = {-0.001F, 1.001F, 1e30F, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        said = right;
        said.confidence = scores[i];
        EI_EQ(judge_status(&said), EI_DDS_FAULT_RESULT);
    }
    said = right;
    said.exit_idx = 3;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_RESULT);
    said.exit_idx = -2;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_RESULT);
    said = right;
    said.label = -1;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_RESULT);
    said.answered = 0;
    said.exit_idx = -1;
    said.exits_total = 0;
    EI_EQ(judge_status(&said), EI_DDS_FAULT_NONE); /* as of a task without a network */
}

/* ---- classifications ---- */

EI_TEST(dds_result_of_a_classification_is_its_five_most_probable)
{
    static const struct {
        const char *name;
        double score;
    } classes[] = {{"3", 0.1}, {"2147483647", 0.2}, {"0", 0.05}, {"8", 0.3}, {"12", 0.0}, {"5", 0.2}, {"6", 0.15}};
    struct bytes cdr = header();
    struct ei_dds_message message;
    struct einet_result r;
    put_i32(&cdr, 7);
    for (size_t i = 0; i < 7; i++) {
        put_class(&cdr, classes[i].name, classes[i].score);
    }
    EI_EQ(read_copy(ei_dds_read_classification, cdr.data, cdr.count, &message, &r), EI_DDS_FAULT_NONE);
    EI_TRUE(message.sec == 8 && message.nanosec == 9);
    EI_EQ(r.answer.top_count, 5);
    static const int32_t order[] = {8, 2147483647, 5, 6, 3};
    for (int i = 0; i < 5; i++) {
        EI_EQ(r.answer.top_class[i], order[i]);
    }
    EI_TRUE(r.answer.label == 8 && r.answer.confidence == 0.3F && r.answer.top_p[4] == 0.1F);
    EI_TRUE(r.flags == EINET_RESULT_ANSWERED && r.outcome == EINET_JOB_COMPLETED && r.job_idx == -1);
}

static enum ei_dds_fault judge_class(const char *name, double score)
{
    struct bytes cdr = header();
    struct ei_dds_message message;
    struct einet_result result;
    put_i32(&cdr, 1);
    put_class(&cdr, name, score);
    return read_copy(ei_dds_read_classification, cdr.data, cdr.count, &message, &result);
}

EI_TEST(dds_result_of_a_strange_classification_is_refused)
{
    static const char *const strange[] = {"",       "-1", "1 ", " 1", "0x1", "2147483648", "99999999999999999999999999",
                                          "person", "1.", "+1"};
    static struct bytes many;
    struct ei_dds_message message;
    struct einet_result result;
    EI_EQ(judge_class("1", 1.0), EI_DDS_FAULT_NONE);
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        EI_TRUEF(judge_class(strange[i], 0.5) == EI_DDS_FAULT_RESULT, "'%s' was taken", strange[i]);
    }
    EI_EQ(judge_class("1", -0.1), EI_DDS_FAULT_RESULT);
    EI_EQ(judge_class("1", 1.1), EI_DDS_FAULT_RESULT);
    EI_EQ(judge_class("1", (double)NAN), EI_DDS_FAULT_RESULT);
    for (int32_t count = 1023; count <= 1026; count++) { /* none, too many, more than there are */
        many = header();
        put_i32(&many, count == 1026 ? 0 : count);
        for (int32_t i = 0; i < count; i++) {
            put_class(&many, "1", 0.5);
        }
        EI_EQ(read_copy(ei_dds_read_classification, many.data, many.count, &message, &result),
              count <= EI_DDS_CLASSES_MAX ? EI_DDS_FAULT_NONE : EI_DDS_FAULT_RESULT);
    }
    many = header();
    put_i32(&many, 1000);
    put_class(&many, "1", 0.5);
    EI_EQ(read_copy(ei_dds_read_classification, many.data, many.count, &message, &result), EI_DDS_FAULT_BYTES);
}

/* ---- both ---- */

EI_TEST(dds_result_of_any_bytes_is_harmless)
{
    const uint64_t seed = 20261122;
    static struct bytes whole[2];
    static const reader_fn readers[2] = {ei_dds_read_status, ei_dds_read_classification};
    struct ei_random rng;
    struct ei_dds_message message;
    struct einet_result result;
    long taken[2] = {0, 0};
    whole[0] = status_of(&right, false);
    whole[1] = header();
    put_i32(&whole[1], 2);
    put_class(&whole[1], "17", 0.5);
    put_class(&whole[1], "4", 0.25);
    ei_random_init(&rng, seed, 0);
    for (int kind = 0; kind < 2; kind++) {
        for (size_t count = 0; count < whole[kind].count; count++) {
            EI_EQ(read_copy(readers[kind], whole[kind].data, count, &message, &result), EI_DDS_FAULT_BYTES);
        }
        for (int round = 0; round < 100000; round++) {
            uint8_t bytes[256];
            memcpy(bytes, whole[kind].data, whole[kind].count);
            for (uint64_t k = 1 + ei_random_below(&rng, 4); k > 0; k--) {
                bytes[ei_random_below(&rng, whole[kind].count)] = (uint8_t)ei_random_u64(&rng);
            }
            taken[kind] += read_copy(readers[kind], bytes, whole[kind].count, &message, &result) == EI_DDS_FAULT_NONE;
            (void)read_copy(readers[1 - kind], bytes, ei_random_below(&rng, whole[kind].count), &message, &result);
        }
        EI_TRUEF(taken[kind] > 500 && taken[kind] < 99500, "seed %llu: %ld of 100000 were taken",
                 (unsigned long long)seed, taken[kind]);
    }
}

EI_MAIN()
