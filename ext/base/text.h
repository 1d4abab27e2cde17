/* text.h - text without the locale: ASCII classes, numbers, sizes, durations, UTF-8, names that match.
**
** Pure; any thread. "len" counts bytes. Parsers return false and leave *out untouched when the whole
** text is not what they expect.
*/
#ifndef OS_BASE_TEXT_H
#define OS_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool os_is_digit(char c);
bool os_is_alpha(char c);
bool os_is_space(char c); /* blank, \t \n \v \f \r */
char os_to_lower(char c);
int os_strcasecmp(const char *a, const char *b); /* ASCII */
bool os_has_suffix(const char *text, const char *suffix, bool ignore_case);
bool os_has_prefix(const char *text, const char *prefix);

bool os_parse_int(const char *text, int64_t *out);

/* Is this a whole number from 0 to 2^63-1 as JSON writes one: digits only, no zero in front? */
bool os_is_json_long(const char *text, size_t len);
bool os_parse_double(const char *text, double *out); /* JSON number grammar, plus a leading + */
/* 8388608, 8MiB, 8 MB, 512k: K, M, G, T, then perhaps i, then perhaps B; times 1024 with an i or with
** nothing but the letter, else 1000. */
bool os_parse_size(const char *text, uint64_t *out);
bool os_parse_bool(const char *text, bool *out); /* true/false, 1/0, yes/no, on/off, enabled/disabled */
void os_format_double(double value, int decimals, char *out, size_t out_size);
/* The shortest text that reads back as the same number, as JSON writes it: 0.1, 1e+20, 3.0; "null"
** unless finite. */
void os_format_real(double value, char *out, size_t out_size);
void os_format_count(uint64_t value, char *out, size_t out_size); /* 1,234,567 */

/* Make text fit to be shown on one line, in place: control characters become blanks, invalid UTF-8 a '?'. */
void os_text_clean(char *text);

/* Does `name` match the shell pattern (* ? [..], no braces)? `*` does not cross '/'. */
bool os_glob_match(const char *pattern, const char *name);
bool os_glob_is_pattern(const char *text);
size_t os_glob_fixed(const char *pattern); /* bytes before its first * ? or [ */

/* The entry of `words` nearest to `word` by edit distance (for "did you mean"), or NULL when none is near. */
const char *os_text_nearest(const char *word, const char *const *words, size_t count);
#endif
