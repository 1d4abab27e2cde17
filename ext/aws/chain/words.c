/* words.c - splits a command line into words.
**
** Calls base only; pure. An argument may be a secret, so words are wiped.
*/
#include "aws/chain/words.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/secret.h"

/* One word, its quotes taken away, to `to`; returns where the next may begin, or NULL: a quote stays
** open. */
static const char *take_word(const char *at, char *to) {
  char quote = '\0';
  for (; *at && (quote || !os_is_space(*at)); at++) {
    if (*at == quote) {
      quote = '\0';
    } else if (!quote && (*at == '"' || *at == '\'')) {
      quote = *at;
    } else {
      bool escapes = *at == '\\' && at[1] && (!quote || (quote == '"' && (at[1] == '"' || at[1] == '\\')));
      at += escapes;
      *to++ = *at;
    }
  }
  *to = '\0';
  return quote ? NULL : at;
}

static const char *skip_spaces(const char *at) {
  while (os_is_space(*at))
    at++;
  return at;
}

int os_words_split(const char *line, char ***out, struct os_error *error) {
  size_t len = strlen(line), count = 0;
  char **words = os_calloc(len / 2 + 2, sizeof *words); /* two bytes a word at the least, but for the last */
  char *word = os_malloc(len + 1);
  int code = OS_OK;
  *out = NULL;
  if (!words || !word) {
    os_free(words);
    os_free(word);
    return os_fail_nomem(error);
  }
  for (const char *at = skip_spaces(line); !code && *at; at = skip_spaces(at)) {
    at = take_word(at, word);
    if (!at) {
      code = os_fail(error, OS_ERR_FORMAT, "a quote in it is never closed");
      break;
    }
    words[count] = os_strdup(word);
    if (!words[count++]) code = os_fail_nomem(error);
  }
  if (!code && !count) code = os_fail(error, OS_ERR_FORMAT, "it names no program");
  explicit_bzero(word, len + 1);
  os_free(word);
  if (code)
    os_words_free(words);
  else
    *out = words;
  return code;
}

void os_words_free(char **words) {
  for (size_t i = 0; words && words[i]; i++)
    os_secret_free(words[i]);
  os_free(words);
}
