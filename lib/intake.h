#ifndef INTAKE_H
#define INTAKE_H

#include "buf.h"

#include <stdint.h>

/*
 * The channel by which messages come in: run/intake (relay-smtpd; group
 * relayd) and run/inject (relay-inject; everybody). SEQPACKET, a connection for
 * each session; the submitter asks one thing at a time and waits for its one
 * answer. All fields are netstrings; the first is the verb.
 *
 *   request                                       answer
 *   H tenant client                               + 0 "" | - code text
 *     who is about to speak; before the banner, and again after AUTH. "-"
 *     is the reply to give instead of the banner (421 4.7.0 ...). On
 *     run/inject H is not asked: the tenant is local:UID.
 *   S envelope_len content_len name through (+ fd) V code text
 *     a message: the fd is a sealed memfd with the envelope (envelope.h), then
 *     the content. With a name (answer to B) no fd comes: the file is closed
 *     by now. One verdict: code is the reply's three digits, text what
 *     follows, without line end ("2.0.0 01J... queued"). A submitter that
 *     closes before the verdict takes the message back if it still can be.
 *     through: as the envelope's; not 0: the MX is asked before any disk is
 *     written, and the verdict may be its own words. Taken from relay-smtpd
 *     only, and only with an fd.
 *   B                                             + 0 name (+ fd) | - code text
 *     a file in queue/big/, opened for writing, for a message past
 *     INTAKE_BIG_BYTES. It gets the same bytes as a memfd would.
 *   P bytes                                       + 0 "" | - code text
 *     may a message past INTAKE_BIG_BYTES, to go through, have so many bytes
 *     in its memfd? Replaces what was asked for before; over when that message
 *     has its verdict, or with the connection.
 *
 * A request that is garbled, of a wrong size, or without its fd ends that
 * connection. relay-queue ends first when it is restarted: a submitter that
 * loses the connection before a verdict says 451; between messages it
 * connects again.
 */
#define INTAKE_PATH "run/intake"
#define INJECT_PATH "run/inject"
#define INTAKE_BIG_BYTES (1 << 20)
#define INTAKE_THROUGH_BYTES (32 << 20) /* control/throughbytes, where it is missing */
#define INTAKE_CONTENT_MAX (1ULL << 31) /* bytes; DATABYTES is usually lower */
#define INTAKE_NAME_SIZE 33
#define INTAKE_TEXT_SIZE 513 /* RFC 5321 4.5.3.1.5: a reply line has at most 512 bytes */

int intake_put_hello(struct buf *b, const char *tenant, const char *client);
int intake_put_submit(struct buf *b, uint64_t envelope_len, uint64_t content_len, const char *name,
                      uint32_t through);
int intake_put_big(struct buf *b);
int intake_put_memory(struct buf *b, uint64_t bytes);

struct intake_request {
  char verb; /* 'H', 'S', 'B' or 'P' */
  char tenant[65];
  char client[64];
  uint64_t envelope_len, content_len; /* P: bytes in content_len */
  uint32_t through;
  char name[INTAKE_NAME_SIZE]; /* "" if the message comes as an fd */
};
int intake_get_request(const char *data, size_t len, struct intake_request *q);

struct intake_answer {
  char verb; /* '+', '-' or 'V' */
  int code;
  char text[INTAKE_TEXT_SIZE]; /* with '+' to B: the name */
};
int intake_put_answer(struct buf *b, const struct intake_answer *a);
int intake_get_answer(const char *data, size_t len, struct intake_answer *a);

#endif
