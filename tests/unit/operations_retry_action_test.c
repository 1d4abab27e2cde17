/* From a row of dlq_failures to the actions that send its record again: what goes as what, which
** documents and ids come out, what is refused and in which words, and what happens when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "operations/retry/action.h"

struct told { /* by the sink */
  struct os_buf text;
  int code; /* what send() returns */
};

static int on_send(void *ctx, const struct os_push *push) {
  struct told *told = ctx;
  os_buf_append(&told->text, push->action, push->action_len);
  os_buf_append(&told->text, push->document, push->document_len);
  os_buf_puts(&told->text, "\n");
  if (push->explicit_id) {
    os_buf_puts(&told->text, "id ");
    os_buf_append(&told->text, push->explicit_id, push->explicit_id_len);
    os_buf_puts(&told->text, "\n");
  }
  assert_true(push->action[push->action_len - 1] == '\n');
  assert_memory_equal(push->action + 2, os_op_name(push->op), strlen(os_op_name(push->op)));
  return told->code;
}

static int on_refuse(void *ctx, const char *type, const char *reason) {
  struct told *told = ctx;
  assert_true(reason[0] != 0);
  os_buf_puts(&told->text, "refused ");
  os_buf_puts(&told->text, type);
  os_buf_puts(&told->text, "\n");
  return OS_OK;
}

static int build(struct os_retry_builder *builder, const struct os_failed_row *given, bool overwrite,
                 struct told *told, struct os_error *error) {
  struct os_failed_row row = *given;
  const struct os_retry_sink sink = {on_send, on_refuse, told};
  if (row.document) row.document_len = strlen(row.document);
  if (row.raw && !row.raw_len) row.raw_len = strlen(row.raw);
  os_error_clear(error);
  return os_retry_build(builder, &row, overwrite, &sink, error);
}

#define ACTION(op, rest) "\"action\":\"{\\\"" op "\\\":{" rest "}}\\n\""
#define ID(id) "\\\"_id\\\":\\\"" id "\\\""
#define JSON "\"format\":\"ndjson\",\"id_field\":\"_id\",\"id_prefix\":\"abcdefghijklmnop\""
#define CSV                                                                                                  \
  "\"format\":\"csv\",\"delimiter\":\";\",\"id_field\":\"_id\",\"id_prefix\":\"abcdefghijklmnop\","          \
  "\"columns\":[\"_id\",\"n\",\"t\"],\"types\":{\"_id\":\"string\",\"n\":\"number\",\"t\":\"string\"},"      \
  "\"null_values\":[\"\"]"
#define KEYED "\"explicit\":true"

static const struct {
  const char *name;
  struct os_failed_row row;
  bool overwrite;
  const char *wanted;
} cases[] = {
    /* refused by the server: the document */
    {"computed id",
     {.doc_id = "p000", .document = "{\"a\":1}", .context = "{" ACTION("create", ID("p000")) "}"},
     false,
     "{\"create\":{\"_id\":\"p000\"}}\n{\"a\":1}\n"},
    {"id chosen by the server",
     {.document = "{\"a\":1}", .context = "{" ACTION("index", "") "}"},
     false,
     "{\"index\":{}}\n{\"a\":1}\n"},
    {"something stood there",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION("index", ID("7")) "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"index\":{\"_id\":\"7\",\"if_seq_no\":5,\"if_primary_term\":2}}\n{\"a\":1}\nid 7\n"},
    {"nothing stood there",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION("index", ID("7")) "," KEYED ",\"standing\":null}"},
     false,
     "{\"create\":{\"_id\":\"7\"}}\n{\"a\":1}\nid 7\n"},
    {"what stood there is not known",
     {.doc_id = "7", .document = "{\"a\":1}", .context = "{" ACTION("index", ID("7")) "," KEYED "}"},
     false,
     "{\"create\":{\"_id\":\"7\"}}\n{\"a\":1}\nid 7\n"},
    {"overwrite",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION("index", ID("7")) "," KEYED ",\"standing\":[5,2]}"},
     true,
     "{\"index\":{\"_id\":\"7\"}}\n{\"a\":1}\nid 7\n"},
    {"op create stays",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION("create", ID("7")) "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"create\":{\"_id\":\"7\"}}\n{\"a\":1}\nid 7\n"},
    {"external version stays",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION("index", ID("7") ",\\\"version\\\":12345678901234567890,\\\"version_type\\\":"
                                             "\\\"external\\\"") "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"index\":{\"_id\":\"7\",\"version\":12345678901234567890,\"version_type\":\"external\"}}\n{\"a\":1}"
     "\nid "
     "7\n"},
    {"routing, pipeline and require_alias",
     {.doc_id = "7",
      .document = "{\"a\":1}",
      .context = "{" ACTION(
          "index", ID("7") ",\\\"routing\\\":\\\"r\\\"") "," KEYED ",\"standing\":[5,2],\"pipeline\":"
                                                         "\"p\\\"q\",\"require_alias\":true}"},
     false,
     "{\"index\":{\"_id\":\"7\",\"routing\":\"r\",\"if_seq_no\":5,\"if_primary_term\":2,\"pipeline\":"
     "\"p\\\"q\","
     "\"require_alias\":true}}\n{\"a\":1}\nid 7\n"},
    {"pipeline without an id",
     {.document = "{\"a\":1}", .context = "{" ACTION("index", "") ",\"pipeline\":\"p\"}"},
     false,
     "{\"index\":{\"pipeline\":\"p\"}}\n{\"a\":1}\n"},
    {"blanks go, digits stay, escapes stay",
     {.document = " {\n \"a\" : 1.10,\r\n \"b\": 123456789012345678901234567890, \"c\":\"\\u00e4 \\n\"} \n",
      .context = "{" ACTION("index", "") "}"},
     false,
     "{\"index\":{}}\n{\"a\":1.10,\"b\":123456789012345678901234567890,\"c\":\"\\u00e4 \\n\"}\n"},
    {"an id with escapes is the same id",
     {.doc_id = "A\"\xC3\xA4",
      .document = "{}",
      .context = "{" ACTION("index", ID("\\\\u0041\\\\\\\"\\\\u00e4")) "," KEYED ",\"standing\":[1,1]}"},
     false,
     "{\"index\":{\"_id\":\"\\u0041\\\"\\u00e4\",\"if_seq_no\":1,\"if_primary_term\":1}}\n{}\nid "
     "\\u0041\\\"\\u00e4\n"},
    {"the id was changed: nothing is known of the new one",
     {.doc_id = "8",
      .document = "{}",
      .context = "{" ACTION("index", ID("7")) "," KEYED ",\"standing\":[1,1]}"},
     false,
     "{\"create\":{\"_id\":\"8\"}}\n{}\nid 8\n"},
    {"the id was changed, overwrite",
     {.doc_id = "a\"b", .document = "{}", .context = "{" ACTION("create", ID("p000")) ",\"op\":\"index\"}"},
     true,
     "{\"index\":{\"_id\":\"a\\\"b\"}}\n{}\nid a\\\"b\n"},
    {"not an object",
     {.document = "[1]", .context = "{" ACTION("index", "") "}"},
     false,
     "refused not_an_object\n"},
    {"damaged document",
     {.document = "{\"a\":01}", .context = "{" ACTION("index", "") "}"},
     false,
     "refused invalid_json\n"},
    {"two documents",
     {.document = "{} {}", .context = "{" ACTION("index", "") "}"},
     false,
     "refused invalid_json\n"},
    /* updates */
    {"update, something stood there",
     {.doc_id = "7",
      .document = "{\"doc\": {\"a\": 1}, \"doc_as_upsert\": true}",
      .context =
          "{" ACTION("update", ID("7") ",\\\"retry_on_conflict\\\":3") "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"update\":{\"_id\":\"7\",\"if_seq_no\":5,\"if_primary_term\":2}}\n{\"doc\":{\"a\":1}}\nid 7\n"},
    {"update, nothing stood there",
     {.doc_id = "7",
      .document = "{\"doc_as_upsert\": true, \"doc\": {\"a\": [1, 2]}}",
      .context =
          "{" ACTION("update", ID("7") ",\\\"retry_on_conflict\\\":3") "," KEYED ",\"standing\":null}"},
     false,
     "{\"create\":{\"_id\":\"7\"}}\n{\"a\":[1,2]}\nid 7\n"},
    {"update, overwrite",
     {.doc_id = "7",
      .document = "{\"doc\":{\"a\":1},\"doc_as_upsert\":true}",
      .context =
          "{" ACTION("update", ID("7") ",\\\"retry_on_conflict\\\":3") "," KEYED ",\"standing\":[5,2]}"},
     true,
     "{\"update\":{\"_id\":\"7\",\"retry_on_conflict\":3}}\n{\"doc\":{\"a\":1},\"doc_as_upsert\":true}\nid "
     "7\n"},
    {"update without its wrapping",
     {.doc_id = "7", .document = "{\"a\":1}", .context = "{" ACTION("update", ID("7")) "," KEYED "}"},
     false,
     "refused invalid_update\n"},
    {"update through the parser",
     {.byte_offset = 5, .raw = "{\"_id\":\"7\",\"a\":1}", .context = "{" JSON ",\"op\":\"update\"}"},
     true,
     "{\"update\":{\"_id\":\"7\"}}\n{\"doc\":{\"a\":1},\"doc_as_upsert\":true}\nid 7\n"},
    {"update through the parser, nothing known",
     {.byte_offset = 5, .raw = "{\"_id\":\"7\",\"a\":1}", .context = "{" JSON ",\"op\":\"update\"}"},
     false,
     "{\"create\":{\"_id\":\"7\"}}\n{\"a\":1}\nid 7\n"},
    /* refused by the parser, or raw repaired */
    {"CSV, no id",
     {.byte_offset = 12, .raw = ";1.50;x", .context = "{" CSV "}"},
     false,
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000012\"}}\n{\"n\":1.50,\"t\":\"x\"}\n"},
    {"CSV, its id",
     {.byte_offset = 12, .raw = "k;;\"x;y\"", .context = "{" CSV "}"},
     false,
     "{\"create\":{\"_id\":\"k\"}}\n{\"n\":null,\"t\":\"x;y\"}\nid k\n"},
    {"CSV, its id, overwrite",
     {.byte_offset = 12, .raw = "k;2;x", .context = "{" CSV "}"},
     true,
     "{\"index\":{\"_id\":\"k\"}}\n{\"n\":2,\"t\":\"x\"}\nid k\n"},
    {"CSV, several records",
     {.byte_offset = 12, .raw = ";1;x\n;2\n;3;z\nk;4;w", .context = "{" CSV "}"},
     false,
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000012\"}}\n{\"n\":1,\"t\":\"x\"}\n"
     "refused csv_too_few_cells\n"
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000012-2\"}}\n{\"n\":3,\"t\":\"z\"}\n"
     "{\"create\":{\"_id\":\"k\"}}\n{\"n\":4,\"t\":\"w\"}\nid k\n"},
    {"CSV, still wrong",
     {.byte_offset = 12, .raw = "a;b", .context = "{" CSV "}"},
     false,
     "refused csv_too_few_cells\n"},
    {"CSV, nothing left",
     {.byte_offset = 12, .raw = " \n\n", .context = "{" CSV ",\"trim\":true}"},
     false,
     "refused no_record\n"},
    {"CSV, empty", {.byte_offset = 12, .raw = "", .context = "{" CSV "}"}, false, "refused no_record\n"},
    {"CSV, columns are not known",
     {.byte_offset = 12, .raw = "1;2", .context = "{\"format\":\"csv\"}"},
     false,
     "refused nothing_to_send\n"},
    {"raw of a refused action: its place still counts",
     {.doc_id = "7",
      .byte_offset = 1,
      .raw = "7;1;x",
      .context = "{" CSV "," ACTION("index", ID("7")) "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"index\":{\"_id\":\"7\",\"if_seq_no\":5,\"if_primary_term\":2}}\n{\"n\":1,\"t\":\"x\"}\nid 7\n"},
    {"raw of a refused action: another id now",
     {.doc_id = "7",
      .byte_offset = 1,
      .raw = "8;1;x",
      .context = "{" CSV "," ACTION("index", ID("7")) "," KEYED ",\"standing\":[5,2]}"},
     false,
     "{\"create\":{\"_id\":\"8\"}}\n{\"n\":1,\"t\":\"x\"}\nid 8\n"},
    {"raw of a refused action with a computed id",
     {.doc_id = "abcdefghijklmnop000000000001",
      .byte_offset = 1,
      .raw = ";1;x",
      .context = "{" CSV "," ACTION("create", ID("abcdefghijklmnop000000000001")) ",\"explicit\":false}"},
     false,
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000001\"}}\n{\"n\":1,\"t\":\"x\"}\n"},
    {"the document is preferred to raw",
     {.byte_offset = 3, .document = "{\"_id\": 5, \"n\": 2}", .raw = "broken", .context = "{" CSV "}"},
     false,
     "{\"create\":{\"_id\":\"5\"}}\n{\"n\":2}\nid 5\n"},
    {"a document without an id, after blanks",
     {.byte_offset = 3, .document = "\n {\"n\": 2}", .raw = "broken", .context = "{" CSV "}"},
     false,
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000003\"}}\n{\"n\":2}\n"},
    {"doc_id names it",
     {.doc_id = "named", .byte_offset = 3, .raw = "{\"a\":1}", .context = "{" JSON ",\"id_required\":true}"},
     false,
     "{\"create\":{\"_id\":\"named\"}}\n{\"a\":1}\nid named\n"},
    {"no id where one is needed",
     {.byte_offset = 3, .raw = "{\"a\":1}", .context = "{" JSON ",\"id_required\":true}"},
     false,
     "refused id_missing\n"},
    {"server chooses",
     {.byte_offset = 3, .raw = "{\"a\":1}", .context = "{\"format\":\"json\",\"id_prefix\":\"\"}"},
     false,
     "{\"index\":{}}\n{\"a\":1}\n"},
    {"data stream",
     {.byte_offset = 3, .raw = "{\"_id\":\"x\",\"a\":1}", .context = "{" JSON ",\"create_only\":true}"},
     true,
     "{\"create\":{\"_id\":\"x\"}}\n{\"a\":1}\nid x\n"},
    {"an element of an array that looks like an object of objects",
     {.byte_offset = 3,
      .raw = "{\"a\":{},\"b\":{}}",
      .context = "{\"format\":\"json\",\"id_prefix\":\"abcdefghijklmnop\"}"},
     false,
     "{\"create\":{\"_id\":\"abcdefghijklmnop000000000003\"}}\n{\"a\":{},\"b\":{}}\n"},
    {"member name as id: not in the record",
     {.byte_offset = 3,
      .raw = "{\"a\":1}",
      .context = "{\"format\":\"json\",\"id_field\":\"@key\",\"id_prefix\":\"abcdefghijklmnop\"}"},
     false,
     "refused id_missing\n"},
    {"member name as id: known from the action",
     {.doc_id = "k",
      .byte_offset = 3,
      .raw = "{\"a\":1}",
      .context = "{\"format\":\"json\",\"id_field\":\"@key\"," ACTION(
          "index", ID("k")) "," KEYED ",\"standing\":[4,1]}"},
     false,
     "{\"index\":{\"_id\":\"k\",\"if_seq_no\":4,\"if_primary_term\":1}}\n{\"a\":1}\nid k\n"},
    {"routing, version and source",
     {.byte_offset = 3,
      .raw = "{\"_id\":\"x\",\"_routing\":\"r\",\"v\":9,\"a\":1}",
      .context = "{" JSON
                 ",\"routing_field\":\"_routing\",\"version_field\":\"v\",\"version_type\":\"external_gte\","
                 "\"source_field\":\"src\",\"name\":\"f.json\"}"},
     false,
     "{\"index\":{\"_id\":\"x\",\"routing\":\"r\",\"version\":9,\"version_type\":\"external_gte\"}}\n"
     "{\"v\":9,\"a\":1,\"src\":\"f.json\"}\nid x\n"},
    {"a version that is none",
     {.byte_offset = 3,
      .raw = "{\"_id\":\"x\",\"v\":\"new\"}",
      .context = "{" JSON ",\"version_field\":\"v\",\"version_type\":\"external\"}"},
     false,
     "refused version_invalid\n"},
    {"still not JSON",
     {.byte_offset = 3, .raw = "{\"a\":}", .context = "{" JSON "}"},
     false,
     "refused invalid_json\n"},
    {"still no object",
     {.byte_offset = 3, .raw = "42", .context = "{" JSON "}"},
     false,
     "refused not_an_object\n"},
    /* rows that others have damaged */
    {"nothing at all", {.context = "{}"}, false, "refused nothing_to_send\n"},
    {"no context", {.document = "{\"a\":1}", .byte_offset = -1}, false, "{\"index\":{}}\n{\"a\":1}\n"},
    {"damaged context", {.document = "{\"a\":1}", .context = "{"}, false, "refused context_damaged\n"},
    {"context of another kind",
     {.document = "{\"a\":1}", .context = "[1]"},
     false,
     "refused context_damaged\n"},
    {"damaged action",
     {.document = "{\"a\":1}",
      .byte_offset = -1,
      .context = "{\"action\":\"{\\\"index\\\"\",\"format\":\"json\"}"},
     false,
     "{\"index\":{}}\n{\"a\":1}\n"},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static void test_cases(void **state) {
  (void)state;
  struct os_error error;
  struct os_retry_builder *builder = os_retry_builder_new();
  assert_non_null(builder);
  for (int round = 0; round < 2; round++) /* the scratch memory of one row must not show in another */
    for (size_t i = 0; i < CASES; i++) {
      size_t at = round ? CASES - 1 - i : i;
      struct told told = {.code = OS_OK};
      os_buf_init(&told.text, 0);
      int rc = build(builder, &cases[at].row, cases[at].overwrite, &told, &error);
      if (rc || !told.text.data || strcmp(told.text.data, cases[at].wanted))
        fail_msg("%s: code %d, '%s' where '%s' was wanted", cases[at].name, rc,
                 told.text.data ? told.text.data : "", cases[at].wanted);
      os_buf_free(&told.text);
    }
  os_retry_builder_free(builder);
}

/* The sink's code comes back as it is, and nothing more is handed out. */
static void test_sink_stops(void **state) {
  (void)state;
  static const struct os_failed_row rows[] = {
      {.byte_offset = 0, .raw = ";1;x\n;2;y\n", .context = "{" CSV "}"},
      {.byte_offset = 0, .raw = "{\"a\":1}\n{\"a\":2}", .context = "{" JSON "}"},
      {.document = "{\"a\":1}", .context = "{" ACTION("index", "") "}"},
  };
  struct os_error error;
  struct os_retry_builder *builder = os_retry_builder_new();
  assert_non_null(builder);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct told told = {.code = OS_ERR_INTERRUPTED};
    os_buf_init(&told.text, 0);
    assert_int_equal(build(builder, &rows[i], false, &told, &error), OS_ERR_INTERRUPTED);
    assert_null(strstr(told.text.data, "2"));
    assert_null(strstr(told.text.data, "refused"));
    os_buf_free(&told.text);
  }
  os_retry_builder_free(builder);
}

/* Every allocation fails once: a clean error or the full result, and the builder still works. */
static void test_no_memory(void **state) {
  (void)state;
  struct os_error error;
  for (size_t i = 0; i < CASES; i++) {
    for (long n = 0;; n++) {
      struct told told = {.code = OS_OK};
      os_buf_init(&told.text, 0);
      assert_true(os_buf_reserve(&told.text, 4096)); /* the test's own memory is not at stake */
      os_alloc_fail_after(n, 1);
      long before = os_alloc_count();
      struct os_retry_builder *builder = os_retry_builder_new();
      int rc = builder ? build(builder, &cases[i].row, cases[i].overwrite, &told, &error) : OS_ERR_NOMEM;
      long made = os_alloc_count() - before;
      os_alloc_fail_after(-1, 0);
      bool refused = made > n;
      if (rc != (refused ? OS_ERR_NOMEM : OS_OK) && !(refused && rc == OS_OK))
        fail_msg("%s: allocation %ld refused, code %d", cases[i].name, n, rc);
      if (rc == OS_OK && strcmp(told.text.data, cases[i].wanted))
        fail_msg("%s: allocation %ld refused, '%s'", cases[i].name, n, told.text.data);
      os_buf_free(&told.text);
      os_retry_builder_free(builder);
      if (!refused) break;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cases),
      cmocka_unit_test(test_sink_stops),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
