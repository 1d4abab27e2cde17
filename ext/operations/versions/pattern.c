/* pattern.c - see pattern.h. Calls PCRE2, base/. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "operations/versions/pattern.h"
#include <pcre2.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

enum {
  MATCH_LIMIT = 1000000, /* steps of one match: a second at most (pcre2api, pcre2_set_match_limit) */
  HEAP_LIMIT = 20000,    /* KiB */
  MAX_GROUP = 99,        /* as Python's \99 */
  MAX_DIGITS = 18,       /* of a version: so it fits 64 bits, counted up */
  REASON = 200
};

struct os_pattern {
  char *what, *expression;
  pcre2_code *code;
  pcre2_match_context *context;
  pcre2_general_context *memory;
  unsigned groups;
};

/* ---- memory: that of this extension ---- */

static void *take(size_t size, void *unused) {
  (void)unused;
  return os_malloc(size);
}

static void give_back(void *memory, void *unused) {
  (void)unused;
  os_free(memory);
}

void os_pattern_free(struct os_pattern *pattern) {
  if (!pattern) return;
  pcre2_code_free(pattern->code);
  pcre2_match_context_free(pattern->context);
  pcre2_general_context_free(pattern->memory);
  os_free(pattern->what);
  os_free(pattern->expression);
  os_free(pattern);
}

static const char *reason(int code, char out[REASON]) {
  if (pcre2_get_error_message(code, (PCRE2_UCHAR *)out, REASON) < 0) out[0] = '\0';
  return out;
}

static int compile(struct os_pattern *p, struct os_error *error) {
  char text[REASON];
  int code = 0;
  PCRE2_SIZE at = 0;
  pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
  if (!context) return os_fail_nomem(error);
  p->code = pcre2_compile((PCRE2_SPTR)p->expression, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &code,
                          &at, context);
  pcre2_compile_context_free(context);
  if (p->code) return OS_OK;
  if (code == PCRE2_ERROR_NOMEMORY || code == 121 /* ERR21: no memory while compiling */)
    return os_fail_nomem(error);
  os_fail(error, OS_ERR_ARGUMENT, "%s '%.300s' is no regular expression: at character %zu: %s", p->what,
          p->expression, (size_t)at, reason(code, text));
  return os_advise(error, "the syntax is that of PCRE2; in JSON a backslash is written twice");
}

int os_pattern_new(struct os_pattern **out, const char *what, const char *expression,
                   struct os_error *error) {
  struct os_pattern *p = os_calloc(1, sizeof *p);
  *out = NULL;
  if (!p) return os_fail_nomem(error);
  p->what = os_strdup(what);
  p->expression = os_strdup(expression);
  p->memory = pcre2_general_context_create(take, give_back, NULL);
  p->context = p->memory ? pcre2_match_context_create(p->memory) : NULL;
  int rc = p->what && p->expression && p->context ? compile(p, error) : os_fail_nomem(error);
  if (rc) {
    os_pattern_free(p);
    return rc;
  }
  pcre2_set_match_limit(p->context, MATCH_LIMIT);
  pcre2_set_heap_limit(p->context, HEAP_LIMIT);
  uint32_t groups = 0;
  pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  p->groups = groups;
  *out = p;
  return OS_OK;
}

/* ---- groups ---- */

static int group_named(const struct os_pattern *p, const char *name) {
  int number = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)name);
  return number > 0 ? number : -1;
}

struct match {
  const struct os_pattern *pattern;
  const char *name;
  pcre2_match_data *data;
  const PCRE2_SIZE *ends; /* pairs of offsets */
};

static const char *group(const struct match *m, unsigned number, size_t *len) {
  size_t at = 2 * (size_t)number;
  *len = 0;
  if (!m->ends || m->ends[at] == PCRE2_UNSET) return "";
  /* \K in a lookahead may put the end before the beginning (pcre2pattern) */
  if (m->ends[at + 1] > m->ends[at]) *len = m->ends[at + 1] - m->ends[at];
  return m->name + m->ends[at];
}

static bool is_version(const struct match *m, unsigned number) {
  size_t len = 0;
  const char *text = group(m, number, &len);
  for (size_t i = 0; i < len; i++)
    if (!os_is_digit(text[i])) return false;
  return len > 0 && len <= MAX_DIGITS;
}

static bool put_next_version(const struct match *m, struct os_buf *out) {
  int number = group_named(m->pattern, "version");
  for (unsigned i = m->pattern->groups; number < 0 && i > 0; i--)
    if (is_version(m, i)) number = (int)i;
  if (number < 0 || !is_version(m, (unsigned)number)) return false;
  size_t len = 0;
  const char *text = group(m, (unsigned)number, &len);
  int64_t version = 0;
  for (size_t i = 0; i < len; i++)
    version = version * 10 + (text[i] - '0');
  os_buf_printf(out, "%0*lld", text[0] == '0' ? (int)len : 0, (long long)version + 1);
  return true;
}

static void put_group(const struct match *m, struct os_buf *out, int number) {
  size_t len = 0;
  const char *text = group(m, (unsigned)number, &len);
  os_buf_append(out, text, len);
}

static int base_group(const struct os_pattern *p) {
  int named = group_named(p, "base");
  return named > 0 ? named : p->groups > 0 ? 1 : -1;
}

/* ---- templates ---- */

enum piece_kind { PIECE_END, PIECE_TEXT, PIECE_GROUP, PIECE_NEXT_VERSION, PIECE_INDEX_BASE };
struct piece {
  enum piece_kind kind;
  const char *text; /* PIECE_TEXT */
  size_t len;
  int group;
};

static int bad_reference(const struct os_pattern *p, const char *what, const char *at,
                         struct os_error *error) {
  size_t len = strcspn(at, "> ");
  if (len > 20) len = 20;
  os_fail(error, OS_ERR_ARGUMENT, "%s has '%.*s', which is no group of %s", what, (int)(len ? len : 1), at,
          p->what);
  return os_advise(error, "it has %u group%s: write \\1 for the first, \\g<name> for a named one", p->groups,
                   p->groups == 1 ? "" : "s");
}

/* "\g<1>" or "\g<name>", at the backslash. */
static int read_named(const struct os_pattern *p, const char *what, const char **at, struct piece *piece,
                      struct os_error *error) {
  char name[64];
  int64_t number = 0;
  if ((*at)[2] != '<') return bad_reference(p, what, *at, error);
  const char *start = *at + 3, *end = strchr(start, '>');
  size_t len = end ? (size_t)(end - start) : 0;
  if (!len || len >= sizeof name) return bad_reference(p, what, *at, error);
  memcpy(name, start, len);
  name[len] = '\0';
  if (os_is_digit(name[0]) && os_parse_int(name, &number))
    piece->group = number >= 0 && number <= (int64_t)p->groups ? (int)number : -1;
  else
    piece->group = group_named(p, name);
  if (piece->group < 0) return bad_reference(p, what, *at, error);
  *at = end + 1;
  return OS_OK;
}

/* A backslash and what belongs to it (Python's re, "re.sub"). */
static int read_escape(const struct os_pattern *p, const char *what, const char **at, struct piece *piece,
                       struct os_error *error) {
  const char *c = *at + 1;
  piece->kind = PIECE_GROUP;
  if (*c == '\\') {
    *piece = (struct piece){.kind = PIECE_TEXT, .text = c, .len = 1};
    *at += 2;
    return OS_OK;
  }
  if (*c == 'g') return read_named(p, what, at, piece, error);
  if (!os_is_digit(*c) || *c == '0') return bad_reference(p, what, *at, error);
  piece->group = *c++ - '0';
  if (os_is_digit(*c)) piece->group = piece->group * 10 + (*c++ - '0');
  if (piece->group > (int)p->groups || piece->group > MAX_GROUP) return bad_reference(p, what, *at, error);
  *at = c;
  return OS_OK;
}

static int read_braces(const struct os_pattern *p, const char *what, const char **at, struct piece *piece,
                       struct os_error *error) {
  static const char version[] = "{{next_version}}", base[] = "{{index_base}}";
  if (os_has_prefix(*at, version)) {
    piece->kind = PIECE_NEXT_VERSION;
    *at += sizeof version - 1;
    return OS_OK;
  }
  if (os_has_prefix(*at, base)) {
    *piece = (struct piece){.kind = PIECE_INDEX_BASE, .group = base_group(p)};
    *at += sizeof base - 1;
    if (piece->group > 0) return OS_OK;
    return os_fail(error, OS_ERR_ARGUMENT, "%s has {{index_base}}, but %s has no group", what, p->what);
  }
  os_fail(error, OS_ERR_ARGUMENT, "%s has '%.40s', which is not filled in", what, *at);
  return os_advise(error, "{{next_version}} and {{index_base}} are");
}

/* The piece at *at, which moves behind it. */
static int next_piece(const struct os_pattern *p, const char *what, const char **at, struct piece *piece,
                      struct os_error *error) {
  *piece = (struct piece){.kind = PIECE_END};
  if (!**at) return OS_OK;
  if (**at == '\\') return read_escape(p, what, at, piece, error);
  if ((*at)[0] == '{' && (*at)[1] == '{') return read_braces(p, what, at, piece, error);
  *piece = (struct piece){.kind = PIECE_TEXT, .text = *at, .len = 1};
  (*at)++;
  return OS_OK;
}

int os_pattern_check_template(const struct os_pattern *pattern, const char *what, const char *text,
                              struct os_error *error) {
  struct piece piece;
  int rc;
  do
    rc = next_piece(pattern, what, &text, &piece, error);
  while (!rc && piece.kind != PIECE_END);
  return rc;
}

static int fill(const struct match *m, const char *text, char **out, struct os_error *error) {
  struct os_buf buf;
  struct piece piece = {.kind = PIECE_TEXT};
  int rc = OS_OK;
  os_buf_init(&buf, 0);
  while (!rc && piece.kind != PIECE_END) {
    rc = next_piece(m->pattern, "the template", &text, &piece, error);
    if (rc) break;
    switch (piece.kind) {
    case PIECE_END: break;
    case PIECE_TEXT: os_buf_append(&buf, piece.text, piece.len); break;
    case PIECE_GROUP:
    case PIECE_INDEX_BASE: put_group(m, &buf, piece.group); break;
    case PIECE_NEXT_VERSION:
      if (put_next_version(m, &buf)) break;
      rc = os_fail(error, OS_ERR_ARGUMENT,
                   "in '%s' %s finds no version: no group is a number of at most %d digits", m->name,
                   m->pattern->what, MAX_DIGITS);
      os_advise(error, "let a group of it match the digits alone, as in (\\d+)");
    }
  }
  if (!rc && !(*out = os_buf_take(&buf))) rc = os_fail_nomem(error);
  os_buf_free(&buf);
  return rc;
}

/* ---- the whole ---- */

static int run(const struct os_pattern *p, const char *name, struct match *m, struct os_error *error) {
  char text[REASON];
  size_t len = strlen(name);
  m->pattern = p;
  m->name = name;
  m->data = pcre2_match_data_create_from_pattern(p->code, p->memory);
  if (!m->data) return os_fail_nomem(error);
  int rc = pcre2_match(p->code, (PCRE2_SPTR)name, len, 0, 0, m->data, p->context);
  m->ends = pcre2_get_ovector_pointer(m->data);
  if (rc > 0) return OS_OK;
  if (rc == PCRE2_ERROR_NOMEMORY) return os_fail_nomem(error);
  if (rc == PCRE2_ERROR_NOMATCH) {
    os_fail(error, OS_ERR_ARGUMENT, "index '%s' does not match %s '%.300s'", name, p->what, p->expression);
    return os_advise(error, "the whole name has to match");
  }
  os_fail(error, OS_ERR_ARGUMENT, "matching '%s' against %s '%.300s' was given up: %s", name, p->what,
          p->expression, reason(rc, text));
  return os_advise(error, "write the expression in a simpler way");
}

int os_pattern_expand(const struct os_pattern *pattern, const char *name, const char *const *templates,
                      int count, char **out, struct os_error *error) {
  struct match m = {0};
  for (int i = 0; i < count; i++)
    out[i] = NULL;
  int rc = run(pattern, name, &m, error);
  for (int i = 0; i < count && !rc; i++)
    rc = fill(&m, templates[i], &out[i], error);
  for (int i = 0; i < count && rc; i++) {
    os_free(out[i]);
    out[i] = NULL;
  }
  pcre2_match_data_free(m.data);
  return rc;
}
