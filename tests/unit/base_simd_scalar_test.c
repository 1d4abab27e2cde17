/* base_simd_scalar_test.c - the same test on the twin that other processors use. */
#define OS_SIMD_SCALAR
#include "base_simd_test.c"
