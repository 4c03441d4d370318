/* The parts of the command einet-dds. Each returns the exit status of the process. */
#ifndef ADAPTERS_DDS_COMMAND_H
#define ADAPTERS_DDS_COMMAND_H

#include "command/options.h"

#include <einet/error.h>
#include <einet/pool.h>
#include <stdint.h>

/* argv[0] is the name of the sub-command. */
int einet_dds_egress_command(int argc, char **argv);
int einet_dds_top_command(int argc, char **argv);

/* ROS_DOMAIN_ID, or 0; -1 = what it says is none. */
int32_t einet_dds_default_domain(void);
/* Say so; returns EINET_EXIT_USAGE. */
int einet_dds_refuse_domain(const struct einet_usage *of);

/* Print an error with its place; the exit status that goes with it. */
int einet_dds_say(int rc, const struct einet_error *err);

#endif
