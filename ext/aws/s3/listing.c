/* listing.c - see listing.h. */
#include "aws/s3/listing.h"
#include <string.h>
#include "aws/xml.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/http.h"

struct reading {
  struct os_s3_page *page;
  struct os_s3_object object; /* the one that is being read */
  bool encoded;               /* the server says that keys are URL-encoded */
  struct os_error *error;
};

void os_s3_object_free(struct os_s3_object *object) {
  os_free(object->key);
  os_free(object->etag);
  os_free(object->version);
  memset(object, 0, sizeof *object);
}

void os_s3_page_free(struct os_s3_page *page) {
  for (size_t i = 0; i < page->count; i++)
    os_s3_object_free(&page->objects[i]);
  for (size_t i = 0; i < page->prefix_count; i++)
    os_free(page->prefixes[i]);
  os_free(page->objects);
  os_free(page->prefixes);
  os_free(page->token);
  memset(page, 0, sizeof *page);
}

char *os_s3_plain_etag(const char *text, size_t len) {
  if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
    text++;
    len -= 2;
  }
  return os_strndup(text, len);
}

/* ---- elements ---- */

static int set_text(struct reading *reading, char **to, char *text) {
  os_free(*to);
  *to = text;
  return text ? OS_OK : os_fail_nomem(reading->error);
}

static int odd(struct reading *reading, const char *what, const char *text) {
  return os_fail(reading->error, OS_ERR_ANSWER, "the list of objects has %s '%.80s'", what, text);
}

static int take_size(struct reading *reading, const char *text) {
  int64_t size = 0;
  if (!os_parse_int(text, &size) || size < 0) return odd(reading, "the size", text);
  reading->object.size = (uint64_t)size;
  return OS_OK;
}

static int take_time(struct reading *reading, const char *text) {
  double seconds = 0;
  if (!os_clock_parse_iso(text, &seconds)) return odd(reading, "the time", text);
  reading->object.modified_ns = (int64_t)(seconds * 1000 + 0.5) * 1000000;
  return OS_OK;
}

static int end_object(struct reading *reading) {
  struct os_s3_page *page = reading->page;
  if (!reading->object.key || !reading->object.etag)
    return os_fail(reading->error, OS_ERR_ANSWER, "the list of objects has one without a key or an ETag");
  if (page->count == page->cap) {
    size_t cap = page->cap ? page->cap * 2 : 64;
    struct os_s3_object *bigger = os_realloc(page->objects, cap * sizeof *bigger);
    if (!bigger) return os_fail_nomem(reading->error);
    page->objects = bigger;
    page->cap = cap;
  }
  page->objects[page->count++] = reading->object;
  memset(&reading->object, 0, sizeof reading->object);
  return OS_OK;
}

static int add_prefix(struct reading *reading, const char *text, size_t len) {
  struct os_s3_page *page = reading->page;
  if (page->prefix_count == page->prefix_cap) {
    size_t cap = page->prefix_cap ? page->prefix_cap * 2 : 16;
    char **bigger = os_realloc(page->prefixes, cap * sizeof *bigger);
    if (!bigger) return os_fail_nomem(reading->error);
    page->prefixes = bigger;
    page->prefix_cap = cap;
  }
  page->prefixes[page->prefix_count] = os_strndup(text, len);
  if (!page->prefixes[page->prefix_count]) return os_fail_nomem(reading->error);
  page->prefix_count++;
  return OS_OK;
}

static int take_element(void *ctx, const char *path, const char *text, size_t len) {
  static const char root[] = "/ListBucketResult/";
  struct reading *reading = ctx;
  struct os_s3_page *page = reading->page;
  if (!os_has_prefix(path, root)) return OS_OK;
  path += strlen(root);
  if (!strcmp(path, "Contents/Key")) return set_text(reading, &reading->object.key, os_strndup(text, len));
  if (!strcmp(path, "Contents/ETag"))
    return set_text(reading, &reading->object.etag, os_s3_plain_etag(text, len));
  if (!strcmp(path, "Contents/Size")) return take_size(reading, text);
  if (!strcmp(path, "Contents/LastModified")) return take_time(reading, text);
  if (!strcmp(path, "Contents")) return end_object(reading);
  if (!strcmp(path, "CommonPrefixes/Prefix")) return add_prefix(reading, text, len);
  if (!strcmp(path, "NextContinuationToken")) return set_text(reading, &page->token, os_strndup(text, len));
  if (!strcmp(path, "IsTruncated")) page->truncated = !strcmp(text, "true");
  if (!strcmp(path, "EncodingType")) reading->encoded = !strcmp(text, "url");
  return OS_OK;
}

/* ---- keys ---- */

static int hex_digit(char c) {
  if (os_is_digit(c)) return c - '0';
  c = os_to_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void os_s3_decode_key(char *text) {
  char *to = text;
  for (const char *from = text; *from; from++) {
    int high = *from == '%' ? hex_digit(from[1]) : -1, low = high >= 0 ? hex_digit(from[2]) : -1;
    if (low >= 0 && (high || low)) {
      *to++ = (char)(high << 4 | low);
      from += 2;
    } else {
      *to++ = *from == '+' ? ' ' : *from;
    }
  }
  *to = '\0';
}

int os_s3_page_read(const char *xml, size_t len, struct os_s3_page *page, struct os_error *error) {
  struct os_error odd_element; /* the reader of XML has words of its own for what stops it */
  struct reading reading = {.page = page, .error = &odd_element};
  memset(page, 0, sizeof *page);
  os_error_clear(&odd_element);
  int rc = os_xml_read(xml, len, take_element, &reading, error);
  if (rc && odd_element.code && error) *error = odd_element;
  os_s3_object_free(&reading.object);
  if (!rc && page->truncated && !page->token && !page->count && !page->prefix_count)
    rc = os_fail(error, OS_ERR_ANSWER, "the list of objects is empty and said to go on");
  if (rc) {
    os_s3_page_free(page);
    return rc;
  }
  /* the word about the encoding may stand behind the keys */
  for (size_t i = 0; reading.encoded && i < page->count; i++)
    os_s3_decode_key(page->objects[i].key);
  for (size_t i = 0; reading.encoded && i < page->prefix_count; i++)
    os_s3_decode_key(page->prefixes[i]);
  return OS_OK;
}

/* ---- requests and headers ---- */

static void put_parameter(struct os_buf *out, const char *name, const char *value) {
  if (!value) return;
  os_buf_putc(out, '&');
  os_buf_puts(out, name);
  os_buf_putc(out, '=');
  os_url_encode(out, value, strlen(value));
}

/* encoding-type: XML 1.0 has no way to write some characters that keys may have. */
void os_s3_put_list_query(struct os_buf *out, const struct os_s3_list_query *query) {
  os_buf_puts(out, "list-type=2&encoding-type=url");
  put_parameter(out, "prefix", query->prefix);
  put_parameter(out, "delimiter", query->delimiter);
  put_parameter(out, query->token ? "continuation-token" : "start-after",
                query->token ? query->token : query->after);
}

/* Two digits at text; -1: none. */
static int two_digits(const char *text) {
  return os_is_digit(text[0]) && os_is_digit(text[1]) ? (text[0] - '0') * 10 + text[1] - '0' : -1;
}

bool os_s3_parse_date(const char *text, size_t len, double *seconds) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char iso[32] = "YYYY-MM-DDThh:mm:ssZ";
  if (len != 29 || text[3] != ',' || memcmp(text + 25, " GMT", 4) || two_digits(text + 5) < 0) return false;
  int month = 0;
  while (month < 12 && memcmp(months + 3 * (size_t)month, text + 8, 3))
    month++;
  if (month++ == 12) return false;
  memcpy(iso, text + 12, 4);
  iso[5] = (char)('0' + month / 10);
  iso[6] = (char)('0' + month % 10);
  memcpy(iso + 8, text + 5, 2);
  memcpy(iso + 11, text + 17, 8);
  return os_clock_parse_iso(iso, seconds);
}
