#include "notice.h"

#include "dispatch_client.h"
#include "hash.h"
#include "memory.h"
#include "results.h"
#include "schedule.h"
#include "seqpacket.h"

#include <stdlib.h>

#define NOTICE_RETRY_MS 300000 /* after relay-bounce could not make one */
#define NOTICE_BUSY_MS 1000    /* while another notice of the message is being made */

/* A DSN that is being made. At most one for a message. */
struct notice {
  uint64_t serial;
  struct message *message;
  char kind;
  uint16_t count;
  uint16_t places[]; /* in message.rcpts */
};

static struct hash open_notices;

static const void *key(const void *item, size_t *len)
{
  const struct notice *n = item;

  *len = sizeof n->serial;
  return &n->serial;
}

void notice_start(void)
{
  hash_init(&open_notices, key);
}

void notice_settled(struct rcpt *r)
{
  struct message *m = rcpt_message(r);

  if (--m->pending > 0) {
    return;
  }
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    if (m->rcpts[i].where == RCPT_AT_DUE) {
      timer_set(&m->rcpts[i].timer, sched.now);
    }
  }
}

static void send_notice(struct notice *n)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  const char kind[2] = {n->kind, 0};
  int failed = netstring_put_str(&b, "B");

  failed |= netstring_put_u64(&b, n->serial);
  failed |= netstring_put_str(&b, kind);
  failed |= netstring_put_u64(&b, n->count);
  for (uint16_t i = 0; i < n->count; i++) {
    failed |= netstring_put_u64(&b, n->message->rcpts[n->places[i]].index);
  }
  if (failed || hash_insert(&open_notices, n) == -1) {
    memory_out();
  }
  n->message->notice_open = 1;
  results_flush(); /* what the notice is about comes before it */
  dispatch_client_send(&b, -1);
  buf_free(&b);
}

static struct notice *notice_make(struct message *m, char kind)
{
  struct notice *n = memory_get(sizeof *n + m->rcpt_count * sizeof *n->places);

  n->serial = m->serial;
  n->message = m;
  n->kind = kind;
  return n;
}

void notice_due(struct rcpt *r)
{
  struct message *m = rcpt_message(r);

  if (m->notice_open || m->through || !sched.told) {
    timer_set(&r->timer, sched.now + NOTICE_BUSY_MS);
    return;
  }
  struct notice *n = notice_make(m, r->relayed ? 's' : 'f');
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    struct rcpt *other = &m->rcpts[i];
    if (other->where == RCPT_AT_DUE && other->relayed == r->relayed) {
      n->places[n->count++] = i;
      timer_clear(&other->timer);
      rcpt_place(other, RCPT_AT_NOTICE);
    }
  }
  send_notice(n);
}

void notice_delay(struct rcpt *r)
{
  struct message *m = rcpt_message(r);

  if (m->notice_open || m->through || !sched.told || !schedule_delay_wanted(r)) {
    return; /* the next look at the recipient comes back to it */
  }
  struct notice *n = notice_make(m, 'd');
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    struct rcpt *other = &m->rcpts[i];
    bool late = other->where == RCPT_AT_WAITING || other->where == RCPT_AT_READY ||
                other->where == RCPT_AT_LOOKUP;
    if (late && other->told && schedule_delay_wanted(other)) {
      n->places[n->count++] = i;
    }
  }
  if (n->count == 0) {
    free(n);
    return;
  }
  send_notice(n);
}

void notice_answer(uint64_t serial, bool ok)
{
  struct notice *n = hash_remove(&open_notices, &serial, sizeof serial);

  if (!n) {
    return;
  }
  for (uint16_t i = 0; i < n->count; i++) {
    struct rcpt *r = &n->message->rcpts[n->places[i]];
    if (n->kind == 'd') {
      r->delay_told |= ok;
    } else if (ok) {
      rcpt_end(r);
    } else {
      rcpt_place(r, RCPT_AT_DUE);
      timer_set(&r->timer, sched.now + NOTICE_RETRY_MS);
    }
  }
  n->message->notice_open = 0; /* until here it kept the message */
  message_release(n->message);
  free(n);
}
