/* format_json_utf8_scalar_test.c - the same test on the splitter without SIMD, which other processors use. */
#define OS_SIMD_SCALAR
#include "format/json_scan.c"
#include "format_json_utf8_test.c"
