/* client.c - see client.h. A bucket is asked for where the settings say; an answer that names another
** region is followed once, and remembered for the bucket (Amazon S3 User Guide, "Making requests to a
** bucket in another Region").
*/
#include "aws/s3/client.h"
#include <stdio.h>
#include <string.h>
#include "aws/s3/address.h"
#include "base/alloc.h"
#include "base/text.h"

static const char default_region[] = "us-east-1"; /* which knows where every bucket is */

struct os_s3 {
  struct os_aws *aws;
  struct os_net *net;
  const struct os_probe *probe;
  struct os_s3_options options;
  struct os_s3_bucket **buckets; /* references */
  size_t count, cap;
};

/* ---- buckets ---- */

struct os_s3_bucket *os_s3_bucket_ref(struct os_s3_bucket *bucket) {
  if (bucket) atomic_fetch_add(&bucket->references, 1);
  return bucket;
}

void os_s3_bucket_unref(struct os_s3_bucket *bucket) {
  if (!bucket || atomic_fetch_sub(&bucket->references, 1) > 1) return;
  os_endpoint_unref(bucket->endpoint);
  os_log_unref(bucket->log);
  os_free(bucket->name);
  os_free(bucket);
}

/* Find the bucket's address in a region; NULL: where the settings say. */
static int locate(struct os_s3 *s3, struct os_s3_bucket *bucket, const char *region, struct os_error *error) {
  struct os_endpoint *endpoint = NULL;
  bool custom = false;
  if (!region) region = os_credentials_region(s3->aws->credentials);
  if (!region || !*region) region = default_region;
  int rc = os_aws_endpoint(s3->aws, OS_AWS_S3, region, !s3->options.anonymous, &endpoint, &custom, error);
  if (rc) return rc;
  bucket->in_host = !custom && os_s3_fits_host(bucket->name);
  if (bucket->in_host) { /* nobody else has the endpoint yet */
    struct os_buf url;
    os_buf_init(&url, 0);
    os_s3_put_host_url(&url, endpoint->url, bucket->name);
    os_free(endpoint->url);
    endpoint->url = os_buf_take(&url);
    if (!endpoint->url) {
      os_endpoint_unref(endpoint);
      return os_fail_nomem(error);
    }
  }
  os_endpoint_unref(bucket->endpoint);
  bucket->endpoint = endpoint;
  snprintf(bucket->region, sizeof bucket->region, "%s", region);
  return OS_OK;
}

static struct os_s3_bucket *add_bucket(struct os_s3 *s3, const char *name, struct os_error *error) {
  if (s3->count == s3->cap) {
    size_t cap = s3->cap ? s3->cap * 2 : 4;
    struct os_s3_bucket **bigger = os_realloc(s3->buckets, cap * sizeof *bigger);
    if (!bigger) {
      os_fail_nomem(error);
      return NULL;
    }
    s3->buckets = bigger;
    s3->cap = cap;
  }
  struct os_s3_bucket *bucket = os_calloc(1, sizeof *bucket);
  if (!bucket) {
    os_fail_nomem(error);
    return NULL;
  }
  atomic_init(&bucket->references, 1);
  bucket->name = os_strdup(name);
  bucket->net = s3->net;
  bucket->log = s3->aws->log ? os_log_ref(s3->aws->log) : NULL;
  bucket->request_payer = s3->options.request_payer;
  int rc = bucket->name ? locate(s3, bucket, NULL, error) : os_fail_nomem(error);
  if (rc) {
    os_s3_bucket_unref(bucket);
    return NULL;
  }
  s3->buckets[s3->count++] = bucket;
  return bucket;
}

/* NULL: *error says why. */
static struct os_s3_bucket *find_bucket(struct os_s3 *s3, const char *name, struct os_error *error) {
  for (size_t i = 0; i < s3->count; i++)
    if (!strcmp(s3->buckets[i]->name, name)) return s3->buckets[i];
  return add_bucket(s3, name, error);
}

int os_s3_open(struct os_s3 **out, struct os_aws *aws, struct os_net *net, const struct os_probe *probe,
               const struct os_s3_options *options, struct os_error *error) {
  struct os_s3 *s3 = *out = os_calloc(1, sizeof *s3);
  if (!s3) return os_fail_nomem(error);
  s3->aws = aws;
  s3->net = net;
  s3->probe = probe;
  s3->options = *options;
  return OS_OK;
}

void os_s3_watch(struct os_s3 *s3, const struct os_probe *probe) {
  s3->probe = probe;
}

void os_s3_close(struct os_s3 *s3) {
  if (!s3) return;
  for (size_t i = 0; i < s3->count; i++)
    os_s3_bucket_unref(s3->buckets[i]);
  os_free(s3->buckets);
  os_free(s3);
}

/* ---- faults ---- */

static int no_bucket(const struct os_s3_bucket *bucket, struct os_error *error) {
  os_fail(error, OS_ERR_NOT_FOUND, "there is no bucket '%s' (asked at %s)", bucket->name,
          bucket->endpoint->url);
  if (error) error->http_status = 404;
  return os_advise(
      error, "check its name; for a server of one's own check AWS_ENDPOINT_URL_S3, for another partition "
             "of AWS the region");
}

static int archived(const struct os_s3_bucket *bucket, const char *key, struct os_error *error) {
  os_fail(error, OS_ERR_REFUSED, "s3://%s/%s is archived and cannot be read as it is", bucket->name, key);
  if (error) error->http_status = 403;
  return os_advise(
      error, "restore it first (aws s3api restore-object), or leave it out: name the other objects in a "
             "JSON array, or with a pattern");
}

static void advise_anonymous(struct os_error *error) {
  char before[OS_ERROR_ADVICE];
  memcpy(before, error->advice, sizeof before);
  os_advise(error, "%.700s%sfor a public bucket pass {\"s3_anonymous\":true}", before, before[0] ? "; " : "");
}

int os_s3_fail(const struct os_http_call *call, const struct os_s3_bucket *bucket, const char *key,
               struct os_error *error) {
  struct os_aws_fault fault;
  os_aws_fault_read(call, &fault);
  if (!strcmp(fault.code, "NoSuchBucket")) return no_bucket(bucket, error);
  if (!strcmp(fault.code, "InvalidObjectState")) return archived(bucket, key, error);
  char *resource = os_mprintf("s3://%s/%s", bucket->name, key);
  if (!resource) return os_fail_nomem(error);
  struct os_aws_action action = {"s3:GetObject", resource};
  int rc = os_aws_fail(call, &action, &fault, error);
  os_free(resource);
  return rc;
}

/* ---- one request ---- */

struct question {
  const char *method;
  const char *key;    /* NULL: of the bucket */
  const char *query;  /* NULL: none */
  const char *action; /* as policies have it */
  const char *about;  /* prefix or key, for messages */
  bool first_byte;    /* of the object, and no more */
};

void os_s3_put_headers(const struct os_s3_bucket *bucket, const char *lines[OS_S3_HEADERS], size_t count) {
  if (bucket->request_payer) lines[count++] = "x-amz-request-payer: requester";
  lines[count] = NULL;
}

static int ask_once(struct os_s3 *s3, const struct os_s3_bucket *bucket, const struct question *question,
                    struct os_http_call *call, struct os_aws_fault *fault, struct os_error *error) {
  const char *lines[OS_S3_HEADERS];
  struct os_buf path;
  memset(fault, 0, sizeof *fault);
  os_buf_init(&path, 0);
  os_s3_put_path(&path, bucket->name, bucket->in_host, question->key);
  if (question->query) {
    os_buf_putc(&path, '?');
    os_buf_puts(&path, question->query);
  }
  char *resource = os_mprintf("s3://%s/%s", bucket->name, question->about);
  os_http_call_init(call, bucket->endpoint, question->method, path.data);
  int rc = path.failed || !resource ? os_fail_nomem(error) : OS_OK;
  if (!rc) {
    struct os_aws_action action = {question->action, resource};
    if (question->first_byte) lines[0] = "Range: bytes=0-0";
    os_s3_put_headers(bucket, lines, question->first_byte);
    call->headers = lines;
    call->raw_answer = true;
    call->keep_headers = true;
    rc = os_aws_roundtrip(s3->net, call, &action, s3->probe, fault, error);
  }
  call->headers = NULL; /* what the answer's reader has no use for */
  call->path = NULL;
  call->endpoint = NULL;
  os_free(resource);
  os_buf_free(&path);
  return rc;
}

/* Is the answer about the place and not the request: 301, 307, or 400 to a signature for another region? */
static bool is_elsewhere(const struct os_s3_bucket *bucket, const struct os_http_call *call,
                         const struct os_aws_fault *fault) {
  bool other = fault->region[0] && strcmp(fault->region, bucket->region) != 0;
  return other && call->status >= 300 && call->status <= 400;
}

/* Ask, and once more where the bucket is. The call is initialised here and freed by the caller in any case. */
static int ask(struct os_s3 *s3, struct os_s3_bucket *bucket, const struct question *question,
               struct os_http_call *call, struct os_aws_fault *fault, struct os_error *error) {
  int rc = ask_once(s3, bucket, question, call, fault, error);
  if (rc && is_elsewhere(bucket, call, fault)) {
    struct os_error aside = *error;
    if (bucket->log)
      os_log_write(bucket->log, OS_LOG_INFO, "bucket %s is in region %s; asking there", bucket->name,
                   fault->region);
    os_error_clear(error);
    rc = locate(s3, bucket, fault->region, error);
    if (rc) {
      *error = aside;
      return (int)error->code;
    }
    os_http_call_free(call);
    rc = ask_once(s3, bucket, question, call, fault, error);
  }
  if (rc && !strcmp(fault->code, "NoSuchBucket")) return no_bucket(bucket, error);
  if (rc && rc == OS_ERR_AUTH && !call->status && bucket->endpoint->signer) advise_anonymous(error);
  return rc;
}

/* ---- one object ---- */

/* A number of a header, from behind its last '/' on: "bytes 0-0/123" or "123". */
static bool read_size(const char *text, size_t len, uint64_t *size) {
  char digits[24] = "";
  int64_t number = 0;
  size_t at = len;
  while (at && text[at - 1] != '/')
    at--;
  if (len - at >= sizeof digits) return false;
  memcpy(digits, text + at, len - at);
  if (!os_parse_int(digits, &number) || number < 0) return false;
  *size = (uint64_t)number;
  return true;
}

static int read_headers(const struct os_http_call *call, const char *key, struct os_s3_object *object,
                        struct os_error *error) {
  size_t len = 0, etag_len = 0, date_len = 0, version_len = 0;
  const char *size = os_http_header(call, call->status == 206 ? "content-range" : "content-length", &len);
  const char *etag = os_http_header(call, "etag", &etag_len);
  const char *date = os_http_header(call, "last-modified", &date_len);
  const char *version = os_http_header(call, "x-amz-version-id", &version_len);
  double seconds = 0;
  if (!size || !read_size(size, len, &object->size) || !etag || !date ||
      !os_s3_parse_date(date, date_len, &seconds))
    return os_fail(error, OS_ERR_ANSWER, "the answer about %s lacks its size, its ETag or its date", key);
  object->modified_ns = (int64_t)seconds * 1000000000;
  object->key = os_strdup(key);
  object->etag = os_s3_plain_etag(etag, etag_len);
  object->version = version ? os_strndup(version, version_len) : NULL;
  if (object->key && object->etag && (object->version || !version)) return OS_OK;
  os_s3_object_free(object);
  return os_fail_nomem(error);
}

/* By its first byte: an answer to HEAD has no body, so it cannot say why there is none. Of an empty object
** there is no first byte (416). */
int os_s3_look(struct os_s3 *s3, const char *bucket_name, const char *key, bool *found,
               struct os_s3_object *object, struct os_s3_bucket **out, struct os_error *error) {
  struct os_http_call call;
  struct os_aws_fault fault;
  struct question question = {
      .method = "GET", .key = key, .action = "s3:GetObject", .about = key, .first_byte = true};
  memset(object, 0, sizeof *object);
  *found = false;
  *out = NULL;
  struct os_s3_bucket *bucket = find_bucket(s3, bucket_name, error);
  if (!bucket) return (int)error->code;
  int rc = ask(s3, bucket, &question, &call, &fault, error);
  if (rc && call.status == 416) {
    os_http_call_free(&call);
    os_error_clear(error);
    question.method = "HEAD";
    question.first_byte = false;
    rc = ask(s3, bucket, &question, &call, &fault, error);
  }
  if (rc && call.status == 404 && strcmp(fault.code, "NoSuchBucket") != 0) {
    os_error_clear(error);
    rc = OS_OK;
  } else if (rc && !strcmp(fault.code, "InvalidObjectState")) {
    rc = archived(bucket, key, error);
  } else if (!rc) {
    rc = read_headers(&call, key, object, error);
    *found = !rc;
  }
  os_http_call_free(&call);
  if (!rc) *out = os_s3_bucket_ref(bucket);
  return rc;
}

/* ---- list ---- */

static int get_page(struct os_s3 *s3, struct os_s3_bucket *bucket, const struct os_s3_list_query *query,
                    struct os_s3_page *page, struct os_aws_fault *fault, struct os_error *error) {
  struct os_http_call call;
  struct os_buf text;
  os_buf_init(&text, 0);
  os_s3_put_list_query(&text, query);
  if (text.failed) return os_fail_nomem(error);
  struct question question = {
      .method = "GET", .query = text.data, .action = "s3:ListBucket", .about = query->prefix};
  int rc = ask(s3, bucket, &question, &call, fault, error);
  if (!rc) {
    rc = os_s3_page_read(call.answer.data ? call.answer.data : "", call.answer.len, page, error);
    if (rc) os_error_prefix(error, "listing s3://%s/%s", bucket->name, query->prefix);
  }
  os_http_call_free(&call);
  os_buf_free(&text);
  return rc;
}

static int remember(char **to, const char *text, struct os_error *error) {
  char *copy = os_strdup(text);
  if (text && !copy) return os_fail_nomem(error);
  os_free(*to);
  *to = copy;
  return OS_OK;
}

/* The last place in order of keys that a page came to. */
static const char *end_of(const struct os_s3_page *page) {
  const char *key = page->count ? page->objects[page->count - 1].key : NULL;
  const char *prefix = page->prefix_count ? page->prefixes[page->prefix_count - 1] : NULL;
  return !prefix || (key && strcmp(key, prefix) > 0) ? key : prefix;
}

int os_s3_list(struct os_s3 *s3, const char *bucket_name, const char *prefix, const char *delimiter,
               os_s3_take_page *take, void *ctx, struct os_error *error) {
  struct os_s3_page page = {0};
  char *token = NULL, *last = NULL;
  bool more = true;
  struct os_s3_bucket *bucket = find_bucket(s3, bucket_name, error);
  if (!bucket) return (int)error->code;
  int rc = OS_OK;
  while (!rc && more) {
    struct os_aws_fault fault;
    struct os_s3_list_query query = {prefix, delimiter, token, last};
    rc = get_page(s3, bucket, &query, &page, &fault, error);
    if (rc && token && last && !strcmp(fault.code, "InvalidArgument")) {
      os_free(token); /* tokens do not live for ever: go on behind the last key */
      token = NULL;
      os_error_clear(error);
      rc = OS_OK;
      continue;
    }
    if (rc) break;
    more = page.truncated;
    if (more) rc = remember(&token, page.token, error);
    if (!rc && more && end_of(&page)) rc = remember(&last, end_of(&page), error);
    if (!rc) rc = take(ctx, bucket, &page, error);
    os_s3_page_free(&page);
  }
  os_free(token);
  os_free(last);
  return rc;
}
