/* places.c - see places.h. */
#include "operations/load/places.h"
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "pipeline/ack_track.h"

struct os_load_place { /* of a file of which some records have outcomes, and not all */
  struct os_ack_track track;
  int64_t documents, failed;
  double started;
  bool dirty;
  struct os_error *error; /* why it could not be read to its end; owned */
};

void os_load_places_begin(struct os_load_places *places, struct os_load *load, bool in_order) {
  *places = (struct os_load_places){.load = load, .in_order = in_order, .free_since = os_clock_monotonic()};
}

static void free_place(struct os_load_place *place) {
  if (!place) return;
  os_ack_free(&place->track);
  os_free(place->error);
  os_free(place);
}

void os_load_places_free(struct os_load_places *places) {
  for (size_t i = 0; i < places->count; i++)
    free_place(places->files[i]);
  os_free(places->files);
  os_free(places->touched);
  os_free(places->first_error);
}

/* As much as the load has for its files. */
static bool make_room(struct os_load_places *places, size_t count) {
  if (count <= places->cap) return true;
  size_t cap = places->load->file_cap;
  struct os_load_place **files = os_realloc(places->files, cap * sizeof(*files));
  if (files) places->files = files;
  uint32_t *touched = os_realloc(places->touched, cap * sizeof *touched);
  if (touched) places->touched = touched;
  if (files && touched) places->cap = cap;
  return files && touched;
}

int os_load_places_grow(struct os_load_places *places, struct os_error *error) {
  struct os_load *load = places->load;
  size_t count = load->shared->list.count;
  if (!make_room(places, count)) return os_fail_nomem(error);
  for (size_t i = places->count; i < count; i++) {
    struct os_source *source = os_load_source(load, i);
    places->files[i] = NULL;
    source->skip = load->files[i].action == OS_FILE_SKIP;
    if (source->skip) continue;
    bool direct = source->compression == OS_PLAIN && source->start_offset < source->size;
    places->bytes_total += source->size - (direct ? source->start_offset : 0);
  }
  places->count = count;
  return OS_OK;
}

static void touch(struct os_load_places *places, uint32_t i) {
  if (places->files[i]->dirty) return;
  places->files[i]->dirty = true;
  places->touched[places->touched_count++] = i;
}

/* The file of a segment, begun if it is its first one. NULL: no memory. */
static struct os_load_place *place_of(struct os_load_places *places, uint32_t i) {
  if (places->files[i]) return places->files[i];
  const struct os_source *source = os_load_source(places->load, i);
  struct os_load_place *place = os_calloc(1, sizeof *place);
  if (!place) return NULL;
  os_ack_init(&place->track, source->start_offset, source->start_line);
  place->started = places->free_since;
  return places->files[i] = place;
}

int os_load_places_settle(struct os_load_places *places, struct os_batch *batch, struct os_error *error) {
  for (size_t i = 0; i < batch->segment_count; i++) {
    struct os_segment *segment = &batch->segments[i];
    struct os_load_place *file = place_of(places, segment->source);
    if (!file || !os_ack_add(&file->track, segment->from, segment->to, segment->line))
      return os_fail_nomem(error);
    file->documents += (int64_t)segment->records;
    places->load->figures->documents_read += (int64_t)segment->records;
    if (segment->eof) {
      os_ack_eof(&file->track, segment->to);
      file->error = segment->error;
      segment->error = NULL;
    }
    touch(places, segment->source);
  }
  for (size_t i = 0; i < batch->refusal_count; i++)
    places->files[batch->refusals[i].source]->failed++; /* a segment covers it */
  return OS_OK;
}

/* Must what is known of this file be kept back? */
static bool is_held(const struct os_load_places *places, uint32_t i) {
  return places->in_order && i > places->first_open;
}

static bool is_done(const struct os_load_places *places, size_t i) {
  const struct os_load_place *place = places->files[i];
  return os_load_source(places->load, i)->skip || places->load->files[i].ended ||
         (place && os_ack_complete(&place->track));
}

/* The first file is done: the next is no longer held, nor are those behind it up to one that is not done. */
static void let_follow(struct os_load_places *places) {
  size_t count = places->count;
  while (places->first_open < count && is_done(places, places->first_open))
    if (++places->first_open < count && places->files[places->first_open])
      touch(places, (uint32_t)places->first_open);
}

/* Its row says how the file ended: nothing more is to be known of it but the error of the first one that has one. */
static void end_file(struct os_load_places *places, uint32_t i) {
  struct os_load_place *file = places->files[i];
  if (file->error) {
    places->failed++;
    if (!places->first_error || i < places->first_failed) {
      os_free(places->first_error);
      places->first_error = file->error;
      places->first_failed = i;
      file->error = NULL;
    }
  }
  free_place(file);
  places->files[i] = NULL;
  places->load->files[i].ended = true;
  if (places->count > OS_LOAD_FEW_FILES) os_load_forget_columns(&places->load->files[i]);
  places->load->figures->files_done++;
  places->free_since = os_clock_monotonic();
}

static int write_file(struct os_load_places *places, uint32_t i, struct os_error *error) {
  struct os_load *load = places->load;
  struct os_load_place *file = places->files[i];
  const struct os_source *source = os_load_source(load, i);
  bool held = is_held(places, i), complete = !held && os_ack_complete(&file->track);
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE] = "";
  struct os_job_file row = {.job = load->job->number,
                            .status = "running",
                            .byte_offset = (int64_t)(held ? source->start_offset : file->track.offset),
                            .line = (int64_t)(held ? source->start_line : file->track.line),
                            .documents = file->documents,
                            .failed = file->failed,
                            .seconds = os_clock_monotonic() - file->started};
  if (complete) row.status = file->error ? "failed" : file->failed ? "partial" : "success";
  if (complete && file->error) {
    os_error_sentence(file->error, sentence, sizeof sentence);
    row.error = sentence;
  }
  file->dirty = false;
  int rc = load->request->dry_run ? OS_OK : os_ledger_file_progress(load->ledger, source->tag, &row, error);
  if (!rc && complete) end_file(places, i);
  return rc;
}

int os_load_places_write(struct os_load_places *places, struct os_error *error) {
  int rc = OS_OK;
  if (places->in_order) let_follow(places);
  for (size_t i = 0; i < places->touched_count && !rc; i++)
    rc = write_file(places, places->touched[i], error);
  places->touched_count = 0;
  return rc;
}

/* Of an object whose content is right, whatever S3 answered, nothing is to be mended. */
static void advise_rest(const struct os_load_places *places, const struct os_source *source,
                        struct os_error *error) {
  const struct os_job_figures *figures = places->load->figures;
  int64_t there = figures->documents_created + figures->documents_updated;
  bool content = !source->bucket || error->code == OS_ERR_FORMAT;
  os_advise(error, "%lld records of this load are in the index; %s", (long long)there,
            content ? "mend the file, then load it with mode resume and on_changed replace"
                    : "when it can be read again, load it with mode resume");
}

int os_load_places_report(const struct os_load_places *places, struct os_error *error) {
  if (!places->first_error) return OS_OK;
  *error = *places->first_error;
  const struct os_source *source = os_load_source(places->load, places->first_failed);
  if (!strstr(error->text, source->path)) os_error_prefix(error, "%s", source->path);
  if (places->failed > 1)
    os_error_prefix(error, "%zu of %zu files could not be read to their end; the first: ", places->failed,
                    places->count);
  if (!error->advice[0]) advise_rest(places, source, error);
  return (int)error->code;
}
