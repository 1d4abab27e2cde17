/* scripted_server.h - a TCP server inside a test: each connection runs a function of the test, which
** reads requests and writes whatever bytes the case needs, good or bad. On 127.0.0.1, on a port of the
** system's choice.
*/
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_VISITS = 64, MAX_REQUEST = 1 << 16 };

struct scripted_server;

struct visit { /* one connection */
  struct scripted_server *server;
  int fd;
  int number; /* from 0 */
  pthread_t thread;
  char head[MAX_REQUEST]; /* request line and headers of the last request read, NUL-terminated */
  char *body;
  size_t body_len;
};

struct scripted_server {
  int fd, port;
  pthread_t thread;
  void (*script)(struct visit *visit);
  void *ctx;
  atomic_int visits;
  atomic_int requests;
  pthread_mutex_t lock;
  struct visit *visit[MAX_VISITS];
};

static inline void *visit_main(void *arg) {
  struct visit *visit = arg;
  visit->server->script(visit);
  shutdown(visit->fd, SHUT_RDWR);
  return NULL;
}

static inline void *server_main(void *arg) {
  struct scripted_server *server = arg;
  for (;;) {
    int fd = accept(server->fd, NULL, NULL);
    if (fd < 0) return NULL;
    int at_once = 1; /* the body of an answer does not wait for its head to be acknowledged */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    pthread_mutex_lock(&server->lock);
    int number = atomic_load(&server->visits);
    if (number == MAX_VISITS) {
      pthread_mutex_unlock(&server->lock);
      close(fd);
      continue;
    }
    struct visit *visit = calloc(1, sizeof *visit);
    visit->server = server;
    visit->fd = fd;
    visit->number = number;
    server->visit[number] = visit;
    atomic_store(&server->visits, number + 1);
    pthread_create(&visit->thread, NULL, visit_main, visit);
    pthread_mutex_unlock(&server->lock);
  }
}

static inline void server_start(struct scripted_server *server, void (*script)(struct visit *visit),
                                void *ctx) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  memset(server, 0, sizeof *server);
  server->script = script;
  server->ctx = ctx;
  pthread_mutex_init(&server->lock, NULL);
  server->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(server->fd, (struct sockaddr *)&address, sizeof address) || listen(server->fd, 16)) abort();
  getsockname(server->fd, (struct sockaddr *)&address, &len);
  server->port = ntohs(address.sin_port);
  pthread_create(&server->thread, NULL, server_main, server);
}

static inline void server_stop(struct scripted_server *server) {
  shutdown(server->fd, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  close(server->fd);
  for (int i = 0; i < atomic_load(&server->visits); i++) {
    struct visit *visit = server->visit[i];
    shutdown(visit->fd, SHUT_RDWR);
    pthread_join(visit->thread, NULL);
    close(visit->fd);
    free(visit->body);
    free(visit);
  }
  pthread_mutex_destroy(&server->lock);
}

/* Reads one request into head and body. False: the client has closed. */
static inline bool visit_read(struct visit *visit) {
  size_t len = 0;
  char *end = NULL;
  while (!end) {
    if (len == MAX_REQUEST - 1) return false;
    ssize_t n = read(visit->fd, visit->head + len, 1); /* never past the head: the body is read apart */
    if (n <= 0) return false;
    len++;
    visit->head[len] = '\0';
    if (len >= 4 && !memcmp(visit->head + len - 4, "\r\n\r\n", 4)) end = visit->head + len;
  }
  const char *length = strchr(visit->head, '\n');
  while (length && strncasecmp(length, "\ncontent-length:", 16))
    length = strchr(length + 1, '\n');
  visit->body_len = length ? strtoul(length + 16, NULL, 10) : 0;
  free(visit->body);
  visit->body = malloc(visit->body_len + 1);
  for (size_t got = 0; got < visit->body_len;) {
    ssize_t n = read(visit->fd, visit->body + got, visit->body_len - got);
    if (n <= 0) return false;
    got += (size_t)n;
  }
  visit->body[visit->body_len] = '\0';
  atomic_fetch_add(&visit->server->requests, 1);
  return true;
}

static inline bool visit_write(struct visit *visit, const void *data, size_t len) {
  const char *at = data;
  while (len) {
    ssize_t n = send(visit->fd, at, len, MSG_NOSIGNAL);
    if (n <= 0) return false;
    at += n;
    len -= (size_t)n;
  }
  return true;
}

static inline void visit_puts(struct visit *visit, const char *text) {
  visit_write(visit, text, strlen(text));
}

/* A complete answer; headers: further lines, each with \r\n, or "". */
static inline void visit_answer(struct visit *visit, int status, const char *headers, const char *type,
                                const char *body) {
  char head[2048];
  snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\n%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
           status, headers, type, strlen(body));
  visit_puts(visit, head);
  if (strncmp(visit->head, "HEAD ", 5)) visit_puts(visit, body);
}

static inline bool visit_asks(const struct visit *visit, const char *method_and_path) {
  size_t len = strlen(method_and_path);
  return !strncmp(visit->head, method_and_path, len) && (visit->head[len] == ' ' || visit->head[len] == '?');
}
#endif
