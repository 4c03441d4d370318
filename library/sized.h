/* Structs that begin with their size, across versions of library and program (docs/adr/0014-library-interface.md).
 * No state; thread: any.
 */
#ifndef LIBRARY_SIZED_H
#define LIBRARY_SIZED_H

#include <einet/attributes.h>
#include <stddef.h>

/* Take the caller's struct as ours: what it does not have is 0. Returns 0; -EINVAL: it says no size; -E2BIG: it has
 * something that is not 0 and that we do not know. */
int ei_sized_take(void *ours, size_t our_bytes, const void *theirs);

/* Give ours: as much as theirs->size_bytes says; what we do not know becomes 0. Returns 0, or -EINVAL: no size. */
EINET_RT int ei_sized_give(const void *ours, size_t our_bytes, void *theirs);

#endif
