#include "dispatch.h"

#include <errno.h>
#include <string.h>

int dispatch_put_message(struct buf *b, const struct dispatch_message *m, uint32_t rcpts_here)
{
  if (netstring_put(b, "M", 1) || netstring_put_u64(b, m->serial) || netstring_put_str(b, m->id) ||
      netstring_put_str(b, m->sender) || netstring_put_str(b, m->tenant) ||
      netstring_put_str(b, m->source) || netstring_put_str(b, m->destination) ||
      netstring_put_u64(b, (uint64_t)m->priority) || netstring_put_u64(b, (uint64_t)m->flags) ||
      netstring_put_u64(b, (uint64_t)m->arrival) || netstring_put_u64(b, m->envelope_len) ||
      netstring_put_u64(b, m->content_len) || netstring_put_u64(b, m->rcpts_total) ||
      netstring_put_u64(b, m->through) || netstring_put_u64(b, m->last) ||
      netstring_put_u64(b, rcpts_here))
    return -1;
  return 0;
}

int dispatch_get_message(struct netstring_reader *r, struct dispatch_message *m,
                         uint32_t *rcpts_here)
{
  uint64_t priority = 0, flags = 0, arrival = 0, envelope_len = 0, total = 0, last = 0, here = 0;
  uint64_t through = 0;

  memset(m, 0, sizeof *m);
  netstring_get_u64(r, UINT64_MAX, &m->serial);
  netstring_get_str(r, m->id, sizeof m->id);
  netstring_get_str(r, m->sender, sizeof m->sender);
  netstring_get_str(r, m->tenant, sizeof m->tenant);
  netstring_get_str(r, m->source, sizeof m->source);
  netstring_get_str(r, m->destination, sizeof m->destination);
  netstring_get_u64(r, 99, &priority);
  netstring_get_u64(r, UINT16_MAX, &flags);
  netstring_get_u64(r, INT64_MAX, &arrival);
  netstring_get_u64(r, UINT32_MAX, &envelope_len);
  netstring_get_u64(r, UINT64_MAX, &m->content_len);
  netstring_get_u64(r, ENVELOPE_RCPTS_MAX, &total);
  netstring_get_u64(r, UINT32_MAX, &through);
  netstring_get_u64(r, 1, &last);
  netstring_get_u64(r, DISPATCH_RCPTS_PER_PART, &here);
  m->priority = (int)priority;
  m->flags = (int)flags;
  m->arrival = (int64_t)arrival;
  m->envelope_len = (uint32_t)envelope_len;
  m->rcpts_total = (uint32_t)total;
  m->through = (uint32_t)through;
  m->last = last;
  *rcpts_here = (uint32_t)here;
  return r->bad ? -1 : 0;
}

int dispatch_put_rcpt(struct buf *b, const struct dispatch_rcpt *r)
{
  const char state = (char)r->state;

  if (netstring_put_u64(b, r->rcpt) || netstring_put_str(b, r->address) ||
      netstring_put_u64(b, (uint64_t)r->notify) || netstring_put(b, &state, 1) ||
      netstring_put_u64(b, r->attempts) || netstring_put_u64(b, (uint64_t)r->next) ||
      netstring_put_u64(b, r->delay_told))
    return -1;
  return 0;
}

int dispatch_get_rcpt(struct netstring_reader *r, struct dispatch_rcpt *rcpt)
{
  uint64_t index = 0, notify = 0, attempts = 0, next = 0, told = 0;
  char state = 0;

  memset(rcpt, 0, sizeof *rcpt);
  netstring_get_u64(r, ENVELOPE_RCPTS_MAX - 1, &index);
  netstring_get_str(r, rcpt->address, sizeof rcpt->address);
  netstring_get_u64(r, 15, &notify);
  netstring_get_char(r, &state);
  netstring_get_u64(r, UINT32_MAX, &attempts);
  netstring_get_u64(r, INT64_MAX, &next);
  netstring_get_u64(r, 1, &told);
  if (r->bad || !strchr("pfs", state)) {
    r->bad = true;
    errno = EINVAL;
    return -1;
  }
  rcpt->rcpt = (uint32_t)index;
  rcpt->notify = (int)notify;
  rcpt->state = (enum rcpt_state)state;
  rcpt->attempts = (uint32_t)attempts;
  rcpt->next = (int64_t)next;
  rcpt->delay_told = told;
  return 0;
}

int dispatch_put_result(struct buf *b, const struct dispatch_result *r)
{
  if (outcome_put(b, &r->outcome) || netstring_put_u64(b, r->attempts) ||
      netstring_put_u64(b, (uint64_t)r->next) || netstring_put_u64(b, r->dsn_due))
    return -1;
  return 0;
}

int dispatch_get_result(struct netstring_reader *r, struct dispatch_result *result)
{
  uint64_t attempts = 0, next = 0, due = 0;

  outcome_get(r, &result->outcome);
  netstring_get_u64(r, UINT32_MAX, &attempts);
  netstring_get_u64(r, INT64_MAX, &next);
  netstring_get_u64(r, 1, &due);
  result->attempts = (uint32_t)attempts;
  result->next = (int64_t)next;
  result->dsn_due = due;
  return r->bad ? -1 : 0;
}
