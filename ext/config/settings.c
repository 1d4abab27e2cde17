/* settings.c - the layers of settings: session over environment over .env over default.
**
** Calls base, env_file, setting_check, small_file. Owns every value; those of secrets are wiped.
** Keeper's thread only: it reads the process environment, which POSIX lets nobody else change
** meanwhile.
*/
#include "config/settings.h"
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/env_file.h"
#include "config/secret.h"
#include "config/setting_check.h"
#include "config/small_file.h"

enum { LARGEST_ENV_FILE = 1 << 20 };

enum layer { SESSION, ENVIRONMENT, ENV_FILE, LAYERS };

struct value {
  char *text;        /* NULL: this layer says nothing */
  const char *shown; /* the name it came under: a name or alias of the table */
  int line;          /* of .env */
  bool malformed;    /* kept for the message only */
};

struct os_settings {
  struct value values[LAYERS][OS_SET_COUNT];
  char *env_file;             /* NULL: none is read */
  struct os_error file_fault; /* .env cannot be read or parsed; code OS_OK: it can */
  unsigned generation;
};

static void drop_value(struct value *value) {
  os_secret_free(value->text);
  *value = (struct value){.text = NULL};
}

static void drop_layer(struct value layer[OS_SET_COUNT]) {
  for (int id = 0; id < OS_SET_COUNT; id++)
    drop_value(&layer[id]);
}

/* Put text into a layer, checked. Only "no memory" is an error; a malformed value is kept as such. */
static int store(struct value *value, enum os_setting_id id, const char *shown, const char *text, int line,
                 struct os_error *error) {
  struct os_error fault;
  char *copy = os_strdup(text);
  if (!copy) return os_fail_nomem(error);
  drop_value(value);
  *value = (struct value){.text = copy, .shown = shown, .line = line};
  value->malformed = *copy && os_setting_check(id, shown, copy, &fault);
  if (!value->malformed) os_setting_normalize(id, copy);
  return OS_OK;
}

/* The name (0) or an alias (1, 2) of a setting, in the order of looking up; NULL behind the last. */
static const char *name_of(const struct os_setting_info *info, int i) {
  return i == 0 ? info->name : i <= 2 ? info->aliases[i - 1] : NULL;
}

static int read_environment(struct value layer[OS_SET_COUNT], struct os_error *error) {
  for (int id = 0; id < OS_SET_COUNT; id++) {
    const struct os_setting_info *info = os_setting_info(id);
    const char *name, *text = NULL;
    for (int i = 0; !text && (name = name_of(info, i)); i++)
      text = getenv(name);
    int code = text ? store(&layer[id], id, name, text, 0, error) : OS_OK;
    if (code) return code;
  }
  return OS_OK;
}

/* One assignment of .env. The setting's own name wins over an alias; of equal names the last wins. */
static int assign_setting(void *ctx, const char *name, const char *text, int line, struct os_error *error) {
  struct value *layer = ctx;
  for (int id = 0; id < OS_SET_COUNT; id++) {
    const struct os_setting_info *info = os_setting_info(id);
    const char *known;
    for (int i = 0; (known = name_of(info, i)); i++) {
      bool hidden = i > 0 && layer[id].text && layer[id].shown == info->name;
      if (strcmp(known, name) == 0) return hidden ? OS_OK : store(&layer[id], id, known, text, line, error);
    }
  }
  return OS_OK; /* a variable of somebody else */
}

/* Read and parse the .env file, if there is one. */
static int parse_env_file(const char *path, bool must_exist, os_env_assign assign, void *ctx,
                          struct os_error *error) {
  struct os_small_file file;
  int code = os_small_file_read(path, LARGEST_ENV_FILE, must_exist ? "OS_ENV_FILE" : ".env", &file, error);
  if (code) return code;
  if (file.text) {
    code = os_env_parse(file.text, file.len, path, assign, ctx, error);
  } else if (must_exist) {
    code = os_fail(error, OS_ERR_IO, "OS_ENV_FILE: there is no file '%s'", path);
    os_advise(error, "correct it, or unset it to use .env in the working directory");
  }
  os_small_file_free(&file);
  return code;
}

static bool is_named(void) {
  return getenv("OS_ENV_FILE") != NULL;
}

/* The file to read: OS_ENV_FILE, nothing when that is empty, or .env. */
static int choose_env_file(char **out, struct os_error *error) {
  const char *named = getenv("OS_ENV_FILE");
  *out = NULL;
  if (named && !*named) return OS_OK;
  *out = os_strdup(named ? named : ".env");
  return *out ? OS_OK : os_fail_nomem(error);
}

/* Read both layers anew; what was there stays when memory runs out. */
static int load_layers(struct os_settings *settings, struct os_error *error) {
  struct value layers[2][OS_SET_COUNT];
  struct os_error fault;
  char *path = NULL;
  memset(layers, 0, sizeof layers);
  os_error_clear(&fault);
  int code = choose_env_file(&path, error);
  if (!code) code = read_environment(layers[0], error);
  if (!code && path && parse_env_file(path, is_named(), assign_setting, layers[1], &fault) == OS_ERR_NOMEM)
    code = os_fail_nomem(error);
  if (code) {
    drop_layer(layers[0]);
    drop_layer(layers[1]);
    os_free(path);
    return code;
  }
  drop_layer(settings->values[ENVIRONMENT]);
  drop_layer(settings->values[ENV_FILE]);
  memcpy(settings->values[ENVIRONMENT], layers[0], sizeof layers[0]);
  memcpy(settings->values[ENV_FILE], layers[1], sizeof layers[1]);
  os_free(settings->env_file);
  settings->env_file = path;
  settings->file_fault = fault;
  settings->generation++;
  return OS_OK;
}

int os_settings_new(struct os_settings **out, struct os_error *error) {
  *out = NULL;
  struct os_settings *settings = os_calloc(1, sizeof *settings);
  if (!settings) return os_fail_nomem(error);
  int code = load_layers(settings, error);
  if (code)
    os_settings_free(settings);
  else
    *out = settings;
  return code;
}

void os_settings_free(struct os_settings *settings) {
  if (!settings) return;
  for (int layer = 0; layer < LAYERS; layer++)
    drop_layer(settings->values[layer]);
  os_free(settings->env_file);
  os_free(settings);
}

int os_settings_reload(struct os_settings *settings, struct os_error *error) {
  int code = load_layers(settings, error);
  return code ? code : os_settings_check(settings, error);
}

/* The value that holds, or NULL for the default. Where there is none, an empty value hides lower layers. */
static const struct value *in_force(const struct os_settings *settings, enum os_setting_id id,
                                    enum layer *layer) {
  bool has_default = os_setting_info(id)->default_value != NULL;
  for (int l = 0; l < LAYERS; l++) {
    const struct value *value = &settings->values[l][id];
    if (value->text && !value->malformed && (*value->text || !has_default)) {
      *layer = (enum layer)l;
      return value;
    }
  }
  return NULL;
}

/* A malformed value of the environment or .env, told with its place; nothing of the session hides it. */
static int check_value(const struct os_settings *settings, enum os_setting_id id, struct os_error *error) {
  for (int l = SESSION; l < LAYERS; l++) {
    const struct value *value = &settings->values[l][id];
    if (value->text && !value->malformed) return OS_OK;
    if (!value->text) continue;
    os_setting_check(id, value->shown, value->text, error);
    if (l == ENV_FILE) return os_error_prefix(error, "%s line %d", settings->env_file, value->line);
    return os_error_prefix(error, "environment");
  }
  return OS_OK;
}

int os_settings_check(const struct os_settings *settings, struct os_error *error) {
  if (settings->file_fault.code) {
    if (error) *error = settings->file_fault;
    return settings->file_fault.code;
  }
  for (int id = 0; id < OS_SET_COUNT; id++) {
    int code = check_value(settings, id, error);
    if (code) return code;
  }
  return OS_OK;
}

const char *os_settings_get(const struct os_settings *settings, enum os_setting_id id) {
  enum layer layer;
  const struct value *value = in_force(settings, id, &layer);
  if (!value) return os_setting_info(id)->default_value;
  return *value->text ? value->text : NULL;
}

const char *os_settings_source(const struct os_settings *settings, enum os_setting_id id) {
  static const char *const names[LAYERS] = {"session", "env", ".env"};
  enum layer layer;
  return in_force(settings, id, &layer) ? names[layer] : "default";
}

int os_settings_set(struct os_settings *settings, enum os_setting_id id, const char *value,
                    struct os_error *error) {
  const struct os_setting_info *info = os_setting_info(id);
  struct value *slot = &settings->values[SESSION][id];
  bool none = !value || (!*value && !info->default_value);
  int code = none ? OS_OK : os_setting_check(id, info->name, value, error);
  if (!code && value)
    code = store(slot, id, info->name, value, 0, error);
  else if (!code)
    drop_value(slot);
  if (!code) settings->generation++;
  return code;
}

int64_t os_settings_int(const struct os_settings *settings, enum os_setting_id id) {
  const char *text = os_settings_get(settings, id);
  int64_t value = 0;
  if (text) os_parse_int(text, &value);
  return value;
}

double os_settings_real(const struct os_settings *settings, enum os_setting_id id) {
  const char *text = os_settings_get(settings, id);
  double value = 0;
  if (text) os_parse_double(text, &value);
  return value;
}

bool os_settings_bool(const struct os_settings *settings, enum os_setting_id id) {
  const char *text = os_settings_get(settings, id);
  bool value = false;
  if (text) os_parse_bool(text, &value);
  return value;
}

uint64_t os_settings_bytes(const struct os_settings *settings, enum os_setting_id id) {
  const char *text = os_settings_get(settings, id);
  uint64_t value = 0;
  if (text) os_parse_size(text, &value);
  return value;
}

unsigned os_settings_generation(const struct os_settings *settings) {
  return settings->generation;
}

const char *os_settings_env_file(const struct os_settings *settings) {
  return settings->env_file;
}

struct wanted {
  const char *name;
  char *text;
};

static int assign_wanted(void *ctx, const char *name, const char *text, int line, struct os_error *error) {
  struct wanted *wanted = ctx;
  (void)line;
  if (strcmp(name, wanted->name) != 0) return OS_OK;
  os_secret_free(wanted->text);
  wanted->text = os_strdup(text);
  return wanted->text ? OS_OK : os_fail_nomem(error);
}

int os_settings_variable(const struct os_settings *settings, const char *name, char **out,
                         struct os_error *error) {
  struct wanted wanted = {.name = name};
  const char *text = getenv(name);
  int code = OS_OK;
  *out = NULL;
  if (text) {
    wanted.text = os_strdup(text);
    code = wanted.text ? OS_OK : os_fail_nomem(error);
  } else if (settings->env_file) {
    code = parse_env_file(settings->env_file, false, assign_wanted, &wanted, error);
  }
  if (!code && wanted.text && *wanted.text)
    *out = wanted.text;
  else
    os_secret_free(wanted.text);
  return code;
}
