/* nomem_host.c - a program that loads the extension and lives on while memory fails: for each number of a
** range, a fresh connection runs one statement during which that allocation fails (nomem.c), then another runs
** it with all the memory there is.
**
**   LD_PRELOAD=nomem.so nomem_host EXTENSION DATABASE SQL FIRST LAST STEP FOREVER
**
** A line for each number: "N asked=A code=C live=L text", in which `live` is what is still allocated when the
** connection is closed, then "N lives" or "N DEAD text". It ends when a statement needed fewer allocations.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*arm)(long, int);
static long (*disarm)(void);
static long (*live)(void);

static int run(char **args, long n, int forever, long *asked, char *text, size_t room) {
  sqlite3 *db = NULL;
  char *message = NULL;
  int rc = sqlite3_open(args[2], &db);
  sqlite3_enable_load_extension(db, 1);
  if (rc == SQLITE_OK) rc = sqlite3_load_extension(db, args[1], NULL, &message);
  if (rc == SQLITE_OK) {
    if (n) arm(n, forever);
    rc = sqlite3_exec(db, args[3], NULL, NULL, &message);
    if (n) *asked = disarm();
  }
  snprintf(text, room, "%s", message ? message : rc ? sqlite3_errmsg(db) : "");
  for (char *c = text; *c; c++)
    if (*c == '\n') *c = ' ';
  sqlite3_free(message);
  int closed = sqlite3_close(db);
  return closed ? 1000 + closed : rc;
}

int main(int argc, char **argv) {
  char text[1000];
  long asked = 0;
  *(void **)&arm = dlsym(RTLD_DEFAULT, "faults_arm");
  *(void **)&disarm = dlsym(RTLD_DEFAULT, "faults_disarm");
  *(void **)&live = dlsym(RTLD_DEFAULT, "faults_live");
  if (argc != 8 || !arm || !disarm || !live) return 2;
  int forever = atoi(argv[7]);
  for (int i = 0; i < 3; i++) /* what libraries keep for the life of a process */
    if (run(argv, 0, 0, &asked, text, sizeof text)) {
      printf("no load without faults: %s\n", text);
      return 3;
    }
  printf("begin live=%ld\n", live());
  for (long n = atol(argv[4]); n <= atol(argv[5]); n += atol(argv[6])) {
    alarm(40); /* a load that hangs ends the program */
    int rc = run(argv, n, forever, &asked, text, sizeof text);
    printf("%ld asked=%ld code=%d live=%ld %s\n", n, asked, rc, live(), text);
    fflush(stdout);
    int again = run(argv, 0, 0, &asked, text, sizeof text);
    printf("%ld %s%s\n", n, again ? "DEAD " : "lives", again ? text : "");
    fflush(stdout);
    if (asked && asked < n) break;
  }
  printf("end live=%ld\n", live());
  return 0;
}
