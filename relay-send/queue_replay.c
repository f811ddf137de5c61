/*
 * Replay. A segment ends where the next one's first record says that it
 * ended. The last one ends behind its last valid record, or before it if that
 * is a message without its content: what follows is a torn tail, or what an
 * older use of the file left there.
 */
#include "queue_replay.h"

#include "io.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_READ 2048      /* read ahead: a message's header and envelope, or ten results */
#define SEARCH_READ (1 << 20) /* the same when looking for the next record after damage */

/* A moving view of one segment. */
struct window {
  int fd;
  uint64_t size; /* of the file */
  struct buf bytes;
  uint64_t start; /* bytes.data[0]'s offset */
};

struct replay {
  struct store *store;
  struct index *index;
  struct replay_counts *counts;
  struct store_segment *segment;
  struct window window;
  uint64_t unseen; /* this serial and those after it were in no record before */
};

/* len bytes at offset, or NULL: beyond the end of the file, unreadable, no memory. */
static const char *window_get(struct window *w, uint64_t offset, size_t len, size_t ahead)
{
  size_t want;

  if (offset >= w->start && offset + len <= w->start + w->bytes.len) {
    return w->bytes.data + (offset - w->start);
  }
  if (offset > w->size || len > w->size - offset) {
    return NULL;
  }
  want = w->size - offset < ahead ? (size_t)(w->size - offset) : ahead;
  want = want < len ? len : want;
  buf_reset(&w->bytes);
  if (buf_reserve(&w->bytes, want) == -1) {
    return NULL;
  }
  if (io_pread_all(w->fd, w->bytes.data, want, (off_t)offset) == -1) {
    /* A bad sector ahead must not cost the record before it. */
    want = len;
    if (io_pread_all(w->fd, w->bytes.data, want, (off_t)offset) == -1) {
      return NULL;
    }
  }
  w->bytes.len = want;
  w->start = offset;
  return w->bytes.data;
}

/* Header and head of a valid record at offset whose whole lies before end; NULL if none is there.
 */
static const char *record_at(struct replay *p, uint64_t offset, uint64_t end, struct record *r,
                             size_t ahead)
{
  const char *data = window_get(&p->window, offset, RECORD_HEADER, ahead);

  if (!data || record_get(data, r) == -1 || r->segment != p->segment->number ||
      record_size(r) > end - offset) {
    return NULL;
  }
  data = window_get(&p->window, offset, RECORD_HEADER + record_head_len(r), ahead);
  if (!data || !record_head_valid(data, r, p->segment->number, p->segment->key)) {
    return NULL;
  }
  return data;
}

/* The id is the envelope's second field (envelope.h). */
static int envelope_id(const char *envelope, size_t len, char id[ID_SIZE])
{
  struct netstring_reader r;
  char version;

  netstring_open(&r, envelope, len);
  if (netstring_get_char(&r, &version) == -1 || netstring_get_str(&r, id, ID_SIZE) == -1) {
    return -1;
  }
  return id_valid(id, strlen(id)) ? 0 : -1;
}

static void end_message(struct replay *p, struct index_message *m)
{
  if (m && m->live == 0) {
    index_remove(p->index, m);
  }
}

/* The states of a MESSAGE; each outcome is to be found in this record. */
static int apply_states(struct index_message *m, const char *data, size_t len, uint32_t segment,
                        uint64_t offset)
{
  struct netstring_reader r;
  struct entry e;

  netstring_open(&r, data, len);
  while (netstring_more(&r)) {
    if (entry_get(&r, &e) == -1 || !index_apply_entry(m, &e)) {
      return -1;
    }
    if (e.has_outcome) {
      index_set_location(m, e.rcpt, segment, offset);
    }
  }
  return netstring_end(&r);
}

/* The message of a record's serial. Most records are a new message's, and cost no look. */
static struct index_message *find_seen(const struct replay *p, uint64_t serial)
{
  return serial < p->unseen ? index_find(p->index, serial) : NULL;
}

/*
 * A crash can leave the head of a record and not its content. A copy would
 * then replace the message that it is a copy of, and a DSN end the recipients
 * that it is to tell about: these must be whole, or are as if never written.
 */
static bool costs_more_than_itself(const struct replay *p, const struct record *r,
                                   const struct origin *o)
{
  return find_seen(p, r->serial) || (o->count > 0 && index_find(p->index, o->serial));
}

/* 0; -1: nothing sensible in it; -2: memory. */
static int apply_message(struct replay *p, const char *data, const struct record *r,
                         uint64_t offset)
{
  const char *envelope = data + RECORD_HEADER, *states = envelope + r->envelope_len;
  char id[ID_SIZE], name[EXTRA_NAME_SIZE];
  struct index_message *m = NULL, *old;
  struct origin o;
  int result = -1;

  if (extra_get(states + r->states_len, r->extra_len, name, &o) == -1) {
    return -1;
  }
  if (r->rcpts == 0 || envelope_id(envelope, r->envelope_len, id) == -1) {
    goto cleanup;
  }
  if (costs_more_than_itself(p, r, &o) &&
      !store_content_is_whole(p->store, p->segment->number, r, offset)) {
    p->counts->strays++;
    result = 0;
    goto cleanup;
  }
  result = -2;
  m = index_message_new(r->serial, id, r->rcpts);
  if (!m || (r->type == RECORD_BIG && !(m->big = strdup(name)))) {
    goto cleanup;
  }
  result = -1;
  if (apply_states(m, states, r->states_len, p->segment->number, offset) == -1) {
    goto cleanup;
  }
  m->envelope_len = r->envelope_len;
  m->states_len = r->states_len;
  m->extra_len = r->extra_len;
  m->content_len = r->content_len;
  old = find_seen(p, r->serial);
  if (old) {
    index_remove(p->index, old);
  }
  result = -2;
  if (index_add(p->index, m) == -1) {
    goto cleanup;
  }
  index_place(p->index, m, p->segment->number, offset, record_size(r));
  end_message(p, m);
  m = NULL;
  if (o.count > 0 && (old = index_find(p->index, o.serial))) {
    index_apply_origin(old, &o);
    end_message(p, old);
  }
  result = 0;

cleanup:
  if (m) {
    free(m->big);
    free(m);
  }
  origin_free(&o);
  return result;
}

static int apply_result(struct replay *p, const char *data, const struct record *r, uint64_t offset)
{
  struct index_message *m = index_find(p->index, r->serial);
  struct netstring_reader reader;
  struct entry e;

  netstring_open(&reader, data + RECORD_HEADER + r->envelope_len, r->states_len);
  if (entry_get(&reader, &e) == -1 || netstring_end(&reader) == -1) {
    return -1;
  }
  if (!m || !index_apply_entry(m, &e)) {
    p->counts->strays++;
    return 0;
  }
  index_set_location(m, e.rcpt, p->segment->number, offset);
  end_message(p, m);
  return 0;
}

static int apply_state(struct replay *p, const char *data, const struct record *r)
{
  struct netstring_reader reader;
  struct index_message *m;
  struct origin o;

  netstring_open(&reader, data + RECORD_HEADER + r->envelope_len + r->states_len, r->extra_len);
  if (origin_get(&reader, &o) == -1) {
    return -1;
  }
  m = index_find(p->index, o.serial);
  if (m) {
    index_apply_origin(m, &o);
    end_message(p, m);
  } else {
    p->counts->strays++;
  }
  origin_free(&o);
  return netstring_end(&reader);
}

static int apply_note(struct replay *p, const char *data, const struct record *r)
{
  char key[DISPATCH_NOTE_KEY_SIZE], value[DISPATCH_NOTE_VALUE_SIZE];
  struct netstring_reader reader;
  struct index_note *n;

  netstring_open(&reader, data + RECORD_HEADER + r->envelope_len + r->states_len, r->extra_len);
  netstring_get_str(&reader, key, sizeof(key));
  netstring_get_str(&reader, value, sizeof(value));
  if (netstring_end(&reader) == -1) {
    return -1;
  }
  n = index_note_set(p->index, key, value);
  if (!n) {
    return -2;
  }
  index_note_place(p->index, n, p->segment->number);
  return 0;
}

static int apply(struct replay *p, const char *data, const struct record *r, uint64_t offset)
{
  const char *extra = data + RECORD_HEADER + r->envelope_len + r->states_len;
  uint64_t previous, end, serial = 0;

  p->unseen = p->index->next_serial;
  if (r->serial >= p->index->next_serial) {
    p->index->next_serial = r->serial + 1;
  }
  switch (r->type) {
  case RECORD_SEGMENT:
    if (store_segment_get(extra, r->extra_len, &previous, &end, &serial) == -1) {
      return -1;
    }
    if (serial > p->index->next_serial) {
      p->index->next_serial = serial;
    }
    return 0;
  case RECORD_MESSAGE:
  case RECORD_BIG:
    return apply_message(p, data, r, offset);
  case RECORD_RESULT:
    return apply_result(p, data, r, offset);
  case RECORD_STATE:
    return apply_state(p, data, r);
  case RECORD_NOTE:
    return apply_note(p, data, r);
  }
  return -1;
}

static bool zeros(const char *data, size_t len)
{
  return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* The start of the next valid record at or behind from, or end. */
static uint64_t find_next(struct replay *p, uint64_t from, uint64_t end)
{
  const char *data;
  struct record r;
  uint64_t at;

  for (at = from; at + RECORD_HEADER <= end; at += RECORD_ALIGN) {
    data = window_get(&p->window, at, RECORD_HEADER, SEARCH_READ);
    if (!data) {
      continue; /* a bad sector */
    }
    /* Most of what is searched is no header at all: cheap test first. */
    if (record_get(data, &r) == 0 && record_at(p, at, end, &r, SEARCH_READ)) {
      return at;
    }
  }
  return end;
}

static void report_damage(struct replay *p, uint64_t from, uint64_t to)
{
  int result;

  p->counts->damaged++;
  if (p->store->read_only) {
    return;
  }
  result = store_quarantine(p->store, p->segment->number, from, to);
  if (result == -1) {
    report_warning_errno("unable to quarantine segment %u, bytes %llu to %llu", p->segment->number,
                         (unsigned long long)from, (unsigned long long)to);
  } else {
    report_warning("segment %u is damaged from byte %llu to %llu; %s in queue/quarantine",
                   p->segment->number, (unsigned long long)from, (unsigned long long)to,
                   result == 0 ? "copied to a file" : "the copy is there already");
  }
}

/* Where reading goes on when no record is at offset: at the next batch, behind damage, or end. */
static uint64_t skip(struct replay *p, uint64_t offset, uint64_t end, bool report)
{
  uint64_t page = (offset + RECORD_PAGE - 1) / RECORD_PAGE * RECORD_PAGE, found;
  const char *data;

  if (offset % RECORD_PAGE != 0 && page <= end) {
    data = window_get(&p->window, offset, (size_t)(page - offset), WINDOW_READ);
    if (data && zeros(data, (size_t)(page - offset))) {
      return page; /* a batch is padded to a page */
    }
  }
  found = find_next(p, offset, end);
  if (report) {
    report_damage(p, offset, found);
  }
  return found;
}

/* The last segment's end: behind its last record. If of that the content is missing, a kill came
 * in the middle of its write, and nobody has been told of it: the torn tail begins with it. */
static uint64_t find_end(struct replay *p)
{
  uint64_t offset = 0, end = p->window.size, start = 0, valid_end = 0;
  struct record r, tail = {0};

  while (offset < end) {
    if (record_at(p, offset, end, &r, WINDOW_READ)) {
      tail = r;
      start = offset;
      offset += record_size(&r);
      valid_end = offset;
    } else {
      offset = skip(p, offset, end, false);
    }
  }
  return store_content_is_whole(p->store, p->segment->number, &tail, start) ? valid_end : start;
}

static int scan_segment(struct replay *p, bool last)
{
  uint64_t offset = 0, end = last ? find_end(p) : p->window.size;
  const char *data;
  struct record r;
  int result;

  if (p->segment->end < end) {
    end = p->segment->end;
  }
  while (offset < end) {
    data = record_at(p, offset, end, &r, WINDOW_READ);
    if (!data) {
      offset = skip(p, offset, end, true);
      continue;
    }
    result = apply(p, data, &r, offset);
    if (result == -2) {
      errno = ENOMEM;
      return -1;
    }
    if (result == -1) {
      report_damage(p, offset, offset + record_size(&r));
    }
    p->counts->records++;
    offset += record_size(&r);
  }
  if (last) {
    p->segment->end = end; /* to the byte: what is torn behind it is never looked at again */
  }
  index_segment_used(p->index, p->segment->number, end);
  return 0;
}

static int open_segment(struct replay *p, struct store_segment *segment)
{
  struct stat st;

  p->segment = segment;
  p->window.fd = store_fd(p->store, segment);
  p->window.start = 0;
  buf_reset(&p->window.bytes);
  if (p->window.fd == -1 || fstat(p->window.fd, &st) == -1) {
    return -1;
  }
  p->window.size = (uint64_t)st.st_size;
  return 0;
}

/* What the segment behind it says of a segment's end; else it is where the file ends. */
static int learn_ends(struct replay *p)
{
  uint64_t previous, end, serial;
  const char *data;
  struct record r;
  uint32_t i;

  for (i = 1; i < p->store->count; i++) {
    if (open_segment(p, &p->store->segments[i]) == -1) {
      return -1;
    }
    data = record_at(p, 0, p->window.size, &r, RECORD_PAGE);
    if (data && r.type == RECORD_SEGMENT &&
        store_segment_get(data + RECORD_HEADER, r.extra_len, &previous, &end, &serial) == 0 &&
        previous == p->store->segments[i - 1].number) {
      p->store->segments[i - 1].end = end;
    }
  }
  return 0;
}

/*
 * How many segments count. A crash while one was being opened leaves a file
 * without a record of its own: its end is 0, and the one before is the last.
 */
static uint32_t count_used(struct replay *p)
{
  struct store *s = p->store;
  uint32_t count = s->count;

  while (count > 0) {
    if (open_segment(p, &s->segments[count - 1]) == -1 ||
        find_next(p, 0, p->window.size) < p->window.size) {
      break;
    }
    s->segments[--count].end = 0;
  }
  return count;
}

int replay_run(struct store *s, struct index *x, struct replay_counts *counts)
{
  struct replay p = {.store = s, .index = x, .counts = counts};
  uint32_t i, used;
  int result = -1;

  *counts = (struct replay_counts){0};
  buf_init(&p.window.bytes, RECORD_HEAD_MAX + SEARCH_READ);
  if (learn_ends(&p) == -1) {
    goto cleanup;
  }
  used = count_used(&p);
  for (i = 0; i < used; i++) {
    if (open_segment(&p, &s->segments[i]) == -1 ||
        index_segment_add(x, s->segments[i].number) == -1) {
      goto cleanup;
    }
    posix_fadvise(p.window.fd, 0, 0, POSIX_FADV_WILLNEED);
    if (scan_segment(&p, i + 1 == used) == -1) {
      goto cleanup;
    }
  }
  result = 0;

cleanup:
  buf_free(&p.window.bytes);
  return result;
}
