/* origin.h - where a trigger comes from, and which of the connected clusters it is for. Keeper's thread.
*/
#ifndef OS_OPERATIONS_VERSIONS_ORIGIN_H
#define OS_OPERATIONS_VERSIONS_ORIGIN_H
#include "aws/s3/listing.h"
#include "operations/session.h"
#include "operations/versions/trigger.h"

/* A JSON object, the path of a file, or an s3:// URL. os_trigger_free(out), also after a failure. */
int os_trigger_read(struct os_session *session, const char *given, struct os_trigger *out,
                    struct os_error *error);
/* The object of an s3:// URL. *object says what it was when it was read; os_s3_object_free() it, also
** after a failure. */
int os_trigger_read_object(struct os_session *session, const char *url, struct os_s3_object *object,
                           struct os_trigger *out, struct os_error *error);
/* The cluster of the connection whose endpoint is the trigger's, so that no credentials go anywhere else.
** `wanted`: the only connection that may be; NULL: any. os_session_cluster_release() it. */
int os_trigger_cluster(struct os_session *session, const struct os_trigger *trigger, const char *wanted,
                       struct os_cluster *cluster, struct os_error *error);
#endif
