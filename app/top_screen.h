/* The terminal of `einet top`: a page that is rewritten in place, keys without Enter, and everything as it was at the
 * end. One at a time, main thread.
 */
#ifndef APP_TOP_SCREEN_H
#define APP_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

/* Take signals, and with is_page the terminal's alternate page. Ctrl-C and SIGTERM end it as q does. */
void einet_top_screen_open(bool is_page);
void einet_top_screen_close(void);

/* Show text, cut to the window. ANSI colours in it take no room. */
void einet_top_screen_show(const char *text);

enum einet_top_key { EINET_TOP_NOTHING, EINET_TOP_REDRAW, EINET_TOP_QUIT };

/* Wait for at most wait_ns: nothing happened, the window has another size, or the user has had enough. */
enum einet_top_key einet_top_screen_wait(int64_t wait_ns);

#endif
