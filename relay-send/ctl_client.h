#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "channel.h"
#include "ctl.h"
#include "message.h"

/* One connection of relay-ctl, shared by ctl_server.c, ctl_walk.c, ctl_stat.c, ctl_end.c and
 * ctl_row.c. */
enum ctl_step {
  CTL_STEP_MESSAGES,
  CTL_STEP_ANSWERS, /* of bounce: all messages were visited, last replies are still asked for */
  CTL_STEP_RELAY,   /* this and the next three: stat */
  CTL_STEP_DOMAINS,
  CTL_STEP_SITES,
  CTL_STEP_TENANTS
};

struct ctl_chosen; /* ctl_stat.c */
struct ctl_end;    /* ctl_end.c */
struct domain;
struct lane;
struct tenant;

/* What relay-queue keeps of a recipient is readable when it is synced, within 200 ms. */
#define CTL_ASK_AGAIN 10 /* times */
#define CTL_ASK_AGAIN_MS 40

struct ctl_client {
  struct channel channel;
  struct list_node all;
  struct timer timer; /* relay-queue is to be asked again */
  uint64_t number;
  struct ctl_request request;
  uint64_t newest;     /* message_newest() when the request came, or then the whole queue */
  struct list *walked; /* what the cursor walks, NULL: nothing */
  struct list_cursor cursor;
  uint64_t rows, changed, left_alone;
  int64_t ask_at;
  unsigned asked_again;
  uint16_t why_place; /* the recipient whose last reply has been asked for */
  enum ctl_step step;
  struct ctl_chosen *chosen; /* of a stat that has a selection; else NULL */
  struct {
    struct ctl_end *asked; /* an array: recipients whose last reply relay-queue was asked for */
    uint32_t count, cap;
    uint32_t open; /* without an answer */
    bool full;     /* the walk waits until none is open */
  } ends;
  bool working, asked;
  struct buf b;
};

/* Rows. They queue datagrams; channel_full() is the walker's to look at. */
void ctl_row_relay(struct ctl_client *c);
void ctl_row_hold(struct ctl_client *c, const char *name);
void ctl_row_selected(struct ctl_client *c, uint64_t messages, const uint64_t states[RCPT_PLACES]);
/* Of a domain and a tenant: how many recipients, of the selection if there is one. */
void ctl_row_domain(struct ctl_client *c, const struct domain *d, uint64_t recipients);
void ctl_row_tenant(struct ctl_client *c, const struct tenant *t, uint64_t recipients);
void ctl_row_site(struct ctl_client *c, const struct lane *lane);
void ctl_row_recipient(struct ctl_client *c, struct rcpt *r);
void ctl_row_why(struct ctl_client *c, struct rcpt *r, const char *last);
void ctl_answer(struct ctl_client *c, char kind, const char *format, ...)
  __attribute__((format(printf, 3, 4)));
const char *ctl_state(const struct rcpt *r);

#define CTL_ROWS_QUEUED 500 /* in the channel, before a walk waits for relay-ctl */

/* ctl_walk.c: begins what the request wants; answers at once what cannot be. */
void ctl_walk_begin(struct ctl_client *c);
/* A part of it. True: there is more to do at once. */
bool ctl_walk_step(struct ctl_client *c);
void ctl_walk(struct ctl_client *c, struct list *list); /* puts the cursor at its head */
void ctl_walk_end(struct ctl_client *c);                /* lets go of the cursor */
/* relay-queue's answer to what was asked under this number: why's place, or ctl_end.c's. */
void ctl_walk_last(struct ctl_client *c, uint32_t place, const char *text);

/*
 * ctl_stat.c. With a selection the queue is walked first, and each of its recipients counted; then
 * rows are of what these have to do with. A part of the rows; true at their end.
 */
void ctl_stat_begin(struct ctl_client *c);
void ctl_stat_count(struct ctl_client *c, struct rcpt *r);
bool ctl_stat_step(struct ctl_client *c);
void ctl_stat_end(struct ctl_client *c);

/*
 * ctl_end.c: bounce and drop. What is returned is told what was last said of it, which only
 * relay-queue has; so its end comes with the answer.
 */
void ctl_end_rcpt(struct ctl_client *c, struct rcpt *r);
void ctl_end_answer(struct ctl_client *c, uint32_t number, const char *text);
bool ctl_end_wait(struct ctl_client *c); /* must the walk wait? Asks again what is due. */
void ctl_end_free(struct ctl_client *c);

#endif
