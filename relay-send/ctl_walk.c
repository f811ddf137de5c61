/* What an operator asks for, worked on a part at a time over lists that change meanwhile. */
#include "ctl_client.h"

#include "dispatch_client.h"
#include "domain.h"
#include "hold.h"
#include "lane.h"
#include "results.h"
#include "schedule.h"
#include "scan.h"
#include "tenant.h"

#include <stdio.h>
#include <string.h>

#define CTL_RCPTS_A_TURN 500 /* or one message */

static bool verb_is(const struct ctl_client *c, const char *verb)
{
  return strcmp(c->request.verb, verb) == 0;
}

static bool kind_is(const struct ctl_client *c, const char *kind)
{
  return strcmp(c->request.kind, kind) == 0;
}

static bool known(const char *word, const char *const *words)
{
  for (; *words; words++) {
    if (strcmp(word, *words) == 0) {
      return true;
    }
  }
  return false;
}

static bool same(const char *a, const char *b)
{
  return scan_case_equal(a, strlen(a), b, strlen(b));
}

static bool selected(const struct ctl_client *c, struct rcpt *r)
{
  const char *value = c->request.value;

  if (kind_is(c, "tenant")) {
    return strcmp(rcpt_message(r)->tenant->name, value) == 0;
  }
  if (kind_is(c, "site")) {
    return r->domain->site && same(r->domain->site->name, value);
  }
  if (kind_is(c, "domain")) {
    const char *domain = address_domain(rcpt_address(r));
    return same(r->domain->name, value) || (domain && same(domain, value));
  }
  return true; /* all; an id has its one message */
}

static const char *plural(uint64_t n)
{
  return n == 1 ? "" : "s";
}

/* All has been visited; what relay-queue has been asked for is waited for. */
static void finish(struct ctl_client *c)
{
  if (c->ends.open > 0) {
    ctl_walk_end(c);
    c->step = CTL_STEP_ANSWERS;
    return;
  }
  ctl_walk_end(c);
  ctl_stat_end(c);
  ctl_end_free(c);
  c->working = false;
  if (verb_is(c, "stat") || verb_is(c, "list") || verb_is(c, "why")) {
    ctl_answer(c, '.', "%llu", (unsigned long long)c->rows);
  } else if (verb_is(c, "hold")) {
    ctl_answer(c, '.', "%llu recipient%s; %s, until it is released", (unsigned long long)c->changed,
               plural(c->changed),
               kind_is(c, "id") ? "the message stays"
                                : "the hold stands, for mail to come as well");
  } else if (c->left_alone > 0) {
    ctl_answer(c, '.', "%llu recipient%s; %llu left alone (on a connection, or ended already)",
               (unsigned long long)c->changed, plural(c->changed),
               (unsigned long long)c->left_alone);
  } else {
    ctl_answer(c, '.', "%llu recipient%s", (unsigned long long)c->changed, plural(c->changed));
  }
}

static void hold_now(struct ctl_client *c, struct rcpt *r)
{
  c->changed++;
  if (r->where == RCPT_AT_WAITING || r->where == RCPT_AT_READY || r->where == RCPT_AT_LOOKUP) {
    rcpt_detach(r);
    rcpt_place(r, RCPT_AT_HELD);
  }
}

static void release_now(struct ctl_client *c, struct rcpt *r)
{
  if (r->where == RCPT_AT_HELD && !hold_covers(r)) {
    c->changed++;
    schedule_now(r, false);
  }
}

static void visit_rcpt(struct ctl_client *c, struct rcpt *r)
{
  if (verb_is(c, "stat")) {
    ctl_stat_count(c, r);
  } else if (verb_is(c, "list")) {
    ctl_row_recipient(c, r);
  } else if (verb_is(c, "retry")) {
    if (r->where == RCPT_AT_WAITING || r->where == RCPT_AT_READY || r->where == RCPT_AT_LOOKUP) {
      c->changed++;
      schedule_retry(r);
    }
  } else if (verb_is(c, "hold")) {
    hold_now(c, r);
  } else if (verb_is(c, "release")) {
    release_now(c, r);
  } else {
    ctl_end_rcpt(c, r);
  }
}

static bool limit_reached(const struct ctl_client *c)
{
  return c->request.limit > 0 && c->rows + c->changed + c->ends.open >= c->request.limit;
}

static void visit(struct ctl_client *c, struct message *m)
{
  bool was_open = m->notice_open;

  /* The operator has not seen it: a notice, perhaps, about what this bounce has returned. */
  if (m->serial > c->newest && (verb_is(c, "bounce") || verb_is(c, "drop"))) {
    return;
  }
  m->notice_open = 1; /* keeps the message while its recipients may end */
  for (uint16_t i = 0; i < m->rcpt_count && !limit_reached(c); i++) {
    struct rcpt *r = &m->rcpts[i];
    if (r->where != RCPT_AT_END && selected(c, r)) {
      visit_rcpt(c, r);
    }
  }
  m->notice_open = was_open;
  message_release(m);
}

void ctl_walk(struct ctl_client *c, struct list *list)
{
  c->walked = list;
  list_open(list, &c->cursor);
}

void ctl_walk_end(struct ctl_client *c)
{
  if (c->walked) {
    list_close(c->walked, &c->cursor);
    c->walked = NULL;
  }
}

/* Holds and releases act at once on what comes; the walk then moves what is here. */
static bool change_holds(struct ctl_client *c)
{
  bool on = verb_is(c, "hold");
  const char *value = kind_is(c, "all") ? "" : c->request.value;

  if (!hold_set(c->request.kind, value, on) && !on) {
    ctl_answer(c, '!',
               kind_is(c, "all") ? "not all mail is held; release what relay-ctl hold named"
                                 : "%s is not held",
               value);
    return false;
  }
  return true;
}

void ctl_walk_begin(struct ctl_client *c)
{
  static const char *const verbs[] = {"stat",    "list",   "why",  "retry", "hold",
                                      "release", "bounce", "drop", NULL};
  static const char *const kinds[] = {"all", "id", "tenant", "site", "domain", NULL};
  struct message *one = NULL;

  if (!known(c->request.verb, verbs) || !known(c->request.kind, kinds)) {
    ctl_answer(c, '!', "this relay does not know %s %s", c->request.verb, c->request.kind);
    return;
  }
  if (verb_is(c, "stat") && kind_is(c, "id")) {
    ctl_answer(c, '!', "stat is of all, a tenant, a site or a domain");
    return;
  }
  if (verb_is(c, "stat")) {
    ctl_stat_begin(c);
    if (c->chosen) {
      ctl_walk(c, &messages);
    }
    c->working = true;
    return;
  }
  if (kind_is(c, "id") && !(one = message_find(c->request.value))) {
    ctl_answer(c, '!', "no message %s in the queue", c->request.value);
    return;
  }
  if (verb_is(c, "why") && !one) {
    ctl_answer(c, '!', "why needs the id of a message");
    return;
  }
  if ((verb_is(c, "hold") || verb_is(c, "release")) && !change_holds(c)) {
    return;
  }
  c->working = true;
  c->newest = sched.told ? message_newest() : UINT64_MAX; /* the queue is yet to come */
  c->step = CTL_STEP_MESSAGES;
  c->why_place = 0;
  c->asked_again = 0;
  c->ask_at = 0;
  c->asked = false;
  if (verb_is(c, "why")) {
    return;
  }
  if (one) {
    visit(c, one);
    finish(c);
  } else {
    ctl_walk(c, &messages);
  }
}

static void ask_last(struct ctl_client *c)
{
  struct message *m = message_find(c->request.value);

  while (m && c->why_place < m->rcpt_count && m->rcpts[c->why_place].where == RCPT_AT_END) {
    c->why_place++;
  }
  if (!m || c->why_place >= m->rcpt_count || limit_reached(c)) {
    finish(c);
    return;
  }
  results_flush(); /* so that the answer is the newest */
  dispatch_client_last(c->number << 32 | c->why_place, m->serial, m->rcpts[c->why_place].index);
  c->asked = true;
}

void ctl_walk_last(struct ctl_client *c, uint32_t place, const char *text)
{
  struct message *m = message_find(c->request.value);

  if (c->working && verb_is(c, "bounce")) {
    ctl_end_answer(c, place, text); /* the loop is awake, and goes on with the walk or its end */
    return;
  }
  if (!c->working || !c->asked || place != c->why_place) {
    return;
  }
  c->asked = false;
  if (m && place < m->rcpt_count && m->rcpts[place].where != RCPT_AT_END) {
    if (!*text && m->rcpts[place].told && c->asked_again++ < CTL_ASK_AGAIN) {
      c->ask_at = sched.now + CTL_ASK_AGAIN_MS;
      timer_set(&c->timer, c->ask_at);
      return;
    }
    ctl_row_why(c, &m->rcpts[place], text);
  }
  c->why_place++;
  c->asked_again = 0;
}

bool ctl_walk_step(struct ctl_client *c)
{
  if (verb_is(c, "why")) {
    if (!c->asked && sched.now >= c->ask_at) {
      ask_last(c);
    }
    return false;
  }
  if (c->newest == UINT64_MAX) {
    c->newest = message_newest(); /* now it has */
  }
  bool wait = ctl_end_wait(c);
  if (c->step == CTL_STEP_ANSWERS) {
    finish(c); /* or not yet */
    return false;
  }
  if (wait || c->channel.queued >= CTL_ROWS_QUEUED || sched_results_full()) {
    return false; /* its reader, or relay-queue, wakes the loop */
  }
  if (c->step != CTL_STEP_MESSAGES) {
    if (ctl_stat_step(c)) {
      finish(c);
    }
    return c->working;
  }
  for (unsigned n = 0; n < CTL_RCPTS_A_TURN;) {
    struct list_node *node = list_step(&messages, &c->cursor);
    if (!node && c->chosen) {
      ctl_walk_end(c);
      c->step = CTL_STEP_RELAY;
      return true;
    }
    if (!node || limit_reached(c)) {
      finish(c);
      return false;
    }
    n += LIST_ITEM(node, struct message, all)->rcpt_count;
    visit(c, LIST_ITEM(node, struct message, all));
    if (c->ends.full || c->channel.queued >= CTL_ROWS_QUEUED || sched_results_full()) {
      break;
    }
  }
  return true;
}
