#ifndef TRACE_H
#define TRACE_H

#include "id.h"
#include "log_archive.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What the parts of relay-trace share: the logs, searching them, the story of
 * one message, printing it.
 */
struct trace_logs {
  struct log_archive *archives;
  unsigned count;
  uint64_t bytes; /* of all files */
};

/* Among lines of one place: the client's up to its last byte, all others', its reply. */
enum trace_turn { TURN_CLIENT, TURN_OTHERS, TURN_CLIENT_END };
enum trace_process { TRACE_CLIENT, TRACE_QUEUE, TRACE_SEND, TRACE_MX, TRACE_TCPSERVER };

struct trace_line {
  unsigned archive;
  struct log_place place;
  struct log_line line;
  enum trace_process process;
  int64_t order; /* where it belongs; later than its stamp if the lines that it follows came late */
  int64_t not_before; /* the client's part, which all others follow, whatever their stamps */
  enum trace_turn turn;
};

struct trace_story {
  char id[ID_SIZE];
  char origin[ID_SIZE]; /* of a notice: the message that it is about; or "" */
  struct trace_line *lines;
  size_t count, cap;
  char (*notices)[ID_SIZE]; /* of this message */
  size_t notice_count;
};

/* --- trace_search.c: text in the files, and how far it is */

/*
 * Calls found(place) for each place of text in the files whose last line is
 * not before since. With fold, ASCII case does not matter. found returns -1 to
 * end the search, which then returns -1, else 0.
 */
typedef int trace_found(void *argument, unsigned archive, struct log_place line);
int trace_search(const struct trace_logs *logs, const char *text, bool fold, int64_t since,
                 trace_found *found, void *argument);

/* Says on stderr how far the work is, if that is a terminal and it takes over two seconds. */
void trace_progress(const char *what, uint64_t done, uint64_t total);
void trace_progress_end(void);

/* --- trace_story.c, trace_session.c */

/*
 * Every line of the message's life: the client's session, what relay-queue and
 * relay-send say, each attempt's session. Sorted; empty if no log has the id.
 * 0, or -1 with errno (ENOMEM).
 */
int trace_story(const struct trace_logs *logs, const char *id, struct trace_story *story);
void trace_story_free(struct trace_story *story);

/* One more line. 0 or -1. */
int trace_add(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
              struct log_place place, enum trace_process process);

/*
 * The part of a client's session that belongs to the message which accept (or
 * refuse) ends: the opening up to the first MAIL, the transaction, the end.
 */
int trace_client(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                 struct log_place accept);
/* The same for a worker's connection to an MX and its "deliver" line. */
int trace_worker(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                 struct log_place deliver);

/* --- trace_address.c */

/*
 * The ids of the messages from or to an address, oldest first, malloced.
 * 0, or -1 with errno.
 */
int trace_address(const struct trace_logs *logs, const char *address, char (**ids)[ID_SIZE],
                  size_t *count);

/* --- trace_print.c */

void trace_print(FILE *out, const struct trace_story *story);
/* first: no object has been printed yet. Returns how many were. */
size_t trace_print_json(FILE *out, const struct trace_story *story, bool first);

#endif
