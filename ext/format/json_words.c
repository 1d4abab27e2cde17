/* json_words.c - what is wrong with a JSON text, in sentences for the person who has to mend the file. Pure.
 */
#include "format/json_impl.h"
#include <stdio.h>
#include <string.h>

void os_json_found_words(char c, char out[32]) {
  unsigned char byte = (unsigned char)c;
  if (byte > ' ' && byte < 0x7F)
    snprintf(out, 32, byte == '\'' ? "\"%c\"" : "'%c'", c);
  else
    snprintf(out, 32, "the byte 0x%02X", byte);
}

const char *os_json_fault_type(const struct os_json_scan *scan) {
  return scan->fault == OS_JSON_UTF8   ? "invalid_utf8"
         : scan->fault == OS_JSON_DEEP ? "json_too_deep"
                                       : "invalid_json";
}

int os_json_shown_len(const char *text, size_t len) {
  if (len <= 60) return (int)len;
  len = 60;
  while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
    len--;
  return (int)len;
}

void os_json_too_long_words(const struct os_json_place *place, size_t max_record, char out[OS_JSON_WORDS]) {
  snprintf(out, OS_JSON_WORDS,
           "line %llu column %llu (byte %llu): the record that begins here is longer than %zu bytes",
           (unsigned long long)place->line, (unsigned long long)place->column,
           (unsigned long long)place->byte, max_record);
}

static void control_words(char c, char *out, size_t size) {
  if (c == '\n' || c == '\r')
    snprintf(out, size,
             "a line break inside a string; its closing quote is missing, or it must be written as %s",
             c == '\n' ? "\\n" : "\\r");
  else
    snprintf(out, size, "the control character 0x%02X inside a string must be written as \\u%04X",
             (unsigned char)c, (unsigned char)c);
}

void os_json_fault_words(const struct os_json_scan *scan, const struct os_json_place *place,
                         char out[OS_JSON_WORDS]) {
  char found[32];
  size_t n = (size_t)snprintf(out, OS_JSON_WORDS,
                              "line %llu column %llu (byte %llu): ", (unsigned long long)place->line,
                              (unsigned long long)place->column, (unsigned long long)place->byte);
  char *rest = out + n;
  size_t size = OS_JSON_WORDS - n;
  const char *at = scan->at;
  switch (scan->fault) {
  case OS_JSON_CONTROL: control_words(*at, rest, size); break;
  case OS_JSON_UTF8:
    snprintf(rest, size, "the byte 0x%02X is not valid UTF-8; convert the file to UTF-8", (unsigned char)*at);
    break;
  case OS_JSON_ESCAPE:
    if (at[1] > ' ' && at[1] < 0x7F)
      snprintf(rest, size, "\\%c%s", at[1],
               at[1] == 'u' ? " must be followed by four hexadecimal digits"
                            : " is not an escape that JSON knows; a backslash itself is written \\\\");
    else
      snprintf(rest, size, "a backslash that begins no escape; a backslash itself is written \\\\");
    break;
  case OS_JSON_DEEP:
    snprintf(rest, size, "nested more than %d levels deep; at most %d are accepted", OS_JSON_NESTING,
             OS_JSON_DEPTH_MAX - 1);
    break;
  case OS_JSON_MORE: snprintf(rest, size, "the text ends where %s should stand", scan->expected); break;
  case OS_JSON_UNEXPECTED:
    os_json_found_words(*at, found);
    snprintf(rest, size, "found %s where %s should stand", found, scan->expected);
    break;
  case OS_JSON_FINE:
  case OS_JSON_NOMEM: snprintf(rest, size, "out of memory"); break;
  }
}
