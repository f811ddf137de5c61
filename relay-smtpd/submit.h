#ifndef SUBMIT_H
#define SUBMIT_H

#include "hatch.h"
#include "received.h"

#include "envelope.h"

/*
 * One message on its way to relay-queue: envelope, Received line and content
 * are collected in memory, written in large pieces to a memfd, and, past
 * INTAKE_BIG_BYTES, to a file in queue/big/ instead; if the message is to go
 * through, only when it may not stay in memory.
 *
 * What goes wrong on the way is remembered, the rest of the content is let go
 * by, and submit_finish() says it.
 */
#define SUBMIT_REPLY_SIZE (INTAKE_TEXT_SIZE + 4)

struct submit {
  struct hatch *hatch;
  int fd;                      /* memfd or big file, -1: none yet */
  char name[INTAKE_NAME_SIZE]; /* of the big file, "" for a memfd */
  struct buf *out;             /* not yet written; the caller keeps it for the next message */
  uint64_t envelope_len, content_len;
  uint32_t through;        /* as the envelope has it; 0 once it cannot be kept in memory */
  uint64_t through_bytes;  /* the caller's, after submit_begin(): the most content in a memfd */
  uint64_t memory;         /* bytes of it that relay-queue has promised room for */
  uint64_t expected;
  bool failed;
  char reply[SUBMIT_REPLY_SIZE]; /* "451 4.3.0 ...": set when failed, and by submit_finish() */
};

/* A buffer for submit_begin(), which may stay as large as this between messages. */
#define SUBMIT_BUFFER_MAX (ENVELOPE_MAX + 256 * 1024)
#define SUBMIT_BUFFER_KEPT 16384

/* expected: bytes of content that are likely to come, 0 if unknown. */
void submit_begin(struct submit *s, struct hatch *h, struct buf *out, const struct envelope *e,
                  const struct received *r, uint64_t expected);

void submit_content(struct submit *s, const char *bytes, size_t len);

/* Hands it over and waits. True: reply is relay-queue's verdict or our 4xx. False: the client
 * is gone and the message taken back. */
bool submit_finish(struct submit *s, int client_fd);

/* Closes. Without submit_finish() the message is forgotten. */
void submit_end(struct submit *s);

#endif
