/* rate.h - a rate such as MAX_RATE: '5000/s' is documents, '10MiB/s' is bytes. Pure. */
#ifndef OS_CONFIG_RATE_H
#define OS_CONFIG_RATE_H

/* OS_OK or OS_ERR_ARGUMENT. One of *docs and *bytes is set, the other 0; both are 0 (no limit) for "",
** "0" and "none". "/s" may be left out. A number alone counts documents, one with a unit (k, MB, MiB, B
** …) bytes. */
int os_rate_parse(const char *text, double *docs, double *bytes);
#endif
