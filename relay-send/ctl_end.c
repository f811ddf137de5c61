/* relay-ctl bounce and drop. */
#include "ctl_client.h"

#include "dispatch_client.h"
#include "memory.h"
#include "results.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END_OPEN_MAX 1024 /* questions; the rest of a message's recipients comes on top */
#define END_RETURNED "returned by the operator of this relay"

struct ctl_end {
  uint64_t serial;
  char id[ID_SIZE];
  uint16_t place; /* in message.rcpts */
  uint8_t asked;  /* times */
  bool open;
  int64_t again_at; /* 0: the question is under way */
};

static bool untouchable(const struct rcpt *r, bool drop)
{
  return r->where == RCPT_AT_ACTIVE || r->where == RCPT_AT_NOTICE || r->where == RCPT_AT_COMMIT ||
         r->where == RCPT_AT_END || (r->where == RCPT_AT_DUE && !drop);
}

static void end(struct ctl_client *c, struct rcpt *r, const struct outcome *o)
{
  if (r->where == RCPT_AT_DUE) {
    rcpt_message(r)->pending++; /* it was settled once already */
  }
  rcpt_detach(r);
  results_local(r, o);
  c->changed++;
}

static void drop(struct ctl_client *c, struct rcpt *r)
{
  static const struct outcome dropped = {.verdict = VERDICT_DROPPED,
                                         .stage = STAGE_NONE,
                                         .status = "5.0.0",
                                         .reply = "dropped by the operator of this relay"};

  end(c, r, &dropped);
}

/* host and last: what was last said, and by whom; "": nobody, nothing. */
static void bounce(struct ctl_client *c, struct rcpt *r, const char *host, const char *last)
{
  struct outcome o = {.verdict = VERDICT_FAILED, .stage = STAGE_NONE, .status = "5.0.0"};

  if (*last) {
    snprintf(o.reply, sizeof o.reply, END_RETURNED "; last: %s%s%.900s", host,
             *host ? " said: " : "", last);
  } else {
    snprintf(o.reply, sizeof o.reply, END_RETURNED);
  }
  end(c, r, &o);
}

static void ask(struct ctl_client *c, uint32_t number, const struct rcpt *r)
{
  struct ctl_end *e = &c->ends.asked[number];

  e->asked++;
  e->again_at = 0;
  dispatch_client_last(c->number << 32 | number, e->serial, r->index);
}

static void ask_first(struct ctl_client *c, struct rcpt *r)
{
  struct message *m = rcpt_message(r);
  uint32_t number = c->ends.count++;

  if (c->ends.count > c->ends.cap) {
    c->ends.cap = c->ends.cap ? 2 * c->ends.cap : END_OPEN_MAX;
    c->ends.asked = reallocarray(c->ends.asked, c->ends.cap, sizeof *c->ends.asked);
    if (!c->ends.asked) {
      memory_out();
    }
  }
  c->ends.asked[number] = (struct ctl_end){.serial = m->serial, .place = r->place, .open = true};
  message_id(m, c->ends.asked[number].id);
  c->ends.open++;
  c->ends.full = c->ends.full || c->ends.open >= END_OPEN_MAX;
  results_flush(); /* so that the answer is the newest */
  ask(c, number, r);
}

void ctl_end_rcpt(struct ctl_client *c, struct rcpt *r)
{
  bool dropped = strcmp(c->request.verb, "drop") == 0;
  const struct outcome *obstacle = schedule_obstacle(r);

  if (untouchable(r, dropped)) {
    c->left_alone++;
  } else if (dropped) {
    drop(c, r);
  } else if (obstacle) {
    bounce(c, r, obstacle->host, obstacle->reply);
  } else if (r->told) {
    ask_first(c, r);
  } else {
    bounce(c, r, "", "");
  }
}

/* The recipient of a question, if it is still in the queue. */
static struct rcpt *find(const struct ctl_end *e)
{
  struct message *m = message_find(e->id);

  return m && m->serial == e->serial && e->place < m->rcpt_count ? &m->rcpts[e->place] : NULL;
}

static void close_question(struct ctl_client *c, struct ctl_end *e)
{
  e->open = false;
  if (--c->ends.open == 0) {
    c->ends.count = 0;
    c->ends.full = false;
  }
}

void ctl_end_answer(struct ctl_client *c, uint32_t number, const char *text)
{
  struct ctl_end *e = number < c->ends.count ? &c->ends.asked[number] : NULL;

  if (!e || !e->open || e->again_at) {
    return;
  }
  struct rcpt *r = find(e);
  if (r && !*text && e->asked < CTL_ASK_AGAIN) {
    e->again_at = sched.now + CTL_ASK_AGAIN_MS;
    timer_set(&c->timer, e->again_at);
    return;
  }
  if (r && !untouchable(r, false)) {
    bounce(c, r, "", text); /* it names the host itself */
  } else {
    c->left_alone++;
  }
  close_question(c, e);
}

/* All of them that are due, as far as relay-queue's channel takes them; the timer stands at the
 * last one's time. */
static void ask_again(struct ctl_client *c)
{
  for (uint32_t i = 0; i < c->ends.count && !sched_results_full(); i++) {
    struct ctl_end *e = &c->ends.asked[i];
    struct rcpt *r = e->open && e->again_at && e->again_at <= sched.now ? find(e) : NULL;
    if (r) {
      ask(c, i, r);
    } else if (e->open && e->again_at && e->again_at <= sched.now) {
      c->left_alone++;
      close_question(c, e);
    }
  }
}

bool ctl_end_wait(struct ctl_client *c)
{
  if (c->ends.open > 0) {
    ask_again(c);
  }
  return c->ends.full;
}

void ctl_end_free(struct ctl_client *c)
{
  free(c->ends.asked);
  memset(&c->ends, 0, sizeof c->ends);
}
