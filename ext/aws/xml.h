/* xml.h - reading the answers of S3 and STS, on expat. Pure; any thread.
*/
#ifndef OS_AWS_XML_H
#define OS_AWS_XML_H
#include <stddef.h>
#include "base/error.h"

/* Called at each end of an element, from the inside out. path: the names from the root, "/ListBucketResult/Contents/
** Key", prefixes of name spaces left out; text: what stood directly in it, UTF-8, entities decoded (empty for an
** element that holds others only in so far as blanks stand between them). Anything but OS_OK stops the reading. */
typedef int os_xml_element(void *ctx, const char *path, const char *text, size_t len);

/* OS_ERR_ANSWER: no well-formed XML, or one with a document type (entities of its own are refused). */
int os_xml_read(const char *xml, size_t len, os_xml_element *element, void *ctx, struct os_error *error);
#endif
