/* Where the ledger lives, and with which mode and journal. */
#include "ledger_support.h"
#include "ledger/ledger_int.h"

static const char *chosen(const char *main_path, bool readonly, const char *setting) {
  static char path[256];
  struct os_ledger *ledger = NULL;
  if (os_ledger_new(&ledger, main_path, readonly, setting, &test_error) != OS_OK) return NULL;
  snprintf(path, sizeof path, "%s", os_ledger_path(ledger));
  os_ledger_free(ledger);
  return path;
}

static void test_beside_the_database(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0640);
  assert_string_equal(chosen(in_folder("app.db"), false, NULL), in_folder("app.db-ledger"));
  assert_string_equal(chosen(in_folder("app.db"), false, ""), in_folder("app.db-ledger"));
}

static void test_state_folder(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0640);
  setenv("XDG_STATE_HOME", in_folder("state"), 1);
  const char *expected = in_folder("state/sqlite-opensearch/ledger.db");
  assert_string_equal(chosen(NULL, false, NULL), expected);
  assert_string_equal(chosen("", false, NULL), expected);
  assert_string_equal(chosen(in_folder("app.db"), true, NULL), expected);
  assert_string_equal(chosen(in_folder("is-not-there"), false, NULL), expected); /* vfs=memdb names no file */
  setenv("XDG_STATE_HOME", "relative/is/ignored", 1);
  setenv("HOME", test_folder, 1);
  assert_string_equal(chosen(NULL, false, NULL), in_folder(".local/state/sqlite-opensearch/ledger.db"));
  unsetenv("XDG_STATE_HOME");
}

/* A database opened for reading only still shows the history that stands beside it. */
static void test_readonly_database_with_a_ledger(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0644);
  write_file(in_folder("app.db-ledger"), "", 0644);
  assert_string_equal(chosen(in_folder("app.db"), true, NULL), in_folder("app.db-ledger"));
}

static void test_setting(void **state) {
  (void)state;
  char here[256];
  assert_string_equal(chosen(NULL, false, ":memory:"), ":memory:");
  assert_string_equal(chosen(in_folder("x"), false, in_folder("l.db")), in_folder("l.db"));
  setenv("HOME", test_folder, 1);
  assert_string_equal(chosen(NULL, false, "~/mine.db"), in_folder("mine.db"));
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(test_folder), 0);
  assert_string_equal(chosen(NULL, false, "rel.db"), in_folder("rel.db"));
  assert_int_equal(chdir(here), 0);
  assert_null(chosen(NULL, false, "file:x.db?mode=ro"));
  assert_error_has("URI");
}

/* SQLite's own file systems give whole paths; another (memdb, one of the host's) may give a name as it came. */
static void test_database_without_a_folder_in_its_name(void **state) {
  (void)state;
  char here[256];
  write_file(in_folder("app.db"), "", 0640);
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(test_folder), 0);
  const char *path = chosen("app.db", false, NULL);
  assert_int_equal(chdir(here), 0);
  assert_string_equal(path, in_folder("app.db-ledger"));
}

static void test_in_the_root_folder(void **state) {
  (void)state;
  assert_string_equal(chosen(NULL, false, "/os-test-is-not-there.db"), "/os-test-is-not-there.db");
}

static void test_never_the_database_itself(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0640);
  assert_int_equal(link(in_folder("app.db"), in_folder("same.db")), 0);
  assert_null(chosen(in_folder("app.db"), false, in_folder("app.db")));
  assert_error_has("the database itself");
  assert_null(chosen(in_folder("app.db"), false, in_folder("same.db")));
  assert_int_equal(test_error.code, OS_ERR_ARGUMENT);
  write_file(in_folder("l.db"), "", 0600); /* another file, and one of a database that is not there (yet) */
  assert_string_equal(chosen(in_folder("app.db"), false, in_folder("l.db")), in_folder("l.db"));
  assert_string_equal(chosen(in_folder("none.db"), false, in_folder("l.db")), in_folder("l.db"));
  assert_string_equal(chosen("/proc/version", false, in_folder("l.db")), in_folder("l.db"));
}

static void test_symbolic_links_are_followed(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_folder("real"), 0700), 0);
  write_file(in_folder("real/l.db"), "", 0600);
  assert_int_equal(symlink("real/l.db", in_folder("link.db")), 0);
  assert_int_equal(symlink("real", in_folder("folder")), 0);
  assert_string_equal(chosen(NULL, false, in_folder("link.db")), in_folder("real/l.db"));
  assert_string_equal(chosen(NULL, false, in_folder("folder/new.db")), in_folder("real/new.db"));
}

static void test_mode_of_the_database(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  mode_t old = umask(077);
  write_file(in_folder("app.db"), "", 0664);
  assert_ok(os_ledger_new(&ledger, in_folder("app.db"), false, NULL, &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  begin_job(ledger, "bulk_load", NULL);
  umask(old);
  assert_int_equal(mode_of(in_folder("app.db-ledger")), 0664);
  assert_int_equal(mode_of(in_folder("app.db-ledger-wal")), 0664);
  assert_int_equal(mode_of(in_folder("app.db-ledger-jobs")), 0664);
  os_ledger_free(ledger);
}

static void test_state_folder_is_private(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  mode_t old = umask(0);
  setenv("XDG_STATE_HOME", in_folder("a/b%20?c#"),
         1); /* nothing in a path may be taken for an URI's syntax */
  assert_ok(os_ledger_new(&ledger, NULL, false, NULL, &test_error));
  assert_ok(os_ledger_open(ledger, false, &test_error));
  assert_null(os_ledger_db(ledger));
  assert_int_not_equal(access(in_folder("a"), F_OK), 0); /* looking makes nothing */
  assert_ok(os_ledger_open(ledger, true, &test_error));
  umask(old);
  assert_int_equal(mode_of(in_folder("a")), 0700);
  assert_int_equal(mode_of(in_folder("a/b%20?c#/sqlite-opensearch")), 0700);
  assert_int_equal(mode_of(in_folder("a/b%20?c#/sqlite-opensearch/ledger.db")), 0600);
  assert_string_equal(ask(ledger, "PRAGMA journal_mode"), "wal");
  os_ledger_free(ledger);
  unsetenv("XDG_STATE_HOME");
}

static void test_owner_of_the_database(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  struct stat st;
  if (geteuid() != 0) skip();
  write_file(in_folder("app.db"), "", 0640);
  assert_int_equal(chown(in_folder("app.db"), 65534, 65534), 0);
  assert_ok(os_ledger_new(&ledger, in_folder("app.db"), false, NULL, &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_int_equal(stat(in_folder("app.db-ledger"), &st), 0);
  assert_int_equal(st.st_uid, 65534);
  assert_int_equal(stat(in_folder("app.db-ledger-jobs"), &st), 0);
  assert_int_equal(st.st_uid, 65534);
  os_ledger_free(ledger);
}

static void test_missing_folder(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("no/such/l.db"), &test_error));
  assert_int_equal(os_ledger_open(ledger, true, &test_error), OS_ERR_LEDGER);
  assert_error_has("no/such/l.db");
  assert_error_has("OS_LEDGER");
  os_ledger_free(ledger);
}

static void test_network_file_systems(void **state) {
  (void)state;
  assert_false(os_location_is_network(test_folder));
  assert_false(os_location_is_network("/proc"));
  assert_false(os_location_is_network(in_folder("missing")));
}

static void test_uri(void **state) {
  (void)state;
  char *uri = os_location_uri("/a b/100%?x=#y", "?immutable=1");
  assert_string_equal(uri, "file:/a%20b/100%25%3Fx%3D%23y?immutable=1");
  os_free(uri);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_beside_the_database),
      TEST(test_state_folder),
      TEST(test_readonly_database_with_a_ledger),
      TEST(test_setting),
      TEST(test_database_without_a_folder_in_its_name),
      TEST(test_in_the_root_folder),
      TEST(test_never_the_database_itself),
      TEST(test_symbolic_links_are_followed),
      TEST(test_mode_of_the_database),
      TEST(test_state_folder_is_private),
      TEST(test_owner_of_the_database),
      TEST(test_missing_folder),
      TEST(test_network_file_systems),
      TEST(test_uri),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
