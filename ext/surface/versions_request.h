/* versions_request.h - options of os_reindex_versions, for every function that re-indexes as it does.
*/
#ifndef OS_SURFACE_VERSIONS_REQUEST_H
#define OS_SURFACE_VERSIONS_REQUEST_H
#include "operations/versions/versions.h"
#include "surface/options.h"

/* As an object inside the options of another function, which has what is shared, and `timeout`, itself. */
extern const struct os_option_schema os_schema_versions_nested;
/* Everything but the trigger and dry_run. */
void os_versions_request_fill(struct os_versions_request *request, const struct os_options *options,
                              const struct os_settings *settings);
#endif
