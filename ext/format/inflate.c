/* inflate.c - see inflate.h: plain, gzip and zstd behind one streaming call.
**
** May call: base, isa-l (igzip), libzstd. Owns the decoder's state. gzip is RFC 1952, whose section 2.2
** makes a file a sequence of members; zstd is RFC 8878, whose section 3 makes it a sequence of frames,
** some of them to be skipped.
*/
#include "format/inflate.h"
#include <string.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "base/alloc.h"

struct os_inflate {
  enum os_compression compression;
  bool inside;                /* a member or frame has begun and not ended */
  bool padding;               /* gzip: only zero bytes may follow */
  bool heading;               /* gzip: the member's header is not complete */
  bool any;                   /* at least one member or frame is complete */
  uint64_t in, out;           /* bytes so far */
  uint64_t mark;              /* where the member or frame at hand begins */
  struct inflate_state *gzip; /* NULL unless OS_GZIP */
  struct isal_gzip_header header;
  ZSTD_DStream *zstd; /* NULL unless OS_ZSTD */
};

struct moved { /* by one step */
  size_t in, out;
};

const char *os_compression_name(enum os_compression compression) {
  static const char *const names[] = {"plain", "gzip", "zstd"};
  return names[compression];
}

enum os_compression os_compression_detect(const char *head, size_t len) {
  static const char gzip[] = "\x1F\x8B\x08", zstd[] = "\x28\xB5\x2F\xFD"; /* RFC 1952 2.3.1, RFC 8878 3.1.1 */
  if (len >= 3 && !memcmp(head, gzip, 3)) return OS_GZIP;
  if (len >= 4 && !memcmp(head, zstd, 4)) return OS_ZSTD;
  /* a skippable frame (RFC 8878 3.1.2): 0x184D2A50 to 0x184D2A5F, little-endian */
  if (len >= 4 && ((unsigned char)head[0] & 0xF0) == 0x50 && !memcmp(head + 1, "\x2A\x4D\x18", 3))
    return OS_ZSTD;
  return OS_PLAIN;
}

int os_inflate_open(struct os_inflate **out, enum os_compression compression, struct os_error *error) {
  *out = NULL;
  struct os_inflate *inflate = os_calloc(1, sizeof *inflate);
  if (!inflate) return os_fail_nomem(error);
  inflate->compression = compression;
  if (compression == OS_GZIP) {
    inflate->gzip = os_calloc(1, sizeof *inflate->gzip);
    if (!inflate->gzip) goto no_memory;
  }
  if (compression == OS_ZSTD) {
    inflate->zstd = ZSTD_createDStream();
    if (!inflate->zstd) goto no_memory;
  }
  *out = inflate;
  return OS_OK;
no_memory:
  os_inflate_free(inflate);
  return os_fail_nomem(error);
}

void os_inflate_free(struct os_inflate *inflate) {
  if (!inflate) return;
  os_free(inflate->gzip);
  ZSTD_freeDStream(inflate->zstd);
  os_free(inflate);
}

static int damaged(const struct os_inflate *inflate, const char *why, struct os_error *error) {
  const char *form = os_compression_name(inflate->compression);
  os_fail(error, OS_ERR_FORMAT, "the %s data is damaged near byte %llu (byte %llu of its content): %s", form,
          (unsigned long long)inflate->in, (unsigned long long)inflate->out, why);
  return os_advise(error, "make or fetch the file anew; %s tests it", inflate->gzip ? "gzip -t" : "zstd -t");
}

static int ends_early(const struct os_inflate *inflate, struct os_error *error) {
  os_fail(error, OS_ERR_FORMAT,
          "the %s data ends early: %llu bytes in (%llu bytes of its content), inside the %s that "
          "begins at byte %llu",
          os_compression_name(inflate->compression), (unsigned long long)inflate->in,
          (unsigned long long)inflate->out, inflate->gzip ? "member" : "frame",
          (unsigned long long)inflate->mark);
  return os_advise(error, "the file was cut short: make or fetch it anew");
}

/* ---- plain ---- */

static struct moved copy(const char *in, size_t in_len, char *out, size_t out_cap) {
  size_t n = in_len < out_cap ? in_len : out_cap;
  if (n) memcpy(out, in, n);
  return (struct moved){n, n};
}

/* ---- gzip ---- */

static const char *gzip_fault(int code) {
  switch (code) {
  case ISAL_INCORRECT_CHECKSUM: return "its checksum or length is wrong";
  case ISAL_INVALID_WRAPPER: return "a member's header is malformed";
  case ISAL_UNSUPPORTED_METHOD: return "a member is not compressed with deflate";
  case ISAL_INVALID_BLOCK:
  case ISAL_INVALID_SYMBOL:
  case ISAL_INVALID_LOOKBACK: return "the compressed stream makes no sense";
  default: return NULL;
  }
}

/* Between members: another one begins, or zero bytes fill the rest, as tape and block devices leave them. */
static int gzip_between(struct os_inflate *inflate, const char *in, size_t in_len, size_t *skipped,
                        struct os_error *error) {
  *skipped = 0;
  if (inflate->any && !in[0]) inflate->padding = true;
  if (inflate->padding) {
    while (*skipped < in_len && !in[*skipped])
      (*skipped)++;
    if (*skipped == in_len) return OS_OK;
    inflate->in += *skipped;
    return damaged(inflate, "bytes follow the zero padding behind the last member", error);
  }
  if ((unsigned char)in[0] != 0x1F)
    return damaged(inflate, inflate->any ? "bytes follow that are no further member" : "it is not gzip",
                   error);
  isal_inflate_init(inflate->gzip);
  isal_gzip_header_init(&inflate->header);
  inflate->gzip->crc_flag = ISAL_GZIP_NO_HDR_VER; /* checksum and length are verified */
  inflate->inside = inflate->heading = true;
  inflate->mark = inflate->in;
  return OS_OK;
}

static int gzip_step(struct os_inflate *inflate, const char *in, size_t in_len, char *out, size_t out_cap,
                     struct moved *moved, struct os_error *error) {
  struct inflate_state *gzip = inflate->gzip;
  if (!inflate->inside) {
    if (!in_len) return OS_OK;
    int code = gzip_between(inflate, in, in_len, &moved->in, error);
    if (code || moved->in) return code;
  }
  const uint32_t in_now = (uint32_t)(in_len < UINT32_MAX ? in_len : UINT32_MAX);
  const uint32_t out_now = (uint32_t)(out_cap < UINT32_MAX ? out_cap : UINT32_MAX);
  gzip->next_in = (uint8_t *)(uintptr_t)in; /* igzip's interface is not const; it only reads */
  gzip->avail_in = in_now;
  gzip->next_out = (uint8_t *)out;
  gzip->avail_out = out_now;
  /* The header is read by a call of its own: isal_inflate() would do it, too, but forgets between two calls
  ** which fields follow (igzip_lib.h: isal_read_gzip_header() keeps that in its second argument). */
  int said = inflate->heading ? isal_read_gzip_header(gzip, &inflate->header) : isal_inflate(gzip);
  const char *fault = gzip_fault(said);
  moved->in = in_now - gzip->avail_in;
  moved->out = out_now - gzip->avail_out;
  if (fault) {
    inflate->in += moved->in;
    inflate->out += moved->out;
    return damaged(inflate, fault, error);
  }
  if (inflate->heading)
    inflate->heading = said != ISAL_DECOMP_OK;
  else if (gzip->block_state == ISAL_BLOCK_FINISH) {
    inflate->inside = false;
    inflate->any = true;
  }
  return OS_OK;
}

/* ---- zstd ---- */

/* The formats before zstd 0.8 begin with 0x22 to 0x27. libzstd may have been built with them, but takes them apart
** otherwise in one piece than in several. */
static bool may_begin_frame(char first) {
  return first == 0x28 || (first & 0xF0) == 0x50;
}

static int zstd_step(struct os_inflate *inflate, const char *in, size_t in_len, char *out, size_t out_cap,
                     struct moved *moved, struct os_error *error) {
  if (!inflate->inside && !in_len) return OS_OK;
  if (!inflate->inside) inflate->mark = inflate->in;
  if (!inflate->inside && !may_begin_frame(in[0])) return damaged(inflate, "no frame begins here", error);
  ZSTD_inBuffer from = {in, in_len, 0};
  ZSTD_outBuffer to = {out, out_cap, 0};
  size_t hint = ZSTD_decompressStream(inflate->zstd, &to, &from);
  moved->in = from.pos;
  moved->out = to.pos;
  if (ZSTD_isError(hint)) {
    if (ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation) return os_fail_nomem(error);
    inflate->in += from.pos;
    inflate->out += to.pos;
    return damaged(inflate, ZSTD_getErrorName(hint), error);
  }
  inflate->inside = hint != 0; /* 0: a frame is complete and all of it was handed out */
  inflate->any = inflate->any || !hint;
  return OS_OK;
}

/* ---- all three ---- */

static int step(struct os_inflate *inflate, const char *in, size_t in_len, char *out, size_t out_cap,
                struct moved *moved, struct os_error *error) {
  switch (inflate->compression) {
  case OS_GZIP: return gzip_step(inflate, in, in_len, out, out_cap, moved, error);
  case OS_ZSTD: return zstd_step(inflate, in, in_len, out, out_cap, moved, error);
  case OS_PLAIN: break;
  }
  *moved = copy(in, in_len, out, out_cap);
  return OS_OK;
}

int os_inflate_run(struct os_inflate *inflate, const char *in, size_t in_len, bool at_end, size_t *in_used,
                   char *out, size_t out_cap, size_t *out_made, bool *ended, struct os_error *error) {
  *in_used = *out_made = 0;
  *ended = false;
  for (;;) {
    struct moved moved = {0};
    bool was_inside = inflate->inside;
    int code =
        step(inflate, in + *in_used, in_len - *in_used, out + *out_made, out_cap - *out_made, &moved, error);
    if (code) return code;
    inflate->in += moved.in;
    inflate->out += moved.out;
    *in_used += moved.in;
    *out_made += moved.out;
    if (*out_made == out_cap) break;
    /* with room for output and no progress, more input is needed */
    if (!moved.in && !moved.out && was_inside == inflate->inside) break;
  }
  if (!at_end || *in_used < in_len) return OS_OK;
  *ended = !inflate->inside;
  if (inflate->inside && *out_made < out_cap) return ends_early(inflate, error);
  return OS_OK;
}
