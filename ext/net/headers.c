/* headers.c - the headers of a request and of its answer.
**
** Network thread only. A signature covers what is sent, so it is asked for last, and with the lines that are added
** here; it waits where its keys are not there yet.
*/
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"
#include "net/transfer.h"

/* ---- the request's ---- */

static bool add_header(struct os_http_transfer *transfer, const char *line) {
  struct curl_slist *longer = curl_slist_append(transfer->headers, line);
  if (!longer) return false;
  transfer->headers = longer;
  return true;
}

/* Neighbours on a connection need different marks; few in all, because servers keep each apart in their logs. */
static void make_mark(char *mark, size_t size) {
  static atomic_uint drawn;
  snprintf(mark, size, "sqlite-opensearch-%u", atomic_fetch_add(&drawn, 1) % 64);
}

/* The body's type; "Name:" alone removes a header that libcurl would send by itself. */
static bool add_content_type(struct os_http_transfer *transfer) {
  const struct os_http_call *call = transfer->call;
  char line[160];
  if (!call->body_len) return add_header(transfer, "Content-Type:");
  const char *type = call->content_type ? call->content_type : "application/json";
  int len = snprintf(line, sizeof line, "Content-Type: %s", type);
  if (len < 0 || (size_t)len >= sizeof line || strpbrk(type, "\r\n")) return false;
  return add_header(transfer, line) &&
         (!call->body_is_gzip || add_header(transfer, "Content-Encoding: gzip"));
}

static bool wants_gzip(const struct os_http_call *call) {
  const struct os_endpoint *endpoint = call->endpoint;
  if (call->raw_answer) return false;
  return endpoint->compress == OS_COMPRESS_ALWAYS ||
         (endpoint->compress == OS_COMPRESS_AUTO && !os_endpoint_is_loopback(endpoint));
}

static bool add_own(struct os_http_transfer *transfer) {
  const struct os_http_call *call = transfer->call;
  char opaque[64];
  /* Waiting for "100 Continue" would cost a round trip for each batch. */
  bool added = add_header(transfer, "Expect:") && add_content_type(transfer);
  for (const char *const *line = call->headers; added && line && *line; line++)
    added = !strpbrk(*line, "\r\n") && add_header(transfer, *line);
  /* libcurl decodes whatever comes compressed; the header alone decides what is asked for */
  if (!wants_gzip(call)) added = added && add_header(transfer, "Accept-Encoding: identity");
  make_mark(transfer->mark, sizeof transfer->mark);
  snprintf(opaque, sizeof opaque, "X-Opaque-Id: %s", transfer->mark);
  return added && add_header(transfer, opaque);
}

static enum os_sign_state sign(struct os_http_transfer *transfer, const char *url) {
  struct os_http_call *call = transfer->call;
  struct os_signer *signer = call->endpoint->signer;
  struct os_sign_input input = {.method = call->method,
                                .url = url,
                                .body = call->body,
                                .body_len = call->body_len,
                                .headers = call->headers,
                                .serial = &call->signed_by};
  struct os_buf lines;
  os_buf_init(&lines, 0);
  enum os_sign_state state = signer->does->sign(signer, &input, &lines, &call->error);
  char *line = lines.data;
  for (char *end; state == OS_SIGN_READY && line && (end = strchr(line, '\n')); line = end + 1) {
    *end = '\0';
    if (add_header(transfer, line)) continue;
    os_fail_nomem(&call->error);
    state = OS_SIGN_FAILED;
  }
  os_buf_free(&lines);
  return state;
}

enum os_sign_state os_transfer_set_headers(struct os_http_transfer *transfer, const char *url) {
  struct os_http_call *call = transfer->call;
  if (!add_own(transfer)) {
    os_fail_nomem(&call->error);
    return OS_SIGN_FAILED;
  }
  enum os_sign_state state = call->endpoint->signer ? sign(transfer, url) : OS_SIGN_READY;
  if (state != OS_SIGN_READY) return state;
  if (curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK)
    return OS_SIGN_READY;
  os_fail_nomem(&call->error);
  return OS_SIGN_FAILED;
}

/* ---- the answer's ---- */

struct header {
  const char *name, *value;
  size_t name_len, len;
};

static bool split(const char *line, size_t len, struct header *header) {
  const char *colon = memchr(line, ':', len);
  if (!colon) return false;
  const char *from = colon + 1, *to = line + len;
  while (from < to && (*from == ' ' || *from == '\t'))
    from++;
  while (to > from && (to[-1] == '\r' || to[-1] == '\n' || to[-1] == ' ' || to[-1] == '\t'))
    to--;
  *header = (struct header){line, from, (size_t)(colon - line), (size_t)(to - from)};
  return true;
}

static bool is(const struct header *header, const char *name) {
  size_t i = 0;
  while (i < header->name_len && os_to_lower(header->name[i]) == name[i])
    i++;
  return i == header->name_len && !name[i];
}

static void keep(struct os_http_call *call, const struct header *header) {
  struct os_buf *kept = &call->headers_answered;
  size_t name_at = kept->len;
  os_buf_append(kept, header->name, header->name_len);
  os_buf_append(kept, ": ", 2);
  os_buf_append(kept, header->value, header->len);
  os_buf_putc(kept, '\n');
  for (size_t i = name_at; !kept->failed && i < name_at + header->name_len; i++)
    kept->data[i] = os_to_lower(kept->data[i]);
}

static double parse_date(const struct header *header) {
  char text[64];
  if (header->len >= sizeof text) return -1;
  memcpy(text, header->value, header->len);
  text[header->len] = '\0';
  return (double)curl_getdate(text, NULL);
}

/* Anything but the length stops the transfer, which also makes libcurl close the connection. */
size_t os_transfer_take_header(char *line, size_t size, size_t count, void *ctx) {
  struct os_http_transfer *transfer = ctx;
  struct os_http_call *call = transfer->call;
  size_t len = size * count;
  struct header header;
  if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) os_buf_clear(&call->headers_answered);
  if (!split(line, len, &header)) return len;
  /* A balancer that is out of step gives the answer to an earlier request. OpenSearch sends X-Opaque-Id back as it
  ** came; an answer without it says nothing. */
  if (is(&header, "x-opaque-id")) {
    size_t own = strlen(transfer->mark);
    transfer->foreign_answer = header.len != own || memcmp(header.value, transfer->mark, own) != 0;
    if (transfer->foreign_answer) return 0;
  }
  if (call->endpoint->signer && is(&header, "date")) call->date = parse_date(&header);
  if (!call->keep_headers) return len;
  keep(call, &header);
  transfer->no_memory = call->headers_answered.failed;
  return transfer->no_memory ? 0 : len;
}

const char *os_http_header(const struct os_http_call *call, const char *name, size_t *len) {
  size_t name_len = strlen(name);
  const char *line = call->headers_answered.data, *end;
  for (; line && (end = strchr(line, '\n')); line = end + 1) {
    if (strncmp(line, name, name_len) != 0 || line[name_len] != ':') continue;
    *len = (size_t)(end - line) - name_len - 2;
    return line + name_len + 2;
  }
  return NULL;
}
