/* fields.c - what the mapping of one index has and that of another lacks. Pure.
**
** A search that names a field which is gone finds nothing and says nothing, so a difference is told. It
** stops no switch: leaving a field out may be why the new index was made.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "operations/alias/alias_int.h"

enum { SHOWN = 5, DEEPEST = 40 };

struct difference {
  struct os_buf missing, changed; /* the first SHOWN of each */
  size_t missing_count, changed_count;
  bool failed; /* no memory */
};

/* What has neither is an object (OpenSearch docs, "Mappings and field types"). */
static const char *type_of(const json_t *field) {
  return os_json_string(field, "type", "object");
}

static void note(struct os_buf *list, size_t *count, const char *path, const char *from, const char *to) {
  if ((*count)++ >= SHOWN) return;
  os_buf_printf(list, "%s%s", *count > 1 ? ", " : "", path);
  if (to) os_buf_printf(list, " (%s, was %s)", to, from);
}

static void compare(struct difference *d, const json_t *source, const json_t *target, const char *member,
                    const char *above, int depth) {
  const char *name = NULL;
  json_t *field = NULL;
  const json_t *fields = json_object_get(source, member), *others = json_object_get(target, member);
  if (depth > DEEPEST) return;
  json_object_foreach((json_t *)(uintptr_t)fields, name, field) {
    const json_t *other = json_object_get(others, name);
    char *path = os_mprintf("%s%s%s", above, *above ? "." : "", name);
    if (!path) {
      d->failed = true;
      return;
    }
    if (!other) {
      note(&d->missing, &d->missing_count, path, NULL, NULL);
    } else {
      if (strcmp(type_of(field), type_of(other)) != 0)
        note(&d->changed, &d->changed_count, path, type_of(field), type_of(other));
      compare(d, field, other, "properties", path, depth + 1);
      compare(d, field, other, "fields", path, depth + 1);
    }
    os_free(path);
  }
}

static void put_list(struct os_buf *out, const char *what, const struct os_buf *list, size_t count) {
  if (!count) return;
  os_buf_printf(out, "%s%s: %s", out->len ? "; " : "", what, list->data);
  if (count > SHOWN) os_buf_printf(out, " and %zu others", count - SHOWN);
}

bool os_alias_compare_fields(const json_t *source, const json_t *target, char *out, size_t out_size) {
  struct difference d = {0};
  struct os_buf text;
  os_buf_init(&d.missing, 0);
  os_buf_init(&d.changed, 0);
  os_buf_init(&text, 0);
  compare(&d, source, target, "properties", "", 0);
  put_list(&text, "not in the target's mapping", &d.missing, d.missing_count);
  put_list(&text, "of another type in the target", &d.changed, d.changed_count);
  bool whole = !d.failed && !d.missing.failed && !d.changed.failed && !text.failed;
  snprintf(out, out_size, "%s", whole && text.len ? text.data : "");
  out[os_utf8_check(out, strlen(out))] = '\0'; /* a cut may fall inside a character */
  os_buf_free(&d.missing);
  os_buf_free(&d.changed);
  os_buf_free(&text);
  return whole;
}
