#ifndef INJECT_HEADERS_H
#define INJECT_HEADERS_H

#include "envelope.h"

/*
 * The header work that callers of sendmail rely on: Date, Message-ID and From
 * are added if missing; Bcc, Resent-Bcc, Return-Path and Content-Length are
 * left out, as is a first line "From ..." of mbox; addresses without "@" get
 * the default domain.
 */
struct inject_writer {
  const char *default_domain;
  const char *me;        /* for the Message-ID */
  const char *from;      /* for a missing From */
  const char *full_name; /* "" for none */
  const char *id;
  int64_t now; /* wall clock ms */
};

struct inject_headers {
  struct buf out; /* CRLF lines, the empty one too */
  size_t body;    /* where in head the body begins */
  bool utf8;      /* RFC 6532: UTF-8 that is not ASCII */
};

/*
 * head is the message's beginning, CRLF lines. With rcpts (option -t) the
 * recipients of To, Cc and Bcc, or of their Resent- kind if there is one, are
 * added to it. 0, or -1 with *why a sentence.
 */
int inject_headers_make(struct inject_headers *h, const char *head, size_t len,
                        const struct inject_writer *who, struct envelope *rcpts, const char **why);

/* Adds a recipient unless it is there already. 0, or -1 with errno (envelope.h). */
int inject_add_rcpt(struct envelope *e, const char *address);

/* A person's name as a phrase of RFC 5322 3.2.5, or of RFC 2047; nothing if it cannot be one. */
int inject_put_phrase(struct buf *out, const char *name);

#endif
