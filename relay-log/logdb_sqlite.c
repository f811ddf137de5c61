/* logdb_sql.h over SQLite. */
#include "logdb_sql.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 64
#define BUSY_MS 30000 /* how long to wait for somebody else's transaction */

struct sqlite {
  struct sql base;
  sqlite3 *handle;
};

struct sqlite_statement {
  struct sql_statement base;
  sqlite3_stmt *handle;
};

static sqlite3 *handle_of(struct sql *db)
{
  return ((struct sqlite *)db)->handle;
}

static int execute(struct sql *db, const char *text)
{
  return sqlite3_exec(handle_of(db), text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static struct sql_statement *prepare(struct sql *db, const char *text)
{
  struct sqlite_statement *s = calloc(1, sizeof(*s));

  if (!s || sqlite3_prepare_v3(handle_of(db), text, -1, SQLITE_PREPARE_PERSISTENT, &s->handle,
                               NULL) != SQLITE_OK) {
    free(s);
    return NULL;
  }
  s->base.db = db;
  return &s->base;
}

/* The texts stay where they are until the statement has run. */
static int bind(sqlite3_stmt *handle, const struct sql_value *values, unsigned count)
{
  for (unsigned i = 0; i < count; i++) {
    const struct sql_value *v = &values[i];
    int got = v->type == SQL_NULL ? sqlite3_bind_null(handle, (int)i + 1)
              : v->type == SQL_NUMBER
                ? sqlite3_bind_int64(handle, (int)i + 1, v->number)
                : sqlite3_bind_text(handle, (int)i + 1, v->text, (int)v->len, SQLITE_STATIC);
    if (got != SQLITE_OK) {
      return -1;
    }
  }
  return 0;
}

static int query(struct sql_statement *s, const struct sql_value *values, unsigned count)
{
  sqlite3_stmt *handle = ((struct sqlite_statement *)s)->handle;

  sqlite3_reset(handle);
  return bind(handle, values, count);
}

static int64_t run(struct sql_statement *s, const struct sql_value *values, unsigned count)
{
  sqlite3_stmt *handle = ((struct sqlite_statement *)s)->handle;

  if (query(s, values, count) == -1) {
    return -1;
  }
  int got = sqlite3_step(handle);
  int64_t changed = got == SQLITE_DONE ? sqlite3_changes(handle_of(s->db)) : -1;
  if (sqlite3_reset(handle) != SQLITE_OK) {
    changed = -1;
  }
  return changed;
}

static int next(struct sql_statement *s, struct sql_value *row, unsigned count)
{
  sqlite3_stmt *handle = ((struct sqlite_statement *)s)->handle;
  int got = sqlite3_step(handle);

  if (got == SQLITE_DONE) {
    return sqlite3_reset(handle) == SQLITE_OK ? 0 : -1;
  }
  if (got != SQLITE_ROW) {
    return -1;
  }
  for (unsigned i = 0; i < count; i++) {
    const unsigned char *text = sqlite3_column_text(handle, (int)i);
    row[i] = (struct sql_value){.type = text ? SQL_STRING : SQL_NULL,
                                .text = (const char *)text,
                                .len = (size_t)sqlite3_column_bytes(handle, (int)i)};
  }
  return 1;
}

static void finish(struct sql_statement *s)
{
  sqlite3_finalize(((struct sqlite_statement *)s)->handle);
  free(s);
}

static const char *error_text(struct sql *db)
{
  return sqlite3_errmsg(handle_of(db));
}

static void close_database(struct sql *db)
{
  sqlite3_close(handle_of(db));
  free(db);
}

static const struct sql_driver driver = {
  .name = "SQLite",
  .rows = ROWS,
  .insert_rows =
    "INSERT OR ROLLBACK", /* else it prepares to undo the first rows, which costs more */
  .execute = execute,
  .prepare = prepare,
  .run = run,
  .query = query,
  .next = next,
  .finish = finish,
  .error = error_text,
  .close = close_database,
};

/*
 * The write-ahead log lets others read while rows come; a sync at its
 * checkpoints only. A power cut may take the last transactions: the log's
 * positions go with them, and they are loaded again.
 */
static const char settings[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                               "PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=8000";

struct sql *sql_open_sqlite(const char *path, char error[SQL_ERROR_SIZE])
{
  struct sqlite *db = calloc(1, sizeof(*db));

  if (!db) {
    snprintf(error, SQL_ERROR_SIZE, "out of memory");
    return NULL;
  }
  db->base.driver = &driver;
  /* One thread, so no mutexes. */
  if (sqlite3_open_v2(path, &db->handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      NULL) != SQLITE_OK ||
      sqlite3_busy_timeout(db->handle, BUSY_MS) != SQLITE_OK ||
      execute(&db->base, settings) == -1) {
    snprintf(error, SQL_ERROR_SIZE, "%s", sqlite3_errmsg(db->handle));
    close_database(&db->base);
    return NULL;
  }
  return &db->base;
}
