/* The command line of einet train, and what einet convert shares of it. */
#ifndef APP_TRAIN_OPTIONS_H
#define APP_TRAIN_OPTIONS_H

#include "command/options.h"
#include "models/train.h"

#define TRAIN_COMMAND_TEXT_BYTES 1024
#define TRAIN_SHARED_ROWS 32

struct train_request {
    struct ei_train_config config;
    const char *dataset, *data_root;
    bool is_quiet, is_json;
    char command[TRAIN_COMMAND_TEXT_BYTES]; /* as given, but --resume: a resumed run has the record of a whole one */
};

/* How to train, and what is told and kept; the struct is train_request. */
extern const struct einet_option einet_train_shared_rows[TRAIN_SHARED_ROWS];

/* What is there before the arguments are read, and the text of the command. out borrows nothing. */
void train_options_begin(int argc, char **argv, struct train_request *out);

/* Settings that were not given follow from the others; after reading, when the data set is known. */
void train_options_settle(const struct einet_arguments *arguments, struct train_request *r);

/* Read the arguments of einet train. Returns -1 to go on, else the exit status (help, or a fault, was printed). out
 * borrows argv. */
int train_options_read(int argc, char **argv, struct train_request *out);

#endif
