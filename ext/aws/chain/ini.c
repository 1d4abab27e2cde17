/* ini.c - parses the config and credentials files of AWS.
**
** Calls base only; pure. The text is copied once, cut up in place and wiped at the end, because some
** values are secrets: keys and values are pieces of that copy.
*/
#include "aws/chain/ini.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"

struct entry {
  const char *section;
  const char *key;   /* NULL: the section's own entry */
  const char *inner; /* NULL: the key itself */
  char *value;
};

struct os_ini {
  char *text;
  size_t len;
  struct entry *list;
  size_t count, room;
};

struct scan {
  struct os_ini *ini;
  const char *file;
  int line;
  const char *section; /* NULL: none yet */
  const char *key;     /* the last one of the section, or NULL */
  size_t indent;       /* its */
  char *value, *end;   /* its, or the inner key's: where it may go on */
  struct os_error *error;
};

static int malformed(const struct scan *scan, const char *what) {
  os_fail(scan->error, OS_ERR_FORMAT, "%s: line %d: %s", scan->file, scan->line, what);
  return os_advise(scan->error, "correct the line: a section is written [name], everything else key = value");
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static int add(struct scan *scan, const char *key, const char *inner, char *value) {
  struct os_ini *ini = scan->ini;
  if (ini->count == ini->room) {
    size_t room = ini->room ? ini->room * 2 : 32;
    struct entry *list = os_realloc(ini->list, room * sizeof *list);
    if (!list) return os_fail_nomem(scan->error);
    ini->list = list;
    ini->room = room;
  }
  ini->list[ini->count++] =
      (struct entry){.section = scan->section, .key = key, .inner = inner, .value = value};
  return OS_OK;
}

/* Cut blanks off the end of a piece that is to be NUL-terminated at *end. */
static char *trim(char *start, char *end) {
  while (end > start && is_blank(end[-1]))
    end--;
  *end = '\0';
  return end;
}

static char *skip_blanks(char *at) {
  while (is_blank(*at))
    at++;
  return at;
}

/* Quotes out, runs of blanks to one. */
static void normalise_title(char *title) {
  char *to = title;
  for (const char *from = title; *from; from++) {
    if (*from == '"' || *from == '\'') continue;
    if (is_blank(*from) && (to == title || to[-1] == ' ')) continue;
    *to++ = is_blank(*from) ? ' ' : *from;
  }
  trim(title, to);
}

static int take_section(struct scan *scan, char *at) {
  char *title = at + 1, *close = strchr(title, ']');
  if (!close) return malformed(scan, "a section's name that begins with '[' has no ']'");
  char *rest = skip_blanks(close + 1);
  if (*rest && *rest != '#' && *rest != ';') return malformed(scan, "there is text behind the section's ']'");
  *close = '\0';
  normalise_title(title);
  if (!*title) return malformed(scan, "the section has no name");
  scan->section = title;
  scan->key = NULL;
  return add(scan, NULL, NULL, NULL);
}

/* A value ends at its line's end, or at a blank followed by '#'. `from` points behind the '='. */
static void take_value(struct scan *scan, char *from) {
  char *end = from + strlen(from);
  for (char *at = from; *at; at++)
    if (*at == '#' && is_blank(at[-1])) {
      end = at;
      break;
    }
  scan->value = skip_blanks(from);
  if (scan->value > end) scan->value = end;
  scan->end = trim(scan->value, end);
}

/* key = value, at the top or inside of a key. */
static int take_pair(struct scan *scan, char *at, bool inside) {
  char *sign = strpbrk(at, inside ? "=" : "=:");
  if (!sign) return malformed(scan, "there is no '=' behind the key");
  trim(at, sign);
  if (!*at) return malformed(scan, "there is no key before the '='");
  take_value(scan, sign + 1);
  if (inside) return add(scan, scan->key, at, scan->value);
  scan->key = at;
  return add(scan, at, NULL, scan->value);
}

/* The value goes on: moved up to its end, behind a line break. There is room: a line break stood
** between. */
static void go_on(struct scan *scan, char *at) {
  size_t len = strlen(at);
  *scan->end++ = '\n';
  memmove(scan->end, at, len + 1);
  scan->end += len;
}

static bool is_inside(const struct scan *scan) {
  const struct entry *last = &scan->ini->list[scan->ini->count - 1];
  return last->inner || !*last->value;
}

static int take_line(struct scan *scan, char *line) {
  char *at = skip_blanks(line);
  size_t indent = (size_t)(at - line);
  trim(at, at + strlen(at));
  if (!*at || *at == '#' || *at == ';') return OS_OK;
  if (scan->key && indent > scan->indent) {
    if (is_inside(scan)) return take_pair(scan, at, true);
    go_on(scan, at);
    return OS_OK;
  }
  if (*at == '[') return take_section(scan, at);
  if (!scan->section) return malformed(scan, "a key stands before the first section");
  scan->indent = indent;
  return take_pair(scan, at, false);
}

static int take_lines(struct scan *scan) {
  char *at = scan->ini->text, *end = at + scan->ini->len;
  if (scan->ini->len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
  for (int code; at < end; scan->line++) {
    char *next = memchr(at, '\n', (size_t)(end - at));
    if (!next) next = end;
    *next = '\0';
    code = take_line(scan, at);
    if (code) return code;
    at = next + 1;
  }
  return OS_OK;
}

int os_ini_parse(struct os_ini **out, const char *text, size_t len, const char *file,
                 struct os_error *error) {
  *out = NULL;
  if (len && memchr(text, '\0', len)) {
    os_fail(error, OS_ERR_FORMAT, "%s: holds a NUL byte; this is not a file of AWS profiles", file);
    return os_advise(error, "write it anew as UTF-8, or name another with AWS_CONFIG_FILE or "
                            "AWS_SHARED_CREDENTIALS_FILE");
  }
  struct os_ini *ini = os_calloc(1, sizeof *ini);
  if (!ini) return os_fail_nomem(error);
  struct scan scan = {.ini = ini, .file = file, .line = 1, .error = error};
  ini->len = len;
  ini->text = os_strndup(text, len);
  int code = ini->text ? take_lines(&scan) : os_fail_nomem(error);
  if (code)
    os_ini_free(ini);
  else
    *out = ini;
  return code;
}

void os_ini_free(struct os_ini *ini) {
  if (!ini) return;
  if (ini->text) explicit_bzero(ini->text, ini->len);
  os_free(ini->text);
  os_free(ini->list);
  os_free(ini);
}

bool os_ini_has(const struct os_ini *ini, const char *section) {
  for (size_t i = 0; ini && i < ini->count; i++)
    if (strcmp(ini->list[i].section, section) == 0) return true;
  return false;
}

static bool is_entry(const struct entry *entry, const char *section, const char *key, const char *inner) {
  if (!entry->key || strcmp(entry->section, section) != 0 || os_strcasecmp(entry->key, key) != 0)
    return false;
  if (!inner || !entry->inner) return inner == entry->inner;
  return os_strcasecmp(entry->inner, inner) == 0;
}

const char *os_ini_get(const struct os_ini *ini, const char *section, const char *key, const char *inner) {
  for (size_t i = ini ? ini->count : 0; i-- > 0;)
    if (is_entry(&ini->list[i], section, key, inner)) return *ini->list[i].value ? ini->list[i].value : NULL;
  return NULL;
}
