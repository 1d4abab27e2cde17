/* process.h - keys from a program of the user's own ("Process credential provider", AWS SDKs and Tools
** Reference Guide). Inside aws/ only.
*/
#ifndef OS_AWS_CHAIN_PROCESS_H
#define OS_AWS_CHAIN_PROCESS_H
#include "aws/chain/source.h"

/* command: as it stands in the profile; origin: for people, "the process of profile 'x'". A command line
** that cannot be read is an error. */
int os_process_source(struct os_source **out, const char *command, const char *origin,
                      struct os_error *error);

/* What the program printed. Pure. */
int os_process_read(struct os_aws_keys **out, const char *text, size_t len, const char *origin,
                    struct os_error *error);
#endif
