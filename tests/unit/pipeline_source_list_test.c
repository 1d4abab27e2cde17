/* pipeline_source_list_test.c - from a path argument to the list of files: order, names, each file once,
** errors that name the path.
*/
#include "folder.h"
#include <sys/wait.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "child.h"
#include "pipeline/source_build.h"

static struct os_source_list list;

static int build(const char *argument) {
  os_error_clear(&test_error);
  return os_source_list_build(&list, argument, NULL, NULL, NULL, &test_error);
}

static void touch(const char *name) {
  write_text(in_folder(name), name);
}

/* The names in order, joined by blanks; frees the list. */
static void names_are(const char *expected) {
  char names[4096] = "";
  for (size_t i = 0; i < list.count; i++) {
    strcat(names, i ? " " : "");
    strcat(names, os_source_at(&list, i)->name);
  }
  os_source_list_free(&list);
  assert_string_equal(names, expected);
}

#define assert_names(argument, expected)                                                                     \
  do {                                                                                                       \
    assert_ok(build(argument));                                                                              \
    names_are(expected);                                                                                     \
  } while (0)

static void folders_are_walked_in_byte_order(void **state) {
  (void)state;
  make_folder(in_folder("d"));
  make_folder(in_folder("d/sub"));
  make_folder(in_folder("d/sub/deep"));
  make_folder(in_folder("d/.hidden"));
  static const char *const files[] = {"d/b.csv",         "d/a.csv",        "d/B.csv",           "d/a10.csv",
                                      "d/a9.csv",        "d/\xc3\xa4.csv", "d/z.ndjson.gz",     "d/y.tsv.zst",
                                      "d/x.json",        "d/w.jsonl",      "d/note.txt",        "d/csv",
                                      "d/.secret.csv",   "d/v.CSV",        "d/sub/deep/c.json", "d/sub/b.csv",
                                      "d/.hidden/x.csv", "d/data.csv.bak"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    touch(files[i]);
  const char *all =
      "B.csv a.csv a10.csv a9.csv b.csv sub/b.csv sub/deep/c.json v.CSV w.jsonl x.json y.tsv.zst "
      "z.ndjson.gz \xc3\xa4.csv";
  assert_names(in_folder("d"), all);
  assert_names(in_folder("d/"), all);
  assert_names(in_folder("d//"), all);
  assert_names(in_folder("d/sub"), "b.csv deep/c.json");
  assert_names(in_folder("d/../d/sub"), "b.csv deep/c.json");
  assert_names(in_folder("d/note.txt"), "note.txt"); /* named by itself: whatever it is called */
  assert_names(in_folder("d/.secret.csv"), ".secret.csv");
}

static void facts_of_a_file(void **state) {
  (void)state;
  struct stat st;
  touch("facts.csv");
  assert_int_equal(stat(in_folder("facts.csv"), &st), 0);
  assert_ok(build(in_folder("facts.csv")));
  assert_int_equal(list.count, 1);
  const struct os_source *source = os_source_at(&list, 0);
  assert_string_equal(source->path, in_folder("facts.csv"));
  assert_string_equal(source->name, "facts.csv");
  assert_int_equal(source->size, 9);
  assert_int_equal(source->mtime_ns / 1000000000, st.st_mtim.tv_sec);
  assert_int_equal(source->inode, st.st_ino);
  assert_int_equal(source->start_line, 1);
  assert_int_equal(source->start_offset, 0);
  assert_false(source->is_stream);
  os_source_list_free(&list);
  assert_ok(build("-"));
  assert_true(os_source_at(&list, 0)->is_stream && os_source_is_stdin(os_source_at(&list, 0)));
  assert_string_equal(os_source_at(&list, 0)->name, "-");
  os_source_list_free(&list);
  assert_int_equal(mkfifo(in_folder("pipe.csv"), 0600), 0);
  assert_ok(build(in_folder("pipe.csv"))); /* does not wait for a writer */
  assert_true(os_source_at(&list, 0)->is_stream);
  os_source_list_free(&list);
}

static void globs(void **state) {
  (void)state;
  make_folder(in_folder("g"));
  make_folder(in_folder("g/2024"));
  make_folder(in_folder("g/2025"));
  static const char *const files[] = {"g/2024/b.csv", "g/2024/a.csv", "g/2025/a.csv",  "g/2025/c.txt",
                                      "g/x1.csv",     "g/x2.csv",     "g/.hidden.csv", "g/[odd].csv"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    touch(files[i]);
  assert_names(in_folder("g/x?.csv"), "x1.csv x2.csv");
  assert_names(in_folder("g/*.csv"), "[odd].csv x1.csv x2.csv");
  assert_names(in_folder("g/202[45]/*.csv"), "2024/a.csv 2024/b.csv 2025/a.csv");
  assert_names(in_folder("g/202*"), "2024/a.csv 2024/b.csv 2025/a.csv"); /* folders that match are walked */
  assert_names(in_folder("g/2025/*.txt"), "c.txt");
  assert_names(in_folder("g/[odd].csv"), "[odd].csv"); /* a file of that very name comes before the pattern */
  assert_fails(build(in_folder("g/q*.csv")), OS_ERR_IO, "nothing matches");
  assert_fails(build(in_folder("nowhere/*.csv")), OS_ERR_IO, "nowhere/*.csv");
}

static void json_arrays(void **state) {
  (void)state;
  make_folder(in_folder("j"));
  static const char *const files[] = {"j/1.csv", "j/2.csv", "j/3.csv"};
  for (size_t i = 0; i < 3; i++)
    touch(files[i]);
  char text[2048];
  snprintf(text, sizeof text, " [\"%s\", \"%s\",\"-\"]", in_folder("j/3.csv"), in_folder("j/1.csv"));
  assert_names(text, "3.csv 1.csv -"); /* as given */
  snprintf(text, sizeof text, "[\"%s\",\"%s\"]", in_folder("j/[12].csv"), in_folder("j"));
  assert_names(text, "1.csv 2.csv 3.csv");
  snprintf(text, sizeof text, "[\"%s\",7]", in_folder("j/1.csv"));
  assert_fails(build(text), OS_ERR_ARGUMENT, "element 2");
  assert_fails(build("[\"a\""), OS_ERR_ARGUMENT, "path");
  assert_fails(build("[]"), OS_ERR_ARGUMENT, "no file to load");
  assert_fails(build("[\"\"]"), OS_ERR_ARGUMENT, "empty");
  snprintf(text, sizeof text, "[\"%s\",\"%s\"]", in_folder("j/1.csv"), in_folder("j/missing.csv"));
  assert_fails(build(text), OS_ERR_IO, "j/missing.csv");
}

static void each_file_once(void **state) {
  (void)state;
  make_folder(in_folder("o"));
  make_folder(in_folder("o/in"));
  touch("o/m.csv");
  touch("o/in/n.csv");
  assert_int_equal(link(in_folder("o/m.csv"), in_folder("o/a-hard.csv")), 0);
  assert_int_equal(symlink("../m.csv", in_folder("o/in/soft.csv")), 0);
  assert_names(in_folder("o"), "a-hard.csv in/n.csv"); /* the first name wins */
  char text[2048];
  snprintf(text, sizeof text, "[\"%s\",\"%s\",\"%s\",\"%s\",\"-\",\"-\"]", in_folder("o/in/soft.csv"),
           in_folder("o/in/n.csv"), in_folder("o"), in_folder("o/in/../m.csv"));
  assert_names(text, "soft.csv n.csv -");
}

static void links(void **state) {
  (void)state;
  make_folder(in_folder("l"));
  make_folder(in_folder("l/a"));
  make_folder(in_folder("l/elsewhere"));
  touch("l/a/1.csv");
  touch("l/elsewhere/2.csv");
  assert_int_equal(symlink("..", in_folder("l/a/up")), 0);          /* a loop */
  assert_int_equal(symlink(".", in_folder("l/a/self")), 0);         /* another */
  assert_int_equal(symlink("../elsewhere", in_folder("l/a/b")), 0); /* followed */
  assert_int_equal(symlink("nowhere", in_folder("l/a/readme")), 0); /* dangling, and would not be taken */
  assert_names(in_folder("l/a"), "1.csv b/2.csv");
  assert_int_equal(symlink("nowhere", in_folder("l/a/gone.csv")), 0);
  assert_fails(build(in_folder("l/a")), OS_ERR_IO, "l/a/gone.csv: No such file");
  assert_int_equal(symlink("loop2.csv", in_folder("l/loop1.csv")), 0);
  assert_int_equal(symlink("loop1.csv", in_folder("l/loop2.csv")), 0);
  assert_fails(build(in_folder("l/loop1.csv")), OS_ERR_IO, "l/loop1.csv");
}

static void refused_paths(void **state) {
  (void)state;
  make_folder(in_folder("e"));
  assert_fails(build(""), OS_ERR_ARGUMENT, "path is empty");
  assert_fails(build(in_folder("e/missing.csv")), OS_ERR_IO, "e/missing.csv: No such file");
  assert_fails(build(in_folder("e")), OS_ERR_ARGUMENT, "holds no file to load");
  assert_true(strstr(test_error.advice, ".ndjson") != NULL);
  touch("e/readme.txt");
  assert_fails(build(in_folder("e")), OS_ERR_ARGUMENT, "holds no file to load");
  assert_fails(build(in_folder("e/readme.txt/x.csv")), OS_ERR_IO, "Not a directory");
  assert_fails(build("s3://bucket/prefix"), OS_ERR_ARGUMENT, "s3://bucket/prefix");
  assert_fails(build("[\"s3://bucket/x.csv\"]"), OS_ERR_ARGUMENT, "cannot be read here");
}

/* As somebody without rights: in a process of its own. */
static int unreadable(const char *path, const char *words) {
  fflush(NULL);
  pid_t child = fork();
  if (!child) {
    become_nobody();
    int rc = build(path);
    end_child(rc == OS_ERR_IO && strstr(test_error.text, words) && strstr(test_error.text, path) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void missing_rights(void **state) {
  (void)state;
  make_folder(in_folder("r"));
  make_folder(in_folder("r/closed"));
  touch("r/secret.csv");
  touch("r/closed/x.csv");
  assert_int_equal(chmod(test_folder, 0755) | chmod(in_folder("r"), 0755), 0);
  assert_int_equal(chmod(in_folder("r/secret.csv"), 0), 0);
  assert_int_equal(chmod(in_folder("r/closed"), 0), 0);
  assert_int_equal(unreadable(in_folder("r/secret.csv"), "Permission denied"), 0);
  assert_int_equal(unreadable(in_folder("r/closed"), "Permission denied"), 0);
  assert_int_equal(chmod(in_folder("r/closed"), 0700), 0);
}

static int looks;

static bool interrupted(void *ctx) {
  (void)ctx;
  return ++looks > 50;
}

static void very_many_files(void **state) {
  (void)state;
  enum { FILES = 100000 };
  char name[64];
  make_folder(in_folder("many"));
  int folder = open(in_folder("many"), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "part-%06d.csv", FILES - 1 - i);
    int fd = openat(folder, name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
  }
  double began = os_clock_monotonic();
  assert_ok(build(in_folder("many")));
  double seconds = os_clock_monotonic() - began;
  assert_int_equal(list.count, FILES);
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "part-%06d.csv", i);
    assert_string_equal(os_source_at(&list, i)->name, name);
  }
  os_source_list_free(&list);
  if (seconds > 3) fail_msg("listing took %d ms", (int)(seconds * 1000));
  struct os_probe probe = {interrupted, NULL};
  os_error_clear(&test_error);
  assert_int_equal(os_source_list_build(&list, in_folder("many"), NULL, &probe, NULL, &test_error),
                   OS_ERR_INTERRUPTED);
  assert_true(looks > 50 && looks < 100); /* at once, not at the end */
  assert_int_equal(list.count, 0);
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "part-%06d.csv", i);
    unlinkat(folder, name, 0);
  }
  close(folder);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  make_folder(in_folder("n"));
  make_folder(in_folder("n/in"));
  touch("n/1.csv");
  touch("n/in/2.csv");
  touch("n/in/3.csv");
  char argument[1024];
  snprintf(argument, sizeof argument, "[\"%s\",\"%s\",\"-\"]", in_folder("n"), in_folder("n/*.csv"));
  long n;
  for (n = 0; n < 1000; n++) {
    os_alloc_fail_after(n, 1);
    int rc = build(argument);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    if (!injected) break;
    if (rc != OS_ERR_NOMEM || (int)test_error.code != rc)
      fail_msg("allocation %ld: %d %s", n, rc, test_error.text);
    assert_int_equal(list.count, 0);
  }
  assert_in_range(n, 10, 999);
  names_are("1.csv in/2.csv in/3.csv -");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(folders_are_walked_in_byte_order),
      cmocka_unit_test(facts_of_a_file),
      cmocka_unit_test(globs),
      cmocka_unit_test(json_arrays),
      cmocka_unit_test(each_file_once),
      cmocka_unit_test(links),
      cmocka_unit_test(refused_paths),
      cmocka_unit_test(missing_rights),
      cmocka_unit_test(very_many_files),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
