#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "channel.h"
#include "ctl.h"
#include "message.h"

/* One connection of relay-ctl, shared by ctl_server.c, ctl_walk.c and ctl_row.c. */
enum ctl_step { CTL_STEP_RELAY, CTL_STEP_TENANTS, CTL_STEP_SITES, CTL_STEP_MESSAGES };

struct ctl_client {
  struct channel channel;
  struct list_node all;
  struct timer timer;        /* relay-queue is to be asked again */
  uint64_t number;
  struct ctl_request request;
  struct list *walked;       /* what the cursor walks, NULL: nothing */
  struct list_cursor cursor;
  struct message *one;       /* only this message instead; only before the walk begins */
  uint64_t rows, changed, left_alone;
  int64_t ask_at;
  unsigned asked_again;
  uint16_t why_place;        /* the recipient whose last reply has been asked for */
  enum ctl_step step;
  bool working, asked;
  struct buf b;
};

/* Rows. They queue datagrams; channel_full() is the walker's to look at. */
void ctl_row_relay(struct ctl_client *c);
void ctl_row_hold(struct ctl_client *c, const char *name);
void ctl_row_tenant(struct ctl_client *c, const void *tenant);
void ctl_row_site(struct ctl_client *c, const void *lane);
void ctl_row_recipient(struct ctl_client *c, struct rcpt *r);
void ctl_row_why(struct ctl_client *c, struct rcpt *r, const char *last);
void ctl_answer(struct ctl_client *c, char kind, const char *format, ...)
  __attribute__((format(printf, 3, 4)));
const char *ctl_state(const struct rcpt *r);

/* ctl_walk.c: begins what the request wants; answers at once what cannot be. */
void ctl_walk_begin(struct ctl_client *c);
/* A part of it. True: there is more to do at once. */
bool ctl_walk_step(struct ctl_client *c);
void ctl_walk_end(struct ctl_client *c); /* lets go of the cursor */
void ctl_walk_last(struct ctl_client *c, uint16_t place, const char *text);

#endif
