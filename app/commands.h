/* The sub-commands of `einet`, one file each. A command gets its own argv (argv[0] is its name), prints to the
 * terminal, and returns the exit status of the process.
 */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "command/exit_status.h"

int einet_run_command(int argc, char **argv);
int einet_serve_command(int argc, char **argv);
int einet_ctl_command(int argc, char **argv);
int einet_top_command(int argc, char **argv);
int einet_simulate_command(int argc, char **argv);
int einet_analyze_command(int argc, char **argv);
int einet_check_command(int argc, char **argv);
int einet_doctor_command(int argc, char **argv);
int einet_import_command(int argc, char **argv);
int einet_train_command(int argc, char **argv);
int einet_models_command(int argc, char **argv);
int einet_convert_command(int argc, char **argv);
int einet_profile_command(int argc, char **argv);
int einet_predictor_command(int argc, char **argv);
int einet_plan_command(int argc, char **argv);
int einet_evaluate_command(int argc, char **argv);
int einet_report_command(int argc, char **argv);
int einet_compare_command(int argc, char **argv);

/* Print err as `einet COMMAND: [file:line:column: ]text` to standard error and return the exit status of its code. */
int einet_report_error(const char *command, const struct einet_error *err);

#endif
