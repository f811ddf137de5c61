#ifndef QUEUE_CLIENT_H
#define QUEUE_CLIENT_H

#include "intake.h"
#include "queue_core.h"

/*
 * Connections of run/intake and run/inject, counted by who holds them. A
 * tenant may hold at most as many as are still free of control/
 * concurrencyincoming; on run/inject each uid has its own bound.
 */
struct holder {
  uint32_t connections;
  uint64_t bytes; /* run/inject: in flight */
  char name[];    /* a tenant, or "uid N": a blank is in no tenant's name */
};

struct client {
  struct channel channel;
  struct queue *queue;
  struct holder *holder; /* NULL until H on run/intake */
  struct submission *submission; /* the one that waits for its verdict */
  char client[64];
  char big[33]; /* its file in queue/big/ that is not submitted yet, "" for none */
  uint64_t memory; /* bytes of control/throughmemory, for the message to come */
  bool inject;
  pid_t pid;
  uid_t uid;
};

/* Starts to listen on the descriptors given. 0 or -1. */
int client_listen(struct queue *q, int intake_fd, int inject_fd);

/* Listens again after a rest. Returns the milliseconds until it has to be called again, -1: not. */
int client_run(struct queue *q, int64_t now);

void client_answer(struct client *c, char verb, int code, const char *text, int passed_fd);
/* Closes and frees it; a submission that is not being committed yet is withdrawn. */
void client_close(struct client *c);

#endif
