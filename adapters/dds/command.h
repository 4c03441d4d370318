/* The parts of the command einet-dds. Each returns the exit status of the process. */
#ifndef ADAPTERS_DDS_COMMAND_H
#define ADAPTERS_DDS_COMMAND_H

#include <einet/error.h>
#include <stdint.h>

/* argv[0] is the name of the command with that of the sub-command. */
int einet_dds_egress_command(int argc, char **argv);
int einet_dds_top_command(int argc, char **argv);

/* A whole number of 0..most, or -1. */
int32_t einet_dds_to_number(const char *text, long most);
/* A time with the unit ms or s, in ns, or -1. */
int64_t einet_dds_to_duration(const char *text);
/* ROS_DOMAIN_ID, or 0; -1 = what it says is none. */
int32_t einet_dds_default_domain(void);

/* Print an error with its place; the exit status that goes with it. */
int einet_dds_say(int rc, const struct einet_error *err);

#endif
