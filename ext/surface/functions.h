/* functions.h - who offers which SQL function and table; opensearch.c registers them by name.
**
** One section a file. A function is a run() (see command.h) and the table of its own options; a table is a
** struct os_rows_table (see rows_table.h) or a sqlite3_module.
*/
#ifndef OS_SURFACE_FUNCTIONS_H
#define OS_SURFACE_FUNCTIONS_H
#include "surface/command.h"
#include "surface/rows_table.h"

/* session_functions.c */
int os_run_config(struct os_command *command);
int os_run_connect(struct os_command *command);
int os_run_ping(struct os_command *command);
int os_run_version(struct os_command *command);
int os_run_debug(struct os_command *command);
int os_run_sleep(struct os_command *command);

/* request_function.c */
int os_run_request(struct os_command *command);
extern const struct os_option_schema os_schema_request;

/* index_functions.c */
int os_run_count(struct os_command *command);
int os_run_create_index(struct os_command *command);
int os_run_delete_index(struct os_command *command);
int os_run_refresh_index(struct os_command *command);
extern const struct os_option_schema os_schema_count;
extern const struct os_option_schema os_schema_index;
extern const struct os_option_schema os_schema_delete_index;

/* refresh_function.c */
int os_run_refresh_data(struct os_command *command);
extern const struct os_option_schema os_schema_refresh_data;

/* alias_functions.c */
int os_run_switch_alias(struct os_command *command);
int os_run_undo_alias(struct os_command *command);
extern const struct os_option_schema os_schema_switch_alias;
extern const struct os_option_schema os_schema_undo_alias;

/* versions_function.c */
int os_run_reindex_versions(struct os_command *command);
extern const struct os_option_schema os_schema_reindex_versions;

/* worker_function.c */
int os_run_trigger_run(struct os_command *command);
extern const struct os_option_schema os_schema_trigger_run;

/* load_functions.c, load_request.c */
int os_run_bulk_load(struct os_command *command);
int os_run_cleanup(struct os_command *command);
int os_run_retry_failures(struct os_command *command);
extern const struct os_option_schema os_schema_bulk_load;
extern const struct os_option_schema os_schema_cleanup;
extern const struct os_option_schema os_schema_retry_failures;

/* dlq_functions.c */
int os_run_dlq_send(struct os_command *command);
int os_run_dlq_receive(struct os_command *command);
extern const struct os_option_schema os_schema_dlq_send;
extern const struct os_option_schema os_schema_dlq_receive;

/* reindex_function.c */
int os_run_reindex(struct os_command *command);
extern const struct os_option_schema os_schema_reindex;

/* load_tables.c */
extern const struct os_rows_table os_table_load_plan;
extern const struct os_rows_table os_table_preview;

/* job_functions.c */
int os_run_ledger_prune(struct os_command *command);
int os_run_cancel(struct os_command *command);
int os_run_pause(struct os_command *command);
int os_run_continue(struct os_command *command);

/* report_function.c */
int os_run_report(struct os_command *command);

/* settings_table.c */
extern const struct os_rows_table os_table_settings;
extern const struct os_rows_table os_table_connections;

/* permissions_table.c */
extern const struct os_rows_table os_table_permissions;

/* merge_function.c */
int os_run_force_merge(struct os_command *command);
extern const struct os_option_schema os_schema_force_merge;

/* cluster_tables.c */
extern const struct os_rows_table os_table_index;
extern const struct os_rows_table os_table_aliases;
extern const struct os_rows_table os_table_mapping;
extern const struct os_rows_table os_table_shards;
extern const struct os_rows_table os_table_nodes;
extern const struct os_rows_table os_table_tasks;
extern const struct os_rows_table os_table_health;
#endif
