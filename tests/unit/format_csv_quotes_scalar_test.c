/* format_csv_quotes_scalar_test.c - the same test on a parser without SIMD. */
#define OS_SIMD_SCALAR
#include "format/csv_reader.c"
#include "format/csv_document.c"
#include "format_csv_quotes_test.c"
