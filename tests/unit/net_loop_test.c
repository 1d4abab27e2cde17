/* net_loop_test.c - the network thread: calls from within, timers, stopping, calls that nobody waits for, interruption,
** abandoning, forks, no memory.
*/
#include "net_support.h"
#include <sys/wait.h>
#include "base/alloc.h"

struct many {
  struct os_http_call call[16];
  struct os_net_task task;
  struct os_net_timer timer;
  atomic_int ended, good, cancelled, timers;
  int limit;
};

static void many_done(struct os_http_call *call) {
  struct many *many = call->owner;
  if (call->error.code == OS_OK && call->status == 200) atomic_fetch_add(&many->good, 1);
  if (call->error.code == OS_ERR_CANCELLED) atomic_fetch_add(&many->cancelled, 1);
  int ended = atomic_load(&many->ended) + 1;
  if (call->error.code == OS_OK && ended + 16 <= many->limit) os_net_start(net, call);
  atomic_store(&many->ended, ended); /* last: the test may go on from here */
}

static void many_start(void *arg) {
  struct many *many = arg;
  for (int i = 0; i < 16; i++)
    os_net_start(net, &many->call[i]);
}

static void many_timer(void *arg) {
  struct many *many = arg;
  atomic_fetch_add(&many->timers, 1);
}

static void many_init(struct many *many, int limit) {
  memset(many, 0, sizeof *many);
  many->limit = limit;
  for (int i = 0; i < 16; i++) {
    os_http_call_init(&many->call[i], &endpoint, "POST", "/x");
    many->call[i].body = "{\"a\":1}\n";
    many->call[i].body_len = 8;
    many->call[i].done = many_done;
    many->call[i].owner = many;
  }
  many->task = (struct os_net_task){.fn = many_start, .arg = many};
  many->timer = (struct os_net_timer){.fn = many_timer, .arg = many};
}

static void many_free(struct many *many) {
  for (int i = 0; i < 16; i++)
    os_http_call_free(&many->call[i]);
}

static void calls_started_by_done(void **state) {
  (void)state;
  struct many many;
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  many_init(&many, 400);
  assert_true(os_net_post(net, &many.task));
  wait_for(&many.ended, 400);
  assert_int_equal(atomic_load(&many.good), 400);
  assert_true(atomic_load(&server.visits) <= 16);
  many_free(&many);
  server_stop(&server);
}

static void arm(void *arg) {
  struct many *many = arg;
  os_net_timer_start(net, &many->timer, 0.05);
}

static void arm_and_stop(void *arg) {
  struct many *many = arg;
  os_net_timer_start(net, &many->timer, 0.01);
  os_net_timer_stop(net, &many->timer);
  os_net_timer_stop(net, &many->timer);
  atomic_fetch_add(&many->ended, 1);
}

static void timers(void **state) {
  (void)state;
  struct many many;
  many_init(&many, 0);
  many.task.fn = arm;
  double start = os_clock_monotonic();
  assert_true(os_net_post(net, &many.task));
  wait_for(&many.timers, 1);
  assert_true(os_clock_monotonic() - start >= 0.05);
  struct os_net_task other = {.fn = arm_and_stop, .arg = &many};
  assert_true(os_net_post(net, &other));
  wait_for(&many.ended, 1);
  os_clock_sleep_ms(60);
  assert_int_equal(atomic_load(&many.timers), 1);
  many_free(&many);
}

static void arm_long(void *arg) {
  struct many *many = arg;
  many_start(arg);
  os_net_timer_start(net, &many->timer, 1000);
  os_net_cancel(net, &many->call[3]);
  os_net_cancel(net, &many->call[3]);
}

static void stopping_tells_everybody(void **state) {
  struct many many;
  server_start(&server, never_answer, NULL);
  point_at("http", server.port);
  many_init(&many, 0);
  many.task.fn = arm_long;
  assert_true(os_net_post(net, &many.task));
  wait_for(&many.cancelled, 1);
  wait_for(&server.requests, 15);
  struct os_net *old = net;
  os_net_free(old);
  assert_int_equal(atomic_load(&many.cancelled), 16);
  assert_int_equal(atomic_load(&many.timers), 1);
  wait_for(&endpoint.references, 1);
  for (int i = 0; i < 16; i++)
    assert_int_equal(many.call[i].maybe_sent, i != 3);
  many_free(&many);
  server_stop(&server);
  make_net(state);
}

static void send_one(const char *path) {
  struct os_http_call call;
  char *fleeting = strdup(path);
  os_http_call_init(&call, &endpoint, "POST", fleeting);
  assert_true(os_http_send(net, &call));
  os_http_call_free(&call);
  free(fleeting);
}

static void calls_that_nobody_waits_for(void **state) {
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  send_one("/a");
  wait_for(&server.requests, 1);
  wait_for(&endpoint.references, 1);
  server_stop(&server);
  send_one("/nobody-listens");
  wait_for(&endpoint.references, 1);
  server_start(&server, never_answer, NULL);
  point_at("http", server.port);
  send_one("/under-way");
  wait_for(&server.requests, 1);
  os_net_free(net);
  wait_for(&endpoint.references, 1);
  server_stop(&server);
  make_net(state);
}

/* ---- interruption, abandoning, forks ---- */

static bool now(void *ctx) {
  int *countdown = ctx;
  return (*countdown)-- <= 0;
}

static void interruption(void **state) {
  struct os_http_call call;
  server_start(&server, never_answer, NULL);
  point_at("http", server.port);
  int countdown = 2;
  struct os_probe probe = {now, &countdown};
  char *path = strdup("/freed"), *body = strdup("{\"freed\":1}");
  os_http_call_init(&call, &endpoint, "POST", path);
  call.body = body;
  call.body_len = strlen(body);
  double start = os_clock_monotonic();
  assert_int_equal(os_http_roundtrip(net, &call, &probe, &error), OS_ERR_INTERRUPTED);
  assert_true(os_clock_monotonic() - start < 0.5);
  os_http_call_free(&call);
  free(path);
  free(body);
  struct os_net *old = net;
  start = os_clock_monotonic();
  os_net_abandon(old);
  assert_true(os_clock_monotonic() - start < 0.1);
  os_net_reap_all();
  wait_for(&endpoint.references, 1);
  make_net(state);
  countdown = 0;
  os_http_call_init(&call, &endpoint, "GET", "/");
  assert_int_equal(os_http_roundtrip(net, &call, &probe, &error),
                   OS_ERR_INTERRUPTED); /* before anything is sent */
  os_http_call_free(&call);
  server_stop(&server);
}

static atomic_int let_go;

static void hang(void *arg) { /* as a resolver does */
  (void)arg;
  while (!atomic_load(&let_go))
    os_clock_sleep_ms(5);
}

static void hanging_thread(void **state) {
  struct os_http_call call;
  struct os_net_task task = {.fn = hang};
  point_at("http", 9);
  atomic_store(&let_go, 0);
  assert_true(os_net_post(net, &task));
  int countdown = 1;
  struct os_probe probe = {now, &countdown};
  os_http_call_init(&call, &endpoint, "GET", "/");
  double start = os_clock_monotonic();
  assert_int_equal(os_http_roundtrip(net, &call, &probe, &error), OS_ERR_INTERRUPTED);
  os_http_call_free(&call);
  os_net_abandon(net);
  make_net(state); /* the next one works at once */
  assert_true(os_clock_monotonic() - start < 0.5);
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_ERR_NETWORK);
  os_http_call_free(&call);
  atomic_store(&let_go, 1);
  os_net_reap_all();
  wait_for(&endpoint.references, 1);
}

static void fork_leaves_it_alone(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip(); /* ThreadSanitizer cannot follow threads that a forked child starts */
#endif
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct os_net *inherited = net;
    struct os_net_task task = {.fn = hang};
    struct os_http_call call;
    if (os_net_is_ours(inherited) || os_net_post(inherited, &task)) _exit(1);
    os_net_free(inherited);
    os_net_abandon(inherited);
    os_net_reap_all();
    if (os_net_new(&net, NULL, NULL)) _exit(2);
    os_http_call_init(&call, &endpoint, "GET", "/");
    if (os_http_roundtrip(net, &call, NULL, NULL) || call.status != 200) _exit(3);
    os_http_call_free(&call);
    os_net_free(net);
    _exit(0);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_true(os_net_is_ours(net));
  struct os_http_call call;
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_OK);
  os_http_call_free(&call);
  server_stop(&server);
}

#ifdef OS_TEST_ALLOC
static void every_allocation_fails_once(void **state) {
  (void)state;
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  os_net_free(net);
  net = NULL;
  int good = 0;
  for (long n = 0; n < 60 && good < 5; n++) {
    struct os_net *fresh = NULL;
    struct os_http_call call;
    os_alloc_fail_after(n, 1);
    int rc = os_net_new(&fresh, NULL, &error);
    if (rc == OS_OK) {
      os_http_call_init(&call, &endpoint, "POST", "/x");
      call.body = "{}";
      call.body_len = 2;
      rc = os_http_roundtrip(fresh, &call, NULL, &error);
      os_http_call_free(&call);
    }
    os_alloc_fail_after(-1, 0);
    os_net_free(fresh);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    good += rc == OS_OK;
  }
  assert_int_equal(good, 5);
  wait_for(&endpoint.references, 1);
  server_stop(&server);
  assert_int_equal(make_net(state), 0);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_started_by_done),
      cmocka_unit_test(timers),
      cmocka_unit_test(stopping_tells_everybody),
      cmocka_unit_test(calls_that_nobody_waits_for),
      cmocka_unit_test(interruption),
      cmocka_unit_test(hanging_thread),
      cmocka_unit_test(fork_leaves_it_alone),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test(every_allocation_fails_once),
#endif
  };
  return cmocka_run_group_tests_name("net_loop", tests, make_net, free_net);
}
