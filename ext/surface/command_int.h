/* command_int.h - what the files of the command frame share among themselves; function files include
** command.h. */
#ifndef OS_SURFACE_COMMAND_INT_H
#define OS_SURFACE_COMMAND_INT_H
#include "surface/command.h"

/* in command_job.c: end the job begun by this command, if there is one. rc is what run() came to. Returns
** rc, or the error of a ledger that could not record a success. */
int os_command_job_end(struct os_command *command, int rc);

/* in command_memory.c: calls made within one execution of a statement (rule 10). */
struct os_call;
/* Look the call up by its name and arguments, or note that it is about to be made. *result is what it gave
** before, or NULL. OS_ERR_NOMEM: nothing may run, because it could not be remembered. */
int os_call_remember(struct os_command *command, struct os_call **call_out, const struct os_result **result);
/* It succeeded: takes the result's text away from the command. Gives the kept result (borrowed). */
const struct os_result *os_call_keep(struct os_call *call, struct os_result *result);
#endif
