/* more.c - objects of S3 that are listed while those before them are loaded; see load.h. */
#include "operations/load/load.h"

enum { PAGE = 1000 /* objects at a time: what a batch that is settled meanwhile waits for */ };

void os_load_end_list(struct os_load *load) {
  os_source_lister_free(load->lister);
  load->lister = NULL;
}

int os_load_take_more(struct os_load *load, struct os_error *error) {
  size_t from = load->shared->list.count;
  bool ended = false;
  int rc = os_source_lister_take(load->lister, &load->shared->list, PAGE, NULL, &ended, error);
  if (!rc && load->shared->list.count > from) {
    rc = os_load_plan_files(load, from, error);
    if (!rc) rc = os_load_decide_files(load, from, error);
    if (!rc) rc = os_load_prepare_files(load, from, error);
  }
  if (rc || !ended) return rc;
  os_load_end_list(load);
  return os_load_audit_files(load, error);
}
