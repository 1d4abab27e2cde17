/* token_file.h - the JSON files in which `aws sso login` and `aws login` keep what they got. Inside aws/
** only; any thread.
*/
#ifndef OS_AWS_CHAIN_TOKEN_FILE_H
#define OS_AWS_CHAIN_TOKEN_FILE_H
#include "base/error.h"
#include "base/json.h"

/* *out: a new reference; NULL: there is no such file. */
int os_token_file_read(const char *path, json_t **out, struct os_error *error);
/* As a whole or not at all, readable by its owner alone. */
int os_token_file_write(const char *path, const json_t *token, struct os_error *error);
/* FOLDER/DIGEST OF NAME.json, the digest being "SHA1" or "SHA256" in hexadecimal digits; os_free() it.
** Keeper's thread: OpenSSL takes locks. NULL: it could not. */
char *os_token_file_path(const char *folder, const char *digest, const char *name);
#endif
