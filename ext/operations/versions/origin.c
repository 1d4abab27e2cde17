/* origin.c - see origin.h. */
#include "operations/versions/origin.h"
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/small.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "config/small_file.h"

/* ---- where it comes from ---- */

static int read_file(const char *path, struct os_trigger *trigger, struct os_error *error) {
  struct os_small_file file;
  int rc = os_small_file_read(path, OS_TRIGGER_BYTES, "trigger", &file, error);
  if (rc) return rc;
  if (!file.text) {
    os_fail(error, OS_ERR_IO, "there is no trigger file '%.300s'", path);
    return os_advise(error, "give the path of a file, or the trigger itself, which begins with {");
  }
  rc = os_trigger_parse(file.text, file.len, trigger, error);
  if (rc) os_error_prefix(error, "%.300s", path);
  os_small_file_free(&file);
  return rc;
}

int os_trigger_read_object(struct os_session *session, const char *url, struct os_s3_object *object,
                           struct os_trigger *out, struct os_error *error) {
  static const struct os_s3_options signed_requests = {.anonymous = false};
  struct os_probe probe = os_session_probe(session);
  struct os_aws *aws = NULL;
  struct os_net *net = NULL;
  struct os_s3 *s3 = NULL;
  struct os_buf text;
  memset(object, 0, sizeof *object);
  memset(out, 0, sizeof *out);
  os_buf_init(&text, 0);
  int rc = os_session_aws(session, &aws, error);
  if (!rc) rc = os_session_net(session, &net, error);
  if (!rc) rc = os_s3_open(&s3, aws, net, &probe, &signed_requests, error);
  if (!rc) rc = os_s3_small_read(s3, url, OS_TRIGGER_BYTES, "trigger", &probe, object, &text, error);
  if (!rc && (rc = os_trigger_parse(text.data ? text.data : "", text.len, out, error)))
    os_error_prefix(error, "%.300s", url);
  os_s3_close(s3);
  os_buf_free(&text);
  return rc;
}

int os_trigger_read(struct os_session *session, const char *given, struct os_trigger *out,
                    struct os_error *error) {
  const char *text = given;
  struct os_s3_object object;
  while (os_is_space(*text))
    text++;
  if (*text == '{' || *text == '[' || *text == '"') return os_trigger_parse(given, strlen(given), out, error);
  if (!os_s3_is_url(given)) return read_file(given, out, error);
  int rc = os_trigger_read_object(session, given, &object, out, error);
  os_s3_object_free(&object);
  return rc;
}

/* ---- its cluster ---- */

static int no_connection(const struct os_trigger *trigger, const char *wanted, struct os_error *error) {
  if (wanted)
    os_fail(error, OS_ERR_GUARD, "the trigger is for %s, which is not the endpoint of connection '%s'",
            trigger->endpoint, wanted);
  else
    os_fail(error, OS_ERR_GUARD, "the trigger is for %s, to which there is no connection", trigger->endpoint);
  return os_advise(
      error, "SELECT os_connect('name', '{\"endpoint\": …}'), or set OPENSEARCH_ENDPOINT; os_connections "
             "lists what there is");
}

int os_trigger_cluster(struct os_session *session, const struct os_trigger *trigger, const char *wanted,
                       struct os_cluster *cluster, struct os_error *error) {
  struct os_connections *connections = session->connections;
  char *name = NULL;
  for (size_t i = 0; i < os_connections_count(connections) && !name; i++) {
    json_t *about = os_connections_describe(connections, i);
    if (!about) return os_fail_nomem(error);
    const char *found = os_json_string(about, "name", "");
    if ((!wanted || !strcmp(wanted, found)) &&
        os_trigger_same_endpoint(trigger->endpoint, os_json_string(about, "endpoint", "")))
      name = os_strdup(found);
    json_decref(about);
  }
  if (!name) return no_connection(trigger, wanted, error);
  int rc = os_session_cluster(session, name, cluster, error);
  os_free(name);
  return rc;
}
