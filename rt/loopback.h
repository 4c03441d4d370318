/* "127.0.0.1:9464": where a server of this machine alone listens. Other machines never reach it, because every other
 * address is refused. Any thread, not real-time safe.
 */
#ifndef RT_LOOPBACK_H
#define RT_LOOPBACK_H

#include <einet/error.h>

#define EI_LOOPBACK_TEXT_MAX 64 /* bytes of an address as text, with the final 0 */

/* Check ADDRESS:PORT: an address of 127.0.0.0/8, [::1] or localhost; port 0..65535. Returns 0, or -EINVAL with the
 * sentence (which quotes the text) in err. */
int ei_loopback_check(const char *text, struct einet_error *err);

/* Listen there; port 0 takes any free one. out_text (EI_LOOPBACK_TEXT_MAX bytes) receives the address with the port in
 * use. Returns the socket (non-blocking, close-on-exec; the caller closes it), -EINVAL or the -errno of the system. */
int ei_loopback_listen(const char *text, char *out_text, struct einet_error *err);

#endif
