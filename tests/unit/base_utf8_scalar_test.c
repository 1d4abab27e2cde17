/* base_utf8_scalar_test.c - the same test with the vectors that other processors use. */
#ifndef OS_SIMD_SCALAR /* the whole build may be that way already */
#define OS_SIMD_SCALAR
#endif
#define os_utf8_check os_utf8_check_scalar /* beside the one of the library */
#include "base/utf8.c"
#include "base_utf8_test.c"
