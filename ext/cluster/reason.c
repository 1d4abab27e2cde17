/* reason.c - the server's own words about a failure: chosen, joined, cut to length. Pure; calls base/ and
 * jansson. */
#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cluster/reason.h"

enum { QUOTED_BYTES = 200, MAX_CAUSES = 8 };

void os_copy_bytes(char *out, size_t size, const char *text, size_t len) {
  if (!size) return;
  if (len >= size) {
    len = size - 1;
    while (len && ((unsigned char)text[len] & 0xC0) == 0x80)
      len--; /* the byte after the cut starts a character */
  }
  memcpy(out, text, len);
  out[len] = '\0';
}

void os_copy_text(char *out, size_t size, const char *text) {
  os_copy_bytes(out, size, text ? text : "", text ? strlen(text) : 0);
}

void os_one_line(const char *text, size_t len, char out[OS_ONE_LINE]) {
  size_t n = 0, at = 0;
  out[n++] = '\'';
  while (at < len && n <= QUOTED_BYTES) {
    unsigned char byte = (unsigned char)text[at];
    if (byte <= ' ' || byte == 0x7f) {
      if (n > 1 && out[n - 1] != ' ') out[n++] = ' ';
      at++;
      continue;
    }
    size_t width = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    if (width > len - at) width = len - at;
    if (os_utf8_check(text + at, width) == width) {
      memcpy(out + n, text + at, width);
      n += width;
      at += width;
    } else {
      out[n++] = '?';
      at++;
    }
  }
  while (n > 1 && out[n - 1] == ' ')
    n--;
  memcpy(out + n, at < len ? "…'" : "'", at < len ? sizeof "…'" : 2);
}

/* Outer errors that say only that something inside failed. */
static bool is_wrapper(const char *type) {
  static const char *const wrappers[] = {"search_phase_execution_exception", "remote_transport_exception",
                                         "exception", "status_exception"};
  for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
    if (!strcmp(type, wrappers[i])) return true;
  return false;
}

static const json_t *root_cause(const json_t *error) {
  const json_t *causes = json_object_get(error, "root_cause");
  const json_t *first = json_array_get(causes, 0);
  return os_json_string(first, "reason", NULL) ? first : NULL;
}

static void append(char *out, size_t size, const char *text) {
  size_t len = strlen(out);
  if (!*text || strstr(out, text)) return;
  if (len && len + 2 < size) {
    memcpy(out + len, ": ", 3);
    len += 2;
  }
  os_copy_text(out + len, size - len, text);
}

void os_reason_read(const json_t *error, char *type, size_t type_size, char *reason, size_t reason_size) {
  type[0] = reason[0] = '\0';
  if (json_is_string(error)) {
    os_copy_text(type, type_size, "error");
    os_copy_text(reason, reason_size, json_string_value(error));
    return;
  }
  const char *outer = os_json_string(error, "type", "");
  const char *said = os_json_string(error, "reason", "");
  const json_t *root = root_cause(error);
  if (root && (!*said || is_wrapper(outer))) {
    outer = os_json_string(root, "type", outer);
    said = os_json_string(root, "reason", said);
  }
  os_copy_text(type, type_size, *outer ? outer : "error");
  os_copy_text(reason, reason_size, said);
  const json_t *cause = json_object_get(error, "caused_by");
  for (int i = 0; json_is_object(cause) && i < MAX_CAUSES; i++, cause = json_object_get(cause, "caused_by")) {
    const char *why = os_json_string(cause, "reason", NULL);
    append(reason, reason_size, why ? why : os_json_string(cause, "type", ""));
  }
}
