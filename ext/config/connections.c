/* connections.c - the named clusters, and the making of endpoints from settings or options.
**
** Calls base and the other files of config/. Owns the connections and a reference to the last endpoint
** of each. Keeper's thread only.
*/
#include "config/connections.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "config/connection_options.h"
#include "config/secret.h"
#include "config/setting_check.h"

enum { LONGEST_NAME = 64 };

struct connection {
  char *name;
  char *values[OS_CONNECT_COUNT]; /* as given; unused by main, whose values are the settings */
  struct os_endpoint *endpoint;   /* the last one made, or NULL */
  bool warned;                    /* what is risky was told */
  struct os_signer *signer;       /* of IAM, or NULL */
  unsigned signer_generation;     /* of the settings it was made from */
  pid_t signer_pid;               /* of the process that made it, whose thread renews its keys */
};

struct os_connections {
  struct os_settings *settings; /* borrowed; outlives us */
  struct os_log *log;           /* a reference, or NULL */
  struct connection **list;     /* the first is main */
  size_t count;
  os_signer_maker *make_signer;
  void *maker_ctx;
};

static void drop_signer(struct connection *connection) {
  if (connection->signer_pid == getpid()) os_signer_unref(connection->signer);
  connection->signer = NULL;
}

static void free_connection(struct connection *connection) {
  if (!connection) return;
  drop_signer(connection);
  os_connection_options_free(connection->values);
  os_endpoint_unref(connection->endpoint);
  os_free(connection->name);
  os_free(connection);
}

static struct connection *new_connection(const char *name) {
  struct connection *connection = os_calloc(1, sizeof *connection);
  if (connection && !(connection->name = os_strdup(name))) {
    os_free(connection);
    return NULL;
  }
  return connection;
}

int os_connections_new(struct os_connections **out, struct os_settings *settings, struct os_error *error) {
  *out = NULL;
  struct os_connections *connections = os_calloc(1, sizeof *connections);
  if (!connections) return os_fail_nomem(error);
  *connections = (struct os_connections){.settings = settings};
  connections->list = os_calloc(1, sizeof *connections->list);
  if (connections->list && (connections->list[0] = new_connection("main"))) {
    connections->count = 1;
    *out = connections;
    return OS_OK;
  }
  os_connections_free(connections);
  return os_fail_nomem(error);
}

void os_connections_free(struct os_connections *connections) {
  if (!connections) return;
  for (size_t i = 0; i < connections->count; i++)
    free_connection(connections->list[i]);
  os_log_unref(connections->log);
  os_free(connections->list);
  os_free(connections);
}

void os_connections_set_log(struct os_connections *connections, struct os_log *log) {
  struct os_log *old = connections->log;
  connections->log = os_log_ref(log);
  os_log_unref(old);
}

void os_connections_set_signer_maker(struct os_connections *connections, os_signer_maker *make, void *ctx) {
  connections->make_signer = make;
  connections->maker_ctx = ctx;
}

static int check_name(const char *name, struct os_error *error) {
  size_t len = strlen(name);
  bool good = len && len <= LONGEST_NAME;
  for (const char *p = name; *p; p++)
    good = good && (os_is_alpha(*p) || os_is_digit(*p) || *p == '_' || *p == '-' || *p == '.');
  if (!good) {
    os_fail(error, OS_ERR_ARGUMENT, "'%.80s' is not a name for a connection", name);
    return os_advise(error, "use 1 to 64 letters, digits, '_', '-' or '.'");
  }
  if (strcmp(name, "main") == 0) {
    os_fail(error, OS_ERR_ARGUMENT, "connection 'main' is the one that the settings describe");
    return os_advise(error, "set it with os_config('OPENSEARCH_ENDPOINT', …), or choose another name");
  }
  return OS_OK;
}

/* Where the connection of that name stands; count when there is none. */
static size_t find(const struct os_connections *connections, const char *name) {
  size_t i = 0;
  while (i < connections->count && strcmp(connections->list[i]->name, name) != 0)
    i++;
  return i;
}

/* Take the connection over, in place of one of the same name. */
static bool put(struct os_connections *connections, struct connection *connection) {
  size_t at = find(connections, connection->name);
  if (at == connections->count) {
    struct connection **list = os_realloc(connections->list, (at + 1) * sizeof(struct connection *));
    if (!list) return false;
    list[at] = NULL;
    connections->list = list;
    connections->count++;
  }
  free_connection(connections->list[at]);
  connections->list[at] = connection;
  return true;
}

int os_connections_set(struct os_connections *connections, const char *name, const json_t *options,
                       struct os_error *error) {
  int code = check_name(name, error);
  if (code) return code;
  struct connection *connection = new_connection(name);
  if (!connection) return os_fail_nomem(error);
  code = os_connection_options_read(name, options, connection->values, error);
  if (!code && !put(connections, connection)) code = os_fail_nomem(error);
  if (code) free_connection(connection);
  return code;
}

static bool is_main(const struct os_connections *connections, const struct connection *connection) {
  return connection == connections->list[0];
}

/* What holds for an option: the setting for main, else what was given, else main's where taken over. */
static const char *value_of(const struct os_connections *connections, const struct connection *connection,
                            enum os_connection_option option) {
  const struct os_connection_option_info *info = &os_connection_options[option];
  if (!is_main(connections, connection) && connection->values[option]) return connection->values[option];
  if (is_main(connections, connection) || info->inherited)
    return os_settings_get(connections->settings, info->setting);
  return os_setting_info(info->setting)->default_value;
}

static bool bool_of(const struct os_connections *connections, const struct connection *connection,
                    enum os_connection_option option) {
  bool value = true;
  os_parse_bool(value_of(connections, connection, option), &value);
  return value;
}

/* How messages name an option: as the setting for main, as "connection 'x': option" for others. */
static void name_option(const struct os_connections *connections, const struct connection *connection,
                        enum os_connection_option option, char out[128]) {
  if (is_main(connections, connection))
    snprintf(out, 128, "%s", os_setting_info(os_connection_options[option].setting)->name);
  else
    snprintf(out, 128, "connection '%s': %s", connection->name, os_connection_options[option].name);
}

/* libcurl looks for .netrc in the home folder. */
static bool has_netrc(void) {
  char path[4096];
  const char *home = getenv("HOME");
  int len = home && *home ? snprintf(path, sizeof path, "%s/.netrc", home) : -1;
  return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

/* "search-x.eu-west-1.es.amazonaws.com"; China's hosts end in .cn. */
static bool is_amazons(const char *url, const char *service) {
  char host[256], suffix[32];
  if (!os_url_host(url, host, sizeof host)) return false;
  if (os_has_suffix(host, ".cn", false)) host[strlen(host) - 3] = '\0';
  snprintf(suffix, sizeof suffix, ".%s.amazonaws.com", service);
  return os_has_suffix(host, suffix, false);
}

/* There is no other way to log in to a collection than IAM. */
static bool is_serverless(const struct os_connections *connections, const struct connection *connection) {
  const char *url = value_of(connections, connection, OS_CONNECT_ENDPOINT);
  bool told = false;
  if (os_parse_bool(value_of(connections, connection, OS_CONNECT_SERVERLESS), &told)) return told;
  return url && is_amazons(url, "aoss");
}

static enum os_auth choose_login(const struct os_connections *connections,
                                 const struct connection *connection) {
  const char *url = value_of(connections, connection, OS_CONNECT_ENDPOINT);
  const char *auth = value_of(connections, connection, OS_CONNECT_AUTH);
  bool named = value_of(connections, connection, OS_CONNECT_USERNAME) ||
               value_of(connections, connection, OS_CONNECT_PASSWORD);
  if (strcmp(auth, "none") == 0) return OS_AUTH_NONE;
  if (strcmp(auth, "iam") == 0) return OS_AUTH_IAM;
  if (named) return OS_AUTH_BASIC;
  bool automatic = strcmp(auth, "auto") == 0;
  if (automatic && (is_serverless(connections, connection) || (url && is_amazons(url, "es"))))
    return OS_AUTH_IAM;
  if (has_netrc()) return OS_AUTH_NETRC;
  return automatic ? OS_AUTH_NONE : OS_AUTH_BASIC;
}

/* User name and password of basic authentication; both or an error. */
static int fill_credentials(const struct os_connections *connections, const struct connection *connection,
                            struct os_endpoint *endpoint, struct os_error *error) {
  const char *username = value_of(connections, connection, OS_CONNECT_USERNAME);
  const char *password = value_of(connections, connection, OS_CONNECT_PASSWORD);
  char user_label[128], password_label[128];
  name_option(connections, connection, OS_CONNECT_USERNAME, user_label);
  name_option(connections, connection, OS_CONNECT_PASSWORD, password_label);
  if (!username) {
    os_fail(error, OS_ERR_ARGUMENT, "%s is not set%s", user_label,
            password ? ", although there is a password" : ", and basic authentication needs it");
    return os_advise(error, "set it, or name the host in ~/.netrc, or switch authentication off with 'none'");
  }
  if (!password) {
    os_fail(error, OS_ERR_ARGUMENT, "%s is not set, although there is a user name", password_label);
    return os_advise(error, "set it: the password itself, 'env:NAME' or 'file:PATH'");
  }
  endpoint->username = os_strdup(username);
  if (!endpoint->username) return os_fail_nomem(error);
  return os_secret_resolve(password, password_label, connections->settings,
                           connection->warned ? NULL : connections->log, &endpoint->password, error);
}

/* The signer is kept with its keys: fetching them takes requests. */
static int fill_signer(const struct os_connections *connections, struct connection *connection,
                       struct os_endpoint *endpoint, struct os_error *error) {
  unsigned generation = os_settings_generation(connections->settings);
  struct os_iam_login login = {.url = endpoint->url,
                               .region = value_of(connections, connection, OS_CONNECT_AWS_REGION),
                               .profile = value_of(connections, connection, OS_CONNECT_AWS_PROFILE),
                               .role_arn = value_of(connections, connection, OS_CONNECT_AWS_ROLE_ARN),
                               .serverless = endpoint->serverless};
  if (connection->signer_generation != generation || connection->signer_pid != getpid())
    drop_signer(connection);
  if (!connection->signer) {
    if (!connections->make_signer) return os_fail(error, OS_ERR_INTERNAL, "nobody signs requests here");
    int rc = connections->make_signer(connections->maker_ctx, &login, &connection->signer, error);
    if (rc) return os_error_prefix(error, "logging in to %s with IAM", endpoint->url);
    connection->signer_generation = generation;
    connection->signer_pid = getpid();
  }
  endpoint->signer = os_signer_ref(connection->signer);
  return OS_OK;
}

static int fill_login(const struct os_connections *connections, struct connection *connection,
                      struct os_endpoint *endpoint, struct os_error *error) {
  endpoint->auth = choose_login(connections, connection);
  endpoint->serverless = is_serverless(connections, connection);
  if (endpoint->auth == OS_AUTH_BASIC) return fill_credentials(connections, connection, endpoint, error);
  if (endpoint->auth == OS_AUTH_IAM) return fill_signer(connections, connection, endpoint, error);
  return OS_OK;
}

/* scheme://host[:port][/prefix]: scheme in small letters, no slash at the end */
static char *plain_url(const char *url) {
  size_t len = strlen(url), scheme = strcspn(url, ":");
  while (len > scheme + 3 && url[len - 1] == '/')
    len--;
  char *copy = os_strndup(url, len);
  for (size_t i = 0; copy && i < scheme; i++)
    copy[i] = os_to_lower(copy[i]);
  return copy;
}

/* NULL: *code says why. */
static struct os_endpoint *begin_endpoint(const struct os_connections *connections,
                                          const struct connection *connection, int *code,
                                          struct os_error *error) {
  const char *url = value_of(connections, connection, OS_CONNECT_ENDPOINT);
  if (!url) { /* of main alone: others cannot be without */
    *code = os_fail(error, OS_ERR_ARGUMENT, "OPENSEARCH_ENDPOINT is not set");
    os_advise(error, "SELECT os_config('OPENSEARCH_ENDPOINT', 'https://host:9200'), or set it in the "
                     "environment or in .env");
    return NULL;
  }
  char *plain = plain_url(url);
  struct os_endpoint *endpoint = plain ? os_endpoint_new(connection->name, plain) : NULL;
  os_free(plain);
  *code = endpoint ? OS_OK : os_fail_nomem(error);
  return endpoint;
}

static enum os_compress compress_of(const char *word) {
  bool always;
  if (strcmp(word, "auto") == 0) return OS_COMPRESS_AUTO;
  if (os_parse_bool(word, &always)) return always ? OS_COMPRESS_ALWAYS : OS_COMPRESS_NEVER;
  return strcmp(word, "always") == 0 ? OS_COMPRESS_ALWAYS : OS_COMPRESS_NEVER;
}

static int fill_transport(const struct os_connections *connections, const struct connection *connection,
                          struct os_endpoint *endpoint, struct os_error *error) {
  const char *bundle = value_of(connections, connection, OS_CONNECT_CA_BUNDLE);
  int64_t retries = 0;
  char label[128];
  endpoint->verify_ssl = bool_of(connections, connection, OS_CONNECT_VERIFY_SSL);
  endpoint->verify_hostname = bool_of(connections, connection, OS_CONNECT_VERIFY_HOSTNAME);
  endpoint->compress = compress_of(value_of(connections, connection, OS_CONNECT_HTTP_COMPRESS));
  os_parse_double(value_of(connections, connection, OS_CONNECT_REQUEST_TIMEOUT), &endpoint->timeout);
  os_parse_int(value_of(connections, connection, OS_CONNECT_MAX_RETRIES), &retries);
  endpoint->max_retries = (int)retries; /* at most 1000, by its rule */
  endpoint->serverless_delay = os_settings_real(connections->settings, OS_SET_SERVERLESS_DELAY);
  if (!bundle) return OS_OK;
  if (access(bundle, R_OK)) {
    name_option(connections, connection, OS_CONNECT_CA_BUNDLE, label);
    os_fail(error, OS_ERR_IO, "%s: cannot read '%s': %s", label, bundle, os_errno_text(errno));
    return os_advise(error, "it names the PEM file of the authorities to trust");
  }
  endpoint->ca_bundle = os_strdup(bundle);
  return endpoint->ca_bundle ? OS_OK : os_fail_nomem(error);
}

static int make_endpoint(const struct os_connections *connections, struct connection *connection,
                         struct os_endpoint **out, struct os_error *error) {
  *out = NULL;
  int code;
  struct os_endpoint *endpoint = begin_endpoint(connections, connection, &code, error);
  if (!endpoint) return code;
  code = fill_login(connections, connection, endpoint, error);
  if (!code) code = fill_transport(connections, connection, endpoint, error);
  if (code)
    os_endpoint_unref(endpoint);
  else
    *out = endpoint;
  return code;
}

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_endpoint(const struct os_endpoint *a, const struct os_endpoint *b) {
  return same_text(a->url, b->url) && a->auth == b->auth && same_text(a->username, b->username) &&
         same_text(a->password, b->password) && a->signer == b->signer && a->serverless == b->serverless &&
         a->verify_ssl == b->verify_ssl && a->verify_hostname == b->verify_hostname &&
         same_text(a->ca_bundle, b->ca_bundle) && a->compress == b->compress && a->timeout >= b->timeout &&
         a->timeout <= b->timeout && a->max_retries == b->max_retries &&
         a->serverless_delay >= b->serverless_delay && a->serverless_delay <= b->serverless_delay;
}

/* What is risky, told once for a connection. */
static void warn(const struct os_connections *connections, struct connection *connection,
                 const struct os_endpoint *endpoint) {
  bool encrypted = os_has_prefix(endpoint->url, "https:");
  char label[128];
  if (connection->warned || !connections->log) return;
  connection->warned = true;
  name_option(connections, connection, OS_CONNECT_VERIFY_SSL, label);
  if (encrypted && !endpoint->verify_ssl)
    os_log_write(connections->log, OS_LOG_WARNING,
                 "%s is false: the certificate of %s is not checked, anybody on the way can read along",
                 label, endpoint->url);
  if (!encrypted && endpoint->auth == OS_AUTH_BASIC && !os_endpoint_is_loopback(endpoint))
    os_log_write(connections->log, OS_LOG_WARNING, "the password for %s travels unencrypted; use https",
                 endpoint->url);
}

int os_connections_endpoint(struct os_connections *connections, const char *name, struct os_endpoint **out,
                            struct os_error *error) {
  struct os_endpoint *made = NULL;
  *out = NULL;
  size_t at = find(connections, name ? name : "main");
  if (at == connections->count) {
    os_fail(error, OS_ERR_ARGUMENT, "there is no connection '%.80s'", name);
    return os_advise(error,
                     "SELECT os_connect('name', '{\"endpoint\":…}') makes one; os_connections lists them");
  }
  struct connection *connection = connections->list[at];
  int code = os_settings_check(connections->settings, error);
  if (!code) code = make_endpoint(connections, connection, &made, error);
  if (code || !made) return code;
  struct os_endpoint *last = connection->endpoint;
  if (last && same_endpoint(last, made)) {
    os_endpoint_unref(made);
  } else {
    if (last && strcmp(last->url, made->url) == 0)
      atomic_store(&made->learned_max_body, atomic_load(&last->learned_max_body));
    os_endpoint_unref(last);
    connection->endpoint = made;
  }
  warn(connections, connection, connection->endpoint);
  *out = os_endpoint_ref(connection->endpoint);
  return OS_OK;
}

size_t os_connections_count(const struct os_connections *connections) {
  return connections->count;
}

static json_t *text_or_null(const char *text) {
  return text ? json_string(text) : json_null();
}

json_t *os_connections_describe(struct os_connections *connections, size_t i) {
  const struct connection *connection = connections->list[i];
  const char *password = value_of(connections, connection, OS_CONNECT_PASSWORD);
  double timeout = 0;
  int64_t retries = 0;
  os_parse_double(value_of(connections, connection, OS_CONNECT_REQUEST_TIMEOUT), &timeout);
  os_parse_int(value_of(connections, connection, OS_CONNECT_MAX_RETRIES), &retries);
  json_t *about = json_object();
  bool good =
      about && os_json_put(about, "name", json_string(connection->name)) &&
      os_json_put(about, "endpoint", text_or_null(value_of(connections, connection, OS_CONNECT_ENDPOINT))) &&
      os_json_put(about, "auth", json_string(os_auth_name(choose_login(connections, connection)))) &&
      os_json_put(about, "username", text_or_null(value_of(connections, connection, OS_CONNECT_USERNAME))) &&
      os_json_put(about, "password", text_or_null(password ? OS_SECRET_MASK : NULL)) &&
      os_json_put(about, "verify_ssl",
                  json_boolean(bool_of(connections, connection, OS_CONNECT_VERIFY_SSL))) &&
      os_json_put(about, "verify_hostname",
                  json_boolean(bool_of(connections, connection, OS_CONNECT_VERIFY_HOSTNAME))) &&
      os_json_put(about, "ca_bundle",
                  text_or_null(value_of(connections, connection, OS_CONNECT_CA_BUNDLE))) &&
      os_json_put(about, "http_compress",
                  text_or_null(value_of(connections, connection, OS_CONNECT_HTTP_COMPRESS))) &&
      os_json_put(about, "request_timeout", json_real(timeout)) &&
      os_json_put(about, "max_retries", json_integer(retries));
  if (good) return about;
  json_decref(about);
  return NULL;
}
