/* A network of a virtual run: how long its blocks take and what its exits answer, without computing either. */
#ifndef ENGINE_VIRTUAL_NETWORK_H
#define ENGINE_VIRTUAL_NETWORK_H

#include "engine/run_state.h"
#include "stages/nn/emulate.h"

struct ei_virtual_network {
    double conv_sigma[EI_EXITS_MAX], branch_sigma[EI_EXITS_MAX];
    struct ei_random times;        /* one draw a block, in the order in which blocks run */
    int64_t conv_ns[EI_EXITS_MAX]; /* of this pass over the network; pieces are even shares */
    int64_t branch_ns;             /* drawn last */
    int32_t drawn;                 /* conv parts of this pass */
    int32_t ahead;                 /* conv parts that are drawn before they are due: those that may be launched */
    /* emulated */
    uint64_t seed;
    int32_t classes, samples;         /* samples: of the task's input, 0 = it has none */
    float score[EI_EXITS_MAX];        /* as the file says */
    float confidence[EI_EXITS_MAX];   /* what a live run's softmax makes of it */
    struct ei_emulated_sample sample; /* of the job */
    /* from profiles */
    struct ei_cs_profile cs; /* owned; samples 0 = emulated */
};

/* Fill in the task's block times, boundary rules and planner configuration, and the network. Returns 0; EINET_E_FILE
 * or EINET_E_MISMATCH (profiles missing, or of another network; the error names the file); -ENOMEM. */
int ei_virtual_network_build(struct ei_live_task *task, struct ei_virtual_network *network, struct einet_error *err);
void ei_virtual_network_fini(struct ei_virtual_network *network);

/* A job begins: its sample and label go to its record. */
EINET_RT void ei_virtual_network_begin(struct ei_job_slot *slot, struct ei_virtual_network *network);

/* It begins again with its first conv part. */
EINET_RT void ei_virtual_network_restart(struct ei_virtual_network *network);

/* Time of the step, or of the piece of it. Steps are asked for in their order. */
EINET_RT int64_t ei_virtual_network_time_ns(const struct ei_live_task *task, struct ei_virtual_network *network,
                                            struct ei_step step, int32_t piece_idx);

/* What exit k says. */
EINET_RT struct ei_answer ei_virtual_network_answer(const struct ei_job_slot *slot,
                                                    const struct ei_virtual_network *network, int32_t k,
                                                    int64_t now_ns);

#endif
