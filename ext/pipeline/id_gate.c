/* id_gate.c - see id_gate.h. The hash multiplies by 2^64 over the golden ratio (Knuth 6.4, multiplicative
** hashing), a word at a time. */
#include "pipeline/id_gate.h"
#include <endian.h>
#include <string.h>
#include "base/alloc.h"

enum { NUMBER_BITS = 16, MOST_BATCHES = (1 << NUMBER_BITS) - 1 };

void os_gate_init(struct os_id_gate *gate) {
  memset(gate, 0, sizeof *gate);
}

void os_gate_free(struct os_id_gate *gate) {
  os_free(gate->entries);
  os_free(gate->batches);
  os_gate_init(gate);
}

/* ---- the hash ---- */

static const uint64_t SEED = 0xcbf29ce484222325u;

struct hasher {
  uint64_t hash, word; /* up to 7 bytes wait in word, the first one lowest */
  unsigned waiting;
};

static inline uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

static inline void add_byte(struct hasher *hasher, unsigned byte) {
  hasher->word |= (uint64_t)(byte & 0xFF) << (8 * hasher->waiting);
  if (++hasher->waiting < 8) return;
  hasher->hash = mix(hasher->hash, hasher->word);
  hasher->word = hasher->waiting = 0;
}

static unsigned hex_value(char c) {
  if (c >= '0' && c <= '9') return (unsigned)(c - '0');
  return (unsigned)((c | 32) - 'a') + 10;
}

static unsigned hex4(const char *p) {
  return hex_value(p[0]) << 12 | hex_value(p[1]) << 8 | hex_value(p[2]) << 4 | hex_value(p[3]);
}

/* A code point as its UTF-8 bytes. */
static void add_code_point(struct hasher *hasher, unsigned c) {
  if (c < 0x80) {
    add_byte(hasher, c);
    return;
  }
  if (c < 0x800) {
    add_byte(hasher, 0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      add_byte(hasher, 0xE0 | c >> 12);
    } else {
      add_byte(hasher, 0xF0 | c >> 18);
      add_byte(hasher, 0x80 | (c >> 12 & 63));
    }
    add_byte(hasher, 0x80 | (c >> 6 & 63));
  }
  add_byte(hasher, 0x80 | (c & 63));
}

static unsigned unescaped(char c) {
  switch (c) {
  case 'b': return '\b';
  case 'f': return '\f';
  case 'n': return '\n';
  case 'r': return '\r';
  case 't': return '\t';
  default: return (unsigned char)c;
  }
}

static void add_escaped(struct hasher *hasher, const char *p, const char *end) {
  while (p < end) {
    if (*p != '\\' || end - p < 2) {
      add_byte(hasher, (unsigned char)*p++);
      continue;
    }
    if (p[1] != 'u' || end - p < 6) {
      add_code_point(hasher, unescaped(p[1]));
      p += 2;
      continue;
    }
    unsigned c = hex4(p + 2);
    p += 6;
    if (c >= 0xD800 && c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') { /* surrogate pair */
      unsigned low = hex4(p + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        p += 6;
      }
    }
    add_code_point(hasher, c);
  }
}

static inline uint64_t word_at(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return le64toh(word);
}

/* Is one of the eight bytes a backslash? (A byte of `zeros` is zero where it is; a borrow shows in its top bit.) */
static inline bool has_backslash(uint64_t word) {
  uint64_t zeros = word ^ 0x5c5c5c5c5c5c5c5cu;
  return ((zeros - 0x0101010101010101u) & ~zeros & 0x8080808080808080u) != 0;
}

/* Eight bytes at a time; the same as add_byte() on each. False: there is a backslash among them. */
static inline bool add_plain(struct hasher *hasher, const char *p, size_t len) {
  uint64_t hash = hasher->hash, word = 0;
  for (; len >= 8; p += 8, len -= 8) {
    word = word_at(p);
    if (has_backslash(word)) return false;
    hash = mix(hash, word);
  }
  word = 0;
  for (unsigned i = 0; i < len; i++)
    word |= (uint64_t)(unsigned char)p[i] << (8 * i);
  if (has_backslash(word)) return false;
  *hasher = (struct hasher){.hash = hash, .word = word, .waiting = (unsigned)len};
  return true;
}

uint64_t os_gate_hash(const char *text, size_t len) {
  struct hasher hasher = {.hash = SEED};
  if (!add_plain(&hasher, text, len)) add_escaped(&hasher, text, text + len);
  uint64_t hash = mix(mix(hasher.hash, hasher.word), 0xd6e8feb86659fd93u + hasher.waiting);
  return hash ? hash : 1;
}

/* ---- the table ---- */

static inline size_t home_of(const struct os_id_gate *gate, uint64_t entry) {
  return (size_t)(entry >> NUMBER_BITS) & (gate->cap - 1);
}

/* Where the id stands, or the free place where it would. `entry`: its hash, shifted, with any number. */
static size_t slot_of(const struct os_id_gate *gate, uint64_t entry) {
  size_t i = home_of(gate, entry);
  while (gate->entries[i] && (gate->entries[i] ^ entry) >> NUMBER_BITS)
    i = (i + 1) & (gate->cap - 1);
  return i;
}

static inline struct os_batch *batch_of(const struct os_id_gate *gate, uint64_t entry) {
  return entry ? gate->batches[(entry & MOST_BATCHES) - 1] : NULL;
}

/* The number of a batch, which gets one when it has none. 0: no memory. A pool has a few batches, and the one
** that is being filled is asked for again and again. */
static uint64_t number_of(struct os_id_gate *gate, struct os_batch *batch) {
  if (gate->newest && gate->batches[gate->newest - 1] == batch) return gate->newest;
  size_t i = 0;
  while (i < gate->batch_count && gate->batches[i] != batch)
    i++;
  if (i == gate->batch_count) {
    struct os_batch **more = NULL;
    if (i < MOST_BATCHES) more = os_realloc(gate->batches, (i + 1) * sizeof *more);
    if (!more) return 0;
    gate->batches = more;
    gate->batches[gate->batch_count++] = batch;
  }
  return gate->newest = i + 1;
}

struct os_batch *os_gate_find(const struct os_id_gate *gate, uint64_t hash) {
  if (!gate->count) return NULL;
  return batch_of(gate, gate->entries[slot_of(gate, hash << NUMBER_BITS)]);
}

static bool enlarge(struct os_id_gate *gate) {
  struct os_id_gate bigger = *gate;
  bigger.cap = gate->cap ? gate->cap * 2 : 1024;
  bigger.entries = os_calloc(bigger.cap, sizeof *bigger.entries);
  if (!bigger.entries) return false;
  for (size_t i = 0; i < gate->cap; i++)
    if (gate->entries[i]) bigger.entries[slot_of(&bigger, gate->entries[i])] = gate->entries[i];
  os_free(gate->entries);
  *gate = bigger;
  return true;
}

bool os_gate_put(struct os_id_gate *gate, uint64_t hash, struct os_batch *batch) {
  uint64_t number = number_of(gate, batch);
  if (!number || (gate->count * 2 >= gate->cap && !enlarge(gate))) return false;
  uint64_t entry = hash << NUMBER_BITS | number, *place = &gate->entries[slot_of(gate, entry)];
  if (!*place) gate->count++;
  *place = entry;
  return true;
}

void os_gate_release(struct os_id_gate *gate, uint64_t hash, const struct os_batch *batch) {
  if (!hash || !gate->count) return;
  size_t hole = slot_of(gate, hash << NUMBER_BITS);
  if (batch_of(gate, gate->entries[hole]) != batch) return;
  gate->count--;
  /* close the gap, so that linear probing still finds what was pushed past it (Knuth 6.4, algorithm R) */
  for (size_t i = hole;;) {
    gate->entries[hole] = 0;
    for (;;) {
      i = (i + 1) & (gate->cap - 1);
      if (!gate->entries[i]) return;
      size_t home = home_of(gate, gate->entries[i]);
      bool stays = hole <= i ? (home > hole && home <= i) : (home > hole || home <= i);
      if (!stays) break;
    }
    gate->entries[hole] = gate->entries[i];
    hole = i;
  }
}
