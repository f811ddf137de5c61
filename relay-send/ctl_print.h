#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include "netstring.h"

#include <stdint.h>
#include <stdio.h>

/*
 * relay-ctl's output: a row of the answer (ctl.h) as JSON, and as columns for
 * people. Values come from senders and MXs: nothing unescaped reaches a terminal.
 */
#define CTL_PRINT_FIELDS 24

struct ctl_row {
  char type[16];
  unsigned count;
  struct {
    char name[32];
    char kind; /* 's', 'n' or 'b' */
    char *value; /* without its kind; owned by the row */
  } fields[CTL_PRINT_FIELDS];
};

/* An answer datagram that begins with "r". 0, or -1 with the row empty. */
int ctl_row_parse(const char *data, size_t len, struct ctl_row *row);
void ctl_row_free(struct ctl_row *row);
const char *ctl_row_get(const struct ctl_row *row, const char *name); /* "" if it is not there */
int64_t ctl_row_number(const struct ctl_row *row, const char *name);

/* One JSON object on one line, without line end (RFC 8259; always valid UTF-8). */
void ctl_print_json(FILE *out, const struct ctl_row *row);
void ctl_print_json_string(FILE *out, const char *s);

/* "5.1K", "3m12s", "in 4m"; times in wall clock milliseconds. */
#define CTL_PRINT_SHORT 32
void ctl_print_size(uint64_t bytes, char out[CTL_PRINT_SHORT]);
void ctl_print_span(int64_t ms, char out[CTL_PRINT_SHORT]);

/* The text of a value, made harmless for a terminal; malloc'ed. */
char *ctl_print_safe(const char *s);

#endif
