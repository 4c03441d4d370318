/* Where this project's plug-ins are found: libraries that would tie everything to one of its dependencies if they were
 * linked.
 */
#ifndef STAGES_PLUGIN_FILE_H
#define STAGES_PLUGIN_FILE_H

#include <stddef.h>

/* Open a plug-in: the file that an environment variable names, else file_name in the folder of the running executable
 * or of the library that holds this code, else where it is installed: einet/ in the folder of that library, the same
 * seen from the executable, the folder of the configured prefix. Returns the handle of dlopen, or NULL with the reason
 * in fault. A named file must be right: falling through to another one would hide the mistake. Thread: any, not
 * real-time safe. */
void *ei_plugin_open(const char *file_name, const char *variable, char *fault, size_t fault_bytes);

#endif
