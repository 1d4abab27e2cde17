/* pipeline_batch_test.c - the memory of one bulk request: items, segments, refusals, and taking settled
** items out.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "pipeline/batch.h"

static unsigned seed = 3;

static unsigned draw(unsigned below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static struct os_batch *new_batch(void) {
  struct os_batch *batch = os_batch_new(NULL);
  assert_non_null(batch);
  return batch;
}

/* Item number n: action "a<n>\n", document of a length of its own. */
static size_t item_text(unsigned n, char *out, size_t *action_len) {
  *action_len = (size_t)sprintf(out, "a%u\n", n);
  size_t len = *action_len;
  for (unsigned i = 0; i < n % 13; i++)
    out[len++] = (char)('a' + n % 26);
  out[len++] = '\n';
  return len;
}

static bool add_item(struct os_batch *batch, unsigned n) {
  char text[64];
  size_t action_len, len = item_text(n, text, &action_len);
  struct os_item item = {
      .at = (uint32_t)batch->body.len, .action_len = (uint32_t)action_len, .len = (uint32_t)len, .offset = n};
  os_buf_append(&batch->body, text, len);
  return !batch->body.failed && os_batch_add_item(batch, &item);
}

static void check_items(const struct os_batch *batch, const unsigned *expected, size_t count) {
  size_t at = 0;
  assert_int_equal(batch->item_count, count);
  for (size_t i = 0; i < count; i++) {
    char text[64];
    size_t action_len, len = item_text(expected[i], text, &action_len);
    assert_int_equal(batch->items[i].offset, expected[i]);
    assert_int_equal(batch->items[i].at, at);
    assert_int_equal(batch->items[i].len, len);
    assert_int_equal(batch->items[i].action_len, action_len);
    assert_memory_equal(batch->body.data + at, text, len);
    at += len;
  }
  assert_int_equal(batch->body.len, at);
}

static void settled_items_leave(void **state) {
  (void)state;
  struct os_batch *batch = new_batch();
  for (int round = 0; round < 3000; round++) {
    unsigned model[100];
    size_t count = 0, total = 1 + draw(100);
    os_batch_reset(batch);
    for (unsigned i = 0; i < total; i++) {
      assert_true(add_item(batch, i));
      model[count++] = i;
    }
    unsigned share = draw(101);
    while (count) { /* again and again, as answers come in, always for the first n items */
      unsigned char settled[100];
      size_t n = 1 + draw((unsigned)count), kept = 0;
      for (size_t i = 0; i < n; i++)
        settled[i] = draw(100) < share;
      os_batch_compact(batch, settled, n);
      for (size_t i = 0; i < count; i++)
        if (i >= n || !settled[i]) model[kept++] = model[i];
      count = kept;
      check_items(batch, model, count);
      if (share < 10) share += 10;
    }
  }
  unsigned char none[1] = {1};
  os_batch_compact(batch, none, 0);
  check_items(batch, NULL, 0);
  os_batch_free(batch);
}

static void segments_join_neighbours_only(void **state) {
  (void)state;
  struct os_batch *batch = new_batch();
  assert_true(os_batch_cover(batch, 0, 0, 10, 2));
  assert_true(os_batch_cover(batch, 0, 10, 25, 3));
  assert_int_equal(batch->segment_count, 1);
  assert_true(os_batch_cover(batch, 0, 30, 40, 5)); /* a hole: some record went into another batch */
  assert_int_equal(batch->segment_count, 2);
  assert_true(os_batch_end_source(batch, 0, 40, 5, NULL));
  assert_int_equal(batch->segment_count, 2);
  assert_true(os_batch_cover(batch, 1, 40, 50, 2)); /* same bytes of another source */
  assert_true(os_batch_cover(batch, 2, 0, 5, 2));
  assert_int_equal(batch->segment_count, 4);
  struct os_error *why = os_malloc(sizeof *why);
  os_fail(why, OS_ERR_FORMAT, "cut");
  assert_true(
      os_batch_end_source(batch, 2, 9, 2, why)); /* its last record is elsewhere: a segment without bytes */
  assert_int_equal(batch->segment_count, 5);
  assert_true(os_batch_cover(batch, 2, 9, 12, 3)); /* never behind an end */
  assert_int_equal(batch->segment_count, 6);
  assert_int_equal(batch->records, 6);
  const struct os_segment *s = batch->segments;
  assert_int_equal(s[0].from, 0);
  assert_int_equal(s[0].to, 25);
  assert_int_equal(s[0].line, 3);
  assert_int_equal(s[0].records, 2);
  assert_false(s[0].eof);
  assert_true(s[1].eof && !s[1].error);
  assert_int_equal(s[1].from, 30);
  assert_int_equal(s[3].source, 2);
  assert_false(s[3].eof);
  assert_int_equal(s[4].from, 9);
  assert_int_equal(s[4].to, 9);
  assert_int_equal(s[4].records, 0);
  assert_true(s[4].eof);
  assert_string_equal(s[4].error->text, "cut");
  os_batch_free(batch); /* with the error it holds */
}

static struct os_refusal refusal_of(unsigned n, bool complete) {
  struct os_refusal refusal = {.source = n,
                               .type = os_strdup("t"),
                               .reason = complete ? os_strdup("r") : NULL,
                               .doc_id = os_strdup("id"),
                               .document = os_strdup("{}"),
                               .document_len = 2,
                               .raw = os_strdup("raw"),
                               .raw_len = 3,
                               .action = os_strdup("{\"index\":{}}\n")};
  return refusal;
}

static void refusals_own_their_texts(void **state) {
  (void)state;
  struct os_batch *batch = new_batch();
  for (unsigned i = 0; i < 100; i++) {
    struct os_refusal refusal = refusal_of(i, true);
    assert_true(os_batch_refuse(batch, &refusal));
    assert_null(refusal.type); /* taken */
  }
  assert_int_equal(batch->refusal_count, 100);
  assert_true(batch->refusal_bytes >= 500);
  for (unsigned i = 0; i < 100; i++) {
    assert_int_equal(batch->refusals[i].source, i);
    assert_string_equal(batch->refusals[i].raw, "raw");
  }
  struct os_refusal incomplete = refusal_of(0, false); /* its reason could not be copied */
  assert_false(os_batch_refuse(batch, &incomplete));
  assert_null(incomplete.raw);
  assert_int_equal(batch->refusal_count, 100);
  os_batch_reset(batch);
  assert_int_equal(batch->refusal_count, 0);
  assert_int_equal(batch->refusal_bytes, 0);
  os_batch_free(batch);
  os_batch_free(NULL);
}

static void a_reset_batch_is_as_new(void **state) {
  (void)state;
  struct os_batch *batch = new_batch();
  assert_true(add_item(batch, 1));
  assert_true(os_batch_cover(batch, 0, 0, 10, 2));
  assert_true(os_batch_note_id(batch, 77));
  struct os_refusal refusal = refusal_of(1, true);
  assert_true(os_batch_refuse(batch, &refusal));
  batch->sequence = 5, batch->waits_for = 4, batch->outcomes[OS_REFUSED] = 1;
  batch->bytes_sent = batch->requests = batch->retries = 9;
  batch->finished = true, batch->attempt = 3, batch->item_limit = 1;
  os_fail(&batch->fault, OS_ERR_BUSY, "busy");
  os_batch_reset(batch);
  assert_int_equal(batch->item_count + batch->segment_count + batch->refusal_count + batch->hash_count, 0);
  assert_int_equal(batch->body.len + batch->records + batch->sequence + batch->waits_for, 0);
  assert_int_equal(batch->outcomes[OS_REFUSED] + batch->bytes_sent + batch->requests + batch->retries, 0);
  assert_int_equal(batch->item_limit + (size_t)batch->attempt, 0);
  assert_int_equal(batch->fault.code, OS_OK);
  assert_false(batch->finished);
  os_batch_free(batch);
}

/* One giant document must not pin its memory for the rest of a load; an ordinary body keeps it for reuse. */
static void an_oversized_body_gives_its_memory_back(void **state) {
  (void)state;
  struct os_batch *batch = new_batch();
  assert_true(os_buf_reserve(&batch->body, 8 << 20));
  os_batch_reset(batch);
  assert_true(batch->body.cap >= 8 << 20);
  assert_true(os_buf_reserve(&batch->body, 40 << 20));
  assert_true(os_buf_reserve(&batch->raw, 40 << 20));
  os_batch_reset(batch);
  assert_int_equal(batch->body.cap, 0);
  assert_int_equal(batch->raw.cap, 0);
  assert_true(add_item(batch, 4));
  os_batch_free(batch);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  int failures = 0;
  for (long n = 0; n < 200; n++) {
    os_alloc_fail_after(n, 1);
    struct os_batch *batch = os_batch_new(NULL);
    unsigned added = 0, covered = batch && os_batch_cover(batch, 900, 0, 1, 1), refused = 0;
    for (unsigned i = 0; batch && i < 20; i++) {
      added += add_item(batch, i);
      covered += os_batch_cover(batch, i, 0, 10, 1);
      if (i == 5) covered += os_batch_cover(batch, 901, 0, 1, 1); /* either list grows at either place */
      os_batch_note_id(batch, i);
      struct os_error *why = os_malloc(sizeof *why);
      if (why) os_error_clear(why);
      covered += os_batch_end_source(batch, i + 100, 10, 1, why);
      struct os_refusal refusal = refusal_of(i, true);
      refused += os_batch_refuse(batch, &refusal);
    }
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    failures += injected;
    if (batch) {
      assert_int_equal(batch->segment_count, covered);
      assert_int_equal(batch->refusal_count, refused);
      assert_true(batch->item_count == added && added >= (injected ? 0u : 20u));
    }
    os_batch_free(batch);
  }
  assert_true(failures > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(settled_items_leave),
      cmocka_unit_test(segments_join_neighbours_only),
      cmocka_unit_test(refusals_own_their_texts),
      cmocka_unit_test(a_reset_batch_is_as_new),
      cmocka_unit_test(an_oversized_body_gives_its_memory_back),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
