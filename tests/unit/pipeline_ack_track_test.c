/* pipeline_ack_track_test.c - acknowledged places against a model that keeps a mark for every byte; the
** window of requests.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "pipeline/ack_track.h"
#include "pipeline/window.h"

enum { BYTES = 400, MOST = 60 };

struct piece {
  uint64_t from, to, line;
};

static unsigned seed = 1;

static unsigned draw(unsigned below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static void shuffle(struct piece *pieces, size_t n) {
  for (size_t i = n; i > 1; i--) {
    size_t k = draw((unsigned)i);
    struct piece swap = pieces[i - 1];
    pieces[i - 1] = pieces[k];
    pieces[k] = swap;
  }
}

/* Cut [0, BYTES) into pieces; line numbers tell where a piece ends. */
static size_t cut(struct piece *pieces, uint64_t begin) {
  size_t n = 0;
  while (begin < BYTES && n < MOST) {
    uint64_t to = n == MOST - 1 ? BYTES : begin + 1 + draw(20);
    if (to > BYTES) to = BYTES;
    pieces[n++] = (struct piece){begin, to, to * 10};
    begin = to;
  }
  return n;
}

static void any_order_of_pieces(void **state) {
  (void)state;
  for (int round = 0; round < 2000; round++) {
    struct piece pieces[MOST];
    struct os_ack_track track;
    bool marked[BYTES + 1] = {false};
    uint64_t begin = round % 3 ? 0 : draw(50);
    size_t n = cut(pieces, begin);
    shuffle(pieces, n);
    os_ack_init(&track, begin, begin * 10);
    memset(marked, 1, begin);
    size_t eof_after = draw((unsigned)n + 1);
    for (size_t i = 0; i < n; i++) {
      if (i == eof_after) os_ack_eof(&track, BYTES);
      assert_true(os_ack_add(&track, pieces[i].from, pieces[i].to, pieces[i].line));
      memset(marked + pieces[i].from, 1, pieces[i].to - pieces[i].from);
      uint64_t expected = 0;
      while (marked[expected])
        expected++;
      assert_int_equal(track.offset, expected);
      assert_int_equal(track.line, expected * 10);
      assert_int_equal(os_ack_complete(&track), expected == BYTES && eof_after <= i);
      for (size_t k = 0; k < track.count; k++) { /* beyond the hole, in order */
        assert_true(track.runs[k].from > track.offset);
        assert_true(!k || track.runs[k - 1].from < track.runs[k].from);
      }
    }
    os_ack_eof(&track, BYTES);
    assert_true(os_ack_complete(&track));
    assert_int_equal(track.count, 0);
    os_ack_free(&track);
  }
}

/* Overlapping, repeated and empty intervals must not bring the place forward over a hole either. */
static void overlapping_intervals(void **state) {
  (void)state;
  for (int round = 0; round < 2000; round++) {
    struct os_ack_track track;
    bool marked[BYTES + 1] = {false};
    os_ack_init(&track, 0, 0);
    for (int i = 0; i < 80; i++) {
      uint64_t from = draw(BYTES), to = from + draw(30);
      if (to > BYTES) to = BYTES;
      assert_true(os_ack_add(&track, from, to, to * 10));
      memset(marked + from, 1, to - from);
      uint64_t expected = 0;
      while (marked[expected])
        expected++;
      assert_int_equal(track.offset, expected);
      assert_int_equal(track.line, expected * 10);
    }
    os_ack_free(&track);
  }
}

static void an_empty_source(void **state) {
  (void)state;
  struct os_ack_track track;
  os_ack_init(&track, 0, 1);
  assert_false(os_ack_complete(&track));
  assert_true(os_ack_add(&track, 0, 0, 1));
  assert_false(os_ack_complete(&track));
  os_ack_eof(&track, 0);
  assert_true(os_ack_complete(&track));
  assert_int_equal(track.line, 1);
  os_ack_free(&track);
}

static void no_memory_for_a_run(void **state) {
  (void)state;
  struct os_ack_track track;
  os_ack_init(&track, 0, 1);
  os_alloc_fail_after(0, 1);
  assert_false(os_ack_add(&track, 10, 20, 2));
  os_alloc_fail_after(-1, 0);
  assert_int_equal(track.count, 0);
  assert_true(os_ack_add(&track, 10, 20, 2));
  assert_true(os_ack_add(&track, 0, 10, 1));
  assert_int_equal(track.offset, 20);
  os_ack_free(&track);
}

/* ---- the window ---- */

static void the_window_halves_and_grows_back(void **state) {
  (void)state;
  struct os_window window;
  os_window_init(&window, 8);
  assert_int_equal(os_window_size(&window), 8);
  assert_true(os_window_overload(&window, 100, 0.5));
  assert_int_equal(os_window_size(&window), 4);
  assert_false(os_window_overload(&window, 100.4, 0.5)); /* of the same round of requests */
  assert_int_equal(os_window_size(&window), 4);
  assert_true(os_window_overload(&window, 100.6, 0.5));
  assert_int_equal(os_window_size(&window), 2);
  assert_true(os_window_overload(&window, 102, 0));
  assert_false(os_window_overload(&window, 102.01, 0)); /* even when nothing was measured yet */
  assert_true(os_window_overload(&window, 103, 0));
  assert_int_equal(os_window_size(&window), 1); /* never less than one */
  int answers = 0;
  while (os_window_size(&window) < 8 && answers < 1000) {
    int before = os_window_size(&window);
    os_window_success(&window);
    assert_in_range(os_window_size(&window), before, before + 1);
    answers++;
  }
  assert_in_range(answers, 20, 60); /* one more for each round: about 1+2+…+7 answers */
  for (int i = 0; i < 100; i++)
    os_window_success(&window);
  assert_int_equal(os_window_size(&window), 8);
  os_window_init(&window, 0);
  assert_int_equal(os_window_size(&window), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_order_of_pieces),
      cmocka_unit_test(overlapping_intervals),
      cmocka_unit_test(an_empty_source),
      cmocka_unit_test(no_memory_for_a_run),
      cmocka_unit_test(the_window_halves_and_grows_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
