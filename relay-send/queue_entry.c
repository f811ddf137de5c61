#include "queue_entry.h"

#include "clock.h"

#include <stdlib.h>

#define ENTRY_ATTEMPTS_MAX UINT32_MAX

static bool state_valid(char c)
{
  return c == RCPT_PENDING || c == RCPT_FAILED_DUE || c == RCPT_RELAYED_DUE || c == RCPT_ENDED;
}

static bool kind_valid(char c)
{
  return c == 'f' || c == 'd' || c == 's';
}

int entry_put(struct buf *b, const struct entry *e)
{
  char state = (char)e->state;

  if (netstring_put_u64(b, e->rcpt) == -1 || netstring_put(b, &state, 1) == -1 ||
      netstring_put_u64(b, e->delay_told) == -1 || netstring_put_u64(b, (uint64_t)e->when) == -1 ||
      netstring_put_u64(b, (uint64_t)e->next) == -1 || netstring_put_u64(b, e->attempts) == -1 ||
      netstring_put_u64(b, e->has_outcome) == -1) {
    return -1;
  }
  return e->has_outcome ? outcome_put(b, &e->outcome) : 0;
}

int entry_get(struct netstring_reader *r, struct entry *e)
{
  uint64_t rcpt, told, when, next, attempts, has;
  char state;

  if (netstring_get_u64(r, ENVELOPE_RCPTS_MAX - 1, &rcpt) == -1 ||
      netstring_get_char(r, &state) == -1 || netstring_get_u64(r, 1, &told) == -1 ||
      netstring_get_u64(r, INT64_MAX, &when) == -1 ||
      netstring_get_u64(r, INT64_MAX, &next) == -1 ||
      netstring_get_u64(r, ENTRY_ATTEMPTS_MAX, &attempts) == -1 ||
      netstring_get_u64(r, 1, &has) == -1 || !state_valid(state)) {
    return -1;
  }
  e->rcpt = (uint32_t)rcpt;
  e->state = (enum rcpt_state)state;
  e->delay_told = told;
  e->when = (int64_t)when;
  e->next = (int64_t)next;
  e->attempts = (uint32_t)attempts;
  e->has_outcome = has;
  return has ? outcome_get(r, &e->outcome) : 0;
}

enum rcpt_state entry_state_after(const struct dispatch_result *r)
{
  switch (r->outcome.verdict) {
  case VERDICT_DELIVERED:
    return r->dsn_due ? RCPT_RELAYED_DUE : RCPT_ENDED;
  case VERDICT_FAILED:
    return r->dsn_due ? RCPT_FAILED_DUE : RCPT_ENDED;
  case VERDICT_DROPPED:
    return RCPT_ENDED;
  case VERDICT_DEFERRED:
    break;
  }
  return RCPT_PENDING;
}

void entry_of_result(struct entry *e, const struct dispatch_result *r)
{
  *e = (struct entry){.rcpt = r->outcome.rcpt,
                      .state = entry_state_after(r),
                      .when = clock_wall_ms(),
                      .next = r->next,
                      .attempts = r->attempts,
                      .has_outcome = true,
                      .outcome = r->outcome};
}

int origin_put(struct buf *b, const struct origin *o)
{
  uint32_t i;

  if (netstring_put(b, &o->kind, 1) == -1 || netstring_put_u64(b, o->serial) == -1 ||
      netstring_put_u64(b, o->count) == -1) {
    return -1;
  }
  for (i = 0; i < o->count; i++) {
    if (netstring_put_u64(b, o->rcpts[i]) == -1) {
      return -1;
    }
  }
  return 0;
}

int origin_get(struct netstring_reader *r, struct origin *o)
{
  uint64_t serial, count, index;
  uint32_t i;

  *o = (struct origin){0};
  if (netstring_get_char(r, &o->kind) == -1 || !kind_valid(o->kind) ||
      netstring_get_u64(r, UINT64_MAX, &serial) == -1 ||
      netstring_get_u64(r, ENVELOPE_RCPTS_MAX, &count) == -1 || count == 0) {
    return -1;
  }
  o->serial = serial;
  o->rcpts = malloc(count * sizeof(*o->rcpts));
  if (!o->rcpts) {
    return -1;
  }
  for (i = 0; i < count; i++) {
    if (netstring_get_u64(r, ENVELOPE_RCPTS_MAX - 1, &index) == -1) {
      origin_free(o);
      return -1;
    }
    o->rcpts[i] = (uint32_t)index;
  }
  o->count = (uint32_t)count;
  return 0;
}

void origin_free(struct origin *o)
{
  free(o->rcpts);
  *o = (struct origin){0};
}

int extra_put(struct buf *b, const char *name, const struct origin *o)
{
  if (netstring_put_str(b, name) == -1) {
    return -1;
  }
  return o && o->count > 0 ? origin_put(b, o) : 0;
}

int extra_get(const char *data, size_t len, char name[EXTRA_NAME_SIZE], struct origin *o)
{
  struct netstring_reader r;

  *o = (struct origin){0};
  name[0] = '\0';
  if (len == 0) {
    return 0;
  }
  netstring_open(&r, data, len);
  if (netstring_get_str(&r, name, EXTRA_NAME_SIZE) == -1) {
    return -1;
  }
  if (netstring_more(&r) && origin_get(&r, o) == -1) {
    return -1;
  }
  if (netstring_end(&r) == -1) {
    origin_free(o);
    return -1;
  }
  return 0;
}
