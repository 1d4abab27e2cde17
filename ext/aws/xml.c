/* xml.c - see xml.h. A stack of open elements: the path, and for each the text found in it so far. Entities cannot be
** declared, so none can grow ("XML Security", expat's documentation).
*/
#include "aws/xml.h"
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"

enum { DEEPEST = 32 };

struct reading {
  XML_Parser parser;
  struct os_buf path;
  struct os_buf text[DEEPEST]; /* of the elements that are open */
  size_t path_at[DEEPEST];     /* where each one's name begins in path */
  size_t depth;
  os_xml_element *element;
  void *ctx;
  int rc; /* why it was stopped */
};

static void stop(struct reading *reading, int rc) {
  if (reading->rc == OS_OK) reading->rc = rc;
  XML_StopParser(reading->parser, XML_FALSE);
}

static void begin(void *ctx, const XML_Char *name, const XML_Char **attributes) {
  struct reading *reading = ctx;
  (void)attributes;
  if (reading->rc) return;
  if (reading->depth == DEEPEST) {
    stop(reading, OS_ERR_ANSWER);
    return;
  }
  const char *colon = strrchr(name, ':');
  reading->path_at[reading->depth] = reading->path.len;
  os_buf_clear(&reading->text[reading->depth++]);
  os_buf_putc(&reading->path, '/');
  os_buf_puts(&reading->path, colon ? colon + 1 : name);
}

static void text(void *ctx, const XML_Char *bytes, int len) {
  struct reading *reading = ctx;
  if (reading->depth && !reading->rc) os_buf_append(&reading->text[reading->depth - 1], bytes, (size_t)len);
}

static void end(void *ctx, const XML_Char *name) {
  struct reading *reading = ctx;
  (void)name;
  if (reading->rc || !reading->depth) return;
  struct os_buf *own = &reading->text[--reading->depth];
  if (reading->path.failed || own->failed) {
    stop(reading, OS_ERR_NOMEM);
    return;
  }
  int rc = reading->element(reading->ctx, reading->path.data, own->data ? own->data : "", own->len);
  if (rc) stop(reading, rc);
  reading->path.len = reading->path_at[reading->depth];
  reading->path.data[reading->path.len] = '\0';
}

static void doctype(void *ctx, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id,
                    int has_subset) {
  (void)name, (void)system_id, (void)public_id, (void)has_subset;
  stop(ctx, OS_ERR_ANSWER);
}

static int explain(const struct reading *reading, struct os_error *error) {
  if (reading->rc == OS_ERR_NOMEM) return os_fail_nomem(error);
  if (reading->rc && reading->rc != OS_ERR_ANSWER)
    return reading->rc; /* the callback's own, which it explained */
  enum XML_Error code = XML_GetErrorCode(reading->parser);
  if (code == XML_ERROR_NO_MEMORY) return os_fail_nomem(error);
  if (reading->rc)
    return os_fail(error, OS_ERR_ANSWER, "the answer is XML of a kind that no service of AWS sends");
  return os_fail(error, OS_ERR_ANSWER, "the answer is no well-formed XML: %s in line %lu",
                 XML_ErrorString(code), (unsigned long)XML_GetCurrentLineNumber(reading->parser));
}

int os_xml_read(const char *xml, size_t len, os_xml_element *element, void *ctx, struct os_error *error) {
  static const XML_Memory_Handling_Suite memory = {os_malloc, os_realloc, os_free};
  struct reading reading = {.element = element, .ctx = ctx};
  if (len > INT_MAX) return os_fail(error, OS_ERR_ANSWER, "the answer is too long for XML of a service");
  reading.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
  if (!reading.parser) return os_fail_nomem(error);
  os_buf_init(&reading.path, 0);
  for (size_t i = 0; i < DEEPEST; i++)
    os_buf_init(&reading.text[i], 0);
  XML_SetUserData(reading.parser, &reading);
  XML_SetElementHandler(reading.parser, begin, end);
  XML_SetCharacterDataHandler(reading.parser, text);
  XML_SetStartDoctypeDeclHandler(reading.parser, doctype);
  enum XML_Status status = XML_Parse(reading.parser, xml, (int)len, 1);
  int rc = status == XML_STATUS_OK && !reading.rc ? OS_OK : explain(&reading, error);
  XML_ParserFree(reading.parser);
  for (size_t i = 0; i < DEEPEST; i++)
    os_buf_free(&reading.text[i]);
  os_buf_free(&reading.path);
  return rc;
}
