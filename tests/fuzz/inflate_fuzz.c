/* inflate_fuzz.c - any bytes as gzip or zstd, in steps of any size: the same end and the same bytes as in
** one go, and never a call without progress; any bytes through gzip and back. Byte 0 of the input chooses
** the form, 1 and 2 the steps.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "format/inflate.h"

enum { OUT_MAX = 1 << 20 }; /* a small input can stand for very much */

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static int inflate_all(enum os_compression form, const char *data, size_t len, size_t in_step,
                       size_t out_step, struct os_buf *out) {
  struct os_error error;
  struct os_inflate *inflate = NULL;
  os_error_clear(&error);
  int code = os_inflate_open(&inflate, form, &error);
  char *room = malloc(out_step);
  bool ended = false;
  size_t at = 0;
  while (!code && !ended && out->len < OUT_MAX) {
    size_t now = len - at < in_step ? len - at : in_step, used = 0, made = 0;
    code = os_inflate_run(inflate, data + at, now, at + now == len, &used, room, out_step, &made, &ended,
                          &error);
    demand(used <= now && made <= out_step, "bounds");
    demand(code || used || made || ended, "progress");
    os_buf_append(out, room, made);
    at += used;
  }
  demand(!code || (code == OS_ERR_FORMAT && error.text[0] && error.advice[0]),
         "errors say what and what to do");
  free(room);
  os_inflate_free(inflate);
  return code;
}

static void back_and_forth(const char *data, size_t len, size_t in_step, size_t out_step) {
  struct os_buf packed, out;
  struct os_error error;
  os_buf_init(&packed, 0);
  os_buf_init(&out, 0);
  demand(!os_gzip(data, len, &packed, &error), "gzip");
  demand(!inflate_all(OS_GZIP, packed.data, packed.len, in_step, out_step, &out), "gunzip");
  demand(out.len == len && !memcmp(out.data, data, len), "the same bytes");
  os_buf_free(&packed);
  os_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 3) return 0;
  enum os_compression form = data[0] & 1 ? OS_ZSTD : OS_GZIP;
  size_t in_step = 1 + data[1], out_step = 1 + data[2] * 16u;
  const char *text = (const char *)data + 3;
  struct os_buf whole, parts;
  os_buf_init(&whole, 0);
  os_buf_init(&parts, 0);
  int code = inflate_all(form, text, len - 3, len, 1 << 16, &whole);
  int again = inflate_all(form, text, len - 3, in_step, out_step, &parts);
  if (whole.len < OUT_MAX && parts.len < OUT_MAX) {
    demand(code == again, "the same end");
    if (!code) demand(whole.len == parts.len && !memcmp(whole.data, parts.data, whole.len), "the same bytes");
  }
  os_buf_free(&whole);
  os_buf_free(&parts);
  back_and_forth(text, len - 3, in_step, out_step);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED(
        "\x00\x05\x03\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xc9\x48\x55\x28\x4e\xcc\x4d\x55\x28\x49"
        "\xad\x28\xd1\x51\x28\xc1\xc3\x55\x48\x4c\x4f\xcc\xcc\xe3\x2a\xa1\x83\x0e\x00\x39\xf9\x9f\x95\x96"
        "\x00\x00\x00"),
    FUZZ_SEED(
        "\x00\x01\x01\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00"
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1f\x8b\x08\x00"
        "\x00\x00\x00\x00\x02\x03\x2b\xc9\x48\x55\x28\x4e\xcc\x4d\x55\x28\x49\xad\x28\xd1\x51\x28\xc1\xc3"
        "\x55\x48\x4c\x4f\xcc\xcc\xe3\x2a\xa1\x83\x0e\x00\x39\xf9\x9f\x95\x96\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    FUZZ_SEED(
        "\x00\xff\x00\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\x03\x02\x00\x78\x78\x6e\x61\x6d\x65\x00\x77\x68"
        "\x79\x00\x01\x03\x00\xfc\xff\x61\x62\x63\xc2\x41\x24\x35\x03\x00\x00\x00"),
    FUZZ_SEED(
        "\x01\x05\x03\x28\xb5\x2f\xfd\x04\x68\x05\x01\x00\xb0\x74\x68\x65\x20\x73\x61\x6d\x65\x20\x74\x65"
        "\x78\x74\x2c\x20\x20\x61\x67\x61\x69\x6e\x0a\x02\x00\xa1\xaa\xd4\x10\x66\xd6\x01\xeb\x65\x04\x15"),
    FUZZ_SEED(
        "\x01\x01\x01\x28\xb5\x2f\xfd\x04\x68\x05\x01\x00\xb0\x74\x68\x65\x20\x73\x61\x6d\x65\x20\x74\x65"
        "\x78\x74\x2c\x20\x20\x61\x67\x61\x69\x6e\x0a\x02\x00\xa1\xaa\xd4\x10\x66\xd6\x01\xeb\x65\x04\x15"
        "\x50\x2a\x4d\x18\x02\x00\x00\x00\x78\x78\x28\xb5\x2f\xfd\x04\x68\x05\x01\x00\xb0\x74\x68\x65\x20"
        "\x73\x61\x6d\x65\x20\x74\x65\x78\x74\x2c\x20\x20\x61\x67\x61\x69\x6e\x0a\x02\x00\xa1\xaa\xd4\x10"
        "\x66\xd6\x01\xeb\x65\x04\x15"),
    FUZZ_SEED("\x01\x03\xfb\x27\xb5\x2f\xfd\x00\x00\x00\x00\x00"), /* a frame of zstd 0.7 */
};

FUZZ_MAIN(seeds)
