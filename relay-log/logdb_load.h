#ifndef LOGDB_LOAD_H
#define LOGDB_LOAD_H

#include "buf.h"
#include "hash.h"
#include "id.h"
#include "log_merge.h"
#include "logdb_store.h"
#include "netstring.h"

/*
 * From lines to rows. What is not complete at a commit (sessions that go on,
 * results whose session is still to come) is kept in log_state in the same
 * transaction, so that a start after any end goes on as if there had been none.
 */
#define LOGDB_ADDRESS_SIZE 513 /* of a column; RFC 5321 allows 254 + quoting */
#define LOGDB_TEXT_SIZE 256
#define LOGDB_RCPTS_MAX (1 << 20) /* bytes of a transaction's recipients; more are left out */

enum logdb_kind { LOGDB_NEW, LOGDB_CLIENT, LOGDB_MX };

/*
 * A session: the lines of one pid in one directory, from tcpserver's "pid" or
 * a "connect" to its end. LOGDB_NEW: only relay-send has spoken of it so far.
 */
struct logdb_session {
  unsigned directory;
  uint32_t pid;
  int64_t kind;
  char id[LOGDB_ID_SIZE];
  int64_t began, data_at, last; /* data_at: of the last 354 */
  int64_t by_tcpserver, connected, quitting, ended, in_data;
  int64_t messages;
  char mail_from[LOGDB_ADDRESS_SIZE], mail_to[LOGDB_ADDRESS_SIZE];
  char tenant[LOGDB_TEXT_SIZE], peer[65], host[LOGDB_TEXT_SIZE], site[LOGDB_TEXT_SIZE];
  char tls[LOGDB_TEXT_SIZE], reason[LOGDB_TEXT_SIZE];
  char command[2];                   /* a client's that waits for its reply: MRAEO, "" */
  char argument[LOGDB_ADDRESS_SIZE]; /* the address of M or R */
  struct buf commands;               /* to an MX, a letter each, replies outstanding */
  struct buf rcpts;                  /* of the transaction: netstrings */
  bool changed, stored;              /* since the commit; in log_state */
};

/* An attempt's session and its results come in either order; one waits here for the other. */
struct logdb_wait {
  struct logdb_wait *next;
  char kind[2]; /* "r": a result without its session, "a": a session with results to come */
  int64_t at;
  char host[LOGDB_TEXT_SIZE];
  char delivery[LOGDB_ID_SIZE];                                                /* r: the row */
  char connection[LOGDB_ID_SIZE], site[LOGDB_TEXT_SIZE], tls[LOGDB_TEXT_SIZE]; /* a */
  int64_t ms, left;                                                            /* a: left results */
  struct buf rcpts;                                                            /* a: theirs */
};

struct logdb_message {
  char id[ID_SIZE];
  char connection[LOGDB_ID_SIZE];
  char tenant[LOGDB_TEXT_SIZE], sender[LOGDB_ADDRESS_SIZE], dsn_of[ID_SIZE];
  char first[LOGDB_ADDRESS_SIZE]; /* recipient 0 */
  int64_t bytes, rcpts, serial, uid, through, code, arrived_at;
  bool has_sender, known; /* known: the table had it */
  bool has_rcpts;         /* the accept was seen, now or earlier in this run */
  bool has_deliveries;
  bool changed, stored;
  struct logdb_wait *first_wait, *last_wait;
};

struct logdb_load {
  struct logdb *db;
  struct log_merge *merge;
  struct hash sessions, messages;
  int64_t latest; /* stamp */
  uint64_t lines; /* since the commit */
  uint64_t total; /* since the start */
};

/* --- logdb_load.c */
void logdb_load_open(struct logdb_load *l, struct logdb *db, struct log_merge *merge);
void logdb_load_line(struct logdb_load *l, const struct log_entry *entry);
/* Everything since the last one becomes visible, and is not read again. */
void logdb_load_commit(struct logdb_load *l);
void logdb_load_close(struct logdb_load *l);

/* 26 characters that sort by time, then by place in the file. */
void logdb_id(const struct logdb_load *l, const struct log_entry *entry, char id[LOGDB_ID_SIZE]);

/* --- logdb_session.c, logdb_client.c, logdb_mx.c */
struct logdb_session *session_find(struct logdb_load *l, unsigned directory, uint32_t pid);
struct logdb_session *session_begin(struct logdb_load *l, const struct log_entry *entry,
                                    uint32_t pid, enum logdb_kind kind);
void session_end(struct logdb_load *l, struct logdb_session *s);
/* The line as a row, if the session has begun. */
void session_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                  const char *direction);
void session_save(struct logdb_load *l); /* before a commit */
void session_load(struct logdb_load *l, const char *item, const char *value, size_t len);
/* The MX connections of a relay that has started anew are gone. */
void session_end_all(struct logdb_load *l, unsigned directory, enum logdb_kind kind);
void session_free(struct logdb_session *s);
/* The value of key, if there is one. */
void session_fact(char *out, size_t size, const struct log_facts *facts, const char *key);
void session_add_rcpt(struct logdb_session *s, struct log_text address);

void client_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                 const struct log_facts *facts);
void mx_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
             const struct log_facts *facts);

/* --- logdb_message.c, logdb_delivery.c */
struct logdb_message *message_get(struct logdb_load *l, struct log_text id);
void message_queued(struct logdb_load *l, const struct log_entry *entry,
                    const struct log_facts *facts);
/* A client's "accept" or "refuse". */
void message_answered(struct logdb_load *l, const struct logdb_session *s,
                      const struct log_entry *entry, const struct log_facts *facts);
void message_save(struct logdb_load *l);
void message_load(struct logdb_load *l, const char *item, const char *value, size_t len);
void message_free(struct logdb_message *m);
/* The n-th of netstrings; s is NULL if there are fewer. */
struct log_text message_rcpt(const struct buf *rcpts, uint64_t n);
struct log_text message_domain(struct log_text address);

void delivery_result(struct logdb_load *l, const struct log_entry *entry,
                     const struct log_facts *facts);
/* A worker's "deliver". */
void delivery_session(struct logdb_load *l, const struct logdb_session *s,
                      const struct log_entry *entry, const struct log_facts *facts);
/* relay-send's "attempt", which is there for results without a session, too. */
void delivery_attempt(struct logdb_load *l, const struct log_entry *entry,
                      const struct log_facts *facts);
/* The site of a session that has delivered already. */
void delivery_site(struct logdb_load *l, const struct logdb_session *s);
void delivery_waits_free(struct logdb_message *m);

/* --- logdb_state.c: structs as text */
struct logdb_field {
  char kind; /* 's' a string, 'n' an int64_t, 'b' a buf */
  size_t offset, size;
};
int state_put(struct buf *out, const void *from, const struct logdb_field *fields, size_t count);
int state_get(struct netstring_reader *r, void *to, const struct logdb_field *fields, size_t count);
void state_keep(struct logdb_load *l, const char *item, const struct buf *value);
void state_drop(struct logdb_load *l, const char *item);

/* Copies what fits, cut between characters. */
void text_copy(char *out, size_t size, struct log_text text);

#endif
