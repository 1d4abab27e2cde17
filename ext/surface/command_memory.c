/* command_memory.c - remembers which commands one execution of a statement has run, and what they gave.
**
** Why: SQLite may evaluate one written call several times (a flattened subquery, GROUP BY with HAVING), and
** a load must not run twice because of it. SQLite keeps auxiliary data under a negative argument index for
** the whole virtual machine, not for one operand, and drops it when the statement is reset or finished (the
** comment on sqlite3_get_auxdata() in vdbeapi.c; json.c relies on it, too). So the memory lives exactly as
** long as one execution. May call: base/. Owns: the records, freed by SQLite through forget_all(). */
#include "surface/command_int.h"

#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"

/* Ours alone: other extensions choose other numbers ("OSC" and a sign). */
enum { MEMORY_INDEX = -0x4f5343, BUCKETS = 256 };

struct os_call {
  struct os_call *next;
  char *key; /* name and arguments, with types */
  size_t key_len;
  bool done;
  struct os_result result;
};

struct call_memory {
  struct os_call *bucket[BUCKETS];
};

static void free_call(struct os_call *call) {
  os_free(call->key);
  os_free(call->result.text);
  os_free(call);
}

static void forget_all(void *data) {
  struct call_memory *memory = data;
  for (size_t i = 0; i < BUCKETS; i++) {
    while (memory->bucket[i] != NULL) {
      struct os_call *call = memory->bucket[i];
      memory->bucket[i] = call->next;
      free_call(call);
    }
  }
  os_free(memory);
}

/* The memory of the running statement, made at the first use; NULL: no memory left. */
static struct call_memory *memory_of(sqlite3_context *context) {
  struct call_memory *memory = sqlite3_get_auxdata(context, MEMORY_INDEX);
  if (memory != NULL) return memory;
  memory = os_calloc(1, sizeof *memory);
  if (memory == NULL) return NULL;
  sqlite3_set_auxdata(context, MEMORY_INDEX, memory, forget_all);
  /* When SQLite has no memory it has called forget_all() already. */
  return sqlite3_get_auxdata(context, MEMORY_INDEX);
}

static void put_argument(struct os_buf *key, sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  os_buf_putc(key, (char)('0' + type));
  if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
    sqlite3_int64 integer = sqlite3_value_int64(value);
    double real = sqlite3_value_double(value);
    os_buf_append(key, &integer, sizeof integer);
    os_buf_append(key, &real, sizeof real);
  } else if (type != SQLITE_NULL) {
    const void *bytes = type == SQLITE_BLOB ? sqlite3_value_blob(value) : sqlite3_value_text(value);
    size_t len = (size_t)sqlite3_value_bytes(value);
    os_buf_put_u64(key, len);
    os_buf_putc(key, ':');
    if (bytes != NULL)
      os_buf_append(key, bytes, len);
    else if (len > 0)
      key->failed = true; /* SQLite had no memory to convert it */
  }
}

static size_t bucket_of(const char *key, size_t len) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ (unsigned char)key[i]) * 16777619u;
  return hash % BUCKETS;
}

int os_call_remember(struct os_command *command, struct os_call **call_out, const struct os_result **result) {
  struct os_call *call = NULL;
  struct os_buf key;
  *call_out = NULL;
  *result = NULL;
  os_buf_init(&key, 0);
  os_buf_append(&key, command->name, strlen(command->name) + 1);
  for (int i = 0; i < command->argc; i++)
    put_argument(&key, command->argv[i]);
  struct call_memory *memory = memory_of(command->context);
  if (key.failed || memory == NULL) goto no_memory;
  struct os_call **at = &memory->bucket[bucket_of(key.data, key.len)];
  for (call = *at; call != NULL; call = call->next)
    if (call->key_len == key.len && memcmp(call->key, key.data, key.len) == 0) break;
  if (call == NULL) {
    call = os_calloc(1, sizeof *call);
    if (call == NULL) goto no_memory;
    call->key_len = key.len;
    call->key = os_buf_take(&key);
    if (call->key == NULL) {
      os_free(call);
      goto no_memory;
    }
    call->next = *at;
    *at = call;
  }
  *call_out = call;
  *result = call->done ? &call->result : NULL;
  os_buf_free(&key);
  return OS_OK;
no_memory:
  os_buf_free(&key);
  return os_fail_nomem(&command->error);
}

const struct os_result *os_call_keep(struct os_call *call, struct os_result *result) {
  call->result = *result;
  call->done = true;
  result->text = NULL;
  return &call->result;
}
