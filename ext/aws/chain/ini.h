/* ini.h - the grammar of AWS's shared config and credentials files ("Shared config and credentials
** files" in the AWS SDKs and Tools Reference Guide).
**
** A section is [title]; quotes in a title are taken away and runs of blanks are one, so that [profile "a
** b"] and [profile  a b] are the same. A key and its value stand on one line, with '=' (or ':') between
** them; keys are the same in any case. A line that begins with '#' or ';', and what follows a blank and
** '#' in a value, is a comment. Lines further indented than a key belong to it: behind an empty value
** they are keys inside of it, else its value goes on. What is given twice holds as given last. CRLF and
** a BOM are accepted. Pure; any thread.
*/
#ifndef OS_AWS_CHAIN_INI_H
#define OS_AWS_CHAIN_INI_H
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct os_ini;

/* A malformed line is OS_ERR_FORMAT with the file's name and the line, never with its content. */
int os_ini_parse(struct os_ini **out, const char *text, size_t len, const char *file, struct os_error *error);
void os_ini_free(struct os_ini *ini); /* wipes; NULL is harmless */
/* Is there such a section? A NULL ini has none. */
bool os_ini_has(const struct os_ini *ini, const char *section);
/* The value of a key, or of a key inside of one; borrowed. NULL: not given, or empty. */
const char *os_ini_get(const struct os_ini *ini, const char *section, const char *key, const char *inner);
#endif
