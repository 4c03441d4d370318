/* HdrHistogram logs (format version 1.3, histograms of encoding V2: zlib, base64), written and read. Our histograms
 * have HdrHistogram's layout for three digits from 1 ns on, so no count moves to another bucket on the way, and logs of
 * several runs merged are the log of one long run. Format:
 * https://github.com/HdrHistogram/HdrHistogram/blob/master/src/main/java/org/HdrHistogram/HistogramLogWriter.java
 * and AbstractHistogram.java, encodeIntoCompressedByteBuffer. Thread: any, one a log; not real-time safe.
 */
#ifndef METRICS_HLOG_H
#define METRICS_HLOG_H

#include "rt/histogram.h"

#include <einet/error.h>
#include <stdio.h>

#define EI_HLOG_TAG_MAX 160 /* bytes with the final 0 */
#define EI_HLOG_TAGS_MAX 8192

/* The lines before the histograms; start_s: time of day of the run's time 0, seconds since 1970. Returns 0 or -errno.
 */
int ei_hlog_write_head(FILE *out, double start_s);

/* One line: a histogram of ns that was filled from start_s to start_s + length_s after the log's start. A tag has no
 * comma and no blank. Returns 0, -EINVAL (tag), -ENOMEM or -errno. */
int ei_hlog_write(FILE *out, const char *tag, double start_s, double length_s, const struct ei_histogram *histogram);

/* What a line's last field holds: on the heap, NULL when memory is out. */
char *ei_hlog_encode(const struct ei_histogram *histogram);

/* The reverse; the field ends at a line end or 0. Minimum and maximum become those of their buckets, the mean is that
 * of the buckets' middles. Also takes logs of others: of fewer or more digits, or another highest value, whose values
 * count in the bucket that their lowest equivalent value falls into. Returns 0, EINET_E_FILE (no such encoding, or cut
 * off) or -ENOMEM. */
int ei_hlog_decode(const char *text, struct ei_histogram *out, struct einet_error *err);

struct ei_hlog_entry {
    char tag[EI_HLOG_TAG_MAX]; /* "" = none */
    struct ei_histogram histogram;
};

/* A log as read: one entry per tag, in the order of their first lines. */
struct ei_hlog {
    struct ei_hlog_entry **entries; /* owned */
    int32_t count;
};

/* Read a log and merge the lines of each tag; the exact maximum comes from the lines themselves. Returns 0, -errno of
 * the file, EINET_E_FILE (the error names file and line), EINET_E_LIMIT or -ENOMEM, and then nothing to free. */
int ei_hlog_read(const char *path, struct ei_hlog *out, struct einet_error *err);
void ei_hlog_fini(struct ei_hlog *log);

/* The histogram of a tag, NULL = the log has none. Borrowed. */
const struct ei_histogram *ei_hlog_find(const struct ei_hlog *log, const char *tag);

#endif
