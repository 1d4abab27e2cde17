/* rate.c - reads a rate. Calls base only; pure. */
#include "config/rate.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/error.h"
#include "base/text.h"

int os_rate_parse(const char *text, double *docs, double *bytes) {
  char number[48];
  uint64_t size;
  double count;
  size_t len = strlen(text);
  *docs = *bytes = 0;
  if (!len || os_strcasecmp(text, "none") == 0) return OS_OK;
  if (os_has_suffix(text, "/s", true)) len -= 2;
  while (len && text[len - 1] == ' ')
    len--;
  if (!len || len >= sizeof number) return OS_ERR_ARGUMENT;
  memcpy(number, text, len);
  number[len] = '\0';
  if (os_parse_double(number, &count)) {
    if (count < 0) return OS_ERR_ARGUMENT;
    *docs = count;
    return OS_OK;
  }
  if (!os_parse_size(number, &size)) return OS_ERR_ARGUMENT;
  *bytes = (double)size;
  return OS_OK;
}
