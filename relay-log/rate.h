#ifndef RATE_H
#define RATE_H

#include "hash.h"
#include "log_merge.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * relay-rate's counting: what a line of the log adds to (rate_count.c), and
 * how a report looks (rate_print.c). relay-rate(1) says which lines count.
 */
struct rate_counts {
  uint64_t inbound, relay;                   /* messages taken */
  uint64_t first, retried, deferred, failed; /* recipients: delivered, and the others */
};

struct rate_name { /* a tenant or a site */
  char name[256];
  uint64_t recv, sent, deferred, failed;
};

struct rate {
  struct rate_counts now, total; /* since the last report, since the start */
  struct hash sessions;          /* of struct rate_session: client's or worker's pid */
  struct hash tenants, sites;    /* of struct rate_name, since the last report */
  int64_t first_at, last_at;     /* stamps of the lines since the last report */
};

void rate_init(struct rate *r);
/* Counts a line. 0, or -1 (ENOMEM). */
int rate_line(struct rate *r, const struct log_entry *entry);
/* A report was made: begins anew. */
void rate_next(struct rate *r);
void rate_free(struct rate *r);

struct rate_report {
  double seconds; /* that it is about */
  int64_t at;     /* its time, nanoseconds since 1970 */
  unsigned top;   /* so many tenants and sites */
};
void rate_print(FILE *out, const struct rate *r, const struct rate_report *report);
void rate_print_json(FILE *out, const struct rate *r, const struct rate_report *report);

#endif
