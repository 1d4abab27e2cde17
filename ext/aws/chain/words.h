/* words.h - a command line cut into words as a POSIX shell does it, without a shell. Pure. */
#ifndef OS_AWS_CHAIN_WORDS_H
#define OS_AWS_CHAIN_WORDS_H
#include "base/error.h"

/* Blanks and line breaks part words. 'Single quotes' keep everything, "double quotes" everything but \"
** and \\; a backslash elsewhere keeps the next character (POSIX, Shell Command Language 2.2, without
** expansions). *out: an array that ends with NULL, os_words_free(). A quote that is never closed, or no
** word at all, is OS_ERR_FORMAT. */
int os_words_split(const char *line, char ***out, struct os_error *error);
void os_words_free(char **words); /* wipes; NULL is harmless */
#endif
