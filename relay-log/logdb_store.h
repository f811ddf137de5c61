#ifndef LOGDB_STORE_H
#define LOGDB_STORE_H

#include "log_follow.h"
#include "log_line.h"
#include "logdb_sql.h"
#include "tai64n.h"

#include <stdint.h>

/*
 * The database as relay-logdb uses it. Whatever fails ends the program with a
 * message and status 111: nothing of the transaction under way stays, and the
 * next start goes on where the last commit was. SQL is in no other file than
 * logdb_store.c, logdb_schema.c and logdb_retain.c.
 */
#define LOGDB_ID_SIZE 27 /* of a connection or a line: 26 characters that sort by time */

enum logdb_statement {
  LOGDB_COMMUNICATION,  /* a line: id, connection, direction, data, time */
  LOGDB_COMMUNICATIONS, /* the same, as many at once as the driver likes */
  LOGDB_CONNECTION,
  LOGDB_MESSAGE_GET,
  LOGDB_MESSAGE,
  LOGDB_RECIPIENT_GET,
  LOGDB_RECIPIENT,
  LOGDB_DELIVERY,
  LOGDB_DELIVERY_ATTEMPT,   /* connection, site, tls, ms, recipient, domain; id */
  LOGDB_DELIVERY_SITE,      /* site, ms; id */
  LOGDB_DELIVERY_SITES,     /* site; connection, not before */
  LOGDB_DELIVERY_RECIPIENT, /* recipient, domain; message, rcpt */
  LOGDB_STATE_GET,
  LOGDB_STATE,
  LOGDB_STATE_DELETE,
  LOGDB_FILE_GET,
  LOGDB_FILE_INSERT,
  LOGDB_FILE,
  LOGDB_FILE_DELETE,
  LOGDB_STATEMENTS
};

struct logdb {
  struct sql *sql;
  const char *source; /* whose logs these are */
  struct sql_statement *statements[LOGDB_STATEMENTS];
  struct sql_value *lines; /* of communications not yet given to the database */
  char (*line_text)[LOGDB_ID_SIZE * 2 + TAI64N_TEXT_SIZE];
  char **line_data; /* malloced, of line_size bytes */
  size_t *line_size;
  unsigned line_count;
  bool open; /* a transaction is */
};

_Noreturn void logdb_die(struct logdb *db, const char *what);
_Noreturn void logdb_die_memory(void);

/* Opens one or the other (logdb_sql.h), brings its tables up to date. */
void logdb_open(struct logdb *db, const char *sqlite, const char *mysql, const char *source);
void logdb_close(struct logdb *db);

/* logdb_schema.c: applies the sections of schema.sql that the database lacks. */
void logdb_schema(struct logdb *db);

/* The values of a statement, put together in order. Texts are not copied. */
struct logdb_row {
  struct sql_value values[SQL_COLUMNS_MAX];
  unsigned count;
  char times[3][TAI64N_TEXT_SIZE];
  unsigned time_count;
};
void row_text(struct logdb_row *row, struct log_text text, size_t max); /* cut to max bytes */
void row_string(struct logdb_row *row, const char *s);                  /* "" is NULL */
void row_number(struct logdb_row *row, int64_t number);
void row_time(struct logdb_row *row, int64_t at); /* 0 is NULL */

/* Runs it; how many rows were changed. A transaction is begun if none is open. */
int64_t logdb_run(struct logdb *db, enum logdb_statement which, const struct logdb_row *row);
/* Runs it for its rows, then each call of logdb_next() is one: false behind the last. */
void logdb_query(struct logdb *db, enum logdb_statement which, const struct logdb_row *row);
bool logdb_next(struct logdb *db, enum logdb_statement which, struct sql_value *row,
                unsigned count);

/* A line of a session. */
void logdb_line(struct logdb *db, const char *id, const char *connection, const char *direction,
                struct log_text data, int64_t at);

/*
 * The place of a directory's files: read at start, written before a commit. A
 * file whose place in the database is not what it was ends the program:
 * another one loads the same logs.
 */
void logdb_files_load(struct logdb *db, struct log_follow *follow);
void logdb_files_save(struct logdb *db, struct log_follow *follow);

void logdb_commit(struct logdb *db);

#endif
