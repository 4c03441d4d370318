/* See sized.h. */
#include "library/sized.h"

#include <errno.h>
#include <string.h>

static size_t size_of(const void *theirs)
{
    size_t bytes;
    memcpy(&bytes, theirs, sizeof bytes);
    return bytes;
}

int ei_sized_take(void *ours, size_t our_bytes, const void *theirs)
{
    const size_t their_bytes = size_of(theirs);
    const unsigned char *bytes = theirs;
    if (their_bytes < sizeof(size_t)) {
        return -EINVAL;
    }
    for (size_t i = our_bytes; i < their_bytes; i++) {
        if (bytes[i] != 0) {
            return -E2BIG;
        }
    }
    memset(ours, 0, our_bytes);
    memcpy(ours, theirs, their_bytes < our_bytes ? their_bytes : our_bytes);
    return 0;
}

EINET_RT int ei_sized_give(const void *ours, size_t our_bytes, void *theirs)
{
    const size_t their_bytes = size_of(theirs), head = sizeof(size_t);
    unsigned char *out = theirs;
    if (their_bytes < head) {
        return -EINVAL;
    }
    const size_t known = their_bytes < our_bytes ? their_bytes : our_bytes;
    if (known > head) {
        memcpy(out + head, (const unsigned char *)ours + head, known - head);
    }
    memset(out + known, 0, their_bytes - known);
    return 0;
}
