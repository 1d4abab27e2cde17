/* letters.h - what a load has to do with the queue for dead letters. */
#ifndef OS_OPERATIONS_LOAD_LETTERS_H
#define OS_OPERATIONS_LOAD_LETTERS_H
#include "operations/load/load.h"

/* With DLQ=enabled, before the first byte: is the queue there? */
int os_load_check_queue(struct os_load *load, struct os_error *error);
/* Send what this load had to refuse. Never fails it: what could not be sent waits, and load->letters says why. */
void os_load_send_letters(struct os_load *load);
/* The same in the middle of a load, once many have gathered; after a failure the rest waits for the end. */
void os_load_gather_letters(struct os_load *load);
/* What became of it, into the response; and for the sentence into text (empty when nothing was to be sent). */
void os_load_report_letters(const struct os_load *load, json_t *response, char *text, size_t size);
#endif
