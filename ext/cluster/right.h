/* right.h - which right a request lacked, and who grants it: the advice with an answer of 401 or 403. Pure.
*/
#ifndef OS_CLUSTER_RIGHT_H
#define OS_CLUSTER_RIGHT_H
#include "config/endpoint.h"

/* By the type and the reason of the answer. */
void os_advise_forbidden(const char *type, const char *reason, struct os_error *error);
/* The request was signed for AWS; *error has what the answer says. what: "GET /index/_search". Its code becomes
** OS_ERR_AUTH when the answer finds fault with the signature itself. */
void os_advise_signed(const struct os_endpoint *endpoint, const char *what, struct os_error *error);
#endif
