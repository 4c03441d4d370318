/* How a task does, as a level and words for /diagnostics: what became of its jobs, over seconds. A level rises as soon
 * as there is a reason, and falls when a whole second had none. Pure; times are of one clock; thread: any one.
 *
 *   OK     all that came in the last second was in time, or was left to other nodes of a pool
 *   WARN   something was late, did not run, was turned away or refused
 *   ERROR  a stage failed, or no job has been in time for more than a second
 *   STALE  no image has come for so long, or none yet
 */
#ifndef ADAPTERS_DDS_HEALTH_H
#define ADAPTERS_DDS_HEALTH_H

#include <einet/run.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_DDS_LOOK_NS INT64_C(1000000000)  /* between two looks */
#define EI_DDS_DELAY_NS INT64_C(1000000000) /* without a job in time: an error */
#define EI_DDS_STALE_NS INT64_C(2000000000) /* without an image, or ten times their least distance */

/* As in diagnostic_msgs/msg/DiagnosticStatus. */
enum ei_dds_level { EI_DDS_OK, EI_DDS_WARN, EI_DDS_ERROR, EI_DDS_STALE };

struct ei_dds_health {
    int64_t stale_ns, deadline_ns; /* deadline_ns 0 = none */
    enum ei_dds_level level;       /* as last said */
    int64_t jobs, missed, turned_away, refused, left;
    int64_t second_jobs, second_missed, second_turned_away, second_refused, second_faults,
        second_left;                                /* since the last look */
    int64_t shown_jobs, shown_troubles, shown_left; /* of the second that the level speaks of */
    int64_t last_news_ns;                           /* 0 = none yet */
    int64_t last_in_time_ns, last_job_ns;
    int64_t processing_ns, latency_ns; /* of the last job that ran to its end */
    bool is_late;                      /* the last job missed */
    char degraded[96];                 /* why the run is less than its file asks for; "" = it is not */
};

/* least_interval_ns: between two images, 0 = unknown. Its level is STALE until something comes. */
void ei_dds_health_init(struct ei_dds_health *health, int64_t deadline_ns, int64_t least_interval_ns);
/* The task promises something else from now on; what became of its jobs stays. */
void ei_dds_health_promise(struct ei_dds_health *health, int64_t deadline_ns, int64_t least_interval_ns);

/* What became of a job. */
void ei_dds_health_job(struct ei_dds_health *health, const struct einet_result *result, int64_t now_ns);
/* The run had no place for an image. */
void ei_dds_health_turned_away(struct ei_dds_health *health, int64_t now_ns);
/* So many were refused in all. */
void ei_dds_health_refused(struct ei_dds_health *health, int64_t total, int64_t now_ns);
/* So many were left to other nodes of a pool in all: no trouble, and no silence either. */
void ei_dds_health_left(struct ei_dds_health *health, int64_t total, int64_t now_ns);

/* Judge. is_due: a second is over, and the next one begins. Returns whether the level has changed. */
bool ei_dds_health_look(struct ei_dds_health *health, bool is_due, int64_t now_ns);

/* What is said of it. Keys are those of Autoware's nodes where these have such. */
#define EI_DDS_WORDS 11
struct ei_dds_words {
    char message[128];
    const char *keys[EI_DDS_WORDS]; /* static texts */
    char values[EI_DDS_WORDS][96];
};
/* is_follower: its chain goes on with results of another run, not with images. refusal: why the last one was refused,
 * "" = none was. */
void ei_dds_health_say(const struct ei_dds_health *health, bool is_follower, const char *refusal, int64_t now_ns,
                       struct ei_dds_words *out_words);

#endif
