#ifndef TRACK_H
#define TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is known of each pid's session, for all pids that are about: a table
 * with a limit. When it is full, or what is kept of unfinished lines is over
 * its limit, the session that was silent longest is forgotten; if it goes on,
 * it is one whose beginning was not seen, and nothing of it is logged until it
 * can be followed again (follow.h).
 */
#define TRACKS_MAX 65536           /* sessions; some 12 MiB when all are used */
#define TRACK_MEMORY_MAX (1 << 26) /* bytes of unfinished lines, of all sessions */
#define TRACK_TEXT_MAX 65536       /* bytes kept of one line; the rest is counted */

/* An unfinished line. */
struct text {
  char *data;
  uint32_t len, cap;
  uint64_t more; /* bytes that are not kept */
};

enum track_format {
  TRACK_UNDECIDED,
  TRACK_OWN,     /* relay's own whole lines */
  TRACK_RECORDIO /* pieces */
};

enum track_state {
  TRACK_FIRST,    /* nothing seen yet, nor that it begins: see follow.h */
  TRACK_LOST,     /* nothing is logged */
  TRACK_COMMANDS, /* whole lines, each with a reply that is due */
  TRACK_ASKED,    /* DATA, STARTTLS, TURN: what follows depends on the reply */
  TRACK_CONTENT,  /* up to the dot */
  TRACK_CHUNK,    /* of BDAT, left bytes */
  TRACK_RESYNC,   /* LOST, but a content has ended: its reply makes it known */
  TRACK_AUTH,     /* what the client says is secret */
  TRACK_LISTING,  /* POP3: a multi-line reply that is no message */
  TRACK_OPAQUE    /* TLS, or the roles turned round: nothing is logged for good */
};

/* A message: its header is logged, its body counted. */
struct content {
  struct text field; /* the header field so far, unfolded */
  uint64_t bytes;
  uint64_t line_len; /* bytes of this line so far */
  bool in_header;
  bool fresh;      /* this line begins field */
  bool dot;        /* this line's first byte is one */
  bool last_cr;    /* its last so far is CR */
  bool after_crlf; /* the line before it ended in CRLF */
};

struct track {
  uint32_t pid;
  uint32_t next;         /* of the same hash, or free */
  uint32_t newer, older; /* by last use */
  uint8_t format, state;
  bool firm;       /* recordio's without a doubt: a CR was seen */
  bool told;       /* that it cannot be followed, or is over to TLS */
  bool early;      /* the client went on before the reply to what it asked */
  bool loose_end;  /* a line in CONTENT was the end to a server that takes bare LFs */
  bool chunk_open; /* content goes on in the next BDAT */
  bool chunk_last;
  bool quit;
  bool greeted;      /* the server has spoken */
  bool resync;       /* CONTENT, but what was before is not known */
  bool own_header;   /* relay's own lines of DATA */
  bool asked_auth;   /* the server has asked for a secret: its answer comes */
  uint8_t asked;     /* enum of the protocol's */
  uint32_t owed;     /* replies that are due */
  bool hidden;       /* SMTP: one of them to a command that was not logged, which it may repeat */
  uint64_t left;     /* bytes of CHUNK; lines of LISTING so far; answers asked for in AUTH */
  struct text in;    /* of the client's line */
  struct text out;   /* of the server's line */
  struct text queue; /* POP3: the replies that are due, a byte each */
  struct content content;
};

struct tracks {
  struct track *tracks; /* max, touched as used */
  uint32_t *buckets;
  uint32_t used, free, newest, oldest;
  uint32_t count;
  uint64_t forgotten; /* because of a limit */
  size_t memory;
  size_t max, memory_max; /* TRACKS_MAX and TRACK_MEMORY_MAX, less in tests */
  struct track *last;
};

int tracks_init(struct tracks *t, size_t max); /* 0 or -1 */
void tracks_free(struct tracks *t);

/* The pid's session, made (zeroed) if there is none; never NULL. The newest from now on. */
struct track *tracks_get(struct tracks *t, uint32_t pid);
struct track *tracks_find(struct tracks *t, uint32_t pid); /* NULL if there is none */
void tracks_reset(struct tracks *t, struct track *k);      /* as just made */
void tracks_forget(struct tracks *t, struct track *k);

/* Forgets the longest silent ones, never keep, until memory is within its limit. */
void tracks_shrink(struct tracks *t, const struct track *keep);

/* Walks all, from the longest silent one: NULL begins, NULL is the end. */
struct track *tracks_next(const struct tracks *t, const struct track *k);

/* Adds what fits, counts the rest. Out of memory: counts too. */
void text_add(struct tracks *t, struct text *x, const char *data, size_t len);
void text_clear(struct tracks *t, struct text *x); /* the memory too */

#endif
