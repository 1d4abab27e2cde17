/* pipeline_id_gate_test.c - hashes of ids as the server sees them, and the table of ids against a plain
** list.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "pipeline/batch.h"
#include "pipeline/id_gate.h"

static unsigned seed = 7;

static unsigned draw(unsigned below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static uint64_t hash_of(const char *text) {
  return os_gate_hash(text, strlen(text));
}

static void escaped_and_plain_ids_are_one(void **state) {
  (void)state;
  static const char *const same[][2] = {
      {"A", "\\u0041"},
      {"a/b", "a\\/b"},
      {"a\"b", "a\\\"b"},
      {"back\\\\slash", "back\\u005Cslash"},
      {"\\n", "\\u000a"},
      {"\\t\\b\\f\\r", "\\u0009\\u0008\\u000C\\u000d"},
      {"\xc3\xa4", "\\u00e4"},
      {"\xe2\x82\xac uro", "\\u20AC uro"},
      {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
      {"\xf4\x8f\xbf\xbf", "\\uDBFF\\uDFFF"},
      {"x\x7fy", "x\\u007fy"},
      {"\xdf\xbf", "\\u07ff"},
      {"\xe0\xa0\x80", "\\u0800"},
      /* half of a pair: what stands behind it is itself */
      {"\\ud83dA......", "\\ud83d\\u0041......"},
      {"\\ud83d\xef\xbf\xbf", "\\ud83d\\uffff"},
      {"\\ud83d\\n12345", "\\ud83d\\u000a12345"},
      {"\\ue000", "\xee\x80\x80"},
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    if (hash_of(same[i][0]) != hash_of(same[i][1])) fail_msg("'%s' and '%s'", same[i][0], same[i][1]);
  static const char *const apart[] = {"",   "a",  "A",   "aa",      "b",        "1",       "01", "1 ",
                                      "ab", "ba", "\\n", "n",       "\\\\n",    "\\u000b", "/",  "\\\\",
                                      "00", "0",  "a/b", "\\ud83d", "\xc3\xa4", "\xc3\xa5"};
  for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
    for (size_t k = 0; k < i; k++)
      if (hash_of(apart[i]) == hash_of(apart[k])) fail_msg("'%s' and '%s'", apart[i], apart[k]);
  assert_true(os_gate_hash("", 0) != 0);
}

/* 0 says that there is no id; this one was found by going backwards through the hash. */
static void no_id_hashes_to_0(void **state) {
  (void)state;
  assert_int_equal(hash_of("dqeuzeroSfRwaByH"), 1);
}

/* The text of a broken escape is never read behind its end (sanitizers watch). */
static void broken_escapes_stay_inside(void **state) {
  (void)state;
  static const char *const texts[] = {
      "\\",        "a\\",        "\\u",           "\\u1",     "\\u12",         "\\u123",
      "\\ud83d\\", "\\ud83d\\u", "\\ud83d\\ude0", "\\ud83dx", "\\ud83d\\u0041"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    size_t len = strlen(texts[i]);
    char *exact = malloc(len);
    memcpy(exact, texts[i], len);
    assert_true(os_gate_hash(exact, len) != 0);
    free(exact);
  }
}

enum { IDS = 600, ROUNDS = 60000, BATCHES = 5 };

/* Few home places, so that runs of occupied entries grow long, wrap around and are cut in the middle. */
static void random_use(void **state) {
  (void)state;
  struct os_batch batches[BATCHES];
  struct os_id_gate gate;
  static struct {
    uint64_t hash;
    int batch; /* -1: free */
  } model[IDS];
  os_gate_init(&gate);
  for (unsigned i = 0; i < IDS; i++) {
    uint64_t home = i % 4 == 0 ? 1020 + i % 16 : i % 4 == 1 ? i % 7 : i % 4 == 2 ? 500 : i;
    model[i].hash = (uint64_t)(i + 1) << 20 | home;
    model[i].batch = -1;
    assert_null(os_gate_find(&gate, model[i].hash));
  }
  for (int round = 0; round < ROUNDS; round++) {
    unsigned id = draw(IDS), batch = draw(BATCHES);
    if (draw(100) < (round / 3000 % 2 ? 30u : 70u)) {
      assert_true(os_gate_put(&gate, model[id].hash, &batches[batch]));
      model[id].batch = (int)batch;
    } else {
      os_gate_release(&gate, model[id].hash, &batches[batch]);
      if (model[id].batch == (int)batch) model[id].batch = -1;
    }
    os_gate_release(&gate, 0, &batches[batch]);
    unsigned look = draw(IDS);
    struct os_batch *found = os_gate_find(&gate, model[look].hash);
    if (found != (model[look].batch < 0 ? NULL : &batches[model[look].batch]))
      fail_msg("round %d: id %u", round, look);
    if (round % 1000) continue;
    size_t held = 0;
    for (unsigned i = 0; i < IDS; i++) {
      held += model[i].batch >= 0;
      found = os_gate_find(&gate, model[i].hash);
      assert_ptr_equal(found, model[i].batch < 0 ? NULL : &batches[model[i].batch]);
    }
    assert_int_equal(gate.count, held);
  }
  for (unsigned i = 0; i < IDS; i++)
    for (int b = 0; b < BATCHES; b++)
      os_gate_release(&gate, model[i].hash, &batches[b]);
  assert_int_equal(gate.count, 0);
  for (size_t i = 0; i < gate.cap; i++)
    assert_int_equal(gate.entries[i], 0);
  os_gate_free(&gate);
}

/* At the end of the table, where runs go on at its beginning: every set of homes, released in every order. */
static void runs_that_wrap_around(void **state) {
  (void)state;
  enum { HOMES = 5, FOUR = HOMES * HOMES * HOMES * HOMES };
  struct os_batch batch;
  struct os_id_gate gate;
  os_gate_init(&gate);
  os_gate_release(&gate, 7, &batch); /* nothing was ever put there */
  for (int set = 0; set < FOUR; set++)
    for (int order = 0; order < 24; order++) {
      uint64_t hashes[4];
      bool there[4] = {true, true, true, true};
      for (int i = 0, rest = set; i < 4; i++, rest /= HOMES) { /* homes 1021, 1022, 1023, 0, 1 */
        hashes[i] = (uint64_t)(i + 1) << 20 | (1021 + (unsigned)(rest % HOMES)) % 1024;
        assert_true(os_gate_put(&gate, hashes[i], &batch));
      }
      for (int left = 4, rest = order; left; rest /= left, left--) {
        int nth = rest % left, i = 0;
        while (!there[i] || nth--)
          i++;
        os_gate_release(&gate, hashes[i], &batch);
        there[i] = false;
        for (i = 0; i < 4; i++)
          if ((os_gate_find(&gate, hashes[i]) != NULL) != there[i]) fail_msg("set %d, order %d", set, order);
      }
      assert_int_equal(gate.count, 0);
    }
  assert_int_equal(gate.cap, 1024);
  os_gate_free(&gate);
}

/* More batches than one byte could number. */
static void many_batches(void **state) {
  (void)state;
  enum { MANY = 300 };
  static struct os_batch batches[MANY];
  struct os_id_gate gate;
  os_gate_init(&gate);
  for (int round = 0; round < 2; round++)
    for (uint64_t i = 0; i < MANY; i++)
      assert_true(os_gate_put(&gate, UINT64_MAX - i, &batches[(i + (uint64_t)round) % MANY]));
  assert_int_equal(gate.batch_count, MANY);
  for (uint64_t i = 0; i < MANY; i++) {
    os_gate_release(&gate, UINT64_MAX - i, &batches[i]); /* not the newest any more */
    assert_ptr_equal(os_gate_find(&gate, UINT64_MAX - i), &batches[(i + 1) % MANY]);
    os_gate_release(&gate, UINT64_MAX - i, &batches[(i + 1) % MANY]);
    assert_null(os_gate_find(&gate, UINT64_MAX - i));
  }
  assert_int_equal(gate.count, 0);
  os_gate_free(&gate);
}

static void no_memory_keeps_what_is_there(void **state) {
  (void)state;
  struct os_batch batch;
  struct os_id_gate gate;
  os_gate_init(&gate);
  os_alloc_fail_after(0, 1);
  assert_false(os_gate_put(&gate, 5, &batch));
  os_alloc_fail_after(-1, 0);
  uint64_t held = 0;
  for (uint64_t hash = 1; hash <= 3000; hash++) {
    os_alloc_fail_after(hash % 2 ? 0 : -1, 1);
    if (os_gate_put(&gate, hash, &batch))
      held++;
    else
      assert_null(os_gate_find(&gate, hash));
    os_alloc_fail_after(-1, 0);
  }
  assert_int_equal(gate.count, held);
  assert_true(held > 2900 && held < 3000);
  os_gate_free(&gate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escaped_and_plain_ids_are_one),
      cmocka_unit_test(broken_escapes_stay_inside),
      cmocka_unit_test(no_id_hashes_to_0),
      cmocka_unit_test(random_use),
      cmocka_unit_test(runs_that_wrap_around),
      cmocka_unit_test(many_batches),
      cmocka_unit_test(no_memory_keeps_what_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
