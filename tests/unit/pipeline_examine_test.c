/* pipeline_examine_test.c - looking at what is no file at rest: standard input, pipes that nobody writes to, compressed
** pipes, files that are gone, names that promise what the bytes are not; and names relative to the working folder.
*/
#include "folder.h"
#include <pthread.h>
#include <sys/wait.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "child.h"
#include "pipeline/examine.h"
#include "pipeline/source_build.h"
#include "pipeline/stream.h"

static struct os_source_list list;
static const struct os_parse_options options = {.id_field = "_id", .header = true};
static int looks, most_looks;

static bool interrupted(void *ctx) {
  (void)ctx;
  return ++looks > most_looks;
}
static const struct os_probe probe = {interrupted, NULL};

static struct os_source *source_of(const char *path) {
  os_source_list_free(&list);
  assert_ok(os_source_list_build(&list, path, NULL, NULL, NULL, &test_error));
  looks = 0;
  most_looks = 1000;
  return os_source_at(&list, 0);
}

static int examine(struct os_source *source) {
  struct os_head_facts facts;
  os_error_clear(&test_error);
  int rc = os_source_examine(source, OS_FORMAT_UNKNOWN, &options, &probe, &facts, &test_error);
  os_head_facts_free(&facts);
  return rc;
}

/* Something else as this process's standard input; returns what stood there. */
static int replace_stdin(int fd) {
  int before = dup(STDIN_FILENO);
  assert_true(before > 2);
  assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
  close(fd);
  return before;
}

static void restore_stdin(int before) {
  assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
  close(before);
}

static void *write_late(void *arg) {
  os_clock_sleep_ms(120);
  assert_int_equal(write(*(int *)arg, "{\"_id\":1}\n{\"_id\":2}\n", 20), 20);
  close(*(int *)arg);
  return NULL;
}

static void standard_input(void **state) {
  (void)state;
  int ends[2];
  pthread_t writer;
  struct os_stream *stream;
  struct os_buf out;
  bool at_end = false;
  assert_int_equal(pipe(ends), 0);
  int before = replace_stdin(ends[0]);
  pthread_create(&writer, NULL, write_late, &ends[1]);
  struct os_source *source = source_of("-");
  assert_true(os_source_is_stdin(source));
  assert_string_equal(os_source_file_name(source), "-");
  assert_ok(examine(source)); /* waits: it may be a terminal */
  pthread_join(writer, NULL);
  assert_true(looks > 1);
  assert_int_equal(source->format, OS_FORMAT_NDJSON);
  assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
  os_buf_init(&out, 0);
  while (!at_end)
    assert_ok(os_stream_read(stream, &out, 7, &at_end, &test_error));
  assert_int_equal(out.len, 20);
  assert_memory_equal(out.data, "{\"_id\":1}\n{\"_id\":2}\n", 20);
  os_stream_close(stream); /* which is not ours to close */
  assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
  os_buf_free(&out);
  restore_stdin(before);
}

static void standard_input_that_cannot_be_read(void **state) {
  (void)state;
  int before = replace_stdin(open(test_folder, O_RDONLY | O_DIRECTORY));
  assert_fails(examine(source_of("-")), OS_ERR_IO, "cannot read -: Is a directory");
  restore_stdin(before);
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  before = replace_stdin(ends[0]);
  struct os_source *source = source_of("-");
  most_looks = 2;
  assert_fails(examine(source), OS_ERR_INTERRUPTED, "waiting for -");
  restore_stdin(before);
  close(ends[1]);
}

/* ---- pipes ---- */

static void a_pipe_that_nobody_writes_to(void **state) {
  (void)state;
  const char *path = in_folder("nobody.csv");
  assert_int_equal(mkfifo(path, 0600), 0);
  double began = os_clock_monotonic();
  assert_fails(examine(source_of(path)), OS_ERR_IO, "nobody writes to the pipe");
  assert_non_null(strstr(test_error.advice, "start the program that writes"));
  assert_true(os_clock_monotonic() - began < 1);
  assert_int_equal(unlink(path), 0);
  struct os_source *source = os_source_at(&list, 0);
  close(source->stream_fd);
  source->stream_fd = 0;
  os_free(source->preread);
  source->preread = NULL;
  assert_fails(examine(source), OS_ERR_IO, "nobody.csv: No such file");
}

static void *write_nothing(void *arg) {
  int fd = open(arg, O_WRONLY);
  os_clock_sleep_ms(80);
  close(fd);
  return NULL;
}

static void a_pipe_with_nothing_in_it(void **state) {
  (void)state;
  pthread_t writer;
  const char *path = in_folder("nothing.csv");
  assert_int_equal(mkfifo(path, 0600), 0);
  struct os_source *source = source_of(path);
  pthread_create(&writer, NULL, write_nothing, (void *)path);
  os_clock_sleep_ms(30);      /* until it waits for a reader */
  assert_ok(examine(source)); /* an empty file is none to complain of */
  assert_int_equal(source->preread_len, 0);
  pthread_join(writer, NULL);
}

struct bytes {
  const char *path;
  struct os_buf buf;
};

static void *write_bytes_of(void *arg) {
  struct bytes *bytes = arg;
  int fd = open(bytes->path, O_WRONLY);
  for (size_t at = 0; at < bytes->buf.len;) {
    ssize_t n = write(fd, bytes->buf.data + at, bytes->buf.len - at);
    if (n <= 0) break;
    at += (size_t)n;
  }
  close(fd);
  return NULL;
}

/* What a pipe holds is looked at as far as it came, and read whole afterwards. */
static void pipes(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "a,b\n");
  for (int i = 0; i < 3000; i++)
    os_buf_printf(&text, "%d,x\n", i);
  for (int compressed = 0; compressed < 2; compressed++) {
    pthread_t writer;
    bool is_all = true;
    struct bytes bytes = {.path = in_folder(compressed ? "p.csv.gz" : "p.csv")};
    struct os_buf head;
    os_buf_init(&head, 0);
    os_buf_init(&bytes.buf, 0);
    if (compressed)
      assert_ok(os_gzip(text.data, text.len, &bytes.buf, &test_error));
    else
      os_buf_append(&bytes.buf, text.data, text.len);
    assert_int_equal(mkfifo(bytes.path, 0600), 0);
    struct os_source *source = source_of(bytes.path);
    pthread_create(&writer, NULL, write_bytes_of, &bytes);
    os_clock_sleep_ms(30); /* until it waits for a reader */
    assert_ok(examine(source));
    pthread_join(writer, NULL);
    assert_int_equal(source->format, OS_FORMAT_CSV);
    assert_int_equal(source->compression, compressed ? OS_GZIP : OS_PLAIN);
    assert_int_equal(source->preread_len, bytes.buf.len);
    if (!compressed) {
      assert_ok(os_source_head(source, 100, NULL, &head, &is_all, &test_error));
      assert_int_equal(head.len, 100);
      assert_false(is_all);
      os_buf_clear(&head);
      assert_ok(os_source_head(source, text.len, NULL, &head, &is_all, &test_error));
      assert_int_equal(head.len, text.len);
      assert_true(is_all);
      os_buf_free(&head);
      os_alloc_fail_after(0, 1);
      int rc = os_source_head(source, 100, NULL, &head, &is_all, &test_error);
      os_alloc_fail_after(-1, 0);
      assert_int_equal(rc, OS_ERR_NOMEM);
    }
    struct os_stream *stream; /* going on inside: there is no going there but by reading */
    assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
    assert_ok(os_stream_skip_to(stream, 4000, &test_error));
    os_buf_clear(&head);
    bool at_end = false;
    while (!at_end)
      assert_ok(os_stream_read(stream, &head, 10000, &at_end, &test_error));
    assert_int_equal(head.len, text.len - 4000);
    assert_memory_equal(head.data, text.data + 4000, head.len);
    os_stream_close(stream);
    os_buf_free(&head);
    os_buf_free(&bytes.buf);
  }
  os_buf_free(&text);
  assert_int_equal(mkfifo(in_folder("starved.csv"), 0600), 0);
  struct os_source *source = source_of(in_folder("starved.csv"));
  os_alloc_fail_after(0, 1);
  int rc = examine(source);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(rc, OS_ERR_NOMEM);
}

/* ---- files ---- */

static void files_that_are_not_what_they_were(void **state) {
  (void)state;
  write_text(in_folder("gone.csv"), "a\n1\n");
  struct os_source *source = source_of(in_folder("gone.csv"));
  assert_int_equal(unlink(in_folder("gone.csv")), 0);
  assert_fails(examine(source), OS_ERR_IO, "gone.csv: No such file");
  make_folder(in_folder("gone.csv"));
  assert_fails(examine(source), OS_ERR_IO, "gone.csv: Is a directory");
  struct os_stream *stream;
  write_text(in_folder("far.csv"), "a\n1\n");
  assert_ok(os_stream_open(&stream, source_of(in_folder("far.csv")), NULL, NULL, &test_error));
  assert_fails(os_stream_skip_to(stream, (uint64_t)1 << 63, &test_error), OS_ERR_IO, "cannot go on inside");
  os_stream_close(stream);
}

static void names_that_promise(void **state) {
  (void)state;
  static const char gzip_head[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03";
  write_text(in_folder("page.csv.zst"), "<html>404</html>\n");
  assert_fails(examine(source_of(in_folder("page.csv.zst"))), OS_ERR_FORMAT,
               "page.csv.zst is not compressed");
  assert_non_null(strstr(test_error.advice, "without .zst"));
  write_text(in_folder("page.csv.gz"), "<html>404</html>\n");
  assert_fails(examine(source_of(in_folder("page.csv.gz"))), OS_ERR_FORMAT, "page.csv.gz is not compressed");
  assert_non_null(strstr(test_error.advice, "without .gz"));
  write_text(in_folder("none.csv.gz"), ""); /* nothing is nothing, however it is called */
  assert_ok(examine(source_of(in_folder("none.csv.gz"))));
  write_bytes(in_folder("cut.csv.gz"), gzip_head, sizeof gzip_head - 1); /* and nothing behind */
  assert_fails(examine(source_of(in_folder("cut.csv.gz"))), OS_ERR_FORMAT, "cut.csv.gz");
  struct os_head_facts facts;
  write_text(in_folder("rows.dat"), "a\tb\n1\t2\n");
  struct os_source *source = source_of(in_folder("rows.dat"));
  assert_ok(os_source_examine(source, OS_FORMAT_CSV, &options, NULL, &facts, &test_error));
  assert_int_equal(source->format, OS_FORMAT_CSV); /* as it was said to be */
  os_head_facts_free(&facts);
}

static void in_the_working_folder(void **state) {
  (void)state;
  char before[4096];
  assert_non_null(getcwd(before, sizeof before));
  make_folder(in_folder("work"));
  make_folder(in_folder("work/in"));
  write_text(in_folder("work/[x].csv"), "a\n1\n");
  write_text(in_folder("work/-x.csv"), "a\n1\n");
  write_text(in_folder("work/in/y.csv"), "a\n1\n");
  assert_int_equal(mkfifo(in_folder("work/in/pipe.csv"), 0600), 0); /* not what a folder is searched for */
  assert_int_equal(symlink("/proc/self/fdinfo", in_folder("work/in/elsewhere")), 0); /* on another device */
  assert_int_equal(chdir(in_folder("work")), 0);
  struct os_source *source = source_of("[x].csv"); /* a file, and no list of paths */
  assert_string_equal(source->name, "[x].csv");
  assert_string_equal(os_source_file_name(source), "[x].csv");
  assert_false(os_source_is_stdin(source_of("-x.csv")));
  source = source_of("*"); /* in the order of their bytes */
  assert_int_equal(list.count, 3);
  assert_string_equal(source->name, "-x.csv");
  assert_string_equal(os_source_at(&list, 1)->name, "[x].csv");
  assert_string_equal(os_source_at(&list, 2)->name, "in/y.csv");
  assert_string_equal(os_source_at(&list, 2)->path, "in/y.csv");
  assert_int_equal(symlink("nowhere", "a-dangling.csv"), 0);
  os_source_list_free(&list);
  assert_fails(os_source_list_build(&list, "*.csv", NULL, NULL, NULL, &test_error), OS_ERR_IO,
               "a-dangling.csv: No such file");
  assert_int_equal(chdir(before), 0);
}

/* As somebody without rights: a pattern in a folder that may not be read. */
static void a_pattern_in_a_closed_folder(void **state) {
  (void)state;
  make_folder(in_folder("closed"));
  assert_int_equal(chmod(test_folder, 0755) | chmod(in_folder("closed"), 0), 0);
  char pattern[300];
  snprintf(pattern, sizeof pattern, "%s/*.csv", in_folder("closed"));
  fflush(NULL);
  pid_t child = fork();
  if (!child) {
    become_nobody();
    os_error_clear(&test_error);
    int rc = os_source_list_build(&list, pattern, NULL, NULL, NULL, &test_error);
    end_child(rc == OS_ERR_IO && strstr(test_error.text, "cannot read a folder of") ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(chmod(in_folder("closed"), 0700), 0);
}

static int teardown(void **state) {
  os_source_list_free(&list);
  return folder_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(standard_input),
      cmocka_unit_test(standard_input_that_cannot_be_read),
      cmocka_unit_test(a_pipe_that_nobody_writes_to),
      cmocka_unit_test(a_pipe_with_nothing_in_it),
      cmocka_unit_test(pipes),
      cmocka_unit_test(files_that_are_not_what_they_were),
      cmocka_unit_test(names_that_promise),
      cmocka_unit_test(in_the_working_folder),
      cmocka_unit_test(a_pattern_in_a_closed_folder),
  };
  return cmocka_run_group_tests(tests, folder_setup, teardown);
}
