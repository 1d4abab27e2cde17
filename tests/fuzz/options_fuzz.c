/* options_fuzz.c - any bytes as the options of a command: either they are refused with a sentence, or every getter
** gives what its type promises.
*/
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "surface/options.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static const char *const words[] = {"auto", "fresh", NULL};
static const struct os_option own[] = {
    {.key = "flag", .types = OS_OPT_BOOL},
    {.key = "count", .types = OS_OPT_INT, .min = 1, .max = 1000, .fallback = "7"},
    {.key = "ratio", .types = OS_OPT_REAL, .min = 0, .max = 1},
    {.key = "wait", .types = OS_OPT_SECONDS | OS_OPT_NULL, .min = 0, .max = 3600},
    {.key = "size", .types = OS_OPT_SIZE, .min = 1, .max = 1e9},
    {.key = "most", .types = OS_OPT_SHARE},
    {.key = "name", .types = OS_OPT_TEXT, .min = 1, .max = 8},
    {.key = "mode", .types = OS_OPT_WORD, .words = words},
    {.key = "since", .types = OS_OPT_TIME},
    {.key = "body", .types = OS_OPT_OBJECT | OS_OPT_BOOL},
    {.key = "list", .types = OS_OPT_ARRAY},
    {0},
};
static const struct os_option_schema schema = {OS_COMMON_CONNECTION | OS_COMMON_PROGRESS | OS_COMMON_DRY_RUN |
                                                   OS_COMMON_ON_PARTIAL | OS_COMMON_TIMEOUT,
                                               own};

static void look(const struct os_options *options) {
  int64_t count = os_options_int(options, "count", 7);
  demand(count >= 1 && count <= 1000, "a number within its bounds");
  double ratio = os_options_real(options, "ratio", 0.5), wait = os_options_real(options, "wait", 1);
  demand(ratio >= 0 && ratio <= 1 && wait >= 0 && wait <= 3600, "a fraction, seconds");
  demand(os_options_size(options, "size", 1) <= 1000000000u, "a size");
  const char *name = os_options_text(options, "name", "x"), *mode = os_options_text(options, "mode", "auto");
  demand(strlen(name) >= 1 && strlen(name) <= 8, "a text");
  demand(!strcmp(mode, "auto") || !strcmp(mode, "fresh"), "a word");
  demand(!isnan(os_options_time(options, "since", 0)), "a time");
  double share = 0;
  os_options_share(options, "most", &count, &share);
  demand(count >= -1 && (share == -1 || (share >= 0 && share <= 1)), "a count or a share");
  os_options_bool(options, "flag", false);
  os_options_bool(options, "dry_run", false);
  const json_t *list = os_options_json(options, "list");
  demand(!list || json_is_array(list), "an array");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char *text = malloc(len + 1);
  memcpy(text, data, len);
  struct os_options options = {0};
  struct os_error error;
  os_error_clear(&error);
  int code = os_options_parse(&options, &schema, text, len, &error);
  demand(!code || (code == OS_ERR_ARGUMENT && error.text[0]), "errors say what");
  if (!code) look(&options);
  os_options_free(&options);
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("{\"flag\":true,\"count\":12,\"ratio\":0.25,\"wait\":null,\"size\":\"8MiB\",\"most\":\"10%\","
              "\"name\":\"abc\"}"),
    FUZZ_SEED("{\"mode\":\"fresh\",\"since\":\"2026-01-31T12:00:00Z\",\"body\":{\"a\":[1]},\"list\":[1,\"2\","
              "null]}"),
    FUZZ_SEED("{\"connection\":\"main\",\"progress\":\"json\",\"dry_run\":1,\"on_partial\":\"error\","
              "\"timeout\":5.5}"),
    FUZZ_SEED("{\"cout\":3,\"most\":\"200%\",\"size\":-1}"),
};

FUZZ_MAIN(seeds)
