/* index_definition.h - what an index can be made anew or copied from: its settings and mappings, without
** what describes the one physical index they were read from. Pure.
*/
#ifndef OS_OPERATIONS_INDEX_DEFINITION_H
#define OS_OPERATIONS_INDEX_DEFINITION_H
#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"

/* From the answer of os_cluster_index_get(): {"settings":{"index":{…}},"mappings":{…}}, a body for PUT
** /name. New reference; NULL: no memory, or the answer has none. Aliases are not part of it. */
json_t *os_index_definition(const json_t *got);

/* Take out what means nothing on another cluster: its nodes, its pipelines, its policies. serverless: keep
** only what a collection takes ("Supported operations and plugins in Amazon OpenSearch Serverless"). */
void os_index_definition_elsewhere(json_t *definition, bool serverless);

/* Change it by `wanted`, {"settings":{…},"mappings":{…}}: a setting is replaced one by one
** ("number_of_shards", "index.number_of_shards" and {"index":{"number_of_shards"}} are the same one; null
** takes it out), the mappings as a whole. Any other member is OS_ERR_ARGUMENT. */
int os_index_definition_override(json_t *definition, const json_t *wanted, struct os_error *error);
#endif
