/* What train and convert tell of a training while it goes on: a line for every epoch with the time left, and on a
 * terminal one that is rewritten meanwhile. One thread, standard output.
 */
#ifndef APP_TRAIN_PROGRESS_H
#define APP_TRAIN_PROGRESS_H

#include "models/train.h"

/* on_progress of a training; context: bool, standard output is a terminal. */
void einet_train_show(void *context, const struct ei_train_progress *progress);

#endif
