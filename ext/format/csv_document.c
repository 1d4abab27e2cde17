/* csv_document.c - see csv_document.h. May call: csv_types, base. Owns the layout's text. */
#include "format/csv_document.h"
#include <string.h>
#include <jansson.h>
#include "base/alloc.h"
#include "base/simd.h"
#include "base/text.h"
#include "base/utf8.h"
#include "format/record.h"

const char *os_csv_show_name(char out[OS_CSV_SHOWN], const char *name) {
  size_t len = strlen(name);
  bool cut = len >= OS_CSV_SHOWN;
  if (cut) len = OS_CSV_SHOWN - sizeof "…";
  len = os_utf8_check(name, len); /* not in the middle of a character */
  memcpy(out, name, len);
  memcpy(out + len, cut ? "…" : "", cut ? sizeof "…" : 1);
  os_text_clean(out);
  return out;
}

/* ---- the tree of nested names ---- */

enum { NONE = -1 };

struct node {
  const char *name; /* borrowed from the column */
  size_t name_len;
  size_t column; /* a leaf: its column; else the first column that runs through it */
  bool leaf;
  long parent, first, last, next; /* indexes; NONE */
};

struct tree {
  struct node *node;
  size_t count, cap;
  json_t *by_path; /* "a.b" -> index of its node: a hash table, for headers of 10,000 columns */
};

static long node_add(struct tree *tree, const struct node *node) {
  if (tree->count == tree->cap) {
    size_t cap = tree->cap ? tree->cap * 2 : 64;
    struct node *larger = os_realloc(tree->node, cap * sizeof *larger);
    if (!larger) return NONE;
    tree->node = larger;
    tree->cap = cap;
  }
  tree->node[tree->count] = *node;
  return (long)tree->count++;
}

/* The child of `parent` whose whole path is path[0..len), made when it is not there. */
static long node_at(struct tree *tree, long parent, const char *path, size_t len, const struct node *wanted) {
  const json_t *known = json_object_getn(tree->by_path, path, len);
  if (known) return (long)json_integer_value(known);
  long index = node_add(tree, wanted);
  if (index == NONE || json_object_setn_new(tree->by_path, path, len, json_integer(index))) return NONE;
  struct node *up = &tree->node[parent];
  if (up->first == NONE)
    up->first = index;
  else
    tree->node[up->last].next = index;
  up->last = index;
  return index;
}

/* A dot at either end, or two in a row, cannot be nested: such a name stays whole, and the server decides. */
static bool can_nest(const struct os_csv_column *column) {
  if (column->name[0] == '.' || column->name[column->name_len - 1] == '.') return false;
  return !strstr(column->name, "..");
}

static int advise_names(struct os_error *error) {
  return os_advise(error,
                   "pass {\"nested_columns\": false}, or name the columns anew with the option columns");
}

static int conflict(const struct os_csv_column *column, size_t a, size_t b, struct os_error *error) {
  char first[OS_CSV_SHOWN], second[OS_CSV_SHOWN];
  os_fail(error, OS_ERR_FORMAT,
          "columns %zu '%s' and %zu '%s' cannot both be in one document: one of them would be a value and an "
          "object at once",
          a + 1, os_csv_show_name(first, column[a].name), b + 1, os_csv_show_name(second, column[b].name));
  return advise_names(error);
}

static int tree_insert(struct tree *tree, const struct os_csv_column *column, size_t index, bool nested,
                       struct os_error *error) {
  const struct os_csv_column *own = &column[index];
  long parent = 0;
  size_t from = 0, depth = 0;
  nested = nested && can_nest(own);
  for (;;) {
    const char *dot = nested ? memchr(own->name + from, '.', own->name_len - from) : NULL;
    size_t to = dot ? (size_t)(dot - own->name) : own->name_len;
    struct node wanted = {own->name + from, to - from, index, !dot, parent, NONE, NONE, NONE};
    size_t before = tree->count;
    long node = node_at(tree, parent, own->name, to, &wanted);
    if (node == NONE) return os_fail_nomem(error);
    const struct node *found = &tree->node[node];
    bool made = tree->count != before;
    if (!made && (found->leaf || !dot)) return conflict(column, found->column, index, error);
    if (!dot) return OS_OK;
    if (++depth >= OS_JSON_DEPTH_MAX) {
      os_fail(error, OS_ERR_FORMAT, "the name of column %zu is nested more than %d deep", index + 1,
              OS_JSON_DEPTH_MAX);
      return advise_names(error);
    }
    parent = node;
    from = to + 1;
  }
}

/* ---- fragments ---- */

static void put_name(struct os_buf *out, const struct node *node) {
  os_buf_put_json(out, node->name, node->name_len);
  os_buf_putc(out, ':');
}

/* Walk the tree in order; each leaf ends a fragment. */
static void write_fragments(struct os_csv_layout *layout, const struct tree *tree) {
  const struct node *all = tree->node;
  size_t begin = 0;
  bool comma = false;
  os_buf_putc(&layout->text, '{');
  for (long at = all[0].first; at != NONE && at != 0;) {
    if (comma) os_buf_putc(&layout->text, ',');
    put_name(&layout->text, &all[at]);
    comma = all[at].leaf;
    if (!all[at].leaf) {
      os_buf_putc(&layout->text, '{');
      at = all[at].first;
      continue;
    }
    layout->step[layout->steps++] = (struct os_csv_step){all[at].column, begin, layout->text.len - begin};
    begin = layout->text.len;
    while (at != 0 && all[at].next == NONE) { /* the last of its object closes it */
      at = all[at].parent;
      if (at != 0) os_buf_putc(&layout->text, '}');
    }
    if (at != 0) at = all[at].next;
  }
  layout->tail_at = begin;
}

static int write_tail(struct os_csv_layout *layout, const struct tree *tree,
                      const struct os_csv_column *column, const char *source_field, const char *source_name,
                      struct os_error *error) {
  if (source_field) {
    const json_t *taken = json_object_get(tree->by_path, source_field);
    if (taken) {
      size_t index = tree->node[json_integer_value(taken)].column;
      char shown[OS_CSV_SHOWN];
      os_fail(error, OS_ERR_FORMAT, "column %zu '%s' has the name that source_field asks for", index + 1,
              os_csv_show_name(shown, column[index].name));
      return os_advise(error, "choose another source_field, or leave it out");
    }
    if (tree->count > 1) os_buf_putc(&layout->text, ',');
    os_buf_put_json(&layout->text, source_field, strlen(source_field));
    os_buf_putc(&layout->text, ':');
    os_buf_put_json(&layout->text, source_name ? source_name : "", source_name ? strlen(source_name) : 0);
  }
  os_buf_putc(&layout->text, '}');
  layout->tail_len = layout->text.len - layout->tail_at;
  return layout->text.failed ? os_fail_nomem(error) : OS_OK;
}

int os_csv_layout_make(struct os_csv_layout *layout, const struct os_csv_column *column, size_t count,
                       bool nested, const char *source_field, const char *source_name,
                       struct os_error *error) {
  struct tree tree = {0};
  struct node root = {"", 0, 0, false, NONE, NONE, NONE, NONE};
  int code = OS_ERR_NOMEM;
  memset(layout, 0, sizeof *layout);
  os_buf_init(&layout->text, 0);
  layout->step = os_calloc(count + 1, sizeof *layout->step);
  tree.by_path = json_object();
  if (!layout->step || !tree.by_path || node_add(&tree, &root) == NONE || !tree.node) {
    os_fail_nomem(error);
    goto done;
  }
  code = OS_OK;
  for (size_t i = 0; !code && i < count; i++)
    if (!column[i].cut) code = tree_insert(&tree, column, i, nested, error);
  if (code) goto done;
  write_fragments(layout, &tree);
  code = write_tail(layout, &tree, column, source_field, source_name, error);
done:
  json_decref(tree.by_path);
  os_free(tree.node);
  return code;
}

void os_csv_layout_free(struct os_csv_layout *layout) {
  os_free(layout->step);
  os_buf_free(&layout->text);
  layout->step = NULL;
}

/* ---- values ---- */

/* The escape of a byte that the mask of os_simd_mask_json_string() found; returns its length. */
static size_t escape(char *out, unsigned char byte) {
  static const char hex[] = "0123456789abcdef", plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
  out[0] = '\\';
  const char *hit = byte ? strchr(plain, byte) : NULL;
  if (hit) {
    out[1] = letter[hit - plain];
    return 2;
  }
  memcpy(out + 1, "u00", 3);
  out[4] = hex[byte >> 4];
  out[5] = hex[byte & 15];
  return 6;
}

/* Room for n more bytes and a vector behind them; NULL: none. */
static inline char *room(struct os_buf *out, size_t n) {
  n += OS_SIMD_WIDTH;
  if (n > out->cap - out->len && !os_buf_reserve(out, n)) return NULL;
  return out->data + out->len;
}

/* Names and numbers are short: whole vectors beat memcpy(). Reads and writes up to a vector too much. */
static inline void put_short(struct os_buf *out, const char *text, size_t len) {
  char *to = room(out, len);
  if (!to) return;
  for (size_t at = 0; at < len; at += OS_SIMD_WIDTH)
    os_simd_store(to + at, os_simd_load(text + at));
  out->len += len;
}

/* Sixteen bytes at a time: store all, then step back to the first that has to be escaped. */
static inline char *escape_block(char *to, const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    os_simd_vec v = os_simd_load(text + at);
    os_simd_store(to, v);
    uint32_t mask = os_simd_mask_json_string(v);
    size_t left = len - at < OS_SIMD_WIDTH ? len - at : OS_SIMD_WIDTH;
    size_t plain = mask ? os_simd_first(mask) : OS_SIMD_WIDTH;
    if (plain >= left) {
      at += left;
      to += left;
      continue;
    }
    to += plain;
    at += plain;
    to += escape(to, (unsigned char)text[at++]);
  }
  return to;
}

enum { BLOCK = 4096, WORST = 6 }; /* \u0001 for one byte */

void os_csv_put_escaped(struct os_buf *out, const char *text, size_t len) {
  while (len) {
    size_t n = len < BLOCK ? len : BLOCK;
    char *to = room(out, n * WORST);
    if (!to) return;
    out->len = (size_t)(escape_block(to, text, n) - out->data);
    text += n;
    len -= n;
  }
  if (out->cap) out->data[out->len] = '\0';
}

static void put_string(struct os_buf *out, const char *text, size_t len) {
  if (len > BLOCK) {
    os_buf_putc(out, '"');
    os_csv_put_escaped(out, text, len);
    os_buf_putc(out, '"');
    return;
  }
  char *to = room(out, len * WORST + 2);
  if (!to) return;
  *to++ = '"';
  to = escape_block(to, text, len);
  *to++ = '"';
  out->len = (size_t)(to - out->data);
}

static void put_json(struct os_buf *out, struct os_json_scan *scan, bool container, const char *text,
                     size_t len) {
  if (os_csv_scan_json(scan, text, len, container))
    os_buf_append(out, scan->doc, scan->doc_len);
  else if (scan->fault == OS_JSON_NOMEM)
    out->failed = true;
  else
    put_string(out, text, len);
}

void os_csv_put_value(struct os_buf *out, struct os_json_scan *scan, enum os_csv_type type, const char *text,
                      size_t len) {
  bool as_it_is = false;
  switch (type) {
  case OS_CSV_NUMBER: as_it_is = os_csv_is_number(text, len); break;
  case OS_CSV_BOOLEAN: as_it_is = os_csv_is_boolean(text, len); break;
  case OS_CSV_JSON:
  case OS_CSV_CONTAINER: put_json(out, scan, type == OS_CSV_CONTAINER, text, len); return;
  case OS_CSV_STRING:
  case OS_CSV_DATE: break;
  }
  if (as_it_is)
    put_short(out, text, len);
  else
    put_string(out, text, len);
}

void os_csv_put_fragment(struct os_buf *out, const struct os_csv_layout *layout, size_t at, size_t len) {
  put_short(out, layout->text.data + at, len);
}

void os_csv_end_document(struct os_buf *out, const struct os_csv_layout *layout) {
  os_buf_append(out, layout->text.data + layout->tail_at, layout->tail_len);
}
