/* The kernels that `einet profile --tune` chose for a network: from the ET-profile beside its weights, where that was
 * measured on this machine, with this oneDNN. Set-up only.
 */
#ifndef ENGINE_KERNELS_H
#define ENGINE_KERNELS_H

#include "planner/profile.h"
#include "rt/topology.h"
#include "stages/nn/network.h"

#include <einet/error.h>

#define EI_KERNELS_NOTE_MAX 200

struct ei_kernels {
    struct ei_network_choice choice; /* kernel_count 0: first choices */
    struct ei_network_kernel *list;  /* owned */
    char weights_sha256[EI_SHA256_TEXT_MAX];
    char note[EI_KERNELS_NOTE_MAX]; /* which file's choice this is, or why it is not taken; "" = there is none */
};

/* Whether a profile's choice holds here. onednn: version, "2.6.3"; "" = none here. Returns 0 or EINET_E_MISMATCH, both
 * sides named. */
int ei_kernels_match(const struct ei_et_profile *profile, const struct ei_machine *machine, const char *onednn,
                     int32_t threads, struct einet_error *err);

/* Look into the file at path; there need not be one. network: whose kernels are wanted, NULL = any; threads: of its
 * lane. Never fails: what cannot be taken is in the note. Ended by ei_kernels_fini. */
void ei_kernels_find(const char *path, const char *network, int32_t threads, struct ei_kernels *out);

void ei_kernels_fini(struct ei_kernels *kernels); /* zeroed is fine */

#endif
