/* search_hits.c - see search_hits.h. Calls json_scan and base/. */
#include "format/search_hits.h"
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"
#include "format/json_scan.h"

enum { ID, ROUTING, SOURCE, SEQ_NO }; /* the picks of a hit, in their order */

struct os_search_hits {
  struct os_json_scan hit, document;
  struct os_buf answer; /* a copy with the OS_PAD bytes behind it that the scanner reads */
  const char *at, *end; /* the rest of the array */
  bool first;
};

static int odd(const char *what, struct os_error *error) {
  os_fail(error, OS_ERR_ANSWER, "the answer to a search is not one: %s", what);
  return os_advise(error, "is there a proxy between? os_ping() tells what answers");
}

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && os_json_blank(*at))
    at++;
  return at;
}

/* Scan the object at `at` for the members that the scan was given. */
static int scan_object(struct os_json_scan *scan, const char *at, const char *end, struct os_error *error) {
  at = skip_blanks(at, end);
  if (at == end || *at != '{') return odd("an object is missing", error);
  if (os_json_scan(scan, at, end)) return OS_OK;
  if (scan->fault == OS_JSON_NOMEM) return os_fail_nomem(error);
  return odd(scan->fault == OS_JSON_MORE ? "it is cut short" : scan->expected, error);
}

static bool is_text(const struct os_json_pick *pick, const char *text) {
  return pick->len == strlen(text) && !memcmp(pick->text, text, pick->len);
}

/* {"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[…]}} */
static int find_array(const char *answer, size_t len, const char **at, const char **array_end,
                      struct os_error *error) {
  struct os_json_scan *scan = os_calloc(1, sizeof *scan);
  if (!scan) return os_fail_nomem(error);
  os_json_scan_init(scan);
  int late = os_json_scan_pick(scan, "timed_out", false), shards = os_json_scan_pick(scan, "_shards", false),
      hits = os_json_scan_pick(scan, "hits", false);
  int rc = scan_object(scan, answer, answer + len, error);
  struct os_json_pick outer = scan->pick[hits], failed = scan->pick[shards];
  if (!rc && scan->pick[late].kind == OS_JSON_TRUE) {
    os_fail(error, OS_ERR_TIMEOUT,
            "a search ran out of time on the cluster, so documents are missing in its answer");
    rc = os_advise(error, "try again when the cluster is less busy");
  }
  bool none = outer.kind == OS_JSON_NOTHING &&
              failed.kind == OS_JSON_OBJECT; /* filter_path leaves out what is empty */
  if (!rc && outer.kind != OS_JSON_OBJECT && !none) rc = odd("it has no hits", error);
  os_json_scan_free(scan);
  os_json_scan_init(scan);
  int count = os_json_scan_pick(scan, "failed", false);
  if (!rc && failed.kind == OS_JSON_OBJECT)
    rc = scan_object(scan, failed.text, failed.text + failed.len, error);
  if (!rc && failed.kind == OS_JSON_OBJECT && scan->pick[count].kind == OS_JSON_NUMBER &&
      !is_text(&scan->pick[count], "0")) {
    os_fail(error, OS_ERR_ANSWER, "a search failed on %.*s shards, so documents are missing in its answer",
            (int)scan->pick[count].len, scan->pick[count].text);
    rc = os_advise(error, "SELECT * FROM os_health tells which and why");
  }
  os_json_scan_free(scan);
  os_json_scan_init(scan);
  int list = os_json_scan_pick(scan, "hits", false);
  if (!rc && !none) rc = scan_object(scan, outer.text, outer.text + outer.len, error);
  struct os_json_pick array = scan->pick[list];
  if (!rc && (none || array.kind == OS_JSON_NOTHING)) {
    *at = *array_end = answer;
  } else if (!rc && array.kind != OS_JSON_ARRAY) {
    rc = odd("its hits are no array", error);
  } else if (!rc) {
    *at = array.text + 1;
    *array_end = array.text + array.len - 1;
  }
  os_json_scan_free(scan);
  os_free(scan);
  return rc;
}

int os_search_hits_open(struct os_search_hits **out, const char *answer, size_t len, struct os_error *error) {
  struct os_search_hits *hits = *out = os_calloc(1, sizeof *hits);
  if (!hits) return os_fail_nomem(error);
  os_json_scan_init(&hits->hit);
  os_json_scan_init(&hits->document);
  static const char *const names[] = {"_id", "_routing", "_source", "_seq_no"}; /* as the enumeration says */
  for (int i = 0; i <= SEQ_NO; i++)
    os_json_scan_pick(&hits->hit, names[i], false);
  hits->first = true;
  os_buf_init(&hits->answer, 0);
  os_buf_append(&hits->answer, answer, len);
  os_buf_zero_pad(&hits->answer);
  int rc = hits->answer.failed
               ? os_fail_nomem(error)
               : find_array(hits->answer.data ? hits->answer.data : "", len, &hits->at, &hits->end, error);
  if (rc) {
    os_search_hits_close(hits);
    *out = NULL;
  }
  return rc;
}

void os_search_hits_close(struct os_search_hits *hits) {
  if (!hits) return;
  os_buf_free(&hits->answer);
  os_json_scan_free(&hits->hit);
  os_json_scan_free(&hits->document);
  os_free(hits);
}

static int read_hit(struct os_search_hits *hits, struct os_search_hit *hit, struct os_error *error) {
  const struct os_json_pick *pick = hits->hit.pick;
  *hit = (struct os_search_hit){.seq_no = -1};
  if (pick[ID].kind != OS_JSON_STRING) return odd("a hit has no _id", error);
  hit->id = pick[ID].text;
  hit->id_len = pick[ID].len;
  if (pick[ROUTING].kind == OS_JSON_STRING) {
    hit->routing = pick[ROUTING].text;
    hit->routing_len = pick[ROUTING].len;
  }
  if (pick[SEQ_NO].kind == OS_JSON_NUMBER) {
    char number[24] = "";
    if (pick[SEQ_NO].len < sizeof number) memcpy(number, pick[SEQ_NO].text, pick[SEQ_NO].len);
    if (!os_parse_int(number, &hit->seq_no)) return odd("a _seq_no is no number", error);
  }
  if (pick[SOURCE].kind != OS_JSON_OBJECT) return OS_OK;
  /* as it was sent once, perhaps over several lines */
  int rc = scan_object(&hits->document, pick[SOURCE].text, pick[SOURCE].text + pick[SOURCE].len, error);
  hit->source = hits->document.doc;
  hit->source_len = hits->document.doc_len;
  return rc;
}

int os_search_hits_next(struct os_search_hits *hits, struct os_search_hit *hit, bool *found,
                        struct os_error *error) {
  const char *at = skip_blanks(hits->at, hits->end);
  *found = false;
  if (at == hits->end) return OS_OK;
  if (!hits->first) {
    if (*at != ',') return odd("its hits do not follow one another", error);
    at++;
  }
  hits->first = false;
  int rc = scan_object(&hits->hit, at, hits->end, error);
  if (rc) return rc;
  hits->at = hits->hit.end;
  *found = true;
  return read_hit(hits, hit, error);
}
