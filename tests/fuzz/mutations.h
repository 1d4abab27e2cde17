/* mutations.h - a fuzz target's own loop, for where libFuzzer is not to be had: seeds are mutated in a
** fixed order, so that a failure comes again. Include it behind LLVMFuzzerTestOneInput() and a table
** `seeds`; main() exists under -DOS_FUZZ_MAIN. Use: TARGET [SECONDS (10)]; TARGET FILE runs one input.
*/
#ifndef OS_TESTS_FUZZ_MUTATIONS_H
#define OS_TESTS_FUZZ_MUTATIONS_H
#include <stddef.h>
#include <stdint.h>

struct fuzz_seed {
  const char *bytes;
  size_t len;
};
#define FUZZ_SEED(literal)                                                                                   \
  { literal, sizeof(literal) - 1 }

#ifdef OS_FUZZ_MAIN
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FUZZ_MAX = 4096 };

static uint64_t fuzz_state = 88172645463325252u;

static uint32_t fuzz_random(size_t below) { /* xorshift */
  fuzz_state ^= fuzz_state << 13;
  fuzz_state ^= fuzz_state >> 7;
  fuzz_state ^= fuzz_state << 17;
  return (uint32_t)((fuzz_state >> 20) % below);
}

static size_t fuzz_mutate(uint8_t *data, size_t len, const struct fuzz_seed *seeds, size_t count) {
  static const uint8_t interesting[] =
      "\"\"\",,\n\r\n\r \t\\{}[]:01-.e\xC3\xA9\xFF\xEF\xBB\xBF;'\x1f\x8b\x08";
  const struct fuzz_seed *other = &seeds[fuzz_random(count)];
  size_t at = len ? fuzz_random(len) : 0, n = 0;
  switch (fuzz_random(6)) {
  case 0: /* flip a bit */
    if (len) data[at] ^= (uint8_t)(1u << fuzz_random(8));
    break;
  case 1: /* put an interesting byte */
    if (len) data[at] = interesting[fuzz_random(sizeof interesting)];
    break;
  case 2: /* insert one */
    if (len == FUZZ_MAX) break;
    memmove(data + at + 1, data + at, len - at);
    data[at] = interesting[fuzz_random(sizeof interesting)];
    return len + 1;
  case 3: /* remove a stretch */
    n = len - at ? 1 + fuzz_random(len - at < 8 ? len - at : 8) : 0;
    memmove(data + at, data + at + n, len - at - n);
    return len - n;
  case 4: /* double a stretch */
    n = len - at;
    if (n > 64) n = 1 + fuzz_random(64);
    if (len + n > FUZZ_MAX) break;
    memmove(data + at + n, data + at, len - at);
    return len + n;
  default: /* join the rest of another seed */
    n = fuzz_random(other->len + 1);
    if (at + other->len - n > FUZZ_MAX) break;
    memcpy(data + at, other->bytes + n, other->len - n);
    return at + other->len - n;
  }
  return len;
}

static int fuzz_one_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  static uint8_t data[1 << 20];
  size_t len = fread(data, 1, sizeof data, file);
  fclose(file);
  LLVMFuzzerTestOneInput(data, len);
  return 1;
}

static int fuzz_loop(const struct fuzz_seed *seeds, size_t count, double seconds) {
  static uint8_t data[FUZZ_MAX + 1];
  unsigned long runs = 0;
  clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
  for (; runs < count || clock() < end; runs++) {
    const struct fuzz_seed *seed = &seeds[runs % count];
    size_t len = seed->len;
    memcpy(data, seed->bytes, len);
    for (size_t changes = runs < count ? 0 : 1 + fuzz_random(12); changes; changes--)
      len = fuzz_mutate(data, len, seeds, count);
    LLVMFuzzerTestOneInput(data, len);
  }
  printf("Done %lu runs\n", runs);
  return 0;
}

#define FUZZ_MAIN(seeds)                                                                                     \
  int main(int argc, char **argv) {                                                                          \
    if (argc > 1 && fuzz_one_file(argv[1])) return 0;                                                        \
    return fuzz_loop(seeds, sizeof(seeds) / sizeof *(seeds), argc > 1 ? atof(argv[1]) : 10);                 \
  }
#else
#define FUZZ_MAIN(seeds) typedef int fuzz_no_main[sizeof(seeds) ? 1 : -1];
#endif
#endif
