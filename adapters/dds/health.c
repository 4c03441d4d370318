/* See health.h. */
#include "adapters/dds/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void ei_dds_health_init(struct ei_dds_health *health, int64_t deadline_ns, int64_t least_interval_ns)
{
    *health = (struct ei_dds_health){.level = EI_DDS_STALE};
    ei_dds_health_promise(health, deadline_ns, least_interval_ns);
}

void ei_dds_health_promise(struct ei_dds_health *health, int64_t deadline_ns, int64_t least_interval_ns)
{
    health->stale_ns = largest(EI_DDS_STALE_NS, 10 * least_interval_ns);
    health->deadline_ns = deadline_ns;
}

void ei_dds_health_job(struct ei_dds_health *health, const struct einet_result *result, int64_t now_ns)
{
    const bool is_late = (result->flags & EINET_RESULT_DEADLINE_MET) == 0;
    health->jobs++;
    health->second_jobs++;
    health->missed += is_late;
    health->second_missed += is_late;
    health->second_faults += result->cause == EINET_CAUSE_FAULT;
    if (!is_late || health->last_in_time_ns == 0) { /* the delay counts from the first one on */
        health->last_in_time_ns = now_ns;
    }
    if (result->outcome == EINET_JOB_COMPLETED) {
        health->processing_ns = result->finish_ns - result->start_ns;
        health->latency_ns = result->finish_ns - result->release_ns;
    }
    health->is_late = is_late;
    health->last_job_ns = health->last_news_ns = now_ns;
}

void ei_dds_health_turned_away(struct ei_dds_health *health, int64_t now_ns)
{
    health->turned_away++;
    health->second_turned_away++;
    health->last_news_ns = now_ns;
}

void ei_dds_health_refused(struct ei_dds_health *health, int64_t total, int64_t now_ns)
{
    if (total != health->refused) {
        health->second_refused += total - health->refused;
        health->refused = total;
        health->last_news_ns = now_ns;
    }
}

void ei_dds_health_left(struct ei_dds_health *health, int64_t total, int64_t now_ns)
{
    if (total != health->left) {
        health->second_left += total - health->left;
        health->left = total;
        health->last_news_ns = now_ns;
    }
}

static int64_t delay_ns(const struct ei_dds_health *health)
{
    return health->last_job_ns - health->last_in_time_ns;
}

static bool is_stale(const struct ei_dds_health *health, int64_t now_ns)
{
    return health->last_news_ns == 0 || now_ns - health->last_news_ns > health->stale_ns;
}

static enum ei_dds_level judge(const struct ei_dds_health *health, int64_t now_ns)
{
    if (is_stale(health, now_ns)) {
        return EI_DDS_STALE;
    }
    if (health->second_faults > 0 || (health->second_missed > 0 && delay_ns(health) > EI_DDS_DELAY_NS)) {
        return EI_DDS_ERROR;
    }
    const int64_t troubles = health->second_missed + health->second_turned_away + health->second_refused;
    return troubles > 0 ? EI_DDS_WARN : EI_DDS_OK;
}

bool ei_dds_health_look(struct ei_dds_health *health, bool is_due, int64_t now_ns)
{
    const enum ei_dds_level before = health->level, now = judge(health, now_ns);
    if (is_due || now > before || before == EI_DDS_STALE) {
        health->level = now;
        health->shown_jobs = health->second_jobs;
        health->shown_troubles = health->second_missed + health->second_turned_away + health->second_refused;
        health->shown_left = health->second_left;
    }
    if (is_due) {
        health->second_jobs = health->second_missed = health->second_turned_away = 0;
        health->second_refused = health->second_faults = health->second_left = 0;
    }
    return health->level != before;
}

/* ---- words ---- */

static void say_message(const struct ei_dds_health *health, bool is_follower, int64_t now_ns, char *out, size_t size)
{
    const char *what = is_follower ? "result" : "image";
    switch (health->level) {
    case EI_DDS_OK:
        if (health->shown_left > 0) {
            (void)snprintf(out, size, "OK, %ss are left to other nodes of the pool", what);
        } else {
            (void)snprintf(out, size, "OK");
        }
        break;
    case EI_DDS_WARN:
        (void)snprintf(out, size, "%" PRId64 " late, not run, turned away or refused; %" PRId64 " jobs ended meanwhile",
                       health->shown_troubles, health->shown_jobs);
        break;
    case EI_DDS_ERROR:
        if (delay_ns(health) > EI_DDS_DELAY_NS) {
            (void)snprintf(out, size, "no job in time for %.1f s", (double)delay_ns(health) / 1e9);
        } else {
            (void)snprintf(out, size, "a stage failed");
        }
        break;
    case EI_DDS_STALE:
        if (health->last_news_ns == 0) {
            (void)snprintf(out, size, "no %s has come yet", what);
        } else {
            (void)snprintf(out, size, "no %s for %.1f s", what, (double)(now_ns - health->last_news_ns) / 1e9);
        }
        break;
    }
}

static const char *truth(bool is_true)
{
    return is_true ? "True" : "False";
}

void ei_dds_health_say(const struct ei_dds_health *health, bool is_follower, const char *refusal, int64_t now_ns,
                       struct ei_dds_words *out_words)
{
    static const char *const keys[EI_DDS_WORDS] = {"processing_time_ms",
                                                   "is_processing_time_ms_in_expected_range",
                                                   "consecutive_processing_delay_ms",
                                                   "is_consecutive_processing_delay_in_range",
                                                   "pipeline_latency_ms",
                                                   "deadline_ms",
                                                   "jobs",
                                                   "missed",
                                                   "turned_away",
                                                   "refused",
                                                   "degraded"};
    char(*v)[sizeof out_words->values[0]] = out_words->values;
    memcpy(out_words->keys, keys, sizeof keys);
    say_message(health, is_follower, now_ns, out_words->message, sizeof out_words->message);
    (void)snprintf(v[0], sizeof v[0], "%.3f", (double)health->processing_ns / 1e6);
    (void)snprintf(v[1], sizeof v[1], "%s", truth(!health->is_late));
    (void)snprintf(v[2], sizeof v[2], "%.3f", (double)delay_ns(health) / 1e6);
    (void)snprintf(v[3], sizeof v[3], "%s", truth(delay_ns(health) <= EI_DDS_DELAY_NS));
    (void)snprintf(v[4], sizeof v[4], "%.3f", (double)health->latency_ns / 1e6);
    (void)snprintf(v[5], sizeof v[5], "%.3f", (double)health->deadline_ns / 1e6);
    (void)snprintf(v[6], sizeof v[6], "%" PRId64, health->jobs);
    (void)snprintf(v[7], sizeof v[7], "%" PRId64, health->missed);
    (void)snprintf(v[8], sizeof v[8], "%" PRId64, health->turned_away);
    (void)snprintf(v[9], sizeof v[9], "%" PRId64 "%s%s", health->refused, refusal[0] != '\0' ? ": " : "", refusal);
    (void)snprintf(v[10], sizeof v[10], "%s", health->degraded[0] != '\0' ? health->degraded : truth(false));
}
