/* actions.c - the actions of an _aliases request, and where an alias is compared with where it should
** be. Pure.
**
** What an alias has beside its name (filter, index_routing, search_routing, is_write_index, is_hidden)
** is called the same in the answer of GET _alias and in the action "add", so it is handed over as it
** came. An "add" that leaves something out would take it away (measured: OpenSearch 2.19).
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/alias/alias_int.h"

static void put_text(struct os_buf *out, const char *text) {
  os_buf_put_json(out, text, strlen(text));
}

static void put_remove(struct os_buf *out, const char *alias, const char *from, bool must_exist) {
  os_buf_puts(out, "{\"remove\":{\"index\":");
  put_text(out, from);
  os_buf_puts(out, ",\"alias\":");
  put_text(out, alias);
  os_buf_puts(out, must_exist ? ",\"must_exist\":true}}" : "}}");
}

static void put_add(struct os_buf *out, const char *alias, const char *to, const json_t *properties) {
  const char *key = NULL;
  json_t *value = NULL;
  os_buf_puts(out, "{\"add\":{\"index\":");
  put_text(out, to);
  os_buf_puts(out, ",\"alias\":");
  put_text(out, alias);
  json_object_foreach((json_t *)(uintptr_t)properties, key, value) {
    char *text = os_json_text(value);
    os_buf_putc(out, ',');
    put_text(out, key);
    os_buf_putc(out, ':');
    os_buf_puts(out, text ? text : "");
    if (!text) out->failed = true;
    os_free(text);
  }
  os_buf_puts(out, "}}");
}

char *os_alias_actions(const char *alias, const char *from, const char *to, const json_t *properties,
                       bool must_exist) {
  struct os_buf out;
  os_buf_init(&out, 0);
  os_buf_puts(&out, "{\"actions\":[");
  if (from) put_remove(&out, alias, from, must_exist);
  if (from && to) os_buf_putc(&out, ',');
  if (to) put_add(&out, alias, to, properties);
  os_buf_puts(&out, "]}");
  return os_buf_take(&out);
}

enum os_alias_place os_alias_place(const json_t *now, const char *from, const char *to,
                                   const json_t *properties) {
  const json_t *at_to = json_object_get(now, to);
  size_t count = json_object_size(now);
  if (!count) return OS_ALIAS_ON_NONE;
  if (count == 1 && at_to) return json_equal(at_to, properties) ? OS_ALIAS_MOVED : OS_ALIAS_CHANGED;
  if (count == 1 && json_object_get(now, from)) return OS_ALIAS_UNMOVED;
  if (count == 2 && at_to && json_object_get(now, from)) return OS_ALIAS_ON_BOTH;
  return at_to ? OS_ALIAS_AND_OTHERS : OS_ALIAS_ELSEWHERE;
}

void os_alias_where(const json_t *now, char *out, size_t out_size) {
  enum { SHOWN = 3 };
  size_t count = json_object_size(now), i = 0, used = 0;
  const char *index = NULL;
  json_t *properties = NULL;
  snprintf(out, out_size, "%s", count ? "" : "no index");
  json_object_foreach((json_t *)(uintptr_t)now, index, properties) {
    const char *before = !i ? "" : i + 1 == count ? " and " : ", ";
    if (i == SHOWN && count > SHOWN + 1) {
      snprintf(out + used, out_size - used, " and %zu others", count - SHOWN);
      return;
    }
    int written = snprintf(out + used, out_size - used, "%s'%s'", before, index);
    if (written < 0 || (size_t)written >= out_size - used) return;
    used += (size_t)written;
    i++;
  }
}
