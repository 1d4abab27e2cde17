/* ini_fuzz.c - any bytes as a file of AWS profiles: what was found lies within the text, sections and keys are found
** again, an error says the line but never the content; and any text as a command line.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aws/chain/ini.h"
#include "aws/chain/words.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

/* A line as [section] or key = value by the simplest of readers; others are passed over. */
static void look_up(const struct os_ini *ini, const char *text) {
  char section[64] = "", key[64];
  const char *at = text;
  for (const char *end; *at; at = *end ? end + 1 : end) {
    size_t len = strcspn(at, "\n");
    end = at + len;
    int read = 0;
    if (sscanf(at, "[%60[a-z]]%n", section, &read) == 1) {
      if (read && at[read] == '\n') demand(os_ini_has(ini, section), "a section is there");
    } else if (*section && sscanf(at, "%60[a-z]=", key) == 1) {
      const char *value = os_ini_get(ini, section, key, NULL);
      demand(!value || *value, "a value that is given is not empty");
      demand(!value || strlen(value) <= strlen(text), "a value is a piece of the text");
    }
  }
}

static void split(const char *line) {
  char **words;
  struct os_error error;
  os_error_clear(&error);
  size_t in_words = 0;
  int code = os_words_split(line, &words, &error);
  demand(!code == !!words, "words or an error");
  for (size_t i = 0; words && words[i]; i++)
    in_words += strlen(words[i]);
  demand(in_words <= strlen(line), "words are pieces of the line");
  demand(!code || code == OS_ERR_FORMAT, "the error is one of form");
  os_words_free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char *text = malloc(len + 1);
  memcpy(text, data, len);
  text[len] = '\0';
  struct os_ini *ini;
  struct os_error error;
  os_error_clear(&error);
  int code = os_ini_parse(&ini, text, len, "fuzz.ini", &error);
  demand(!code == !!ini, "a file or an error");
  demand(!code || (code == OS_ERR_FORMAT && strstr(error.text, "fuzz.ini")), "errors name the file");
  demand(!code || strlen(error.text) < 120, "errors repeat nothing");
  if (ini) look_up(ini, text);
  os_ini_free(ini);
  split(text);
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("[default]\naws_access_key_id = A\naws_secret_access_key=b/+=\n\n[profile \"a b\"] # "
              "said\nregion: x\n"),
    FUZZ_SEED("\xef\xbb\xbf[services v]\r\ns3 =\r\n  endpoint_url = http://x # y\r\nk=v\r\n"),
    FUZZ_SEED("[a]\nk = one\n  two\n\tthree\n[b\n"),
    FUZZ_SEED("/bin/x 'a b' \"c\\\"d\" e\\ f"),
};

FUZZ_MAIN(seeds)
