#ifndef QUEUE_ENTRY_H
#define QUEUE_ENTRY_H

#include "dispatch.h"

/*
 * What records say about recipients, in netstrings.
 *
 *   entry   rcpt state delay_told when next attempts has, and with has = 1
 *           what was last said (outcome_put())
 *   origin  kind serial n, then n recipient indexes: a DSN of this kind is
 *           durable (in the same record, or none was due), so the recipients
 *           of that serial end, or (kind 'd') their delay is noted
 */
struct entry {
  uint32_t rcpt;
  enum rcpt_state state;
  bool delay_told;
  int64_t when; /* wall clock ms of the outcome */
  int64_t next; /* wall clock ms */
  uint32_t attempts;
  bool has_outcome;
  struct outcome outcome;
};

int entry_put(struct buf *b, const struct entry *e);
int entry_get(struct netstring_reader *r, struct entry *e);

/* The state that a result leads to. */
enum rcpt_state entry_state_after(const struct dispatch_result *r);

/* The entry that writes a result down, with now as its time. */
void entry_of_result(struct entry *e, const struct dispatch_result *r);

struct origin {
  char kind; /* 'f', 'd', 's', as in dispatch.h */
  uint64_t serial;
  uint32_t count;
  uint32_t *rcpts; /* malloced, origin_free() */
};

int origin_put(struct buf *b, const struct origin *o);
int origin_get(struct netstring_reader *r, struct origin *o); /* 0, or -1; nothing to free then */
void origin_free(struct origin *o);

/* A MESSAGE's or BIG's extra: the file's name in queue/big/ ("" for none), then an origin or
 * nothing. */
#define EXTRA_NAME_SIZE 33
int extra_put(struct buf *b, const char *name, const struct origin *o);
/* o->count is 0 when there is none. An empty extra is no name and no origin. */
int extra_get(const char *data, size_t len, char name[EXTRA_NAME_SIZE], struct origin *o);

#endif
