/* pipeline_objects_test.c - which objects an s3:// URL names: keys, prefixes and patterns, what is hidden, what may not
** be seen; and what is said where there is nothing.
*/
#include "objects_model.h"
#include "base/alloc.h"

#define HAS(bucket, key)                                                                                     \
  { bucket, key, "a\n1\n", 4, NULL }

static const struct object table[] = {HAS("bkt", ".top.csv"),
                                      HAS("bkt", "k*y.csv"),
                                      HAS("bkt", "kxy.csv"),
                                      HAS("bkt", "one/z.txt"),
                                      HAS("bkt", "p/.d/x.csv"),
                                      HAS("bkt", "p/.hidden.csv"),
                                      HAS("bkt", "p/a.csv"),
                                      HAS("bkt", "p/b.csv"),
                                      HAS("bkt", "p/note.txt"),
                                      HAS("bkt", "p/sub/"),
                                      HAS("bkt", "p/sub/c.json"),
                                      HAS("bkt", "q/x.txt"),
                                      HAS("bkt", "q/y.txt"),
                                      HAS("closed", "k*y.csv"),
                                      HAS("closed", "p/a.csv"),
                                      HAS("closed", "p/b.csv"),
                                      HAS("fading", "p/1.csv"),
                                      HAS("fading", "p/2.csv"),
                                      HAS("fading", "p/3.csv"),
                                      HAS("fading-text", "1.txt"),
                                      HAS("fading-text", "2.txt"),
                                      HAS("fading-text", "3.txt"),
                                      HAS("shut", "p/a.csv"),
                                      HAS("texts", "p/1.txt"),
                                      HAS("texts", "p/2.txt"),
                                      HAS("texts", "p/3.csv"),
                                      HAS("texts", "p/4.csv"),
                                      HAS("texts", "p/5.csv"),
                                      {"bkt-empty", "e.csv", "", 0, NULL},
                                      {0}};

static struct os_source_list list;

static int build(const char *argument) {
  os_error_clear(&test_error);
  return os_source_list_build(&list, argument, &objects_access, NULL, NULL, &test_error);
}

static void assert_names(const char *argument, const char *expected) {
  char names[2000] = "";
  if (build(argument)) fail_msg("%s: %s; %s", argument, test_error.text, test_error.advice);
  for (size_t i = 0; i < list.count; i++) {
    strcat(names, i ? " " : "");
    strcat(names, os_source_at(&list, i)->name);
  }
  os_source_list_free(&list);
  if (strcmp(names, expected)) fail_msg("%s: %s", argument, names);
}

static void what_is_named(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"s3://bkt/p/", "p/a.csv p/b.csv p/sub/c.json"}, /* as in a folder: no hidden ones, known endings */
      {"s3://bkt/p", "p/a.csv p/b.csv p/sub/c.json"},
      {"s3://bkt/p/.d/", "p/.d/x.csv"},
      {"s3://bkt/p/a.csv", "p/a.csv"},
      {"s3://bkt/p/note.txt", "p/note.txt"},
      {"s3://bkt/p/*.csv", "p/a.csv p/b.csv"},
      {"s3://bkt/p/*", "p/a.csv p/b.csv p/note.txt"},
      {"s3://bkt/p/.h*", "p/.hidden.csv"},
      {"s3://bkt/.t*", ".top.csv"},
      {"s3://bkt/k*y.csv", "k*y.csv"}, /* an object of that very key comes before the pattern */
      {"s3://bkt/k?y.csv", "k*y.csv kxy.csv"},
      {"s3://bkt-empty/e.csv", "e.csv"},
      {"s3://closed/p", "p/a.csv p/b.csv"}, /* the key is refused, but nothing is there */
      {"s3://closed/p/*.csv", "p/a.csv p/b.csv"},
      {"[\"s3://bkt/p/b.csv\",\"s3://bkt/p/\",\"s3://bkt/p/a.csv\"]", "p/b.csv p/a.csv p/sub/c.json"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_names(cases[i][0], cases[i][1]);
}

static void files_beside_objects(void **state) {
  (void)state;
  char argument[2000];
  write_text(in_folder("f.csv"), "a\n1\n");
  snprintf(argument, sizeof argument,
           "[\"%s\",\"s3://bkt/p/b.csv\",\"%s\",\"s3://bkt/p/b.csv\",\"s3://bkt/p/a.csv\",\"/proc/self/"
           "stat\",\"%s\"]",
           in_folder("f.csv"), in_folder("f.csv"), test_folder);
  assert_names(argument, "f.csv p/b.csv p/a.csv stat");
  snprintf(argument, sizeof argument, "[\"%s\",\"s3://bkt/p/b.csv\"]", in_folder("f.csv"));
  assert_names(argument, "f.csv p/b.csv");
}

static void what_is_said_of_nothing(void **state) {
  (void)state;
  static const struct {
    const char *url;
    enum os_code code;
    const char *text, *advice;
  } cases[] = {
      {"s3://bkt/p/*.zip", OS_ERR_IO, "nothing matches s3://bkt/p/*.zip",
       "7 objects begin with 'p/', the first is 'p/.d/x.csv'"},
      {"s3://bkt/one/*.zip", OS_ERR_IO, "nothing matches",
       "1 object begins with 'one/', the first is 'one/z.txt'"},
      {"s3://bkt/zz*", OS_ERR_IO, "nothing matches s3://bkt/zz*", "s3://bkt/ has "},
      {"s3://bkt/q/", OS_ERR_ARGUMENT, "holds no file to load: 2 objects are there, the first is 'q/x.txt'",
       "also with .gz or .zst"},
      {"s3://bkt/one", OS_ERR_ARGUMENT, "1 object is there, the first is 'one/z.txt'", "name other objects"},
      {"s3://bkt/p/c.csv", OS_ERR_IO, "there is no object at s3://bkt/p/c.csv",
       "s3://bkt/p/ has 'p/.d/', 'p/sub/', 'p/.hidden.csv', 'p/a.csv', 'p/b.csv', …"},
      {"s3://bkt/one/q/r/", OS_ERR_IO, "there is no object at", "s3://bkt/one/ has 'one/z.txt'"},
      {"s3://bkt/nowhere/at/all", OS_ERR_IO, "there is no object at",
       "s3://bkt/ has 'one/', 'p/', 'q/', '.top.csv', 'k*y.csv', …"},
      {"s3://none/x/y", OS_ERR_IO, "there is no object at", "the bucket seems to be empty"},
      {"s3://none/", OS_ERR_IO, "there is no object at", "the bucket seems to be empty"},
      /* who may not see the key may be told of nothing below it, but not that there is no such key */
      {"s3://closed/zz", OS_ERR_FORBIDDEN, "s3://closed/zz", "s3:GetObject"},
      {"s3://closed/k*y.csv", OS_ERR_FORBIDDEN, "s3://closed/k*y.csv", "s3:GetObject"},
      {"s3://closed/zz*", OS_ERR_IO, "nothing matches", "s3://closed/ has"},
      {"s3://shut/p", OS_ERR_FORBIDDEN, "s3://shut/p", "s3:GetObject"},
      {"s3://shut/p/", OS_ERR_FORBIDDEN, "s3://shut/p", "s3:ListBucket"},
      {"s3://a!/x", OS_ERR_ARGUMENT, "no name of a bucket", ""},
      {"arn:aws:s3:::bkt/p/", OS_ERR_ARGUMENT, "is an ARN", "write s3://bkt/p/"},
      {"arn:aws-cn:s3:::bkt/p/", OS_ERR_ARGUMENT, "is an ARN", "write s3://bkt/p/"},
      {"arn:aws:sqs:::x", OS_ERR_IO, "arn:aws:sqs:::x", ""}, /* a file's name, then */
      {"arn:aws", OS_ERR_IO, "arn:aws", ""},
  };
  objects.of_a_page = 100;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    enum os_code code = (enum os_code)build(cases[i].url);
    if (code != cases[i].code || test_error.code != code || list.count)
      fail_msg("%s: %d, %s; %s", cases[i].url, code, test_error.text, test_error.advice);
    if (!strstr(test_error.text, cases[i].text)) fail_msg("%s: %s", cases[i].url, test_error.text);
    if (!strstr(test_error.advice, cases[i].advice) && !strstr(test_error.text, cases[i].advice))
      fail_msg("%s: %s; %s", cases[i].url, test_error.text, test_error.advice);
  }
  assert_fails(os_source_add_objects(&list, objects_s3, "s3://a!/x", NULL, &test_error), OS_ERR_ARGUMENT,
               "no name");
}

static int no_aws(void *ctx, struct os_aws **aws, struct os_net **net, struct os_error *error) {
  (void)ctx, (void)aws, (void)net;
  return os_fail(error, OS_ERR_AUTH, "there are no keys");
}

static void nobody_who_could_ask(void **state) {
  (void)state;
  static const struct os_source_s3 none = {.open = no_aws};
  struct os_source_lister *rest = NULL;
  assert_fails(os_source_list_build(&list, "s3://bkt/p/", &none, NULL, NULL, &test_error), OS_ERR_AUTH,
               "no keys");
  assert_fails(os_source_list_build(&list, "[]", &none, NULL, &rest, &test_error), OS_ERR_ARGUMENT,
               "no file");
  assert_null(rest);
}

/* A list that is refused in its middle is no list, even where the key may be a prefix. */
static void refused_behind_the_first_page(void **state) {
  (void)state;
  objects.of_a_page = 2;
  assert_fails(build("s3://fading/p"), OS_ERR_FORBIDDEN, "s3:ListBucket");
  assert_fails(build("s3://fading/p*"), OS_ERR_FORBIDDEN, "s3:ListBucket");
  assert_fails(build("s3://fading-text/"), OS_ERR_FORBIDDEN, "s3:ListBucket");
}

static bool never_interrupted(void *ctx) {
  (void)ctx;
  return false;
}

/* A first page of which nothing is taken does not say yet that there is something. */
static void a_page_without_files(void **state) {
  (void)state;
  struct os_source_lister *rest = NULL;
  bool ended = false;
  static const struct os_probe never = {never_interrupted, NULL};
  objects.of_a_page = 2;
  assert_ok(os_source_list_build(&list, "s3://texts/p/", &objects_access, NULL, &rest, &test_error));
  assert_non_null(rest); /* the second page has two, and there is a third */
  assert_int_equal(list.count, 0);
  while (!ended)
    assert_ok(os_source_lister_take(rest, &list, 10, &never, &ended, &test_error));
  assert_int_equal(list.count, 3);
  os_source_lister_free(rest);
  os_source_list_free(&list);
}

/* Each allocation failing in turn: no memory is said, or nothing is missing. */
static void no_memory(void **state) {
  (void)state;
  static const struct {
    const char *url;
    size_t count;
    int code; /* with memory */
  } cases[] = {{"s3://bkt/p/*.csv", 2, OS_OK},
               {"s3://bkt/p", 3, OS_OK},
               {"s3://bkt/nowhere/x", 0, OS_ERR_IO},
               {"[\"s3://bkt/p/a.csv\",\"s3://bkt/q/\"]", 0, OS_ERR_ARGUMENT}};
  objects.of_a_page = 100;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int worked = 0;
    long n;
    for (n = 0; worked < 2 && n < 5000; n++) {
      os_alloc_fail_after(n, 1);
      int rc = build(cases[i].url);
      bool failed = os_alloc_count() > n;
      os_alloc_fail_after(-1, 0);
      if (rc != cases[i].code && rc != OS_ERR_NOMEM)
        fail_msg("%s, %ld: %s", cases[i].url, n, test_error.text);
      if (rc != OS_ERR_NOMEM) assert_int_equal(list.count, cases[i].count);
      worked += !failed;
      os_source_list_free(&list);
    }
    assert_int_equal(worked, 2);
    assert_true(n > 20);
  }
}

static int set_up(void **state) {
  return folder_setup(state) || objects_start(table, 100);
}

static int tear_down(void **state) {
  objects_stop();
  return folder_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_named),
      cmocka_unit_test(files_beside_objects),
      cmocka_unit_test(nobody_who_could_ask),
      cmocka_unit_test(what_is_said_of_nothing),
      cmocka_unit_test(refused_behind_the_first_page),
      cmocka_unit_test(a_page_without_files),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
