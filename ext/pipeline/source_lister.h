/* source_lister.h - lists objects of S3 on a thread of its own while those that were found are loaded: 100,000 keys are
** a hundred requests, one after the other.
**
** Made, asked and freed on the keeper's thread. The thread blocks all signals and ends within 100 ms when the lister
** is freed.
*/
#ifndef OS_PIPELINE_SOURCE_LISTER_H
#define OS_PIPELINE_SOURCE_LISTER_H
#include "aws/s3/client.h"
#include "net/http.h"
#include "pipeline/source_list.h"

struct os_source_lister;

/* List what `count` URLs name, in order. s3 is taken over, also on failure; it has reached the buckets of all URLs
** already, since settings may be read on the keeper's thread only. The URLs are copied. */
int os_source_lister_start(struct os_source_lister **out, struct os_s3 *s3, const char *const *urls,
                           size_t count, struct os_error *error);
/* Move up to `most` sources that were found to the end of the list. wait: not before there is one, or the end
** (OS_ERR_INTERRUPTED by the probe); NULL: what is there. *ended: no more will come. What ended the list early is the
** error, said once behind the last source. */
int os_source_lister_take(struct os_source_lister *lister, struct os_source_list *list, size_t most,
                          const struct os_probe *wait, bool *ended, struct os_error *error);
void os_source_lister_free(struct os_source_lister *lister); /* NULL: nothing */
#endif
