/* service.h - requests to a service of AWS: where it is, signed, repeated where that helps, its faults in words.
*/
#ifndef OS_AWS_SERVICE_H
#define OS_AWS_SERVICE_H
#include <stdbool.h>
#include "aws/credentials.h"
#include "config/endpoint.h"
#include "config/settings.h"
#include "net/http.h"

enum os_aws_service { OS_AWS_ES, OS_AWS_AOSS, OS_AWS_S3, OS_AWS_SQS, OS_AWS_STS };
const char *os_aws_service_name(enum os_aws_service service); /* as in signatures: "s3" */

/* A signer of requests to one service in one region; takes references of its own. */
int os_aws_signer_new(struct os_signer **out, enum os_aws_service service, const char *region,
                      struct os_credentials *credentials, struct os_error *error);

/* What a session knows of AWS: its settings and its keys. Made again when settings change. Keeper's thread. */
struct os_aws {
  struct os_settings *settings; /* borrowed */
  struct os_credentials *credentials;
  struct os_log *log; /* a reference, or NULL */
};
int os_aws_open(struct os_aws **out, struct os_settings *settings, struct os_log *log,
                struct os_error *error);
void os_aws_close(struct os_aws *aws);

/* The endpoint of a service in a region (NULL: the configured one), ready to be called: AWS_ENDPOINT_URL_<SERVICE>,
** AWS_ENDPOINT_URL, or AWS's own address. sign false: for public buckets. os_endpoint_unref() it. *custom: the
** address was given, so that buckets stand in the path. */
int os_aws_endpoint(struct os_aws *aws, enum os_aws_service service, const char *region, bool sign,
                    struct os_endpoint **out, bool *custom, struct os_error *error);

/* The fault a service answered with. */
struct os_aws_fault {
  char code[64];     /* "NoSuchBucket"; empty: none could be read */
  char message[400]; /* the service's own words */
  char region[32];   /* where a bucket really is, when the answer says so */
};
void os_aws_fault_read(const struct os_http_call *call, struct os_aws_fault *fault);
/* Busy, throttled or broken: worth another try? */
bool os_aws_fault_passes(int status, const struct os_aws_fault *fault);

struct os_aws_action {
  const char *name;     /* "s3:ListBucket", as in policies; for messages */
  const char *resource; /* "s3://bucket/prefix", the queue's ARN; for messages */
};
/* Keeper's thread: one request, waiting, repeated after faults that pass (at most the endpoint's max_retries; the
** request must bear being carried out twice). OS_OK: the answer has a status below 300. Otherwise the error names
** action and resource, what the service said and what to do; call->status and the fault (may be NULL) tell more. */
int os_aws_roundtrip(struct os_net *net, struct os_http_call *call, const struct os_aws_action *action,
                     const struct os_probe *probe, struct os_aws_fault *fault, struct os_error *error);
/* Wait before try `attempt` + 1, longer each time; retry_after: what the service asked for, or -1. False:
** interrupted. */
bool os_aws_pause(int attempt, double retry_after, const struct os_probe *probe);
/* The error for an answer that is no success; also for callers with their own loops. */
int os_aws_fail(const struct os_http_call *call, const struct os_aws_action *action,
                const struct os_aws_fault *fault, struct os_error *error);
#endif
