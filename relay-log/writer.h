#ifndef WRITER_H
#define WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The program that relay-log's output goes to. Between the two is a keeper, a
 * child of relay-log that sees no log: it starts the writer, passes on SIGALRM,
 * waits for its end and says how that was. So relay-log itself, which reads
 * what strangers said, can do without signalling and starting others.
 *
 * If relay-log ends in whatever way, the writer's input ends; if the writer
 * ends, so does the keeper, and relay-log gets SIGCHLD.
 */
struct writer {
  pid_t keeper;
  int fd;      /* the writer's standard input */
  int control; /* to the keeper */
};

/* command is NULL-terminated, searched in PATH. 0, or -1 with errno. */
int writer_start(struct writer *w, char *const *command);

/* SIGALRM for the writer: multilog begins a new file. */
void writer_alarm(struct writer *w);

/* Has it ended? */
bool writer_gone(struct writer *w);

/* Ends its input and waits for its end: 0 if it exited 0, else -1; the reason has been reported. */
int writer_finish(struct writer *w);

#endif
