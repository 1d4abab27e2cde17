/* setting_check.c - one rule for each setting, in a table, and the few kinds of rule there are.
**
** Calls base and rate. Pure.
*/
#include "config/setting_check.h"
#include <string.h>
#include "base/log.h"
#include "base/text.h"
#include "config/rate.h"

enum kind { ANY, URL, WORD, INTEGER, REAL, SIZE, BOOLEAN, RATE, INDEX, USER, ARN, BUCKET, LEVEL, FORMAT };

struct rule {
  enum kind kind;
  double least, most; /* numbers and sizes */
  const char *legal;  /* words: separated by blanks; others: how to say what is legal */
};

static const struct rule rules[OS_SET_COUNT] = {
    [OS_SET_ENDPOINT] = {.kind = URL},
    [OS_SET_USERNAME] = {.kind = USER},
    [OS_SET_AUTH] = {.kind = WORD, .legal = "none basic iam auto"},
    [OS_SET_SERVERLESS] = {.kind = WORD, .legal = "auto true false"},
    [OS_SET_SERVERLESS_DELAY] = {.kind = REAL, .least = 1, .most = 3600},
    [OS_SET_AWS_ROLE_ARN] = {.kind = ARN, .legal = "arn:aws:iam::123456789012:role/name"},
    [OS_SET_AWS_ENDPOINT_URL] = {.kind = URL},
    [OS_SET_AWS_ENDPOINT_URL_S3] = {.kind = URL},
    [OS_SET_AWS_ENDPOINT_URL_SQS] = {.kind = URL},
    [OS_SET_AWS_ENDPOINT_URL_STS] = {.kind = URL},
    [OS_SET_INDEX] = {.kind = INDEX},
    [OS_SET_LOAD_MODE] = {.kind = WORD, .legal = "auto fresh append upsert resume"},
    [OS_SET_BATCH_SIZE] = {.kind = INTEGER, .least = 1, .most = 1000000},
    [OS_SET_BATCH_BYTES] = {.kind = SIZE, .least = 1024, .most = 1073741824},
    [OS_SET_MAX_WORKERS] = {.kind = INTEGER, .least = 1, .most = 256},
    [OS_SET_INDEX_RECREATE_THRESHOLD] = {.kind = INTEGER, .least = 0, .most = 1e15},
    [OS_SET_DOCUMENT_COUNT_THRESHOLD] = {.kind = REAL, .least = 0, .most = 1e9},
    [OS_SET_LOG_LEVEL] = {.kind = LEVEL},
    [OS_SET_LOG_FORMAT] = {.kind = FORMAT},
    [OS_SET_VERIFY_SSL] = {.kind = BOOLEAN},
    [OS_SET_VERIFY_HOSTNAME] = {.kind = BOOLEAN},
    [OS_SET_HTTP_COMPRESS] = {.kind = WORD, .legal = "auto always never true false"},
    [OS_SET_REQUEST_TIMEOUT] = {.kind = REAL, .least = 0.001, .most = 86400},
    [OS_SET_MAX_RETRIES] = {.kind = INTEGER, .least = 0, .most = 1000},
    [OS_SET_MAX_RATE] = {.kind = RATE},
    [OS_SET_DLQ] = {.kind = WORD, .legal = "enabled disabled"},
    [OS_SET_SQS_DLQ_ARN] = {.kind = ARN, .legal = "arn:aws:sqs:eu-west-1:123456789012:queue"},
    [OS_SET_OUTPUT_BUCKET] = {.kind = BUCKET},
};

static int refuse(struct os_error *error, const char *shown, const char *value, const char *not_what) {
  return os_fail(error, OS_ERR_ARGUMENT, "%s: '%.100s' is not %s", shown, value, not_what);
}

static bool has_blank_or_control(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text <= 0x20 || *text == 0x7f) return true;
  return false;
}

/* Behind "scheme://", or NULL. */
static const char *behind_scheme(const char *url) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t s = 0; s < 2; s++) {
    size_t i = 0;
    while (schemes[s][i] && os_to_lower(url[i]) == schemes[s][i])
      i++;
    if (!schemes[s][i]) return url + i;
  }
  return NULL;
}

/* Nothing, or ":" and a port from 1 to 65535. */
static bool is_port(const char *text, size_t len) {
  char digits[8];
  int64_t port;
  if (!len) return true;
  if (*text != ':' || len < 2 || len > 6 || !os_is_digit(text[1])) return false;
  memcpy(digits, text + 1, len - 1);
  digits[len - 1] = '\0';
  return os_parse_int(digits, &port) && port >= 1 && port <= 65535;
}

/* host[:port] or [address]:port (RFC 3986 section 3.2) */
static bool is_authority(const char *text, size_t len) {
  size_t host;
  if (*text == '[') {
    host = strspn(text + 1, "0123456789abcdefABCDEF:.") + 1;
    if (host < 3 || host >= len || text[host] != ']') return false;
    host++;
  } else {
    host = strcspn(text, ":/");
    if (memchr(text, '[', host < len ? host : len) || memchr(text, ']', host < len ? host : len))
      return false;
  }
  return host > 0 && host <= len && is_port(text + host, len - host);
}

int os_url_check(const char *shown, const char *url, struct os_error *error) {
  if (strchr(url, '@')) { /* the URL is not repeated: what stands before the '@' is a secret */
    os_fail(error, OS_ERR_ARGUMENT, "%s: a URL with a user name or password in it is refused", shown);
    if (strstr(shown, "AWS_"))
      return os_advise(
          error, "services of AWS take keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile");
    return os_advise(error,
                     "give them apart, as OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD (or username and "
                     "password of os_connect); those take 'env:NAME' and 'file:PATH' too");
  }
  const char *authority = behind_scheme(url);
  if (!authority) {
    refuse(error, shown, url, "an http or https URL");
    return os_advise(error, "write it as https://host:9200 or http://localhost:9200");
  }
  if (has_blank_or_control(url) || strpbrk(url, "?#\\\"<>")) {
    refuse(error, shown, url, "a plain URL: a blank, a query or a character that no URL has stands in it");
    return os_advise(error, "write scheme, host, port and at most a path: https://host:9200/prefix");
  }
  if (!is_authority(authority, strcspn(authority, "/"))) {
    refuse(error, shown, url, "a URL with a host and, if any, a port from 1 to 65535");
    return os_advise(error, "write it as https://host:9200");
  }
  return OS_OK;
}

static int check_word(const char *shown, const char *value, const char *legal, struct os_error *error) {
  size_t len = strlen(value);
  for (const char *word = legal; *word;) {
    size_t size = strcspn(word, " ");
    bool same = size == len;
    for (size_t i = 0; same && i < size; i++)
      same = os_to_lower(value[i]) == word[i];
    if (same) return OS_OK;
    word += size + (word[size] == ' ');
  }
  refuse(error, shown, value, "one of its values");
  return os_advise(error, "it is one of: %s", legal);
}

static int check_number(const char *shown, const char *value, const struct rule *rule,
                        struct os_error *error) {
  char least[40], most[40];
  double number = 0;
  int64_t whole = 0;
  uint64_t size = 0;
  bool good = false;
  const char *what = "a number";
  if (rule->kind == INTEGER) {
    good = os_parse_int(value, &whole);
    number = (double)whole;
    what = "a whole number";
  } else if (rule->kind == SIZE) {
    good = os_parse_size(value, &size);
    number = (double)size;
    what = "a size in bytes (8388608, '8MiB')";
  } else {
    good = os_parse_double(value, &number);
  }
  if (good && number >= rule->least && number <= rule->most) return OS_OK;
  int decimals = rule->least > 0 && rule->least < 1 ? 3 : 0;
  os_format_double(rule->least, decimals, least, sizeof least);
  os_format_double(rule->most, 0, most, sizeof most);
  os_fail(error, OS_ERR_ARGUMENT, "%s: '%.100s' is not %s from %s to %s", shown, value, what, least, most);
  return OS_ERR_ARGUMENT;
}

/* What no name of an index or alias may hold (OpenSearch: "Index naming restrictions" on the create-index
** page). An alias may have capitals, and this may be an alias, so that is left to the server. */
static int check_index(const char *shown, const char *value, struct os_error *error) {
  size_t len = strlen(value);
  bool good = len && len <= 255 && !strpbrk(value, "\\/*?\"<>|,#:") && !has_blank_or_control(value);
  good = good && !strchr("_-+", *value) && strcmp(value, ".") && strcmp(value, "..");
  if (good) return OS_OK;
  refuse(error, shown, value, "a name that an index can have");
  return os_advise(
      error, "use at most 255 bytes, none of \\ / * ? \" < > | , # : or a blank, and no _ - + in front");
}

static int check_arn(const char *shown, const char *value, const char *example, struct os_error *error) {
  int colons = 0;
  for (const char *p = value; *p; p++)
    colons += *p == ':';
  /* arn:partition:service:region:account:resource; the example says which service */
  const char *service = strchr(example + 4, ':') + 1,
             *second = os_has_prefix(value, "arn:") ? strchr(value + 4, ':') : 0;
  size_t len = strcspn(service, ":") + 1;
  if (colons >= 5 && second && strncmp(second + 1, service, len) == 0 && !has_blank_or_control(value))
    return OS_OK;
  refuse(error, shown, value, "such an ARN");
  return os_advise(error, "it looks like %s", example);
}

static int check_rate(const char *shown, const char *value, struct os_error *error) {
  double docs, bytes;
  if (os_rate_parse(value, &docs, &bytes) == OS_OK) return OS_OK;
  refuse(error, shown, value, "a rate");
  return os_advise(error, "write '5000/s' for documents, '10MiB/s' for bytes, 'none' for no limit");
}

static int check_bool(const char *shown, const char *value, struct os_error *error) {
  bool truth;
  return os_parse_bool(value, &truth) ? OS_OK : refuse(error, shown, value, "true or false");
}

static int check_user(const char *shown, const char *value, struct os_error *error) {
  bool good = !strchr(value, ':'); /* RFC 7617 section 2 */
  for (const char *p = value; *p; p++)
    good = good && (unsigned char)*p >= 0x20 && *p != 0x7f;
  return good ? OS_OK
              : refuse(error, shown, value, "a user name: it may hold neither ':' nor control characters");
}

static int check_bucket(const char *shown, const char *value, struct os_error *error) {
  const char *name = os_has_prefix(value, "s3://") ? value + 5 : value;
  size_t len = strcspn(name, "/");
  size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-ABCDEFGHIJKLMNOPQRSTUVWXYZ_:");
  if (len >= 3 && good >= len && !has_blank_or_control(name)) return OS_OK;
  refuse(error, shown, value, "a bucket");
  return os_advise(error, "write 'bucket', 'bucket/prefix' or 's3://bucket/prefix'");
}

static int check_level(const char *shown, const char *value, struct os_error *error) {
  int level;
  if (os_log_level_parse(value, &level)) return OS_OK;
  refuse(error, shown, value, "a level");
  return os_advise(error, "it is one of: DEBUG INFO WARNING ERROR CRITICAL OFF");
}

int os_setting_check(enum os_setting_id id, const char *shown, const char *value, struct os_error *error) {
  const struct rule *rule = &rules[id];
  switch (rule->kind) {
  case ANY: return OS_OK;
  case URL: return os_url_check(shown, value, error);
  case WORD: return check_word(shown, value, rule->legal, error);
  case INTEGER:
  case REAL:
  case SIZE: return check_number(shown, value, rule, error);
  case BOOLEAN: return check_bool(shown, value, error);
  case RATE: return check_rate(shown, value, error);
  case INDEX: return check_index(shown, value, error);
  case USER: return check_user(shown, value, error);
  case ARN: return check_arn(shown, value, rule->legal, error);
  case BUCKET: return check_bucket(shown, value, error);
  case LEVEL: return check_level(shown, value, error);
  case FORMAT: return os_log_format_check(value, error);
  }
  return os_fail(error, OS_ERR_INTERNAL, "%s: no rule says what it may be", shown);
}

void os_setting_normalize(enum os_setting_id id, char *value) {
  if (rules[id].kind == WORD)
    for (; *value; value++)
      *value = os_to_lower(*value);
}
