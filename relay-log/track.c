#include "track.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define TEXT_CAP_MIN 256 /* one piece of recordio's */

int tracks_init(struct tracks *t, size_t max)
{
  *t = (struct tracks){
    .free = NONE, .newest = NONE, .oldest = NONE, .max = max, .memory_max = TRACK_MEMORY_MAX};
  t->tracks = calloc(max, sizeof t->tracks[0]);
  t->buckets = malloc(2 * max * sizeof t->buckets[0]);
  if (!t->tracks || !t->buckets) {
    tracks_free(t);
    return -1;
  }
  memset(t->buckets, 0xff, 2 * max * sizeof t->buckets[0]);
  return 0;
}

void tracks_free(struct tracks *t)
{
  while (t->count > 0) {
    tracks_forget(t, &t->tracks[t->oldest]);
  }
  free(t->tracks);
  free(t->buckets);
  t->tracks = NULL;
  t->buckets = NULL;
}

/* Pids are the kernel's, and mostly in a row: their low bits spread well. */
static uint32_t *bucket(const struct tracks *t, uint32_t pid)
{
  return &t->buckets[pid % (2 * t->max)];
}

static void unlink_age(struct tracks *t, struct track *k)
{
  *(k->newer == NONE ? &t->newest : &t->tracks[k->newer].older) = k->older;
  *(k->older == NONE ? &t->oldest : &t->tracks[k->older].newer) = k->newer;
}

static void link_newest(struct tracks *t, struct track *k)
{
  uint32_t i = (uint32_t)(k - t->tracks);

  k->newer = NONE;
  k->older = t->newest;
  *(t->newest == NONE ? &t->oldest : &t->tracks[t->newest].newer) = i;
  t->newest = i;
}

static void touch(struct tracks *t, struct track *k)
{
  if (k->newer != NONE) {
    unlink_age(t, k);
    link_newest(t, k);
  }
}

static void clear(struct tracks *t, struct track *k)
{
  text_clear(t, &k->in);
  text_clear(t, &k->out);
  text_clear(t, &k->queue);
  text_clear(t, &k->content.field);
}

void tracks_reset(struct tracks *t, struct track *k)
{
  clear(t, k);
  *k = (struct track){.pid = k->pid, .next = k->next, .newer = k->newer, .older = k->older};
}

void tracks_forget(struct tracks *t, struct track *k)
{
  uint32_t i = (uint32_t)(k - t->tracks), *at = bucket(t, k->pid);

  clear(t, k);
  while (*at != i) {
    at = &t->tracks[*at].next;
  }
  *at = k->next;
  unlink_age(t, k);
  k->next = t->free;
  t->free = i;
  t->count--;
  t->last = NULL;
}

struct track *tracks_find(struct tracks *t, uint32_t pid)
{
  uint32_t i;

  if (t->last && t->last->pid == pid) {
    return t->last;
  }
  for (i = *bucket(t, pid); i != NONE; i = t->tracks[i].next) {
    if (t->tracks[i].pid == pid) {
      return &t->tracks[i];
    }
  }
  return NULL;
}

struct track *tracks_get(struct tracks *t, uint32_t pid)
{
  struct track *k = tracks_find(t, pid);
  uint32_t *at;

  if (k) {
    touch(t, k);
    t->last = k;
    return k;
  }
  if (t->count >= t->max) {
    tracks_forget(t, &t->tracks[t->oldest]);
    t->forgotten++;
  }
  if (t->free != NONE) {
    k = &t->tracks[t->free];
    t->free = k->next;
  } else {
    k = &t->tracks[t->used++];
  }
  at = bucket(t, pid);
  *k = (struct track){.pid = pid, .next = *at};
  *at = (uint32_t)(k - t->tracks);
  link_newest(t, k);
  t->count++;
  t->last = k;
  return k;
}

void tracks_shrink(struct tracks *t, const struct track *keep)
{
  while (t->memory > t->memory_max && t->count > 0 && &t->tracks[t->oldest] != keep) {
    tracks_forget(t, &t->tracks[t->oldest]);
    t->forgotten++;
  }
}

struct track *tracks_next(const struct tracks *t, const struct track *k)
{
  uint32_t i = k ? k->newer : t->oldest;

  return i == NONE ? NULL : &t->tracks[i];
}

static int grow(struct tracks *t, struct text *x, size_t wanted)
{
  size_t cap = x->cap ? x->cap : TEXT_CAP_MIN;
  char *data;

  while (cap < wanted) {
    cap *= 2;
  }
  data = realloc(x->data, cap);
  if (!data) {
    return -1;
  }
  t->memory += cap - x->cap;
  x->data = data;
  x->cap = (uint32_t)cap;
  return 0;
}

void text_add(struct tracks *t, struct text *x, const char *data, size_t len)
{
  size_t taken = len;

  if (x->more > 0) {
    taken = 0; /* what is kept has no gap */
  } else if (taken > TRACK_TEXT_MAX - x->len) {
    taken = TRACK_TEXT_MAX - x->len;
  }
  if (x->len + taken > x->cap && grow(t, x, x->len + taken) < 0) {
    taken = 0;
  }
  if (taken > 0) {
    memcpy(x->data + x->len, data, taken);
    x->len += (uint32_t)taken;
  }
  x->more += len - taken;
}

void text_clear(struct tracks *t, struct text *x)
{
  if (x->cap > 0) {
    t->memory -= x->cap;
    free(x->data);
  }
  *x = (struct text){.data = NULL};
}
