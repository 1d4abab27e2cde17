/* Where an alias is, and the request that changes it, against a server that answers rightly and wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "cluster/cluster.h"
#include "scripted_server.h"

struct answer {
  int status;
  const char *type, *body;
};

static struct os_net *net;
static struct os_endpoint endpoint;
static struct os_cluster cluster;
static struct os_error error;
static struct scripted_server server;
static const struct answer *current;
static char asked[512];
static char url[64];

static void serve(struct visit *visit) {
  while (visit_read(visit)) {
    snprintf(asked, sizeof asked, "%.200s", visit->head);
    visit_answer(visit, current->status, "", current->type, current->body);
  }
}

static int setup(void **state) {
  (void)state;
  assert_int_equal(os_net_new(&net, NULL, &error), OS_OK);
  server_start(&server, serve, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  atomic_init(&endpoint.references, 1);
  endpoint = (struct os_endpoint){.name = "main", .url = url, .compress = OS_COMPRESS_NEVER, .timeout = 10};
  atomic_init(&endpoint.references, 1);
  cluster = (struct os_cluster){.endpoint = &endpoint, .net = net};
  cluster.caps.probed = true;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  os_net_free(net); /* its thread lets go of the endpoint */
  server_stop(&server);
  return 0;
}

static const char as_json[] = "application/json";

static void test_get(void **state) {
  (void)state;
  static const struct {
    struct answer answer;
    int code;
    const char *want; /* the result, or a part of the error */
  } cases[] = {
      {{200, as_json, "{\"i\":{\"aliases\":{\"a\":{\"filter\":{\"term\":{\"n\":0.1}}}}}}"},
       OS_OK,
       "{\"i\":{\"filter\":{\"term\":{\"n\":0.1}}}}"},
      {{200, as_json,
        "{\"i\":{\"aliases\":{\"a\":{}}},\"j\":{\"aliases\":{\"a\":{\"is_write_index\":true}}}}"},
       OS_OK,
       "{\"i\":{},\"j\":{\"is_write_index\":true}}"},
      {{200, as_json, "{\"i\":{\"aliases\":{\"b\":{}}},\"j\":{\"aliases\":{}},\"k\":{}}"}, OS_OK, "{}"},
      {{200, as_json, "{}"}, OS_OK, "{}"},
      {{404, as_json, "{\"error\":\"alias [a] missing\",\"status\":404}"}, OS_OK, "{}"},
      {{404, as_json, "{\"error\":{\"type\":\"index_not_found_exception\"},\"status\":404}"}, OS_OK, "{}"},
      {{404, as_json, "{\"message\":\"no route\"}"}, OS_ERR_ANSWER, "not what OpenSearch promises"},
      {{404, "text/html", "<h1>nothing</h1>"}, OS_ERR_ANSWER, "GET _alias"},
      {{200, "text/html", "<h1>hello</h1>"}, OS_ERR_ANSWER, "cannot be read exactly"},
      {{200, as_json, "[]"}, OS_ERR_ANSWER, "not what OpenSearch promises"},
      {{200, as_json, ""}, OS_ERR_ANSWER, "cannot be read exactly"},
      {{200, as_json, "{\"i\":{\"aliases\":{\"a\":{\"filter\":{\"term\":{\"n\":18446744073709551615}}}}}}"},
       OS_ERR_ANSWER,
       "cannot be read exactly"},
      {{403, as_json,
        "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for [x/y] and User\"}}"},
       OS_ERR_FORBIDDEN,
       "no permissions for [x/y]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *out = NULL;
    os_error_clear(&error);
    current = &cases[i].answer;
    assert_int_equal(os_cluster_alias_get(&cluster, "a", &out, &error), cases[i].code);
    if (cases[i].code == OS_OK) {
      char *text = os_json_text(out);
      assert_string_equal(text, cases[i].want);
      os_free(text);
    } else {
      assert_null(out);
      if (!strstr(error.text, cases[i].want)) fail_msg("'%s' is not in '%s'", cases[i].want, error.text);
    }
    json_decref(out);
  }
}

static void test_names(void **state) {
  (void)state;
  static const struct answer none = {404, as_json, "{\"error\":\"alias missing\"}"};
  json_t *out = NULL;
  current = &none;
  assert_int_equal(os_cluster_alias_get(&cluster, "ü%&", &out, &error), OS_OK);
  assert_non_null(strstr(asked, "GET /%C3%BC%25%26/_alias/%C3%BC%25%26 "));
  json_decref(out);
  asked[0] = '\0';
  assert_int_equal(os_cluster_alias_get(&cluster, "a*", &out, &error), OS_ERR_ARGUMENT);
  assert_string_equal(asked, "");
}

static void test_change(void **state) {
  (void)state;
  static const struct {
    struct answer answer;
    int code;
  } cases[] = {
      {{200, as_json, "{\"acknowledged\":true}"}, OS_OK},
      {{200, as_json, "{\"acknowledged\":false}"}, OS_ERR_TIMEOUT},
      {{200, as_json, "{}"}, OS_ERR_ANSWER},
      {{404, as_json,
        "{\"error\":{\"type\":\"aliases_not_found_exception\",\"reason\":\"aliases [a] missing\"}}"},
       OS_ERR_NOT_FOUND},
      {{503, as_json, "{\"error\":{\"type\":\"cluster_manager_not_discovered_exception\"}}"}, OS_ERR_BUSY},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    os_error_clear(&error);
    current = &cases[i].answer;
    assert_int_equal(os_cluster_aliases_change(&cluster, "{\"actions\":[]}", &error), cases[i].code);
    assert_non_null(strstr(asked, "POST /_aliases "));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_get, setup, teardown),
      cmocka_unit_test_setup_teardown(test_names, setup, teardown),
      cmocka_unit_test_setup_teardown(test_change, setup, teardown),
  };
  return cmocka_run_group_tests_name("cluster/alias", tests, NULL, NULL);
}
