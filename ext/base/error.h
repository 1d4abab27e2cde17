/* error.h - the one type in which an error travels, from where it happens to the person who reads it.
**
** A function that can fail returns an `enum os_code` as int (0 is success) and fills the `struct
** os_error` it was given. The text says what happened and on what; the advice says what to do. Both
** live in the struct, so that reporting "no memory" needs none. The text is composed where the fault is
** known and never rephrased higher up; os_error_prefix() puts the place in front of it. Secrets never
** enter an error: who composes one from foreign text passes it through os_redact() (config/).
*/
#ifndef OS_BASE_ERROR_H
#define OS_BASE_ERROR_H

enum os_code {
  OS_OK = 0,
  OS_ERR_ARGUMENT, /* the caller's words: unknown option, wrong type, out of range */
  OS_ERR_NOMEM,
  OS_ERR_IO,        /* a local file */
  OS_ERR_FORMAT,    /* a file's content: damaged compression, JSON cut short, a header that cannot be used */
  OS_ERR_NETWORK,   /* no connection, a connection lost, a name that does not resolve */
  OS_ERR_TLS,       /* certificate or handshake */
  OS_ERR_TIMEOUT,   /* the outcome is unknown */
  OS_ERR_AUTH,      /* 401 */
  OS_ERR_FORBIDDEN, /* 403 */
  OS_ERR_NOT_FOUND, /* 404 */
  OS_ERR_CONFLICT,  /* 409 */
  OS_ERR_TOO_LARGE, /* 413 */
  OS_ERR_BUSY,      /* 429, 502, 503, 504: worth another try */
  OS_ERR_REFUSED,   /* any other 4xx: the server understood and said no */
  OS_ERR_ANSWER,    /* an answer that cannot be what it claims to be: HTML, wrong item count, cut JSON */
  OS_ERR_GUARD,     /* a guard of ours said no */
  OS_ERR_LEDGER,    /* the ledger file */
  OS_ERR_INTERRUPTED, /* Ctrl-C, sqlite3_interrupt() */
  OS_ERR_CANCELLED,   /* os_cancel() from elsewhere, or a pipeline that was stopped */
  OS_ERR_INTERNAL
};

enum { OS_ERROR_TEXT = 1536, OS_ERROR_ADVICE = 1024 };

struct os_error {
  enum os_code code;
  int http_status;              /* 0 when no answer was involved */
  char text[OS_ERROR_TEXT];     /* what happened, on what */
  char advice[OS_ERROR_ADVICE]; /* what to do; may be empty */
};

void os_error_clear(struct os_error *error);

/* Set code and text (advice is cleared, http_status becomes 0) and return the code, so that `return
** os_fail(e, …)` reads well. `error` may be NULL. Too long a text is cut at a UTF-8 boundary; control
** characters become blanks and invalid UTF-8 a '?', so that foreign text may be quoted as it is.
** Arguments may point into *error. The format knows no locale-dependent conversion (no %f, %g). */
int os_fail(struct os_error *error, enum os_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int os_fail_nomem(struct os_error *error); /* OS_ERR_NOMEM, "out of memory" */

/* Add what to do. Returns error->code; OS_ERR_INTERNAL when error is NULL. */
int os_advise(struct os_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the text. Returns error->code. */
int os_error_prefix(struct os_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "text; advice" into out (always terminated). */
void os_error_sentence(const struct os_error *error, char *out, unsigned long out_size);

/* What an errno means, in English whatever the locale; for "cannot open 'x': %s". Any thread. */
const char *os_errno_text(int number);

/* A short stable word for the code: "argument", "no_memory", "network" … (ledger, JSON). */
const char *os_code_name(int code);
#endif
