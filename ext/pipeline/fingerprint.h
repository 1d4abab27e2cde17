/* fingerprint.h - what tells one content of a file from another without reading all of it: its size, and
** SHA-256 over its first and last MiB and 16 samples of 64 KiB evenly between. A change that keeps the
** size and touches none of these bytes is not noticed; that is the price of not reading everything twice.
** An object's is its ETag.
*/
#ifndef OS_PIPELINE_FINGERPRINT_H
#define OS_PIPELINE_FINGERPRINT_H
#include "base/error.h"
#include "pipeline/source.h"

/* Read the samples of source->path and fill source->digest. Nothing to do for a stream; of an object, its
** ETag is digested. */
int os_fingerprint_read(struct os_source *source, struct os_error *error);
/* "size:hex of the digest", "etag:…" of an object; empty for a stream. */
void os_fingerprint_text(const struct os_source *source, char out[OS_FINGERPRINT_TEXT]);
/* out: 16 base64url characters (RFC 4648 section 5) of SHA-256(name, content, generation), the beginning
** of computed ids. content: the fingerprint's text; for a stream, which has none, something that is used
** only once. */
int os_id_prefix_compute(const char *name, const char *content, int64_t generation,
                         char out[OS_ID_PREFIX + 1], struct os_error *error);
#endif
