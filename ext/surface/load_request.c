/* load_request.c - see load_request.h. */
#include "surface/load_request.h"
#include <string.h>
#include "aws/sqs.h"
#include "aws/sqs_letter.h"
#include "base/text.h"
#include "config/rate.h"

static const char *const mode_words[] = {"auto", "fresh", "append", "upsert", "resume", NULL};
static const char *const changed_words[] = {"error", "replace", "append", NULL};
static const char *const op_words[] = {"index", "create", "update", NULL};
static const char *const format_words[] = {"csv", "tsv", "json", "ndjson", NULL};
static const char *const root_words[] = {"records", "document", "members", NULL};
static const char *const fields_words[] = {"allow", "report", "refuse", NULL};
static const char *const version_words[] = {"external", "external_gte", NULL};
static const char *const refresh_words[] = {"true", "false", "wait_for", NULL};
static const char *const validate_words[] = {"counts", "ids", "none", NULL};
static const char *const merge_words[] = {"auto", NULL};

static const struct os_option load_options[] = {
    {"mode", OS_OPT_WORD, 0, 0, mode_words, NULL},
    {"on_changed", OS_OPT_WORD, 0, 0, changed_words, "\"error\""},
    {"id_field", OS_OPT_TEXT | OS_OPT_NULL, 1, 1024, NULL, "\"_id\""},
    {"op", OS_OPT_WORD, 0, 0, op_words, "\"index\""},
    {"exactly_once", OS_OPT_BOOL, 0, 0, NULL, "true"},
    {"version_field", OS_OPT_TEXT | OS_OPT_NULL, 1, 1024, NULL, NULL},
    {"version_type", OS_OPT_WORD, 0, 0, version_words, "\"external\""},
    {"retry_on_conflict", OS_OPT_INT, 0, 100, NULL, "0"},
    {"batch_size", OS_OPT_INT, 1, 1000000, NULL, NULL},
    {"batch_bytes", OS_OPT_SIZE, 1024, 1073741824, NULL, NULL},
    {"max_workers", OS_OPT_INT, 1, 256, NULL, NULL},
    {"format", OS_OPT_WORD, 0, 0, format_words, NULL},
    {"json_root", OS_OPT_WORD, 0, 0, root_words, NULL},
    {"create", OS_OPT_BOOL | OS_OPT_OBJECT | OS_OPT_NULL, 0, 0, NULL, NULL},
    {"unknown_fields", OS_OPT_WORD, 0, 0, fields_words, "\"allow\""},
    {"delimiter", OS_OPT_TEXT, 1, 1, NULL, NULL},
    {"quote", OS_OPT_TEXT | OS_OPT_NULL, 1, 1, NULL, NULL},
    {"header", OS_OPT_BOOL, 0, 0, NULL, NULL},
    {"columns", OS_OPT_ARRAY, 0, 0, NULL, NULL},
    {"null_values", OS_OPT_ARRAY, 0, 0, NULL, "[\"\"]"},
    {"trim", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"types", OS_OPT_OBJECT, 0, 0, NULL, NULL},
    {"sample_rows", OS_OPT_INT, 1, 1000000, NULL, "10000"},
    {"nested_columns", OS_OPT_BOOL, 0, 0, NULL, "true"},
    {"source_field", OS_OPT_TEXT | OS_OPT_NULL, 1, 1024, NULL, NULL},
    {"pipeline", OS_OPT_TEXT | OS_OPT_NULL, 1, 1024, NULL, NULL},
    {"routing_field", OS_OPT_TEXT | OS_OPT_NULL, 1, 1024, NULL, NULL},
    {"require_alias", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"refresh", OS_OPT_WORD | OS_OPT_BOOL, 0, 0, refresh_words, NULL},
    {"validate", OS_OPT_WORD, 0, 0, validate_words, "\"counts\""},
    {"force_merge", OS_OPT_WORD | OS_OPT_BOOL, 0, 0, merge_words, "\"auto\""},
    {"tune_index", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"max_failed", OS_OPT_SHARE | OS_OPT_NULL, 0, 0, NULL, "\"10%\""},
    {"max_rate", OS_OPT_TEXT | OS_OPT_NULL, 1, 64, NULL, NULL},
    {"sqs_max_bytes", OS_OPT_SIZE, OS_LETTER_BYTES_LEAST, OS_SQS_BODY_MOST, NULL, NULL},
    {"s3_anonymous", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"request_payer", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_again", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_bulk_load = {
    OS_COMMON_CONNECTION | OS_COMMON_PROGRESS | OS_COMMON_DRY_RUN | OS_COMMON_ALLOW_LIVE |
        OS_COMMON_ON_PARTIAL | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID,
    load_options};

/* Where a word stands in its list. */
static int word_number(const char *const *words, const char *word) {
  for (int i = 0; words[i]; i++)
    if (!os_strcasecmp(words[i], word)) return i;
  return 0;
}

static int number_of(const struct os_options *options, const char *key, const char *const *words) {
  const char *word = os_options_text(options, key, words[0]);
  return word_number(words, word);
}

/* An array option whose elements must be texts. */
static int text_array(const struct os_options *options, const char *key, bool distinct, const json_t **out,
                      struct os_error *error) {
  const json_t *array = os_options_json(options, key), *element;
  size_t i;
  *out = NULL;
  if (!json_is_array(array)) return OS_OK;
  json_array_foreach(array, i, element) {
    if (!json_is_string(element))
      return os_fail(error, OS_ERR_ARGUMENT, "option '%s': element %zu is not a text", key, i + 1);
    for (size_t k = 0; distinct && k < i; k++)
      if (!strcmp(json_string_value(element), json_string_value(json_array_get(array, k))))
        return os_fail(error, OS_ERR_ARGUMENT, "option '%s' names '%s' twice", key,
                       json_string_value(element));
  }
  *out = array;
  return OS_OK;
}

static int check_types(const struct os_options *options, struct os_error *error) {
  static const char *const words[] = {"string", "number", "boolean", "json", "date", NULL};
  json_t *types = (json_t *)os_options_json(options, "types");
  const char *column;
  json_t *type;
  json_object_foreach(types, column, type) {
    const char *word = json_string_value(type);
    bool known = false;
    for (int i = 0; word && words[i]; i++)
      known |= !strcmp(word, words[i]);
    if (known) continue;
    os_fail(error, OS_ERR_ARGUMENT, "option 'types': column '%s' has a type that is not known", column);
    return os_advise(error, "legal types: string, number, boolean, json, date");
  }
  return OS_OK;
}

static int fill_parse(struct os_load_request *request, const struct os_options *options,
                      struct os_error *error) {
  struct os_parse_options *parse = &request->parse;
  const char *delimiter = os_options_text(options, "delimiter", NULL),
             *quote = os_options_text(options, "quote", NULL);
  const char *root = os_options_text(options, "json_root", NULL);
  parse->json_root =
      root ? (enum os_json_root)(word_number(root_words, root) + OS_ROOT_RECORDS) : OS_ROOT_AUTO;
  parse->id_field = os_options_text(options, "id_field", NULL);
  parse->routing_field = os_options_text(options, "routing_field", NULL);
  parse->version_field = os_options_text(options, "version_field", NULL);
  parse->source_field = os_options_text(options, "source_field", NULL);
  parse->delimiter = delimiter ? delimiter[0] : 0;
  parse->quote = quote ? quote[0] : 0;
  parse->no_quote = os_options_is_null(options, "quote");
  parse->trim = os_options_bool(options, "trim", false);
  parse->nested_columns = os_options_bool(options, "nested_columns", true);
  parse->sample_rows = (uint64_t)os_options_int(options, "sample_rows", 10000);
  const json_t *types = os_options_json(options, "types");
  parse->types = json_is_object(types) ? types : NULL;
  int rc = check_types(options, error);
  if (!rc) rc = text_array(options, "columns", true, &request->columns, error);
  if (!rc) rc = text_array(options, "null_values", false, &request->null_values, error);
  /* columns given: the first row is data, unless the user says that it is a header to be replaced */
  parse->header = os_options_bool(options, "header", request->columns == NULL);
  return rc;
}

/* "Update requests do not support versioning", "create operations only support internal versioning" (the
** bulk API): every record would be refused for what the options say. */
static int check_versioning(const struct os_load_request *request, struct os_error *error) {
  if (!request->parse.version_field || request->op == OS_OP_INDEX) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "option 'version_field' does not go with op '%s'", op_words[request->op]);
  return os_advise(error,
                   "OpenSearch takes versions of one's own with op 'index' only; leave out one of the two");
}

static const char *boolean_or_word(const struct os_options *options, const char *key) {
  const json_t *value = os_options_json(options, key);
  if (json_is_boolean(value)) return json_is_true(value) ? "true" : "false";
  return os_options_text(options, key, NULL);
}

int os_load_request_fill(struct os_load_request *request, const struct os_options *options,
                         struct os_settings *settings, const char *path, const char *index,
                         struct os_error *error) {
  memset(request, 0, sizeof *request);
  request->path = path;
  request->index = index ? index : os_settings_get(settings, OS_SET_INDEX);
  if (!request->index || !request->index[0]) {
    os_fail(error, OS_ERR_ARGUMENT, "no index is named");
    return os_advise(error, "give it as the second argument, or set OPENSEARCH_INDEX");
  }
  request->options = options->values;
  const char *mode = os_options_text(options, "mode", os_settings_get(settings, OS_SET_LOAD_MODE));
  request->mode = (enum os_load_mode)word_number(mode_words, mode ? mode : "auto");
  request->on_changed = (enum os_on_changed)number_of(options, "on_changed", changed_words);
  request->op = (enum os_op)number_of(options, "op", op_words);
  request->exactly_once = os_options_bool(options, "exactly_once", true);
  const char *format = os_options_text(options, "format", NULL);
  if (format) os_format_from_word(format, &request->format);
  request->batch_size =
      (uint64_t)os_options_int(options, "batch_size", os_settings_int(settings, OS_SET_BATCH_SIZE));
  request->batch_bytes =
      os_options_size(options, "batch_bytes", os_settings_bytes(settings, OS_SET_BATCH_BYTES));
  request->max_workers =
      (int)os_options_int(options, "max_workers", os_settings_int(settings, OS_SET_MAX_WORKERS));
  request->create = os_options_json(options, "create");
  request->unknown_fields = (enum os_unknown_fields)number_of(options, "unknown_fields", fields_words);
  request->version_type = os_options_text(options, "version_type", "external");
  request->retry_on_conflict = (int)os_options_int(options, "retry_on_conflict", 0);
  request->pipeline = os_options_text(options, "pipeline", NULL);
  request->require_alias = os_options_bool(options, "require_alias", false);
  request->refresh = boolean_or_word(options, "refresh");
  request->validate = (enum os_validate)number_of(options, "validate", validate_words);
  const json_t *merge = os_options_json(options, "force_merge");
  request->force_merge = json_is_true(merge)    ? OS_MERGE_YES
                         : json_is_false(merge) ? OS_MERGE_NO
                                                : OS_MERGE_AUTO;
  request->tune_index = os_options_bool(options, "tune_index", false);
  os_options_share(options, "max_failed", &request->max_failed_count, &request->max_failed_share);
  request->allow_live = os_options_bool(options, "allow_live", false);
  request->allow_again = os_options_bool(options, "allow_again", false);
  request->allow_unverified = os_options_bool(options, "allow_unverified", false);
  request->sqs_max_bytes = (size_t)os_options_size(options, "sqs_max_bytes", OS_LETTER_BYTES);
  request->s3.anonymous = os_options_bool(options, "s3_anonymous", false);
  request->s3.request_payer = os_options_bool(options, "request_payer", false);
  request->dry_run = os_options_bool(options, "dry_run", false);
  request->timeout = os_options_real(options, "timeout", 0);
  request->recreate_threshold = os_settings_int(settings, OS_SET_INDEX_RECREATE_THRESHOLD);
  int rc = fill_parse(request, options, error);
  return rc ? rc : check_versioning(request, error);
}

int os_load_request_rate(const struct os_options *options, struct os_settings *settings, double *docs,
                         double *bytes, struct os_error *error) {
  const char *given = os_options_text(options, "max_rate", NULL);
  const char *rate = given ? given : os_settings_get(settings, OS_SET_MAX_RATE);
  *docs = *bytes = 0;
  if (!rate || !rate[0] || os_options_is_null(options, "max_rate")) return OS_OK;
  if (os_rate_parse(rate, docs, bytes) == OS_OK) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "option 'max_rate': '%.60s' is not a rate", rate);
  return os_advise(error, "write documents a second as '5000/s', or bytes a second as '10MiB/s'");
}
