#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "ctl_print.h"

/*
 * Columns for people, aligned under their heads. Rows are kept until there are
 * CTL_TABLE_ROWS of them, so that a list of any length needs little memory; a
 * later part never has narrower columns than the one before.
 */
#define CTL_TABLE_ROWS 1000
#define CTL_TABLE_COLUMNS 16
#define CTL_TABLE_NAME_MAX 28 /* a longer CTL_NAME moves only its own line to the right */
#define CTL_TABLE_WIDTH 80    /* notes are broken here */

enum ctl_column_kind {
  CTL_TEXT,
  CTL_NAME,   /* a text, too */
  CTL_NUMBER, /* right-aligned, as are the next three */
  CTL_COUNT,  /* 0 is "-" */
  CTL_SIZE,   /* bytes */
  CTL_AGE,    /* since that time; 0 is "-" */
  CTL_NEXT,   /* until that time; 0 is "-" */
  CTL_YES,    /* "yes" or nothing */
  CTL_BOUND   /* a text, or "held" if held says so */
};

struct ctl_column {
  const char *head;
  const char *field;
  enum ctl_column_kind kind;
};

struct ctl_table {
  const struct ctl_column *columns;
  unsigned column_count;
  size_t width[CTL_TABLE_COLUMNS];
  char **cells; /* CTL_TABLE_ROWS times column_count */
  char **notes; /* CTL_TABLE_ROWS: what stands below the row, NULL: nothing */
  unsigned row_count;
  bool head_printed;
};

/* The columns of a row's type; NULL if it is not shown as a table. wide: all that there are. */
const struct ctl_column *ctl_table_columns(const char *type, bool wide, unsigned *count);

void ctl_table_begin(struct ctl_table *t, const struct ctl_column *columns, unsigned count);
void ctl_table_row(struct ctl_table *t, FILE *out, const struct ctl_row *row, int64_t now);
/* Of the row that was the last; note is malloc'ed, and the table's from then on. */
void ctl_table_note(struct ctl_table *t, char *note);
void ctl_table_end(struct ctl_table *t, FILE *out); /* prints what is left; frees */

/* The rows that are not tables. */
void ctl_print_relay(FILE *out, const struct ctl_row *row);
void ctl_print_selected(FILE *out, const struct ctl_row *row);
void ctl_print_why(FILE *out, const struct ctl_row *row, int64_t now);

#endif
