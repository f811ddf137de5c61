#ifndef OUTLET_H
#define OUTLET_H

#include "fieldnames.h"
#include "loglines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What leaves relay-log: lines in the form of loglines.h, if the patterns
 * select them. Patterns are held against the whole line, before control bytes
 * are escaped and before it is cut at LOGLINES_WRITE_MAX.
 */
#define OUTLET_SIZE 65536 /* bytes: what a pipe holds */

/* Of a logical line so many bytes are kept, and seen by patterns. relay-smtpd keeps as many. */
#define OUTLET_TEXT_MAX 65536

struct outlet {
  char *const *actions; /* pattern.h */
  size_t action_count;
  struct fieldnames fields;
  bool stamped; /* patterns expect a stamp in front, as behind multilog's t */
  /* Takes all of it. Called when the buffer is full, and by outlet_flush(). */
  void (*write)(void *arg, const char *data, size_t len);
  void *arg;
  /* outlet.c's own: */
  size_t len;
  char data[OUTLET_SIZE];
  char whole[64 + OUTLET_TEXT_MAX]; /* for the patterns */
};

/* "PID < text"; more is how many bytes are missing at its end. */
void outlet_put(struct outlet *o, uint32_t pid, char direction, const char *text, size_t len,
                size_t more);
void outlet_str(struct outlet *o, uint32_t pid, char direction, const char *text);
void outlet_printf(struct outlet *o, uint32_t pid, char direction, const char *format, ...)
  __attribute__((format(printf, 4, 5)));

/* A line that is not a session's. */
void outlet_foreign(struct outlet *o, const char *text, size_t len, size_t more);

void outlet_flush(struct outlet *o);

#endif
