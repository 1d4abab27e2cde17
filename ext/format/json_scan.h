/* json_scan.h - the strict splitter: validates one JSON value (RFC 8259, RFC 3629), says where it ends,
** hands it out on one line without blanks, and reads or cuts a few of its top-level members on the way.
**
** Pure and restartable: what it keeps between calls are copies of the last value's member names, which make
** the next scan faster and change nothing in what it finds. A value that needs no change is handed
** out as a slice of the input; one that does is assembled in `scratch`. OS_PAD bytes behind the input must
** be readable. Private to format/. One scan per thread; it is large (the nesting bits), so keep it on the
** heap.
*/
#ifndef OS_FORMAT_JSON_SCAN_H
#define OS_FORMAT_JSON_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"

enum {
  OS_JSON_PICKS = 4,
  OS_JSON_NAMES = 32,     /* top-level names that are remembered from one value to the next */
  OS_JSON_NAME_TEXT = 16, /* bytes of such a name, with its comma, quotes and colon */
  OS_JSON_NESTING = 65536 /* levels that can be followed; from OS_JSON_DEPTH_MAX on a value is `too_deep` */
};

enum os_json_kind { /* what a value's first byte promises */
                    OS_JSON_NOTHING,
                    OS_JSON_OBJECT,
                    OS_JSON_ARRAY,
                    OS_JSON_STRING,
                    OS_JSON_NUMBER,
                    OS_JSON_TRUE,
                    OS_JSON_FALSE,
                    OS_JSON_NULL
};

enum os_json_fault {
  OS_JSON_FINE,
  OS_JSON_MORE,       /* all that is there is well-formed, but the input ends inside the value */
  OS_JSON_UNEXPECTED, /* `expected` should stand at `at` */
  OS_JSON_CONTROL,    /* a raw control character inside a string */
  OS_JSON_UTF8,       /* a byte that is not UTF-8 inside a string */
  OS_JSON_ESCAPE,     /* a backslash that begins no escape sequence */
  OS_JSON_DEEP,       /* more than OS_JSON_NESTING levels */
  OS_JSON_NOMEM
};

struct os_json_pick { /* a top-level member to look for */
  const char *name;   /* decoded (not JSON-escaped); borrowed */
  size_t name_len;
  bool cut; /* leave it out of the document */
  /* found by the scan: */
  unsigned times;         /* how often the member occurs; the rest describes the last one */
  enum os_json_kind kind; /* OS_JSON_NOTHING: absent */
  const char *text;       /* string: between its quotes, escapes untouched; otherwise the value as written */
  size_t len;
};

struct os_json_name {           /* a member's name as it stood in the value before */
  char text[OS_JSON_NAME_TEXT]; /* a comma, and the name from its quote to the colon */
  uint32_t bits; /* a bit for each byte of text that counts, the lowest one the comma's; one that no
                                ** text has: nothing is remembered here */
  uint32_t len;  /* without the comma */
};

struct os_json_scan {
  struct os_json_pick pick[OS_JSON_PICKS]; /* the caller's, by os_json_scan_pick() */
  int picks;
  uint64_t pick_lengths; /* bit n%64: some name has n bytes */
  struct os_buf scratch; /* owned */

  const char *end; /* one past the value */
  const char *doc; /* the value on one line, picks cut; in the input or in scratch */
  size_t doc_len;
  enum os_json_kind kind;
  bool too_deep;          /* well-formed, but nested OS_JSON_DEPTH_MAX levels deep or more */
  size_t breaks;          /* line breaks inside the value */
  const char *last_break; /* the last of them; NULL: none */

  enum os_json_fault fault;
  const char *at;       /* where the fault stands */
  const char *expected; /* what should stand there, to follow "where"; never NULL when there is a fault */

  struct os_json_name
      names[OS_JSON_NAMES + 2];           /* in the order of the value before; the last two stay empty */
  bool escaped;                           /* the last name read in full holds a backslash */
  uint64_t nesting[OS_JSON_NESTING / 64]; /* a bit a level: 1 is an object */
};

void os_json_scan_init(struct os_json_scan *scan);
void os_json_scan_free(struct os_json_scan *scan);
/* Look for a member from now on. The same name twice is one pick. Returns its index, or -1: no room. */
int os_json_scan_pick(struct os_json_scan *scan, const char *name, bool cut);

/* Scan the value that begins at p (no blanks before it). False: see fault. A bare number that reaches `end`
** is complete for the scan; only the caller knows whether more digits may follow. */
bool os_json_scan(struct os_json_scan *scan, const char *p, const char *end);

enum os_json_kind os_json_kind_of(char first);
const char *os_json_kind_name(enum os_json_kind kind); /* "an array", "a number" … */
/* Length in bytes of a JSON string's content once its escapes are decoded to UTF-8 (a lone surrogate counts
** 3). */
size_t os_json_decoded_len(const char *text, size_t len);
/* RFC 8259 section 2: blank, tab, line feed, carriage return. */
static inline bool os_json_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
#endif
