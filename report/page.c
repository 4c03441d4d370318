/* See page.h. The page's own files lie in report/page and are built in (embed.cmake). */
#include "report/page.h"

#include "report/page_data.h"
#include "report/page_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The data stands in a script element, where "<" might end it or open a comment; in JSON it may be written otherwise.
 */
static void write_data(FILE *out, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        const size_t length = strcspn(p, "<");
        fwrite(p, 1, length, out);
        p += length;
        if (*p == '<') {
            fputs("\\u003c", out);
            p++;
        }
    }
}

static void write_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void write_title(FILE *out, const struct ei_report_run *run)
{
    const char *name = json_string_value(json_object_get(run->summary, "name"));
    if (json_array_size(ei_report_degraded(run)) > 0) {
        fputs("DEGRADED: ", out);
    }
    write_escaped(out, name != NULL ? name : "run");
    fputs(" - EINet-RT", out);
}

/* The template with @title@, @style@, @data@ and @script@ filled in. */
static void write_page(FILE *out, const struct ei_report_run *run, const char *data)
{
    const char *p = ei_page_html;
    for (const char *mark; (mark = strchr(p, '@')) != NULL;) {
        fwrite(p, 1, (size_t)(mark - p), out);
        const size_t length = strcspn(mark + 1, "@");
        const char *name = mark + 1;
        if (strncmp(name, "title", length) == 0) {
            write_title(out, run);
        } else if (strncmp(name, "style", length) == 0) {
            fputs(ei_page_css, out);
        } else if (strncmp(name, "data", length) == 0) {
            write_data(out, data);
        } else if (strncmp(name, "script", length) == 0) {
            fputs(ei_page_js, out);
        }
        p = name + length + 1;
    }
    fputs(p, out);
}

int ei_report_page_write(const struct ei_report_run *run, const char *path, struct einet_error *err)
{
    char partial[4096];
    if (snprintf(partial, sizeof partial, "%s.partial", path) >= (int)sizeof partial) {
        return einet_error_set(err, EINET_E_USAGE, "the name of the page is too long");
    }
    json_t *data = ei_report_page_data(run);
    char *text = data != NULL ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(8)) : NULL;
    json_decref(data);
    if (text == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the page of %s", run->folder);
    }
    FILE *out = fopen(partial, "we");
    errno = out != NULL ? 0 : errno;
    if (out != NULL) {
        write_page(out, run, text);
    }
    free(text);
    const bool is_bad = out == NULL || ferror(out) != 0;
    const bool is_unclosed = out != NULL && fclose(out) != 0;
    if (is_bad || is_unclosed || rename(partial, path) != 0) {
        const int rc = errno != 0 ? -errno : -EIO;
        (void)unlink(partial);
        return einet_error_set(err, rc, "cannot write %s: %s; name another place with --out FILE", path,
                               einet_error_text(rc));
    }
    return 0;
}
