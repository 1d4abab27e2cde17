/* bulk_model.h - a server that plays `_bulk` on documents kept in a table, and fails by a script: whole
** requests before or after the work, answers that lie, single items. What stands in the table at the end is
** what really happened.
*/
#ifndef BULK_MODEL_H
#define BULK_MODEL_H
#include <jansson.h>
#include <netinet/tcp.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "format/inflate.h"
#include "scripted_server.h"

struct stored {
  char *id, *document; /* the last one written */
  int writes;
};

struct model_item {
  char op[8];
  char id[600]; /* "" when the server is to choose */
  const char *document;
  size_t document_len;
};

/* What becomes of a whole request. A status (400 …) is answered without doing the work; with DONE added,
** after it.
*/
enum { PLAY = 0, CUT_BEFORE, CUT_AFTER, CUT_INSIDE, ONE_TOO_FEW, A_PAGE, DONE = 1000, LATE = 10000 };
enum { LATE_MS = 400 }; /* LATE added: whatever is done is done at once, the answer comes so late */

struct refused_item { /* what an item is told instead of being done */
  int status;
  const char *type, *reason; /* type NULL: no error; then reason, if any, is the result */
};

struct bulk_model {
  struct scripted_server server;
  pthread_mutex_t lock;
  struct stored *table; /* open addressing */
  size_t cap, count;
  int requests, chosen_ids;
  size_t largest_done; /* bytes of the largest request that was carried out */
  unsigned random;
  int jitter_ms;            /* answers take up to so long, each on its own */
  atomic_bool hang, let_go; /* hang: requests wait for let_go */
  atomic_int hanging;
  /* the script, under lock; NULL: everything goes well */
  int (*whole)(struct bulk_model *model, int number, const char *body, size_t len);
  const struct refused_item *(*item)(struct bulk_model *model, const struct model_item *item);
  const char *type, *reason; /* of a refused request; NULL: some that say nothing */
  char target[300];          /* what the last request asked for */
  int compressed;            /* requests */
  void *ctx;
};

static inline unsigned model_draw(struct bulk_model *model, unsigned below) {
  model->random = model->random * 1664525u + 1013904223u;
  return (model->random >> 8) % below;
}

static inline struct stored *model_slot(struct bulk_model *model, const char *id) {
  uint64_t hash = 14695981039346656037u;
  for (const char *c = id; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 1099511628211u;
  size_t i = hash % model->cap;
  while (model->table[i].id && strcmp(model->table[i].id, id))
    i = (i + 1) % model->cap;
  return &model->table[i];
}

static inline const struct stored *model_find(struct bulk_model *model, const char *id) {
  const struct stored *stored = model_slot(model, id);
  return stored->id ? stored : NULL;
}

/* Status of the item as a server answers it. */
static inline int model_write(struct bulk_model *model, struct model_item *item) {
  if (!item->id[0]) snprintf(item->id, sizeof item->id, "chosen-%d", model->chosen_ids++);
  struct stored *stored = model_slot(model, item->id);
  bool is_new = !stored->id;
  if (!strcmp(item->op, "create") && !is_new) return 409;
  if (is_new) {
    if (++model->count > model->cap / 2)
      abort(); /* a test with more documents gives model_start() a larger table */
    stored->id = strdup(item->id);
  }
  free(stored->document);
  stored->document = strndup(item->document, item->document_len);
  stored->writes++;
  return is_new ? 201 : 200;
}

static inline void model_answer_item(struct bulk_model *model, struct model_item *item, struct os_buf *out) {
  const struct refused_item *refused = model->item ? model->item(model, item) : NULL;
  static const struct refused_item conflict = {409, "version_conflict_engine_exception",
                                               "version conflict, document already exists"};
  int status = refused ? refused->status : model_write(model, item);
  if (status == 409 && !refused) refused = &conflict;
  os_buf_printf(out, "{\"%s\":{\"_index\":\"i\",\"_id\":\"x\",\"status\":%d", item->op, status);
  if (refused && refused->type)
    os_buf_printf(out, ",\"error\":{\"type\":\"%s\",\"reason\":\"%s\"}", refused->type, refused->reason);
  else if (refused)
    os_buf_printf(out, refused->reason ? ",\"result\":\"%s\"" : "%s", refused->reason ? refused->reason : "");
  else
    os_buf_printf(out, ",\"result\":\"%s\"", status == 201 ? "created" : "updated");
  os_buf_puts(out, "}}");
}

/* Do all lines of a body; the answer goes to out. False: not a bulk body. */
static inline bool model_do(struct bulk_model *model, const char *body, size_t len, struct os_buf *out,
                            int leave_out) {
  const char *at = body, *end = body + len;
  bool first = true;
  os_buf_puts(out, "{\"took\":1,\"errors\":true,\"items\":[");
  while (at < end) {
    struct model_item item = {.op = ""};
    const char *line_end = memchr(at, '\n', (size_t)(end - at)), *key;
    json_t *action = line_end ? json_loadb(at, (size_t)(line_end - at), 0, NULL) : NULL, *meta;
    json_object_foreach(action, key, meta) {
      snprintf(item.op, sizeof item.op, "%s", key);
      snprintf(item.id, sizeof item.id, "%s",
               json_string_value(json_object_get(meta, "_id"))
                   ? json_string_value(json_object_get(meta, "_id"))
                   : "");
    }
    bool ok = json_object_size(action) == 1;
    json_decref(action);
    if (!ok) return false;
    item.document = line_end + 1;
    line_end = memchr(item.document, '\n', (size_t)(end - item.document));
    if (!line_end || item.document[0] != '{') return false;
    item.document_len = (size_t)(line_end - item.document);
    at = line_end + 1;
    size_t before = out->len;
    if (!first) os_buf_putc(out, ',');
    model_answer_item(model, &item, out);
    if (leave_out && at >= end) out->len = before;
    first = false;
  }
  os_buf_puts(out, "]}");
  return true;
}

static inline void model_visit(struct visit *visit) {
  struct bulk_model *model = visit->server->ctx;
  int at_once = 1; /* head and body go apart: do not wait for the ACK of the first */
  setsockopt(visit->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  while (visit_read(visit)) {
    struct os_buf plain, answer;
    const char *body = visit->body;
    size_t len = visit->body_len;
    os_buf_init(&plain, 0);
    os_buf_init(&answer, 0);
    if (strstr(visit->head, "Content-Encoding: gzip")) {
      struct os_inflate *inflate = NULL;
      size_t used, made = 0;
      bool ended;
      bool ready = os_buf_reserve(&plain, 1 << 20) && !os_inflate_open(&inflate, OS_GZIP, NULL);
      if (ready && os_inflate_run(inflate, body, len, true, &used, plain.data, 1 << 20, &made, &ended, NULL))
        abort();
      if (inflate) os_inflate_free(inflate);
      if (!ready) { /* a test that takes memory away: as if the connection had been lost */
        os_buf_free(&plain);
        return;
      }
      body = plain.data;
      len = made;
    }
    pthread_mutex_lock(&model->lock);
    snprintf(model->target, sizeof model->target, "%.*s", (int)strcspn(visit->head, "\r"), visit->head);
    model->compressed += body != visit->body;
    int fate = model->whole ? model->whole(model, model->requests, body, len) : PLAY;
    int delay = model->jitter_ms ? (int)model_draw(model, (unsigned)model->jitter_ms + 1) : 0;
    model->requests++;
    pthread_mutex_unlock(&model->lock);
    os_clock_sleep_ms((unsigned)delay);
    if (atomic_load(&model->hang)) {
      atomic_fetch_add(&model->hanging, 1);
      while (!atomic_load(&model->let_go))
        os_clock_sleep_ms(2);
      fate = CUT_BEFORE;
    }
    bool late = fate >= LATE;
    fate %= LATE;
    bool works =
        fate == PLAY || fate == CUT_AFTER || fate == CUT_INSIDE || fate == ONE_TOO_FEW || fate >= DONE;
    if (works) {
      pthread_mutex_lock(&model->lock);
      if (!model_do(model, body, len, &answer, fate == ONE_TOO_FEW)) fate = 400;
      if (len > model->largest_done) model->largest_done = len;
      pthread_mutex_unlock(&model->lock);
    }
    if (late) os_clock_sleep_ms(LATE_MS);
    if (fate == CUT_INSIDE) {
      char head[200];
      snprintf(head, sizeof head,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               answer.len);
      visit_puts(visit, head);
      visit_write(visit, answer.data, answer.len / 2);
    } else if (fate == PLAY || fate == ONE_TOO_FEW) {
      visit_answer(visit, 200, "", "application/json", answer.data);
    } else if (fate == A_PAGE) {
      visit_answer(visit, 200, "", "text/html", "<html>sign in</html>");
    } else if (fate != CUT_BEFORE && fate != CUT_AFTER) {
      char answer_400[200];
      snprintf(answer_400, sizeof answer_400, "{\"error\":{\"type\":\"%s\",\"reason\":\"%s\"}}",
               model->type ? model->type : "x", model->reason ? model->reason : "as the script says");
      visit_answer(visit, fate % DONE, "", "application/json", answer_400);
    }
    os_buf_free(&plain);
    os_buf_free(&answer);
    if (fate >= CUT_BEFORE && fate <= CUT_INSIDE) return;
  }
}

static inline void model_start(struct bulk_model *model, size_t documents) {
  memset(model, 0, sizeof *model);
  model->cap = documents * 2 + 101;
  model->table = calloc(model->cap, sizeof *model->table);
  model->random = 12345;
  pthread_mutex_init(&model->lock, NULL);
  server_start(&model->server, model_visit, model);
}

static inline void model_stop(struct bulk_model *model) {
  atomic_store(&model->let_go, true);
  server_stop(&model->server);
  for (size_t i = 0; i < model->cap; i++) {
    free(model->table[i].id);
    free(model->table[i].document);
  }
  free(model->table);
  pthread_mutex_destroy(&model->lock);
}
#endif
