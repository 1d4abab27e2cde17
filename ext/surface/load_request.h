/* load_request.h - the options of a load, from JSON to what operations/load/load.h takes; shared by os_bulk_load,
** os_load_plan and os_preview. Pure but for the settings it reads.
*/
#ifndef OS_SURFACE_LOAD_REQUEST_H
#define OS_SURFACE_LOAD_REQUEST_H
#include "operations/load/load.h"
#include "surface/options.h"

extern const struct os_option_schema os_schema_bulk_load;

/* Fill *request from checked options; index may be NULL (then the setting OPENSEARCH_INDEX counts). Texts
** point into `options` and the settings, which must live as long as the request. */
int os_load_request_fill(struct os_load_request *request, const struct os_options *options,
                         struct os_settings *settings, const char *path, const char *index,
                         struct os_error *error);
/* MAX_RATE and the option max_rate: documents and bytes a second; 0: none. */
int os_load_request_rate(const struct os_options *options, struct os_settings *settings, double *docs,
                         double *bytes, struct os_error *error);
#endif
