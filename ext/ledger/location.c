/* location.c - where the ledger lives: beside the database, where OS_LEDGER says, or in the user's state
** folder.
**
** Decides and looks, but makes nothing except the state folder, and that only when a command needs it. Never
** opens the ledger or the database itself: closing a descriptor of a file drops every POSIX lock this
** process has on it, SQLite's too (https://www.sqlite.org/howtocorrupt.html, section 2.2). */
#include "ledger/ledger_int.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

static const char beside_suffix[] = "-ledger";
static const char state_name[] = "/sqlite-opensearch/ledger.db";

/* The folder of `path`, os_free() it. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return os_strdup(".");
  return os_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

/* With the rights that open() will use, not those of whoever started a set-user-id program. */
static bool folder_is_writable(const char *folder) {
  return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

/* The user's home; os_free() it. *nomem tells "none" and "no memory" apart. */
static char *home_folder(bool *nomem) {
  const char *home = getenv("HOME");
  char *copy = NULL;
  if (home != NULL && home[0] == '/') {
    copy = os_strdup(home);
    *nomem = copy == NULL;
    return copy;
  }
  enum { SPACE = 16384 };
  char *space = os_malloc(SPACE);
  struct passwd entry, *found = NULL;
  *nomem = space == NULL;
  if (space != NULL && getpwuid_r(geteuid(), &entry, space, SPACE, &found) == 0 && found != NULL &&
      found->pw_dir != NULL && found->pw_dir[0] == '/') {
    copy = os_strdup(found->pw_dir);
    *nomem = copy == NULL;
  }
  os_free(space);
  return copy;
}

/* $XDG_STATE_HOME when absolute (the XDG base directory specification has relative ones ignored), else
** ~/.local/state. */
static int state_path(char **out, struct os_error *error) {
  const char *state = getenv("XDG_STATE_HOME");
  *out = NULL;
  if (state != NULL && state[0] == '/') {
    *out = os_mprintf("%s%s", state, state_name);
    return *out != NULL ? OS_OK : os_fail_nomem(error);
  }
  bool nomem = false;
  char *home = home_folder(&nomem);
  if (home == NULL && !nomem) {
    os_fail(error, OS_ERR_LEDGER,
            "there is no place for the ledger: the database is not a writable file, and this "
            "user has no home folder");
    return os_advise(error, "set OS_LEDGER to a file, or to :memory: to keep no history");
  }
  if (home != NULL) *out = os_mprintf("%s/.local/state%s", home, state_name);
  os_free(home);
  return *out != NULL ? OS_OK : os_fail_nomem(error);
}

/* OS_LEDGER as an absolute path, so that a later chdir() does not move it. */
static int setting_path(const char *setting, char **out, struct os_error *error) {
  *out = NULL;
  if (os_has_prefix(setting, "file:")) {
    os_fail(error, OS_ERR_ARGUMENT, "OS_LEDGER is '%s': URIs are not taken", setting);
    return os_advise(error, "give the path of a file, or :memory:");
  }
  if (setting[0] == '/') {
    *out = os_strdup(setting);
  } else if (os_has_prefix(setting, "~/")) {
    bool nomem = false;
    char *home = home_folder(&nomem);
    if (home == NULL && !nomem) {
      os_fail(error, OS_ERR_ARGUMENT, "OS_LEDGER is '%s', but this user has no home folder", setting);
      return os_advise(error, "give an absolute path");
    }
    if (home != NULL) *out = os_mprintf("%s%s", home, setting + 1);
    os_free(home);
  } else {
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL) {
      os_fail(error, OS_ERR_LEDGER, "OS_LEDGER is '%s', but the working folder cannot be read: %s", setting,
              os_errno_text(errno));
      return os_advise(error, "give an absolute path");
    }
    *out = os_mprintf("%s/%s", here, setting);
  }
  return *out != NULL ? OS_OK : os_fail_nomem(error);
}

/* Replace *path by what symbolic links lead to, so that every process agrees on the name of the lock file.
** SQLite resolves links likewise (sqlite3_db_filename). A path that does not exist yet is resolved up to its
** folder. */
static int resolve(char **path, struct os_error *error) {
  char real[PATH_MAX];
  char *resolved = NULL;
  if (realpath(*path, real) != NULL) {
    resolved = os_strdup(real);
  } else {
    char *folder = folder_of(*path);
    if (folder == NULL) return os_fail_nomem(error);
    bool found = realpath(folder, real) != NULL;
    os_free(folder);
    if (!found) return OS_OK; /* the folder is missing: opening says so, and the state folder is made later */
    const char *slash = strrchr(*path, '/');
    resolved = os_mprintf("%s/%s", strcmp(real, "/") == 0 ? "" : real, slash != NULL ? slash + 1 : *path);
  }
  if (resolved == NULL) return os_fail_nomem(error);
  os_free(*path);
  *path = resolved;
  return OS_OK;
}

/* Is `path` the database itself? Two tables of the same name would fight in it, and its owner's locks with
** ours. */
static bool is_main(const char *path, const char *main_path) {
  struct stat a, b;
  if (strcmp(path, main_path) == 0) return true;
  return stat(path, &a) == 0 && stat(main_path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Beside the database when it already has a ledger there, or can get one; leaves *out NULL when not. A
** database whose name is no file lives in memory after all (vfs=memdb). */
static int beside_path(const char *main_path, bool main_readonly, char **out, struct os_error *error) {
  *out = NULL;
  if (!exists(main_path)) return OS_OK;
  char *path = os_mprintf("%s%s", main_path, beside_suffix);
  char *folder = folder_of(main_path);
  bool nomem = path == NULL || folder == NULL;
  if (!nomem && (exists(path) || (!main_readonly && folder_is_writable(folder)))) {
    *out = path;
    path = NULL;
  }
  os_free(folder);
  os_free(path);
  return nomem ? os_fail_nomem(error) : OS_OK;
}

int os_location_choose(struct os_ledger *ledger, const char *main_path, bool main_readonly,
                       const char *setting, struct os_error *error) {
  bool has_main = main_path != NULL && main_path[0] != '\0';
  int rc;
  if (setting != NULL && strcmp(setting, ":memory:") == 0) {
    ledger->path = os_strdup(setting);
    return ledger->path != NULL ? OS_OK : os_fail_nomem(error);
  }
  if (setting != NULL && setting[0] != '\0') {
    rc = setting_path(setting, &ledger->path, error);
  } else {
    rc = has_main ? beside_path(main_path, main_readonly, &ledger->path, error) : OS_OK;
    if (rc == OS_OK && ledger->path == NULL) {
      ledger->own_folder = true;
      rc = state_path(&ledger->path, error);
    }
  }
  if (ledger->path == NULL) return rc != OS_OK ? rc : os_fail_nomem(error);
  rc = resolve(&ledger->path, error);
  if (rc != OS_OK) return rc;
  if (has_main && is_main(ledger->path, main_path)) {
    os_fail(error, OS_ERR_ARGUMENT, "OS_LEDGER names the database itself, '%s'", main_path);
    return os_advise(error, "give the ledger a file of its own, or unset OS_LEDGER to have '%s%s'", main_path,
                     beside_suffix);
  }
  if (has_main && !ledger->own_folder && (ledger->like = os_strdup(main_path)) == NULL)
    return os_fail_nomem(error);
  ledger->lock_path = os_mprintf("%s-jobs", ledger->path);
  return ledger->lock_path != NULL ? OS_OK : os_fail_nomem(error);
}

/* Make the folders of the ledger's path that are missing, for this user alone: the XDG specification asks
** for 0700. */
int os_location_make_folder(const struct os_ledger *ledger, struct os_error *error) {
  if (!ledger->own_folder) return OS_OK;
  char *path = os_strdup(ledger->path);
  if (path == NULL) return os_fail_nomem(error);
  int rc = OS_OK;
  for (char *slash = strchr(path + 1, '/'); slash != NULL && rc == OS_OK; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST && !exists(path)) {
      os_fail(error, OS_ERR_LEDGER, "the folder '%s' for the ledger cannot be made: %s", path,
              os_errno_text(errno));
      rc = os_advise(error, "set OS_LEDGER to a file that can be written, or to :memory: to keep no history");
    }
    *slash = '/';
  }
  os_free(path);
  return rc;
}

/* Magic numbers that <linux/magic.h> does not carry; from statfs(2). */
enum {
  MAGIC_CEPH = 0x00c36400,
  MAGIC_LUSTRE = 0x0bd00bd0,
  MAGIC_GFS2 = 0x01161970,
  MAGIC_GPFS = 0x47504653,
  MAGIC_VBOXSF = 0x786f4256,
  MAGIC_FUSE = 0x65735546
};

/* WAL needs memory shared between the processes, which a network file system does not give
** (https://www.sqlite.org/wal.html). Unknown ones are taken as local. */
bool os_location_is_network(const char *path) {
  static const uint32_t network[] = {
      NFS_SUPER_MAGIC,   SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, MAGIC_FUSE, AFS_SUPER_MAGIC,
      AFS_FS_MAGIC,      CODA_SUPER_MAGIC, NCP_SUPER_MAGIC,  V9FS_MAGIC,       MAGIC_CEPH, MAGIC_LUSTRE,
      OCFS2_SUPER_MAGIC, MAGIC_GFS2,       MAGIC_GPFS,       MAGIC_VBOXSF,
  };
  struct statfs fs;
  if (statfs(path, &fs) != 0) return false;
  for (size_t i = 0; i < sizeof network / sizeof network[0]; i++)
    if ((uint32_t)fs.f_type == network[i]) return true;
  return false;
}

char *os_location_uri(const char *path, const char *query) {
  static const char hex[] = "0123456789ABCDEF";
  struct os_buf buf;
  os_buf_init(&buf, 0);
  os_buf_puts(&buf, "file:");
  for (const char *p = path; *p != '\0'; p++) {
    unsigned char c = (unsigned char)*p;
    if (os_is_alpha(*p) || os_is_digit(*p) || strchr("/-_.~", *p) != NULL) {
      os_buf_putc(&buf, *p);
    } else {
      os_buf_putc(&buf, '%');
      os_buf_putc(&buf, hex[c >> 4]);
      os_buf_putc(&buf, hex[c & 15]);
    }
  }
  os_buf_puts(&buf, query);
  char *uri = buf.failed ? NULL : os_buf_take(&buf);
  os_buf_free(&buf);
  return uri;
}
