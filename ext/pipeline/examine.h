/* examine.h - look at the beginning of a source: how it is compressed, what format it has, what its head
 * says. */
#ifndef OS_PIPELINE_EXAMINE_H
#define OS_PIPELINE_EXAMINE_H
#include "format/parser.h"
#include "net/http.h"
#include "pipeline/source.h"

/* Decompressed bytes from which header, root and types are taken: by the plan, by the reader, and again
** on resume, so that all three come to the same. */
enum { OS_EXAMINE_HEAD = 4 << 20 };

/* Sets source->compression and source->format (`format` UNKNOWN: by name, then by content) and fills
** facts (free with os_head_facts_free(), also after an error). A stream's bytes are kept in
** source->preread, and so are an object's that has no more than its head. Ends within 100 ms of an
** interruption (probe; a slow pipe, the network). Errors name the file. */
int os_source_examine(struct os_source *source, enum os_format format, const struct os_parse_options *options,
                      const struct os_probe *probe, struct os_head_facts *facts, struct os_error *error);
/* Does the name promise a compression that the bytes do not have? */
int os_source_check_name(const struct os_source *source, enum os_compression compression,
                         struct os_error *error);
/* The first `want` decompressed bytes of an examined source (fewer: *is_all). For previews. */
int os_source_head(const struct os_source *source, size_t want, const struct os_probe *probe,
                   struct os_buf *head, bool *is_all, struct os_error *error);
#endif
