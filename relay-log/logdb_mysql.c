/* logdb_sql.h over MariaDB's client library, which speaks to MySQL, too. */
#include "logdb_sql.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 64            /* 5 values each are within SQL_VALUES_MAX */
#define TIMEOUT_SECONDS 60 /* for the server to take or to answer something */

struct mysql {
  struct sql base;
  MYSQL *handle;
  char error[SQL_ERROR_SIZE]; /* of a statement */
};

struct mysql_statement {
  struct sql_statement base;
  MYSQL_STMT *handle;
  unsigned columns;
  MYSQL_BIND out[SQL_COLUMNS_MAX];
  unsigned long len[SQL_COLUMNS_MAX];
  my_bool null[SQL_COLUMNS_MAX];
  char *text[SQL_COLUMNS_MAX]; /* malloced */
};

static int execute(struct sql *base, const char *text)
{
  struct mysql *db = (struct mysql *)base;

  if (mysql_real_query(db->handle, text, strlen(text)) == 0) {
    return 0;
  }
  snprintf(db->error, sizeof(db->error), "%s", mysql_error(db->handle));
  return -1;
}

static int failed(struct sql_statement *s, const char *text)
{
  struct mysql *db = (struct mysql *)s->db;

  snprintf(db->error, sizeof(db->error), "%s", text);
  return -1;
}

static struct sql_statement *prepare(struct sql *base, const char *text)
{
  struct mysql *db = (struct mysql *)base;
  struct mysql_statement *s = calloc(1, sizeof(*s));

  if (!s || !(s->handle = mysql_stmt_init(db->handle))) {
    free(s);
    snprintf(db->error, sizeof(db->error), "out of memory");
    return NULL;
  }
  s->base.db = base;
  if (mysql_stmt_prepare(s->handle, text, strlen(text)) != 0) {
    snprintf(db->error, sizeof(db->error), "%s", mysql_stmt_error(s->handle));
    mysql_stmt_close(s->handle);
    free(s);
    return NULL;
  }
  s->columns = mysql_stmt_field_count(s->handle);
  return &s->base;
}

static int bind_and_execute(struct mysql_statement *s, const struct sql_value *values,
                            unsigned count)
{
  MYSQL_BIND in[SQL_VALUES_MAX];

  memset(in, 0, count * sizeof(*in));
  for (unsigned i = 0; i < count; i++) {
    const struct sql_value *v = &values[i];
    in[i].buffer_type = v->type == SQL_NULL     ? MYSQL_TYPE_NULL
                        : v->type == SQL_NUMBER ? MYSQL_TYPE_LONGLONG
                                                : MYSQL_TYPE_STRING;
    in[i].buffer = v->type == SQL_NUMBER ? (void *)&v->number : (void *)v->text;
    in[i].buffer_length = v->len;
  }
  if ((count > 0 && mysql_stmt_bind_param(s->handle, in)) || mysql_stmt_execute(s->handle)) {
    return failed(&s->base, mysql_stmt_error(s->handle));
  }
  return 0;
}

static int64_t run(struct sql_statement *base, const struct sql_value *values, unsigned count)
{
  struct mysql_statement *s = (struct mysql_statement *)base;

  if (bind_and_execute(s, values, count) == -1) {
    return -1;
  }
  return (int64_t)mysql_stmt_affected_rows(s->handle);
}

/* All rows are taken at once, so that other statements can run meanwhile. */
static int query(struct sql_statement *base, const struct sql_value *values, unsigned count)
{
  struct mysql_statement *s = (struct mysql_statement *)base;

  mysql_stmt_free_result(s->handle);
  if (s->columns > SQL_COLUMNS_MAX || bind_and_execute(s, values, count) == -1) {
    return -1;
  }
  for (unsigned i = 0; i < s->columns; i++) {
    s->out[i] =
      (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .length = &s->len[i], .is_null = &s->null[i]};
  }
  if (mysql_stmt_bind_result(s->handle, s->out) || mysql_stmt_store_result(s->handle)) {
    return failed(base, mysql_stmt_error(s->handle));
  }
  return 0;
}

static int fetch_column(struct mysql_statement *s, unsigned i, struct sql_value *value)
{
  MYSQL_BIND column = s->out[i];

  if (s->null[i]) {
    *value = (struct sql_value){.type = SQL_NULL};
    return 0;
  }
  char *text = realloc(s->text[i], s->len[i] + 1);
  if (!text) {
    return failed(&s->base, "out of memory");
  }
  s->text[i] = text;
  text[s->len[i]] = '\0';
  column.buffer = text;
  column.buffer_length = s->len[i];
  if (s->len[i] > 0 && mysql_stmt_fetch_column(s->handle, &column, i, 0)) {
    return failed(&s->base, mysql_stmt_error(s->handle));
  }
  *value = (struct sql_value){.type = SQL_STRING, .text = text, .len = s->len[i]};
  return 0;
}

static int next(struct sql_statement *base, struct sql_value *row, unsigned count)
{
  struct mysql_statement *s = (struct mysql_statement *)base;
  int got = mysql_stmt_fetch(s->handle);

  if (got == MYSQL_NO_DATA) {
    mysql_stmt_free_result(s->handle);
    return 0;
  }
  if (got != 0 && got != MYSQL_DATA_TRUNCATED) { /* the buffers have no room: the lengths count */
    return failed(base, mysql_stmt_error(s->handle));
  }
  for (unsigned i = 0; i < count && i < s->columns; i++) {
    if (fetch_column(s, i, &row[i]) == -1) {
      return -1;
    }
  }
  return 1;
}

static void finish(struct sql_statement *base)
{
  struct mysql_statement *s = (struct mysql_statement *)base;

  for (unsigned i = 0; i < SQL_COLUMNS_MAX; i++) {
    free(s->text[i]);
  }
  mysql_stmt_close(s->handle);
  free(s);
}

static const char *error_text(struct sql *base)
{
  return ((struct mysql *)base)->error;
}

static void close_database(struct sql *base)
{
  struct mysql *db = (struct mysql *)base;

  if (db->handle) {
    mysql_close(db->handle);
  }
  free(db);
}

static const struct sql_driver driver = {
  .name = "MariaDB",
  .rows = ROWS,
  .insert_rows = "INSERT",
  .execute = execute,
  .prepare = prepare,
  .run = run,
  .query = query,
  .next = next,
  .finish = finish,
  .error = error_text,
  .close = close_database,
};

static int set_options(MYSQL *handle, const char *file)
{
  unsigned timeout = TIMEOUT_SECONDS;

  return mysql_options(handle, MYSQL_READ_DEFAULT_FILE, file) ||
             mysql_options(handle, MYSQL_READ_DEFAULT_GROUP, "relay-logdb") ||
             mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4") ||
             mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &timeout) ||
             mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &timeout) ||
             mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &timeout) ||
             mysql_options(handle, MYSQL_INIT_COMMAND,
                           "SET time_zone='+00:00', sql_mode='STRICT_ALL_TABLES'")
           ? -1
           : 0;
}

struct sql *sql_open_mysql(const char *options, char error[SQL_ERROR_SIZE])
{
  struct mysql *db = calloc(1, sizeof(*db));

  if (!db || !(db->handle = mysql_init(NULL))) {
    free(db);
    snprintf(error, SQL_ERROR_SIZE, "out of memory");
    return NULL;
  }
  db->base.driver = &driver;
  if (set_options(db->handle, options) == -1 ||
      !mysql_real_connect(db->handle, NULL, NULL, NULL, NULL, 0, NULL, 0)) {
    snprintf(error, SQL_ERROR_SIZE, "%s", mysql_error(db->handle));
    close_database(&db->base);
    return NULL;
  }
  return &db->base;
}
