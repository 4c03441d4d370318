/* EINet-RT as a library: the scheduler inside a program of yours. This header is the whole of it.
 *
 *     load or parse a workload -> create a run of it -> start -> release, read answers, hear of results -> stop, wait
 *
 * Conventions. Every handle is opaque. int results: 0 or positive = success, negative = -errno or EINET_E_*. Structs
 * that may grow begin with size_bytes: set everything to 0 and size_bytes to sizeof the struct; 0 is the default of
 * every field. A library that is older than the header refuses with -E2BIG what it does not know and is not 0, and
 * gives 0 for it; a newer one takes 0 for what it is not told. Unless a function says otherwise it may be called by any
 * thread, takes a lock and may allocate, so it is not for real-time threads; those marked EINET_RT are. Strings are
 * UTF-8. Times are nanoseconds.
 */
#ifndef EINET_EINET_H
#define EINET_EINET_H

#include <einet/draft.h>
#include <einet/error.h>
#include <einet/network.h>
#include <einet/run.h>
#include <einet/workload.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EINET_VERSION_MAJOR 0
#define EINET_VERSION_MINOR 1
#define EINET_VERSION_PATCH 0

/* The version of the library that runs, which may be newer than this header: "0.1.0". Static. */
EINET_API const char *einet_version(void);

#ifdef __cplusplus
}
#endif
#endif
