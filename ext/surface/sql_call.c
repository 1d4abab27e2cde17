/* sql_call.c - a tokenizer for SQL that knows just enough to find a function call by its name.
**
** Follows SQLite's own lexical rules (https://www.sqlite.org/lang_keywords.html for the four ways of quoting
** an identifier, lang_comment.html, lang_expr.html#varparam). Calls base/text.h only; owns nothing. */
#include "surface/sql_call.h"

#include <stddef.h>
#include <string.h>
#include "base/text.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_OPEN, TOKEN_OTHER };

struct token {
  enum token_kind kind;
  const char *text; /* of a name: without its quotes */
  size_t len;
};

/* SQLite takes every byte from 0x80 on as part of an identifier. */
static bool starts_name(char c) {
  return os_is_alpha(c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool continues_name(char c) {
  return starts_name(c) || os_is_digit(c) || c == '$';
}

static const char *skip_name(const char *at) {
  while (continues_name(*at))
    at++;
  return at;
}

/* Past blanks and comments. An unterminated comment runs to the end, as in SQLite. */
static const char *skip_blank(const char *at) {
  for (;;) {
    if (os_is_space(*at)) {
      at++;
    } else if (at[0] == '-' && at[1] == '-') {
      at += strcspn(at, "\n");
    } else if (at[0] == '/' && at[1] == '*') {
      const char *end = strstr(at + 2, "*/");
      at = end != NULL ? end + 2 : at + strlen(at);
    } else {
      return at;
    }
  }
}

/* `at` stands behind an opening quote; gives the place of the closing one (or the end). A doubled quote is
** one character of the text, except for ']'. */
static const char *find_quote(const char *at, char quote) {
  for (; *at != '\0'; at++) {
    if (*at != quote) continue;
    if (quote == ']' || at[1] != quote) return at;
    at++;
  }
  return at;
}

static const char *take_quoted(const char *at, char quote, enum token_kind kind, struct token *token) {
  const char *end = find_quote(at, quote);
  token->kind = kind;
  token->text = at;
  token->len = (size_t)(end - at);
  return *end != '\0' ? end + 1 : end;
}

static const char *next_token(const char *at, struct token *token) {
  at = skip_blank(at);
  token->text = at;
  token->len = 1;
  token->kind = TOKEN_OTHER;
  switch (*at) {
  case '\0': token->kind = TOKEN_END; return at;
  case '(': token->kind = TOKEN_OPEN; return at + 1;
  case '\'': return take_quoted(at + 1, '\'', TOKEN_OTHER, token);
  case '"': return take_quoted(at + 1, '"', TOKEN_NAME, token);
  case '`': return take_quoted(at + 1, '`', TOKEN_NAME, token);
  case '[': return take_quoted(at + 1, ']', TOKEN_NAME, token);
  case ':':
  case '@':
  case '#':
  case '$': return skip_name(at + 1); /* a parameter: its name is no identifier */
  default: break;
  }
  if (os_is_digit(*at)) return skip_name(at); /* 0x1f, 1e5: letters that belong to a number */
  if (starts_name(*at)) {
    const char *end = skip_name(at);
    token->kind = TOKEN_NAME;
    token->len = (size_t)(end - at);
    return end;
  }
  return at + 1;
}

static bool is_name(const struct token *token, const char *name) {
  if (token->kind != TOKEN_NAME || token->len != strlen(name)) return false;
  for (size_t i = 0; i < token->len; i++)
    if (os_to_lower(token->text[i]) != os_to_lower(name[i])) return false;
  return true;
}

bool os_sql_calls(const char *sql, const char *name) {
  struct token token = {TOKEN_OTHER, NULL, 0};
  bool named = false;
  while (token.kind != TOKEN_END) {
    sql = next_token(sql, &token);
    if (named && token.kind == TOKEN_OPEN) return true;
    named = is_name(&token, name);
  }
  return false;
}
