/* nullsink.c - a server that takes `_bulk` requests and keeps nothing, so that a measurement sees the client
** alone. Use: nullsink UPSTREAM-PORT [PORT]
**
** It listens on 127.0.0.1 (PORT 0 or none: any free one) and prints the port. Documents of a bulk request are
** counted and answered as created, in the form that filter_path asks for. Everything else goes to the real
** node at 127.0.0.1:UPSTREAM-PORT, so that a client's checks before and after a load see a real cluster; the
** index there stays empty. GET /_sink tells what came in since the last time: {"requests","documents",
** "bytes"}. Bodies must have a Content-Length and no Content-Encoding, which holds for clients that talk to
** their own machine.
**
** One thread, epoll; answers and relayed requests are written while it waits, which is short on loopback.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 256 << 10, HEAD_MAX = 64 << 10, PEEK = 12 };

struct bytes {
  char *data;
  size_t len, cap;
};

struct client {
  int fd;
  struct bytes head; /* request line and headers, as far as they came */
  bool in_body, bulk, close_after;
  uint64_t body_left;
  struct bytes body; /* of a request that is passed on */
  /* lines of a bulk body: an action, and its document unless the action is a delete */
  bool at_document;
  char peek[PEEK]; /* how the action line begins */
  size_t line_len; /* of the line in hand, counted up to PEEK only for actions */
  uint64_t documents;
};

static struct { uint64_t requests, documents, bytes; } total;
static uint16_t upstream;

static void *need(void *memory) {
  if (memory) return memory;
  fputs("nullsink: out of memory\n", stderr);
  exit(1);
}

static void put(struct bytes *to, const void *data, size_t len) {
  if (to->len + len + 1 > to->cap) {
    to->cap = (to->len + len + 1) * 2;
    to->data = need(realloc(to->data, to->cap));
  }
  memcpy(to->data + to->len, data, len);
  to->len += len;
  to->data[to->len] = 0;
}

static void putf(struct bytes *to, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  put(to, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static bool send_all(int fd, const char *data, size_t len) {
  while (len) {
    ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    len -= (size_t)sent;
  }
  return true;
}

static bool answer(struct client *client, int status, const struct bytes *body) {
  struct bytes out = {0};
  putf(&out,
       "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %zu\r\n%s\r\n",
       status, status < 300 ? "OK" : "Error", body->len, client->close_after ? "Connection: close\r\n" : "");
  if (strncmp(client->head.data, "HEAD ", 5)) put(&out, body->data, body->len);
  bool sent = send_all(client->fd, out.data, out.len);
  free(out.data);
  return sent;
}

/* ---- bulk requests */

/* Of the four operations only one begins with a 'd'; the longer look is for those who write blanks before it. */
static bool is_delete(const char *line, size_t len) {
  if (len > 2 && line[0] == '{' && line[1] == '"') return line[2] == 'd';
  return memmem(line, len, "\"delete\"", 8) != NULL;
}

static void count_lines(struct client *client, const char *data, size_t len) {
  const char *end = data + len;
  while (data < end) {
    const char *feed = memchr(data, '\n', (size_t)(end - data));
    size_t part = (size_t)((feed ? feed : end) - data);
    if (!client->at_document && client->line_len < PEEK) {
      size_t take = part < PEEK - client->line_len ? part : PEEK - client->line_len;
      memcpy(client->peek + client->line_len, data, take);
      client->line_len += take;
    }
    if (!feed) return;
    if (client->at_document)
      client->at_document = false;
    else if (client->line_len) {
      client->documents++;
      client->at_document = !is_delete(client->peek, client->line_len);
    }
    client->line_len = 0;
    data = feed + 1;
  }
}

static bool answer_bulk(struct client *client) {
  static const char shortest[] = ",{\"index\":{\"status\":201}}";
  struct bytes body = {0};
  bool filtered = strstr(client->head.data, "filter_path=") != NULL;
  bool results = strstr(client->head.data, "items.*.result") != NULL;
  putf(&body, "{\"took\":1,\"errors\":false,\"items\":[");
  size_t first = body.len;
  for (uint64_t i = 0; i < client->documents; i++) {
    if (filtered && !results) {
      put(&body, shortest, sizeof shortest - 1);
      continue;
    }
    if (i) put(&body, ",", 1);
    if (results)
      putf(&body, "{\"index\":{\"result\":\"created\",\"status\":201}}");
    else
      putf(&body,
           "{\"index\":{\"_index\":\"bench\",\"_id\":\"sink%016llu\",\"_version\":1,\"result\":\"created\","
           "\"_shards\":{\"total\":2,\"successful\":1,\"failed\":0},\"_seq_no\":%llu,\"_primary_term\":1,"
           "\"status\":201}}",
           (unsigned long long)(total.documents + i), (unsigned long long)(total.documents + i));
  }
  if (client->documents && filtered && !results) body.data[first] = ' '; /* no comma before the first */
  put(&body, "]}", 2);
  total.requests++;
  total.documents += client->documents;
  bool sent = answer(client, 200, &body);
  free(body.data);
  return sent;
}

/* ---- everything else */

static bool answer_totals(struct client *client) {
  struct bytes body = {0};
  putf(&body, "{\"requests\":%llu,\"documents\":%llu,\"bytes\":%llu}\n", (unsigned long long)total.requests,
       (unsigned long long)total.documents, (unsigned long long)total.bytes);
  memset(&total, 0, sizeof total);
  bool sent = answer(client, 200, &body);
  free(body.data);
  return sent;
}

static int connect_upstream(void) {
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(upstream), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* Send the request on with its own headers, but over a connection of its own, and hand the answer back as it
** came. The client's connection ends with it: the answer's headers say so. */
static bool relay(struct client *client) {
  char buffer[16384];
  ssize_t got = 0;
  int fd = connect_upstream();
  if (fd < 0) {
    struct bytes body = {0};
    putf(&body, "{\"error\":\"nullsink: no node at 127.0.0.1:%u\",\"status\":502}", upstream);
    bool sent = answer(client, 502, &body);
    free(body.data);
    return sent;
  }
  const char *feed = strchr(client->head.data, '\n'), *line = feed + 1;
  bool ok = send_all(fd, client->head.data, (size_t)(line - client->head.data));
  while (ok && *line != '\r' && (feed = strchr(line, '\n'))) {
    if (strncasecmp(line, "connection:", 11) && strncasecmp(line, "expect:", 7))
      ok = send_all(fd, line, (size_t)(feed + 1 - line));
    line = feed + 1;
  }
  ok = ok && send_all(fd, "Connection: close\r\n\r\n", 21) &&
       send_all(fd, client->body.data, client->body.len);
  for (bool begun = false; ok && (got = recv(fd, buffer, sizeof buffer, 0)) > 0; begun = true) {
    size_t status = 0;
    char *end = begun ? NULL : memchr(buffer, '\n', (size_t)got);
    if (end) { /* the status line, and behind it that the connection ends */
      status = (size_t)(end + 1 - buffer);
      ok = send_all(client->fd, buffer, status) && send_all(client->fd, "Connection: close\r\n", 19);
    }
    ok = ok && send_all(client->fd, buffer + status, (size_t)got - status);
  }
  close(fd);
  client->close_after = true;
  return ok && got == 0;
}

/* ---- one connection */

static bool refuse(struct client *client, int status, const char *why) {
  struct bytes body = {0};
  putf(&body, "{\"error\":\"nullsink: %s\",\"status\":%d}", why, status);
  client->close_after = true;
  answer(client, status, &body);
  free(body.data);
  return false;
}

static const char *header_of(const struct client *client, const char *name) {
  size_t len = strlen(name);
  for (const char *line = strchr(client->head.data, '\n'); line; line = strchr(line, '\n')) {
    line++;
    if (!strncasecmp(line, name, len) && line[len] == ':')
      return line + len + 1 + strspn(line + len + 1, " \t");
  }
  return NULL;
}

static bool begin_request(struct client *client) {
  const char *length = header_of(client, "content-length"), *connection = header_of(client, "connection");
  const char *path = strchr(client->head.data, ' '), *line_end = strchr(client->head.data, '\r');
  if (!path || !line_end) return refuse(client, 400, "this is no HTTP request");
  const char *bulk = strstr(path, "/_bulk");
  if (header_of(client, "transfer-encoding")) return refuse(client, 411, "send a Content-Length, please");
  if (header_of(client, "content-encoding")) return refuse(client, 415, "send bodies as they are, please");
  client->bulk = bulk && bulk < line_end;
  client->close_after = connection && !strncasecmp(connection, "close", 5);
  client->body_left = length ? strtoull(length, NULL, 10) : 0;
  client->body.len = 0;
  client->at_document = false;
  client->line_len = 0;
  client->documents = 0;
  client->in_body = true;
  return !header_of(client, "expect") || send_all(client->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static bool end_request(struct client *client) {
  bool ok = client->bulk                                     ? answer_bulk(client)
            : !strncmp(client->head.data, "GET /_sink ", 11) ? answer_totals(client)
                                                             : relay(client);
  client->head.len = 0;
  client->in_body = false;
  return ok && !client->close_after;
}

/* Take bytes that came; false: the connection is to be closed. */
static bool take(struct client *client, const char *data, size_t len) {
  while (len) {
    size_t used;
    if (!client->in_body) {
      size_t before = client->head.len, from = before > 3 ? before - 3 : 0;
      put(&client->head, data, len);
      char *end = memmem(client->head.data + from, client->head.len - from, "\r\n\r\n", 4);
      if (!end) return client->head.len < HEAD_MAX || refuse(client, 431, "the headers are too long");
      client->head.len = (size_t)(end - client->head.data) + 4;
      client->head.data[client->head.len] = 0;
      used = client->head.len - before;
      if (!begin_request(client)) return false;
    } else {
      used = len < client->body_left ? len : (size_t)client->body_left;
      if (client->bulk) {
        count_lines(client, data, used);
        total.bytes += used;
      } else
        put(&client->body, data, used);
      client->body_left -= used;
    }
    data += used;
    len -= used;
    if (!client->body_left && !end_request(client)) return false;
  }
  return true;
}

static void drop(struct client *client) {
  close(client->fd);
  free(client->head.data);
  free(client->body.data);
  free(client);
}

static void accept_client(int poll_fd, int listening) {
  int on = 1, fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  struct client *client = need(calloc(1, sizeof *client));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  client->fd = fd;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event)) drop(client);
}

static int serve(int listening) {
  static char chunk[CHUNK];
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[64];
  int poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listening, &event)) return perror("nullsink"), 1;
  for (;;) {
    int count = epoll_wait(poll_fd, ready, 64, -1);
    for (int i = 0; i < count; i++) {
      struct client *client = ready[i].data.ptr;
      if (!client) {
        accept_client(poll_fd, listening);
        continue;
      }
      ssize_t got = recv(client->fd, chunk, sizeof chunk, MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0 || !take(client, chunk, (size_t)got)) drop(client);
    }
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (argc < 2 || argc > 3) {
    fputs("usage: nullsink UPSTREAM-PORT [PORT]\n", stderr);
    return 2;
  }
  upstream = (uint16_t)strtoul(argv[1], NULL, 10);
  at.sin_port = htons((uint16_t)(argc > 2 ? strtoul(argv[2], NULL, 10) : 0));
  signal(SIGPIPE, SIG_IGN);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 128) ||
      getsockname(fd, (struct sockaddr *)&at, &len))
    return perror("nullsink"), 1;
  printf("%u\n", ntohs(at.sin_port));
  fflush(stdout);
  return serve(fd);
}
