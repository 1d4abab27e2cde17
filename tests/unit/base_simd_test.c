/* base_simd_test.c - the sixteen-byte vectors give, for every byte value at every place, what plain C gives.
** base_simd_scalar_test.c runs the same test on the twin without vector instructions.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/simd.h"

static void masks_agree_with_bytes(void **state) {
  (void)state;
  unsigned char text[OS_SIMD_WIDTH];
  for (unsigned value = 0; value < 256; value++) {
    for (unsigned place = 0; place < OS_SIMD_WIDTH; place++) {
      memset(text, 'x', sizeof text);
      text[place] = (unsigned char)value;
      os_simd_vec v = os_simd_load(text);
      uint32_t bit = 1u << place;
      assert_int_equal(os_simd_mask_high(v), value >= 0x80 ? bit : 0);
      assert_int_equal(os_simd_mask_control(v), value <= 0x1f ? bit : 0);
      assert_int_equal(os_simd_mask_eq(v, 'x'), value == 'x' ? 0xffff : 0xffff & ~bit);
      assert_int_equal(os_simd_mask_json_string(v), value <= 0x1f || value == '"' || value == '\\' ? bit : 0);
    }
  }
}

static void comparison_is_unsigned(void **state) {
  (void)state;
  os_simd_vec limit = os_simd_splat(0x80);
  assert_int_equal(os_simd_mask(os_simd_le(os_simd_splat(0x7f), limit)), 0xffff);
  assert_int_equal(os_simd_mask(os_simd_le(os_simd_splat(0x80), limit)), 0xffff);
  assert_int_equal(os_simd_mask(os_simd_le(os_simd_splat(0xff), limit)), 0);
}

static void store_gives_back_what_was_loaded(void **state) {
  (void)state;
  char out[OS_SIMD_WIDTH];
  os_simd_store(out, os_simd_load("0123456789abcdef"));
  assert_memory_equal(out, "0123456789abcdef", sizeof out);
  assert_int_equal(os_simd_first(0x8010), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_agree_with_bytes),
      cmocka_unit_test(comparison_is_unsigned),
      cmocka_unit_test(store_gives_back_what_was_loaded),
  };
  return cmocka_run_group_tests_name("base/simd (" OS_SIMD_NAME ")", tests, NULL, NULL);
}
