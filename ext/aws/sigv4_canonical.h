/* sigv4_canonical.h - parts of the canonical request; inside aws/ only. */
#ifndef OS_AWS_SIGV4_CANONICAL_H
#define OS_AWS_SIGV4_CANONICAL_H
#include "aws/sigv4.h"

/* "host;x-amz-date": names in lower case, sorted, each once. */
int os_sigv4_signed_headers(const struct os_sigv4_request *request, struct os_buf *out,
                            struct os_error *error);
#endif
