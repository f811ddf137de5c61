#ifndef JOB_H
#define JOB_H

#include "message.h"
#include "trouble.h"
#include "work.h"

struct lane;
struct worker;

/*
 * A transaction: recipients of one message that go over one connection
 * together, from the choice of the flow to the worker's E. A job has a slot
 * of its lane, one of its tenant's and one of all; its fd and its worker may
 * both still be on their way.
 */
struct held_outcome { /* delivered with NOTIFY=SUCCESS: E says whose notice that is */
  struct held_outcome *next;
  struct rcpt *rcpt;
  struct outcome outcome;
};

struct job {
  uint64_t token, serial;
  char id[ID_SIZE];
  struct lane *lane;
  struct tenant *tenant;
  struct worker *worker;
  struct list_node rcpts; /* those without an outcome */
  struct job *same;       /* the next that waits for an fd of this message */
  struct held_outcome *held;
  struct outcome *shut;   /* 421: the server closes; decided at E */
  struct outcome *said;   /* a reply that speaks of us, of kind trouble (learn.h) */
  enum trouble trouble;
  int fd;
  uint64_t epoch; /* of the window */
  int64_t started, given;
  uint16_t delivered, deferred, failed;
  bool sent; /* J */
  bool dot;  /* D: too late to cancel */
  bool one_piece; /* sent without D: its dot may be out at any time (work.h) */
  bool back;      /* the recipients without an outcome go back to the head of their flow */
  bool cancelled; /* X was sent or has taken effect: nothing of it says anything about the site */
  bool fetching;
  bool gone; /* nobody waits for the fd any more */
};

void job_start_module(void);

/* For lanes_run(). */
bool job_start(struct lane *lane);

/* F: fd -1 if it could not be read. The fd is job.c's. */
void job_fetched(uint64_t serial, int fd, const char *text);

/* The worker's channel is there: J goes out when the fd is there too. */
void job_progress(struct job *job);
void job_hosts(const struct job *job, struct work_open *open, uint8_t ranks[WORK_HOSTS_MAX]);

/* From the worker. -1: it is not an answer to this job. */
int job_outcome(struct job *job, const struct outcome *outcome);
void job_end(struct job *job, const struct work_end *end);

/* No session was had; the recipients stay ready, and the lane knows. */
void job_no_session(struct job *job, const struct outcome *outcome);
/* The worker is gone without E. */
void job_lost(struct job *job);
/* It is taken back before anything was sent; the recipients are ready again. */
void job_withdraw(struct job *job);

/*
 * Its message is not wanted any more, or its time is over (through.h). Not sent
 * yet: withdrawn at once. Else the worker is told, and its outcomes come: the MX's, if the final dot was
 * out, or deferrals.
 */
void job_cancel(struct job *job);

uint32_t jobs_active(void);

#endif
