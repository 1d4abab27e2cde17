/* ids.c - see ids.h. The files are read a second time, by the keeper's thread, from where this
** load began in each of them; ids go to _mget a page at a time, which sees documents before they are
** refreshed.
**
** A document is looked for with its routing (multi-get page: without it, in the wrong shard). Through a
** data stream or a rollover alias documents may lie in several backing indices, where _mget cannot look:
** there the ids are searched.
*/
#include "operations/load/ids.h"
#include "pipeline/examine.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/json.h"
#include "base/text.h"
#include "ledger/sqlite_api.h"
#include "pipeline/bulk_action.h"
#include "pipeline/pipeline.h"
#include "pipeline/stream.h"

enum {
  PAGE = 1000, /* ids a request */

  CHUNK = 1 << 20, /* as reader.c reads, so that types and layouts are the same */
  SHOWN = 80       /* bytes of an id in a message */
};
static const double LOOK_EVERY = 0.25; /* seconds between looks at what others ask; the job's heartbeat */

struct asked { /* an id of the page */
  uint64_t line, offset;
  size_t at, len; /* its text, with quotes, in `ids` */
};

struct look_up {
  struct os_load *load;
  uint32_t source;   /* number of the file being read */
  struct os_buf ids; /* JSON texts of the ids of the page, one behind the other, each followed by a NUL */
  struct os_buf docs;
  struct asked *asked; /* PAGE of them */
  size_t count;
  sqlite3_stmt *refused; /* was the record at this place refused by this load? */
  int64_t looked_up, unknown, missing;
  char first[OS_ERROR_TEXT]; /* where the first missing one is */
  double next_look;
  struct os_error *error;
};

/* ---- a page of ids */

static bool in_backing_indices(const struct os_load *load) {
  return load->target.data_stream || load->target.write_alias;
}

static int ask(struct look_up *look, const char *index, const char *call, const struct os_buf *body,
               json_t **answer) {
  char *path = os_cluster_path(index, call);
  struct os_cluster_call request = {.method = "POST",
                                    .path = path,
                                    .body = body->data,
                                    .body_len = body->len,
                                    .idempotent = true,
                                    .timeout = look->load->request->timeout,
                                    .what = "looking ids up"};
  int rc = path && !body->failed
               ? os_cluster_request(look->load->cluster, &request, NULL, answer, look->error)
               : os_fail_nomem(look->error);
  os_free(path);
  return rc;
}

/* Mark what _mget found: its answers come in the order of the questions. */
static int get_page(struct look_up *look, bool *found) {
  json_t *answer = NULL, *doc;
  size_t i;
  struct os_buf body;
  os_buf_init(&body, 0);
  os_buf_puts(&body, "{\"docs\":[");
  os_buf_append(&body, look->docs.data, look->docs.len);
  os_buf_puts(&body, "]}");
  int rc = ask(look, look->load->target.concrete, "/_mget?_source=false", &body, &answer);
  const json_t *docs = os_json_at(answer, "docs");
  if (!rc && json_array_size(docs) != look->count)
    rc = os_fail(look->error, OS_ERR_ANSWER, "%zu ids were looked up and %zu answers came", look->count,
                 json_array_size(docs));
  json_array_foreach(rc ? NULL : docs, i, doc) {
    found[i] = os_json_bool(doc, "found", false);
    if (!rc && os_json_at(doc, "error"))
      rc =
          os_fail(look->error, OS_ERR_ANSWER, "looking up the id %.*s: %s", SHOWN,
                  look->ids.data + look->asked[i].at, os_json_string(doc, "error/reason", "no reason given"));
  }
  json_decref(answer);
  os_buf_free(&body);
  return rc;
}

/* Mark what a search over all backing indices finds. */
static int search_page(struct look_up *look, bool *found) {
  json_t *answer = NULL, *hit, *seen = json_object();
  size_t i;
  struct os_buf body;
  os_buf_init(&body, 0);
  os_buf_printf(&body, "{\"size\":%d,\"_source\":false,\"query\":{\"ids\":{\"values\":[", 10 * PAGE);
  for (i = 0; i < look->count; i++) {
    if (i) os_buf_putc(&body, ',');
    os_buf_puts(&body, look->ids.data + look->asked[i].at);
  }
  os_buf_puts(&body, "]}}}");
  int rc = seen ? ask(look, look->load->request->index, "/_search?allow_partial_search_results=false", &body,
                      &answer)
                : os_fail_nomem(look->error);
  if (!rc && os_json_int(answer, "_shards/failed", 1) != 0)
    rc = os_fail(look->error, OS_ERR_ANSWER, "a search over %s missed a shard", look->load->request->index);
  json_array_foreach(rc ? NULL : os_json_at(answer, "hits/hits"), i, hit) {
    if (!os_json_put(seen, os_json_string(hit, "_id", ""), json_true())) rc = os_fail_nomem(look->error);
  }
  for (i = 0; !rc && i < look->count; i++) {
    const struct asked *one = &look->asked[i];
    json_t *id = os_json_parse(look->ids.data + one->at, one->len, OS_JSON_BIG_INTEGERS, "id", look->error);
    if (!id) rc = (int)look->error->code;
    found[i] = id && json_object_get(seen, json_string_value(id));
    json_decref(id);
  }
  json_decref(seen);
  json_decref(answer);
  os_buf_free(&body);
  return rc;
}

/* Is there a row of dlq_failures for the record at this place? */
static int was_refused(struct look_up *look, uint64_t offset, bool *refused) {
  struct os_load *load = look->load;
  sqlite3 *db = os_ledger_db(load->ledger);
  static const char sql[] =
      "SELECT 1 FROM failure WHERE index_name = ?1 AND file = ?2 AND byte_offset = ?3 AND job = ?4";
  os_fork_hold();
  int code = look->refused || !db ? SQLITE_OK : sqlite3_prepare_v2(db, sql, -1, &look->refused, NULL);
  if (!db) code = SQLITE_MISUSE;
  if (code == SQLITE_OK) {
    sqlite3_bind_text(look->refused, 1, load->request->index, -1, SQLITE_STATIC);
    sqlite3_bind_text(look->refused, 2, os_load_source(load, look->source)->path, -1, SQLITE_STATIC);
    sqlite3_bind_int64(look->refused, 3, (int64_t)offset);
    sqlite3_bind_int64(look->refused, 4, load->job->number);
    code = sqlite3_step(look->refused);
    *refused = code == SQLITE_ROW;
    sqlite3_reset(look->refused);
  }
  os_fork_let_go();
  if (code == SQLITE_ROW || code == SQLITE_DONE) return OS_OK;
  return code == SQLITE_NOMEM
             ? os_fail_nomem(look->error)
             : os_fail(look->error, OS_ERR_LEDGER, "reading refused records from the ledger: %s",
                       db ? sqlite3_errmsg(db) : "it is not open");
}

static void note_missing(struct look_up *look, const struct asked *one) {
  if (look->missing++) return;
  snprintf(look->first, sizeof look->first, "%.900s, line %llu, id %.*s",
           os_load_source(look->load, look->source)->path, (unsigned long long)one->line,
           one->len < SHOWN ? (int)one->len : SHOWN, look->ids.data + one->at);
}

static int listen(struct look_up *look) {
  struct os_load *load = look->load;
  char asked[16] = "";
  if (os_session_interrupted(load->session)) {
    os_fail(look->error, OS_ERR_INTERRUPTED, "interrupted while ids were looked up, %lld so far",
            (long long)look->looked_up);
    return os_advise(look->error, "the load itself is complete");
  }
  double now = os_clock_monotonic();
  if (now < look->next_look) return OS_OK;
  look->next_look = now + LOOK_EVERY;
  int rc = os_ledger_job_control(load->ledger, load->job->number, asked, look->error);
  if (!rc) rc = os_ledger_job_progress(load->ledger, load->job->number, load->figures, look->error);
  if (!rc && !strcmp(asked, "cancel")) {
    os_fail(look->error, OS_ERR_CANCELLED, "cancelled while ids were looked up");
    return os_advise(look->error, "the load itself is complete");
  }
  return rc;
}

static int look_page_up(struct look_up *look) {
  bool found[PAGE] = {false};
  if (!look->count) return OS_OK;
  int rc = listen(look);
  if (!rc) rc = in_backing_indices(look->load) ? search_page(look, found) : get_page(look, found);
  for (size_t i = 0; i < look->count && !rc; i++) {
    bool refused = false;
    if (found[i]) continue;
    rc = was_refused(look, look->asked[i].offset, &refused);
    if (!rc && !refused) note_missing(look, &look->asked[i]);
  }
  look->looked_up += (int64_t)look->count;
  look->count = 0;
  os_buf_clear(&look->ids);
  os_buf_clear(&look->docs);
  return rc;
}

/* ---- records of the files */

static int take_record(void *ctx, const struct os_record *record) {
  struct look_up *look = ctx;
  struct os_load *load = look->load;
  const struct os_source *source = os_load_source(load, look->source);
  struct os_buf *ids = &look->ids, *docs = &look->docs;
  if (!record->id.text && load->mode == OS_MODE_UPSERT) return OS_OK; /* refused: see feeder.c */
  if (!record->id.text && !source->id_prefix[0]) {
    look->unknown++;
    return OS_OK;
  }
  struct asked *one = &look->asked[look->count++];
  *one = (struct asked){.line = record->line, .offset = record->offset, .at = ids->len};
  os_buf_putc(ids, '"');
  if (record->id.text)
    os_buf_append(ids, record->id.text, record->id.len);
  else
    os_put_computed_id(ids, source->id_prefix, record->offset);
  os_buf_putc(ids, '"');
  one->len = ids->len - one->at;
  os_buf_puts(docs, docs->len ? ",{\"_id\":" : "{\"_id\":");
  if (!ids->failed) os_buf_append(docs, ids->data + one->at, one->len);
  if (record->routing.text) {
    os_buf_puts(docs, ",\"routing\":\"");
    os_buf_append(docs, record->routing.text, record->routing.len);
    os_buf_putc(docs, '"');
  }
  os_buf_putc(docs, '}');
  os_buf_append(ids, "", 1);
  if (ids->failed || docs->failed) return os_fail_nomem(look->error);
  return look->count == PAGE ? look_page_up(look) : OS_OK;
}

static int take_reject(void *ctx, const struct os_reject *reject) {
  (void)ctx;
  (void)reject; /* in dlq_failures, not in the index */
  return OS_OK;
}

/* Parse the window and what follows it to the end of the stream. */
static int parse_stream(struct look_up *look, struct os_parser *parser, struct os_stream *stream,
                        struct os_buf *window, bool at_end) {
  for (;;) {
    size_t used = 0;
    int rc = os_parser_run(parser, window->data, window->len, at_end, &used, look->error);
    if (rc || at_end) return rc;
    size_t rest = window->len - used;
    if (used && rest) memmove(window->data, window->data + used, rest);
    window->len = rest;
    rc = listen(look);
    size_t want = used || rest < CHUNK ? CHUNK : rest; /* a record longer than the window: double it */
    if (!rc) rc = os_stream_read(stream, window, want, &at_end, look->error);
    if (rc) return rc;
  }
}

static int read_file(struct look_up *look, uint32_t number, struct os_buf *window) {
  struct os_load *load = look->load;
  const struct os_source *source = os_load_source(load, number);
  const struct os_record_sink sink = {take_record, take_reject, look};
  struct os_stream *stream = NULL;
  struct os_parser *parser = NULL;
  bool at_end = false;
  struct os_probe probe = os_session_probe(load->session);
  look->source = number;
  os_buf_clear(window);
  int rc = os_stream_open(&stream, source, NULL, NULL, look->error);
  if (!rc) os_stream_watch(stream, &probe);
  if (!rc) rc = os_stream_check_unchanged(stream, look->error);
  if (!rc) rc = os_stream_read(stream, window, OS_EXAMINE_HEAD, &at_end, look->error);
  struct os_parser_start start = {.source_name = source->name,
                                  .offset = source->start_offset,
                                  .line = source->start_line,
                                  .head = window->data,
                                  .head_len = window->len,
                                  .head_is_all = at_end};
  if (!rc) rc = os_parser_open(&parser, source->format, &load->shared->parse, &start, &sink, look->error);
  if (!rc && source->start_offset) {
    if (source->start_offset <= window->len) {
      window->len -= (size_t)source->start_offset;
      memmove(window->data, window->data + source->start_offset, window->len);
    } else {
      os_buf_clear(window);
      rc = os_stream_skip_to(stream, source->start_offset, look->error);
      if (!rc) rc = os_stream_read(stream, window, CHUNK, &at_end, look->error);
    }
  }
  if (!rc) rc = parse_stream(look, parser, stream, window, at_end);
  if (!rc) rc = look_page_up(look); /* a page never spans two files */
  if (!rc) rc = os_stream_check_unchanged(stream, look->error);
  if (parser) os_parser_free(parser);
  os_stream_close(stream);
  if (rc && rc != OS_ERR_INTERRUPTED && rc != OS_ERR_CANCELLED)
    os_error_prefix(look->error, "looking up the ids of %s", source->path);
  return rc;
}

/* ---- what it came to */

static int report(struct look_up *look) {
  struct os_job *job = look->load->job;
  char count[32];
  int rc = OS_OK;
  os_format_count((uint64_t)look->looked_up, count, sizeof count);
  if (look->missing) {
    os_fail(look->error, OS_ERR_INTERNAL,
            "%lld of %s records are not in index %s although it took them; the first: %s",
            (long long)look->missing, count, look->load->request->index, look->first);
    os_advise(look->error, "did others delete them, or did an ingest pipeline drop them? mode append with "
                           "{\"allow_again\":true}, or upsert, loads "
                           "them again");
    return os_job_guard_failed(job, "finish", "ids", look->error);
  }
  if (look->unknown)
    rc = os_job_audit(job, "finish", "ids", "unknown", false, look->error,
                      "%lld records have ids that the server chose: they cannot be looked up",
                      (long long)look->unknown);
  if (!rc && (look->looked_up || !look->unknown))
    rc = os_job_audit(job, "finish", "ids", "pass", false, look->error,
                      "%s ids looked up: every record that was not refused is there", count);
  return rc;
}

int os_load_check_ids(struct os_load *load, struct os_error *error) {
  struct look_up look = {.load = load, .error = error};
  struct os_buf window;
  int rc = OS_OK;
  os_buf_init(&look.ids, 0);
  os_buf_init(&look.docs, 0);
  os_buf_init(&window, 0);
  look.asked = os_calloc(PAGE, sizeof *look.asked);
  if (!look.asked) rc = os_fail_nomem(error);
  if (!rc && in_backing_indices(load)) rc = os_cluster_refresh(load->cluster, load->request->index, error);
  for (size_t i = 0; i < load->shared->list.count && !rc; i++) {
    const struct os_source *source = os_load_source(load, i);
    if (source->skip) continue;
    if (source->is_stream)
      rc = os_job_audit(load->job, "finish", "ids", "unknown", false, error,
                        "%s can be read only once: its ids cannot be looked up", source->path);
    else
      rc = read_file(&look, (uint32_t)i, &window);
  }
  if (!rc) rc = report(&look);
  sqlite3_finalize(look.refused);
  os_buf_free(&window);
  os_buf_free(&look.docs);
  os_buf_free(&look.ids);
  os_free(look.asked);
  return rc;
}
