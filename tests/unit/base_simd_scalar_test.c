/* base_simd_scalar_test.c - the same test on the twin that other processors use. */
#ifndef OS_SIMD_SCALAR /* the whole build may be that way already */
#define OS_SIMD_SCALAR
#endif
#include "base_simd_test.c"
