#ifndef MESSAGE_H
#define MESSAGE_H

#include "dispatch.h"
#include "list.h"
#include "scheduler.h"
#include "timer.h"

struct domain;
struct flow;
struct job;
struct tenant;

/*
 * A message and its recipients: one block of memory, made when relay-queue has
 * told all of it. A million of them are the usual worst case, so every field is
 * as small as it can be: 72 bytes a message, 56 a recipient (doc/INTERNALS.md).
 */
#define MESSAGE_ID_PACKED 10 /* 16 characters of 5 bits */

struct rcpt {
  struct timer timer;
  struct list_node link; /* the domain's waiting list, the flow's queue, or the job */
  struct domain *domain;
  union {
    struct flow *flow; /* while ready */
    struct job *job;   /* while active */
  };
  uint32_t address_at; /* bytes from the message's start */
  uint32_t at;         /* ready: since when; waiting: until when (sched_stamp()) */
  uint16_t index;      /* in the envelope */
  uint16_t place;      /* in message.rcpts */
  uint16_t attempts;
  uint8_t where; /* enum rcpt_where */
  uint8_t notify : 4;
  uint8_t delay_told : 1;
  uint8_t tried : 1;   /* an attempt of its own failed in this run */
  uint8_t relayed : 1; /* due for a success DSN, not a failure's */
  uint8_t told : 1;    /* relay-queue has an outcome of it */
};

struct message {
  uint64_t serial;
  struct list_node all;
  struct tenant *tenant;
  int64_t arrival;
  uint32_t envelope_len, content_len;
  unsigned char id[MESSAGE_ID_PACKED];
  uint16_t source; /* sources.h */
  uint16_t flags;
  uint16_t rcpt_count;
  uint16_t live;    /* not ended */
  uint16_t pending; /* neither ended nor due: more outcomes will come */
  uint8_t priority;
  uint8_t held : 1;        /* by its id */
  uint8_t notice_open : 1; /* a DSN is being made */
  uint8_t indexed : 1;
  uint8_t through : 1; /* not durable yet (through.h) */
  uint8_t parked : 1;  /* of through: it is being committed, nothing may start */
  uint8_t gone : 1;    /* was of through, and is its submitter's again */
  struct rcpt rcpts[];
  /* then the sender and the recipients' addresses, NUL-terminated */
};

extern struct list messages; /* in the order told */

void message_start(void);

/*
 * Makes a message of what relay-queue said. rcpts are m->rcpts_total. NULL if
 * its id is none (the caller logs it). The recipients are in no place yet.
 */
struct message *message_make(const struct dispatch_message *m, const struct dispatch_rcpt *rcpts);

struct message *message_find(const char *id);
uint64_t message_newest(void); /* the highest serial so far: what comes later has a higher one */
void message_id(const struct message *m, char id[ID_SIZE]);
const char *message_sender(const struct message *m);
struct message *rcpt_message(struct rcpt *r);
const char *rcpt_address(struct rcpt *r);

/* Where the recipient is, for the counts. Links and timers are the caller's. */
void rcpt_place(struct rcpt *r, enum rcpt_where where);

/* Takes it off whatever list, queue and timer it is in: it is nowhere then. Not for active ones. */
void rcpt_detach(struct rcpt *r);

/* The recipient is done for good. Frees the message with its last one. */
void rcpt_end(struct rcpt *r);
/* For who has cleared notice_open: frees the message if nothing of it is left. */
void message_release(struct message *m);

#endif
