/* setting_check.h - what a value of each setting may be. Private to config/, but for os_url_check().
** Pure, any thread. */
#ifndef OS_CONFIG_SETTING_CHECK_H
#define OS_CONFIG_SETTING_CHECK_H
#include "base/error.h"
#include "config/settings.h"

/* OS_OK, or OS_ERR_ARGUMENT: "BATCH_SIZE: 'abc' is not …" with what is legal. `shown` is the name under
** which the value came (an alias, an option of os_connect). The value of a secret is never repeated. */
int os_setting_check(enum os_setting_id id, const char *shown, const char *value, struct os_error *error);

/* Give a value that passed the check its one spelling, in place: words in small letters. */
void os_setting_normalize(enum os_setting_id id, char *value);

/* http or https, a host, no user information. */
int os_url_check(const char *shown, const char *url, struct os_error *error);
#endif
