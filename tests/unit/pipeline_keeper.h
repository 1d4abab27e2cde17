/* pipeline_keeper.h - runs a pipeline against the model server as a keeper does, and keeps what it was
** told: outcomes, refusals, acknowledged bytes.
*/
#ifndef PIPELINE_KEEPER_H
#define PIPELINE_KEEPER_H
#include "folder.h"
#include "base/alloc.h"
#include "bulk_model.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"
#include "pipeline/pipeline.h"
#include "pipeline/source_build.h"

enum { MOST_SEGMENTS = 60000, MOST_REFUSALS = 3000, MOST_TAGS = 4000 };

struct kept_refusal {
  int status;
  uint64_t offset, line;
  uint32_t source;
  char type[64], reason[200], doc_id[600], raw[200];
  bool overtaken, maybe_sent;
  size_t document_len, raw_len;
};

struct load {
  struct os_source_list list;
  struct os_parse_options parse;
  struct os_endpoint endpoint;
  struct os_pipeline_options options;
  struct os_pipeline *pipeline;
  char url[64];
  /* what the keeper was told */
  uint64_t outcomes[OS_OUTCOMES], records, requests, retries, unknown;
  struct os_segment segments[MOST_SEGMENTS]; /* error: not kept */
  size_t segment_count, ends;
  struct kept_refusal refusals[MOST_REFUSALS];
  size_t refusal_count;
  int settled[MOST_TAGS]; /* push: outcome of each tag, -1: not told */
  struct os_error fault, source_error;
  size_t unfinished, batches, in_hand;
  atomic_int let_go; /* keep() was called so often */
};

static struct os_net *net;

UNUSED static int net_setup(void **state) {
  static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
  for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
    unsetenv(proxies[i]);
  return folder_setup(state) || os_net_new(&net, NULL, NULL);
}

UNUSED static int net_teardown(void **state) {
  os_net_free(net);
  return folder_teardown(state);
}

UNUSED static struct load *load_new(const struct bulk_model *model) {
  struct load *load = calloc(1, sizeof *load);
  snprintf(load->url, sizeof load->url, "http://127.0.0.1:%d", model->server.port);
  atomic_init(&load->endpoint.references, 1);
  load->endpoint.name = (char *)"main";
  load->endpoint.url = load->url;
  load->endpoint.compress = OS_COMPRESS_NEVER;
  load->endpoint.timeout = 20;
  load->endpoint.max_retries = 6;
  load->parse = (struct os_parse_options){.id_field = "_id", .header = true};
  load->options = (struct os_pipeline_options){.endpoint = &load->endpoint,
                                               .net = net,
                                               .index = "i",
                                               .parse = &load->parse,
                                               .op = OS_OP_INDEX,
                                               .batch_size = 100,
                                               .batch_bytes = 1 << 20,
                                               .max_workers = 4,
                                               .readers = 1};
  memset(load->settled, -1, sizeof load->settled);
  return load;
}

/* The sources of a path, examined, with prefixes for computed ids. */
UNUSED static int load_plan(struct load *load, const char *path, struct os_error *error) {
  int rc = os_source_list_build(&load->list, path, NULL, NULL, NULL, error);
  for (size_t i = 0; !rc && i < load->list.count; i++) {
    struct os_head_facts facts;
    struct os_source *source = os_source_at(&load->list, i);
    rc = os_source_examine(source, OS_FORMAT_UNKNOWN, &load->parse, NULL, &facts, error);
    os_head_facts_free(&facts);
    if (!rc) rc = os_id_prefix_compute(source->name, "c", 0, source->id_prefix, error);
  }
  load->options.sources = &load->list;
  return rc;
}

UNUSED static void load_let_go(void *ctx) {
  struct load *load = ctx;
  atomic_fetch_add(&load->let_go, 1);
}

UNUSED static int load_start(struct load *load, struct os_error *error) {
  return os_pipeline_start(&load->pipeline, &load->options, load_let_go, load, error);
}

static inline void keep_refusal(struct load *load, const struct os_refusal *refusal) {
  assert_true(load->refusal_count < MOST_REFUSALS);
  struct kept_refusal *kept = &load->refusals[load->refusal_count++];
  *kept = (struct kept_refusal){.status = refusal->status,
                                .offset = refusal->offset,
                                .line = refusal->line,
                                .source = refusal->source,
                                .document_len = refusal->document ? refusal->document_len : 0,
                                .raw_len = refusal->raw_len,
                                .overtaken = refusal->overtaken,
                                .maybe_sent = refusal->maybe_sent};
  snprintf(kept->type, sizeof kept->type, "%s", refusal->type);
  snprintf(kept->reason, sizeof kept->reason, "%s", refusal->reason);
  snprintf(kept->doc_id, sizeof kept->doc_id, "%s", refusal->doc_id ? refusal->doc_id : "");
  snprintf(kept->raw, sizeof kept->raw, "%.150s", refusal->raw ? refusal->raw : "");
}

UNUSED static void load_take(struct load *load, struct os_batch *batch) {
  load->batches++;
  uint64_t settled = 0;
  for (int i = 0; i < OS_OUTCOMES; i++) {
    load->outcomes[i] += batch->outcomes[i];
    settled += batch->outcomes[i];
  }
  load->requests += batch->requests;
  load->retries += batch->retries;
  load->unknown += batch->unknown;
  if (batch->fault.code && !load->fault.code) load->fault = batch->fault;
  for (size_t i = 0; i < batch->refusal_count; i++)
    keep_refusal(load, &batch->refusals[i]);
  for (size_t i = 0; i < batch->settled_count; i++) {
    assert_true(batch->settled[i].tag < MOST_TAGS);
    assert_int_equal(load->settled[batch->settled[i].tag], -1); /* told once */
    load->settled[batch->settled[i].tag] = (int)batch->settled[i].outcome;
  }
  load->unfinished += !batch->finished;
  if (batch->finished) {
    assert_int_equal(settled, batch->records); /* each record of it has one outcome */
    assert_int_equal(batch->item_count, 0);
    load->records += batch->records;
    for (size_t i = 0; i < batch->segment_count; i++) {
      assert_true(load->segment_count < MOST_SEGMENTS);
      load->segments[load->segment_count] = batch->segments[i];
      load->segments[load->segment_count++].error = NULL;
      load->ends += batch->segments[i].eof;
      if (batch->segments[i].error) load->source_error = *batch->segments[i].error;
    }
  }
  os_pipeline_return(load->pipeline, batch);
}

/* Take batches until the end, or until a fault stops the load. */
UNUSED static void load_keep(struct load *load) {
  double until = os_clock_monotonic() + 30;
  while (!os_pipeline_ended(load->pipeline)) {
    struct os_batch *batch = os_pipeline_next(load->pipeline, 2);
    if (batch) load_take(load, batch);
    struct os_error error;
    os_pipeline_error(load->pipeline, &error);
    if (load->fault.code || error.code) os_pipeline_stop(load->pipeline);
    if (os_clock_monotonic() > until) fail_msg("the load does not end");
  }
  struct os_batch *batch;
  while ((batch = os_pipeline_next(load->pipeline, 0)))
    load_take(load, batch);
}

/* Wait for the last thread, then free. */
UNUSED static void load_free(struct load *load) {
  double until = os_clock_monotonic() + 10;
  while ((!atomic_load(&load->let_go) || atomic_load(&load->endpoint.references) != 1) &&
         os_clock_monotonic() < until)
    os_clock_sleep_ms(1);
  assert_int_equal(atomic_load(&load->let_go), 1);
  assert_int_equal(atomic_load(&load->endpoint.references), 1);
  os_source_list_free(&load->list);
  free(load);
}

/* The whole of it, which goes well as far as the load is concerned. */
UNUSED static void load_run(struct load *load, const char *path) {
  assert_ok(load_plan(load, path, &test_error));
  assert_ok(load_start(load, &test_error));
  load_keep(load);
  struct os_error error;
  os_pipeline_error(load->pipeline, &error);
  assert_int_equal(error.code, OS_OK);
  assert_true(os_pipeline_release(load->pipeline, 1));
}

static inline int by_place(const void *a, const void *b) {
  const struct os_segment *x = a, *y = b;
  if (x->source != y->source) return x->source < y->source ? -1 : 1;
  if (x->from != y->from) return x->from < y->from ? -1 : 1;
  return (x->to > y->to) - (x->to < y->to);
}

/* The acknowledged bytes are [0, size) of every source: no hole, nothing twice, and the end of each was
** told once.
*/
UNUSED static void all_acknowledged(struct load *load) {
  uint64_t records = 0;
  size_t i = 0;
  assert_int_equal(load->unfinished, 0);
  qsort(load->segments, load->segment_count, sizeof *load->segments, by_place);
  for (uint32_t source = 0; source < load->list.count; source++) {
    uint64_t at = 0;
    int ends = 0;
    for (; i < load->segment_count && load->segments[i].source == source; i++) {
      assert_int_equal(load->segments[i].from, at);
      at = load->segments[i].to;
      ends += load->segments[i].eof;
      if (load->segments[i].eof)
        assert_true(i + 1 == load->segment_count || load->segments[i + 1].source != source);
      records += load->segments[i].records;
    }
    assert_int_equal(ends, 1);
    assert_int_equal(at, os_source_at(&load->list, source)->size);
  }
  assert_int_equal(records, load->records);
}
#endif
