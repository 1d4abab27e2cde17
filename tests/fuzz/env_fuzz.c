/* env_fuzz.c - any bytes as a .env file: names are names, lines exist, values can be written down again and read
** back, and an error says the line but never the content.
*/
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/env_file.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

struct expectation {
  const char *name, *value;
  int times;
};

static int same_again(void *ctx, const char *name, const char *value, int line, struct os_error *error) {
  struct expectation *expected = ctx;
  (void)error;
  demand(line == 1 && !strcmp(name, expected->name) && !strcmp(value, expected->value), "read back");
  expected->times++;
  return OS_OK;
}

/* Between single quotes everything stands for itself. */
static void write_and_read(const char *name, const char *value) {
  struct expectation expected = {name, value, 0};
  struct os_error error;
  if (strchr(value, '\'') || strchr(value, '\r')) return;
  size_t room = strlen(name) + strlen(value) + 8;
  char *line = malloc(room);
  int len = snprintf(line, room, "%s='%s'\n", name, value);
  demand(!os_env_parse(line, (size_t)len, "again", same_again, &expected, &error), "written and read");
  demand(expected.times == 1, "once");
  free(line);
}

struct file {
  int lines, last;
};

static int assign(void *ctx, const char *name, const char *value, int line, struct os_error *error) {
  struct file *file = ctx;
  (void)error;
  demand(name[0] && !isdigit((unsigned char)name[0]), "a name");
  for (const char *p = name; *p; p++)
    demand(isalnum((unsigned char)*p) || strchr("_-.", *p), "a character of a name");
  demand(line >= file->last && line <= file->lines, "a line of the file");
  file->last = line;
  write_and_read(name, value);
  return OS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char *text = malloc(len + 1);
  memcpy(text, data, len);
  struct file file = {.lines = 1};
  for (size_t i = 0; i < len; i++)
    file.lines += text[i] == '\n' || text[i] == '\r';
  struct os_error error;
  os_error_clear(&error);
  int code = os_env_parse(text, len, "fuzz.env", assign, &file, &error);
  demand(!code || (code == OS_ERR_ARGUMENT && strstr(error.text, "fuzz.env")), "errors name the file");
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED(
        "# settings\nOPENSEARCH_ENDPOINT=https://host:9200\nexport OPENSEARCH_USERNAME = 'ad min' # who\n"),
    FUZZ_SEED("\xef\xbb\xbf"
              "A=\"two\\nlines\\\"\\$\"\r\nB=$HOME `x`\r\n\r\nC='\nover\nthree'\n"),
    FUZZ_SEED("A\nB=\nC='unterminated\n"),
};

FUZZ_MAIN(seeds)
