/* Features of the frozen trunk, kept in memory in half precision, that exits are trained on.
 *
 *     trunk  --->  [pool, relu, ... of the branch]  --->  cache  --->  [the branch from its first parameter on]
 *            run once per augmented copy, no gradients              run every epoch
 *
 * Exits are put into groups whose features fit the memory that is allowed. Everything is drawn from the seed, so a
 * cache that is filled again holds the same bits. Thread: the trainer's.
 */
#ifndef MODELS_TRAIN_CACHE_H
#define MODELS_TRAIN_CACHE_H

#include "models/trainer.h"

/* Find what each exit needs and make the groups (trainer->groups). Frees itself with ei_train_cache_destroy. */
int ei_train_cache_create(struct ei_trainer *trainer, struct einet_error *err);
void ei_train_cache_destroy(struct ei_trainer *trainer); /* none is fine */

/* Fill the cache for a group, giving up what it held before. Returns 0, 1 (stopped, nothing is held), or an error. */
int ei_train_cache_fill(struct ei_trainer *trainer, int32_t group_idx, struct einet_error *err);

/* Which group is held; -1 = none. */
int32_t ei_train_cache_group(const struct ei_trainer *trainer);

/* The loss of the group's exits for `batch` samples of a pass, in trainer->loss. samples: [batch]. */
int ei_train_cache_loss(struct ei_trainer *trainer, int32_t pass, const int32_t *samples, struct einet_error *err);

/* Accuracy of the group's exits on the cached test split; the other exits' numbers stay as they are. The thread must be
 * in inference mode. */
int ei_train_cache_evaluate(struct ei_trainer *trainer, float *accuracy, struct einet_error *err);

#endif
