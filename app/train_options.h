/* The command line of einet train. */
#ifndef APP_TRAIN_OPTIONS_H
#define APP_TRAIN_OPTIONS_H

#include "models/train.h"

#define TRAIN_COMMAND_TEXT_BYTES 1024

struct train_request {
    struct ei_train_config config;
    const char *dataset, *data_root;
    bool quiet;
    char command[TRAIN_COMMAND_TEXT_BYTES]; /* as given, but --resume: a resumed run has the record of a whole one */
};

/* Read the arguments; what was not given follows from the rest. Returns -1 to go on, else the exit status (help, or a
 * fault, was printed). out borrows argv. */
int train_options_read(int argc, char **argv, struct train_request *out);

#endif
