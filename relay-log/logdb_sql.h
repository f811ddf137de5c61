#ifndef LOGDB_SQL_H
#define LOGDB_SQL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The little of SQL that relay-logdb needs, the same for SQLite and for
 * MariaDB or MySQL: statements with "?" that both understand. A function that
 * returns -1 has failed, and sql_error() says how in the database's words.
 */
struct sql;
struct sql_statement;

struct sql_value {
  enum { SQL_NULL, SQL_NUMBER, SQL_STRING } type;
  int64_t number;
  const char *text; /* of SQL_STRING: len bytes of UTF-8, not terminated */
  size_t len;
};

struct sql_driver {
  const char *name;
  unsigned rows;                                    /* this many rows in one INSERT are fastest */
  const char *insert_rows;                          /* and its first words */
  int (*execute)(struct sql *db, const char *text); /* one statement without "?" */
  struct sql_statement *(*prepare)(struct sql *db, const char *text); /* NULL: failed */
  /* Runs it; how many rows it has changed, or -1. */
  int64_t (*run)(struct sql_statement *s, const struct sql_value *values, unsigned count);
  /* Runs it for its rows: then next() is 1 with a row, 0 behind the last one, or -1. All columns
   * come as SQL_STRING with a NUL behind it, or SQL_NULL, and stay until the next call. */
  int (*query)(struct sql_statement *s, const struct sql_value *values, unsigned count);
  int (*next)(struct sql_statement *s, struct sql_value *row, unsigned count);
  void (*finish)(struct sql_statement *s);
  const char *(*error)(struct sql *db);
  void (*close)(struct sql *db);
};

/* What the two kinds begin with. */
struct sql {
  const struct sql_driver *driver;
};
struct sql_statement {
  struct sql *db;
};

#define SQL_COLUMNS_MAX 20 /* of a row that is read */
#define SQL_VALUES_MAX 400 /* of a statement */

/*
 * Opened, or NULL with what is wrong in error. path: the database, made if it
 * is not there. options: a file in the format of the client's option files,
 * group [client] or [relay-logdb]: socket or host, user, password, database.
 */
#define SQL_ERROR_SIZE 1024
struct sql *sql_open_sqlite(const char *path, char error[SQL_ERROR_SIZE]);
struct sql *sql_open_mysql(const char *options, char error[SQL_ERROR_SIZE]);

#endif
