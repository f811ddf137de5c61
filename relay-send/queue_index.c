#include "queue_index.h"

#include "queue_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const void *serial_key(const void *item, size_t *len)
{
  const struct index_message *m = item;

  *len = sizeof(m->serial);
  return &m->serial;
}

static const void *id_key(const void *item, size_t *len)
{
  const struct index_message *m = item;

  *len = ID_LENGTH;
  return m->id;
}

static const void *note_key(const void *item, size_t *len)
{
  const struct index_note *n = item;

  *len = strlen(n->key);
  return n->key;
}

void index_init(struct index *x)
{
  *x = (struct index){.next_serial = 1};
  hash_init(&x->by_serial, serial_key);
  hash_init(&x->by_id, id_key);
  hash_init(&x->notes, note_key);
}

void index_free(struct index *x)
{
  struct index_message *m;
  struct index_note *n;
  size_t cursor = 0;

  while ((m = hash_next(&x->by_serial, &cursor))) {
    free(m->big);
    free(m);
  }
  cursor = 0;
  while ((n = hash_next(&x->notes, &cursor))) {
    free(n->value);
    free(n);
  }
  hash_free(&x->by_serial);
  hash_free(&x->by_id);
  hash_free(&x->notes);
  free(x->segments);
  *x = (struct index){0};
}

struct index_message *index_message_new(uint64_t serial, const char *id, uint32_t rcpts)
{
  struct index_message *m = calloc(1, sizeof(*m) + rcpts * sizeof(m->rcpts[0]));
  uint32_t i;

  if (!m) {
    return NULL;
  }
  m->serial = serial;
  memcpy(m->id, id, ID_LENGTH);
  m->rcpt_count = m->live = (uint16_t)rcpts;
  for (i = 0; i < rcpts; i++) {
    m->rcpts[i].state = RCPT_PENDING;
  }
  return m;
}

int index_add(struct index *x, struct index_message *m)
{
  if (hash_insert(&x->by_serial, m) == -1) {
    return -1;
  }
  if (hash_insert(&x->by_id, m) == -1) {
    hash_remove(&x->by_serial, &m->serial, sizeof(m->serial));
    return -1;
  }
  return 0;
}

static void unlink_message(struct index *x, struct index_message *m)
{
  struct index_segment *s = index_segment(x, m->segment);

  if (!s) {
    return;
  }
  *(m->previous ? &m->previous->next : &s->first) = m->next;
  *(m->next ? &m->next->previous : &s->last) = m->previous;
  m->next = m->previous = NULL;
  s->live -= m->size;
  x->live_bytes -= m->size;
  m->segment = 0;
}

void index_remove(struct index *x, struct index_message *m)
{
  unlink_message(x, m);
  hash_remove(&x->by_serial, &m->serial, sizeof(m->serial));
  /* After damage two messages may have had one label: the table holds the other then. */
  if (hash_find(&x->by_id, m->id, ID_LENGTH) == m) {
    hash_remove(&x->by_id, m->id, ID_LENGTH);
  }
  free(m->big);
  free(m);
}

struct index_message *index_find(const struct index *x, uint64_t serial)
{
  return hash_find(&x->by_serial, &serial, sizeof(serial));
}

bool index_has_id(const struct index *x, const char *id)
{
  return hash_find(&x->by_id, id, ID_LENGTH) != NULL;
}

void index_place(struct index *x, struct index_message *m, uint32_t segment, uint64_t offset,
                 uint64_t size)
{
  struct index_segment *s;

  unlink_message(x, m);
  s = index_segment(x, segment);
  m->segment = segment;
  m->position = (uint32_t)(offset / RECORD_ALIGN);
  m->size = size;
  if (!s) {
    return;
  }
  m->previous = s->last;
  *(s->last ? &s->last->next : &s->first) = m;
  s->last = m;
  s->live += size;
  x->live_bytes += size;
}

/* Nearly always one of the last: searched from the end. */
struct index_segment *index_segment(struct index *x, uint32_t number)
{
  uint32_t low = 0, high = x->segment_count, middle;

  if (number == 0 || high == 0) {
    return NULL;
  }
  if (x->segments[high - 1].number == number) {
    return &x->segments[high - 1];
  }
  while (low < high) {
    middle = (low + high) / 2;
    if (x->segments[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < x->segment_count && x->segments[low].number == number ? &x->segments[low] : NULL;
}

int index_segment_add(struct index *x, uint32_t number)
{
  struct index_segment *more;
  uint32_t cap;

  if (x->segment_count == x->segment_cap) {
    cap = x->segment_cap ? x->segment_cap * 2 : 16;
    more = realloc(x->segments, cap * sizeof(*more));
    if (!more) {
      errno = ENOMEM;
      return -1;
    }
    x->segments = more;
    x->segment_cap = cap;
  }
  x->segments[x->segment_count++] = (struct index_segment){.number = number};
  return 0;
}

void index_segment_used(struct index *x, uint32_t number, uint64_t end)
{
  struct index_segment *s = index_segment(x, number);

  if (s && end > s->end) {
    x->used_bytes += end - s->end;
    s->end = end;
  }
}

void index_segment_drop_first(struct index *x)
{
  x->used_bytes -= x->segments[0].end;
  x->segment_count--;
  memmove(x->segments, x->segments + 1, x->segment_count * sizeof(*x->segments));
}

static void set_state(struct index_message *m, struct index_rcpt *r, enum rcpt_state state)
{
  if (r->state != RCPT_ENDED && state == RCPT_ENDED) {
    m->live--;
  } else if (r->state == RCPT_ENDED && state != RCPT_ENDED) {
    m->live++;
  }
  r->state = (uint8_t)state;
}

bool index_apply_entry(struct index_message *m, const struct entry *e)
{
  struct index_rcpt *r;
  int64_t seconds = e->next / 1000 + (e->next % 1000 != 0);

  if (e->rcpt >= m->rcpt_count) {
    return false;
  }
  r = &m->rcpts[e->rcpt];
  set_state(m, r, e->state);
  r->next = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
  r->attempts = e->attempts > UINT16_MAX ? UINT16_MAX : (uint16_t)e->attempts;
  r->delay_told |= e->delay_told;
  m->changes++;
  return true;
}

void index_set_location(struct index_message *m, uint32_t rcpt, uint32_t segment, uint64_t offset)
{
  m->rcpts[rcpt].segment = segment;
  m->rcpts[rcpt].position = (uint32_t)(offset / RECORD_ALIGN);
}

void index_apply_origin(struct index_message *m, const struct origin *o)
{
  uint32_t i;
  struct index_rcpt *r;

  for (i = 0; i < o->count; i++) {
    if (o->rcpts[i] >= m->rcpt_count) {
      continue;
    }
    r = &m->rcpts[o->rcpts[i]];
    if (o->kind == 'd') {
      r->delay_told = 1;
    } else {
      set_state(m, r, RCPT_ENDED);
    }
  }
  m->changes++;
}

struct index_note *index_note_set(struct index *x, const char *key, const char *value)
{
  struct index_note *n = hash_find(&x->notes, key, strlen(key));
  char *copy = strdup(value);

  if (!copy) {
    return NULL;
  }
  if (!n) {
    n = calloc(1, sizeof(*n) + strlen(key) + 1);
    if (!n) {
      free(copy);
      return NULL;
    }
    strcpy(n->key, key);
    if (hash_insert(&x->notes, n) == -1) {
      free(n);
      free(copy);
      return NULL;
    }
  }
  free(n->value);
  n->value = copy;
  return n;
}

void index_note_place(struct index *x, struct index_note *n, uint32_t segment)
{
  struct index_segment *s = index_segment(x, n->segment);

  if (s) {
    s->notes--;
  }
  n->segment = segment;
  s = index_segment(x, segment);
  if (n->value[0] == '\0' && n->unsettled == 0) {
    hash_remove(&x->notes, n->key, strlen(n->key));
    free(n->value);
    free(n);
  } else if (s) {
    s->notes++;
  }
}
