/* See terminal.h. */
#include "app/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

bool einet_terminal_wants_colour(FILE *out)
{
    return isatty(fileno(out)) && !is_set("NO_COLOR");
}

/* The first that is set of these three is the one that counts (locale(7)). */
bool einet_terminal_has_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is_set(names[i])) {
            const char *value = getenv(names[i]), *charset = strchr(value, '.');
            return !is_set("NO_COLOR") && charset != NULL &&
                   (strncasecmp(charset, ".UTF-8", 6) == 0 || strncasecmp(charset, ".utf8", 5) == 0);
        }
    }
    return false;
}
