/* format_json_parser_scalar_test.c - the same test on the parser over the splitter without SIMD. */
#define OS_SIMD_SCALAR
#include "format/json_scan.c"
#include "format_json_parser_test.c"
