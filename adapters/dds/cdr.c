/* See cdr.h. */
#include "adapters/dds/cdr.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define ENCAPSULATION_BYTES 4
#define IS_LITTLE_BIT 1 /* of the second byte */
#define XCDR2_FROM 6    /* second byte: eight bytes stand on multiples of four from here on */

/* What is left to read; is_ok stays false from the first thing that is not there. */
struct cursor {
    const uint8_t *data; /* alignment counts from here */
    size_t at, end, alignment_max;
    bool is_ok;
};

/* The place of the next `bytes`, or NULL. */
EINET_RT static const uint8_t *take(struct cursor *c, size_t alignment, size_t bytes)
{
    const size_t step = alignment < c->alignment_max ? alignment : c->alignment_max;
    const size_t from = (c->at + step - 1) / step * step;
    c->is_ok = c->is_ok && from <= c->end && bytes <= c->end - from;
    if (!c->is_ok) {
        return NULL;
    }
    c->at = from + bytes;
    return &c->data[from];
}

/* A number of so many bytes, left alone where it is not there. */
EINET_RT static void take_number(struct cursor *c, void *out, size_t bytes)
{
    const uint8_t *from = take(c, bytes, bytes);
    if (from != NULL) {
        memcpy(out, from, bytes);
    }
}

EINET_RT static uint32_t take_u32(struct cursor *c)
{
    uint32_t value = 0;
    take_number(c, &value, sizeof value);
    return value;
}

/* A string counts its terminating 0. */
EINET_RT static const char *take_text(struct cursor *c)
{
    const uint32_t bytes = take_u32(c);
    const uint8_t *text = take(c, 1, bytes);
    c->is_ok = c->is_ok && bytes > 0 && text[bytes - 1] == '\0';
    return c->is_ok ? (const char *)text : NULL;
}

EINET_RT static void take_octets(struct cursor *c, struct ei_dds_image *out)
{
    out->data_bytes = take_u32(c);
    out->data = take(c, 1, out->data_bytes);
}

EINET_RT static struct cursor begin(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out)
{
    struct cursor c = {.alignment_max = sizeof(uint64_t),
                       .is_ok = bytes >= ENCAPSULATION_BYTES &&
                                ((cdr[1] & IS_LITTLE_BIT) != 0) == (__BYTE_ORDER == __LITTLE_ENDIAN)};
    *out = (struct ei_dds_message){.frame_id = ""};
    if (c.is_ok) {
        c.data = &cdr[ENCAPSULATION_BYTES];
        c.end = bytes - ENCAPSULATION_BYTES;
        c.alignment_max = cdr[1] >= XCDR2_FROM ? sizeof(uint32_t) : sizeof(uint64_t);
    }
    out->sec = (int32_t)take_u32(&c);
    out->nanosec = take_u32(&c);
    return c;
}

EINET_RT static enum ei_dds_fault end(const struct cursor *c, const struct ei_dds_message *read,
                                      struct ei_dds_message *out)
{
    if (!c->is_ok) {
        return EI_DDS_FAULT_BYTES;
    }
    *out = *read;
    return EI_DDS_FAULT_NONE;
}

EINET_RT enum ei_dds_fault ei_dds_read_image(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message)
{
    struct ei_dds_message read;
    struct cursor c = begin(cdr, bytes, &read);
    read.frame_id = take_text(&c);
    read.image.height = take_u32(&c);
    read.image.width = take_u32(&c);
    read.image.encoding = take_text(&c);
    (void)take(&c, 1, 1); /* is_bigendian: of channels wider than a byte, which none is here */
    read.image.step = take_u32(&c);
    take_octets(&c, &read.image);
    return end(&c, &read, out_message);
}

EINET_RT enum ei_dds_fault ei_dds_read_file(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message)
{
    struct ei_dds_message read;
    struct cursor c = begin(cdr, bytes, &read);
    read.frame_id = take_text(&c);
    read.image.encoding = take_text(&c);
    take_octets(&c, &read.image);
    return end(&c, &read, out_message);
}

/* ---- results ---- */

EINET_RT static int32_t take_i32(struct cursor *c)
{
    return (int32_t)take_u32(c);
}

EINET_RT static int64_t take_i64(struct cursor *c)
{
    int64_t value = 0;
    take_number(c, &value, sizeof value);
    return value;
}

EINET_RT static uint8_t take_u8(struct cursor *c)
{
    uint8_t value = 0;
    take_number(c, &value, sizeof value);
    return value;
}

EINET_RT static bool is_probability(double value)
{
    return value >= 0.0 && value <= 1.0; /* which what is no number is not */
}

/* What only a status says. */
struct status {
    uint8_t outcome, cause, answered, deadline_met, preempted, plan_done, is_final;
};

EINET_RT static void take_flags(struct cursor *c, struct status *out)
{
    out->outcome = take_u8(c);
    out->cause = take_u8(c);
    out->answered = take_u8(c);
    out->deadline_met = take_u8(c);
    out->preempted = take_u8(c);
    out->plan_done = take_u8(c);
    out->is_final = take_u8(c);
}

EINET_RT static enum ei_dds_fault judge_status(const struct status *status, const struct einet_result *result)
{
    const struct einet_answer *answer = &result->answer;
    if (status->outcome == EI_DDS_OUTCOME_UNDER_WAY || status->is_final == 0) {
        return EI_DDS_FAULT_PARTIAL;
    }
    const bool is_known = status->outcome <= EI_DDS_OUTCOME_TURNED_AWAY && status->cause <= EINET_CAUSE_OVERRUN;
    const bool is_exit = answer->exits_total >= 0 && answer->exit_idx >= -1 &&
                         (answer->exit_idx < answer->exits_total || answer->exit_idx == -1);
    const bool is_answer =
        answer->label >= (status->answered != 0 ? 0 : -1) && is_probability((double)answer->confidence);
    return is_known && is_exit && is_answer ? EI_DDS_FAULT_NONE : EI_DDS_FAULT_RESULT;
}

EINET_RT enum ei_dds_fault ei_dds_read_status(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message,
                                              struct einet_result *out_result)
{
    struct einet_result result = {.size_bytes = sizeof result, .answer = {.size_bytes = sizeof result.answer}};
    struct einet_answer *answer = &result.answer;
    struct ei_dds_message read;
    struct status status;
    struct cursor c = begin(cdr, bytes, &read);
    result.job_idx = answer->job_idx = take_i64(&c);
    result.task_idx = answer->task_idx = take_i32(&c);
    take_flags(&c, &status);
    answer->exit_idx = take_i32(&c);
    answer->exits_total = take_i32(&c);
    result.planned_exit = take_i32(&c);
    answer->label = take_i32(&c);
    take_number(&c, &answer->confidence, sizeof answer->confidence);
    result.blocks_done = take_i32(&c);
    result.preemptions = take_i32(&c);
    result.release_ns = answer->release_ns = take_i64(&c);
    result.start_ns = take_i64(&c);
    result.finish_ns = take_i64(&c);
    result.deadline_ns = take_i64(&c);
    result.lane_busy_ns = take_i64(&c);
    enum ei_dds_fault fault = c.is_ok ? judge_status(&status, &result) : EI_DDS_FAULT_BYTES;
    if (fault == EI_DDS_FAULT_NONE) {
        result.outcome = status.outcome;
        result.cause = status.cause;
        result.flags = (status.answered != 0 ? EINET_RESULT_ANSWERED : 0U) |
                       (status.deadline_met != 0 ? EINET_RESULT_DEADLINE_MET : 0U) |
                       (status.preempted != 0 ? EINET_RESULT_PREEMPTED : 0U);
        answer->is_final = status.answered != 0;
        *out_message = read;
        *out_result = result;
    }
    return fault;
}

/* A number from 0 without anything beside it; -1 = none. */
EINET_RT static int32_t to_class(const char *text)
{
    int64_t value = text[0] != '\0' ? 0 : -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > INT32_MAX / 10) {
            return -1;
        }
        value = value * 10 + (*text - '0');
    }
    return value <= INT32_MAX ? (int32_t)value : -1;
}

/* Among the most probable, of equal ones behind those that came before. */
EINET_RT static void put_class(struct einet_answer *answer, int32_t class, float p)
{
    int32_t at = answer->top_count < EINET_TOP_MAX ? answer->top_count++ : EINET_TOP_MAX;
    for (; at > 0 && answer->top_p[at - 1] < p; at--) {
        if (at < EINET_TOP_MAX) {
            answer->top_class[at] = answer->top_class[at - 1];
            answer->top_p[at] = answer->top_p[at - 1];
        }
    }
    if (at < EINET_TOP_MAX) {
        answer->top_class[at] = class;
        answer->top_p[at] = p;
    }
}

EINET_RT static enum ei_dds_fault take_classes(struct cursor *c, struct einet_answer *answer)
{
    const uint32_t count = take_u32(c);
    if (c->is_ok && (count == 0 || count > EI_DDS_CLASSES_MAX)) {
        return EI_DDS_FAULT_RESULT;
    }
    for (uint32_t i = 0; i < count && c->is_ok; i++) {
        double score = 0.0;
        const char *text = take_text(c);
        take_number(c, &score, sizeof score);
        if (c->is_ok && (to_class(text) < 0 || !is_probability(score))) {
            return EI_DDS_FAULT_RESULT;
        }
        if (c->is_ok) {
            put_class(answer, to_class(text), (float)score);
        }
    }
    return c->is_ok ? EI_DDS_FAULT_NONE : EI_DDS_FAULT_BYTES;
}

EINET_RT enum ei_dds_fault ei_dds_read_classification(const uint8_t *cdr, size_t bytes,
                                                      struct ei_dds_message *out_message,
                                                      struct einet_result *out_result)
{
    struct einet_result result = {
        .size_bytes = sizeof result,
        .job_idx = -1,
        .deadline_ns = INT64_MAX,
        .task_idx = -1,
        .flags = EINET_RESULT_ANSWERED,
        .outcome = EINET_JOB_COMPLETED,
        .planned_exit = -1,
        .answer = {.size_bytes = sizeof result.answer, .job_idx = -1, .task_idx = -1, .exit_idx = -1, .is_final = 1}};
    struct ei_dds_message read;
    struct cursor c = begin(cdr, bytes, &read);
    read.frame_id = take_text(&c);
    const enum ei_dds_fault fault = take_classes(&c, &result.answer);
    if (fault == EI_DDS_FAULT_NONE) {
        result.answer.label = result.answer.top_class[0];
        result.answer.confidence = result.answer.top_p[0];
        *out_message = read;
        *out_result = result;
    }
    return fault;
}
