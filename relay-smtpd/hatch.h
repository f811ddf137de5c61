#ifndef HATCH_H
#define HATCH_H

#include "intake.h"
#include "seqpacket.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Our end of the intake channel (intake.h): one connection, made before the
 * banner and made again if relay-queue was restarted between two messages.
 */
struct hatch {
  int fd; /* -1: not connected */
  const char *tenant, *client;
  struct buf request; /* hatch.c's own */
};

#define HATCH_INIT(tenant_name, client_text)                                                       \
  ((struct hatch){.fd = -1,                                                                        \
                  .tenant = (tenant_name),                                                         \
                  .client = (client_text),                                                         \
                  .request = BUF_INIT(SEQPACKET_MAX)})

enum hatch_result {
  HATCH_OK,
  HATCH_REFUSED, /* the answer's code and text say why */
  HATCH_BROKEN,  /* not there, or not any more */
  HATCH_GONE     /* the client has gone while we waited for the verdict */
};

/*
 * Connects and names the tenant. While the relay starts, or starts again,
 * tries for HATCH_CONNECT_MS.
 */
#define HATCH_CONNECT_MS 5000
enum hatch_result hatch_open(struct hatch *h, struct intake_answer *answer);
/*
 * The same in two steps, so that relay-queue can answer while something else is
 * done: hatch_knock() only sends, and what failed in it hatch_greeted() tells.
 */
void hatch_knock(struct hatch *h);
enum hatch_result hatch_greeted(struct hatch *h, struct intake_answer *answer);
void hatch_close(struct hatch *h); /* it can be opened again */
void hatch_free(struct hatch *h);

/* A file for a big message: its name is answer->text, its descriptor the caller's. */
enum hatch_result hatch_big(struct hatch *h, struct intake_answer *answer, int *fd);

/* May the next message, to go through, have so many bytes in memory? */
enum hatch_result hatch_memory(struct hatch *h, uint64_t bytes, struct intake_answer *answer);

/*
 * Hands a message over (message_fd -1: it is the big file name) and waits for
 * the verdict. HATCH_OK: code and text of answer are the reply to the client.
 * client_fd is watched meanwhile; with through a client that has closed its
 * side is gone, too.
 */
enum hatch_result hatch_submit(struct hatch *h, uint64_t envelope_len, uint64_t content_len,
                               int message_fd, const char *name, uint32_t through, int client_fd,
                               struct intake_answer *answer);

#endif
