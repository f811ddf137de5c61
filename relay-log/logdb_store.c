#include "logdb_store.h"

#include "exits.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[LOGDB_STATEMENTS] = {
  [LOGDB_COMMUNICATION] = "INSERT INTO communications (id, connection_id, direction, data, "
                          "occurred_at) VALUES (?,?,?,?,?)",
  [LOGDB_CONNECTION] =
    "REPLACE INTO connections (id, mail_from, mail_to, occurred_at, elapse, kind, source, pid, "
    "peer, host, tenant, site, tls, messages, ended_at, reason) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
  [LOGDB_MESSAGE_GET] = "SELECT connection_id, tenant, sender, bytes, rcpts, serial, uid, through, "
                        "code, dsn_of, arrived_at FROM messages WHERE id = ?",
  [LOGDB_MESSAGE] =
    "REPLACE INTO messages (id, connection_id, tenant, sender, bytes, rcpts, "
    "serial, uid, through, code, dsn_of, arrived_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
  [LOGDB_RECIPIENT_GET] = "SELECT address FROM recipients WHERE message_id = ? AND rcpt = ?",
  [LOGDB_RECIPIENT] = "REPLACE INTO recipients (message_id, rcpt, address) VALUES (?,?,?)",
  [LOGDB_DELIVERY] =
    "INSERT INTO deliveries (id, message_id, rcpt, tenant, recipient, domain, site, mx, verdict, "
    "status, reply, tls, attempts, ms, connection_id, arrived_at, occurred_at) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
  [LOGDB_DELIVERY_ATTEMPT] =
    "UPDATE deliveries SET connection_id = ?, site = ?, tls = ?, ms = ?, "
    "recipient = COALESCE(recipient, ?), domain = COALESCE(domain, ?) WHERE id = ?",
  [LOGDB_DELIVERY_SITE] = "UPDATE deliveries SET site = ?, ms = ? WHERE id = ?",
  [LOGDB_DELIVERY_SITES] =
    "UPDATE deliveries SET site = ? WHERE connection_id = ? AND site IS NULL AND occurred_at >= ?",
  [LOGDB_DELIVERY_RECIPIENT] =
    "UPDATE deliveries SET recipient = ?, domain = ? WHERE message_id = ? AND rcpt = ?",
  [LOGDB_STATE_GET] = "SELECT item, value FROM log_state WHERE source = ?",
  [LOGDB_STATE] = "REPLACE INTO log_state (source, item, value) VALUES (?,?,?)",
  [LOGDB_STATE_DELETE] = "DELETE FROM log_state WHERE source = ? AND item = ?",
  [LOGDB_FILE_GET] = "SELECT file, position FROM log_files WHERE source = ? AND directory = ?",
  [LOGDB_FILE_INSERT] =
    "INSERT INTO log_files (source, directory, file, position) VALUES (?,?,?,?)",
  [LOGDB_FILE] = "UPDATE log_files SET position = ? WHERE source = ? AND directory = ? AND "
                 "file = ? AND position = ?",
  [LOGDB_FILE_DELETE] = "DELETE FROM log_files WHERE source = ? AND directory = ? AND file = ?",
};

#define LINE_VALUES 5
#define DATA_MAX 60000 /* bytes of a line; MariaDB's TEXT holds 65535 */

_Noreturn void logdb_die(struct logdb *db, const char *what)
{
  const char *why = db->sql->driver->error(db->sql);
  bool twice = strstr(why, "UNIQUE") || strstr(why, "Duplicate entry");

  report_fatal("unable to %s the database: %s%s", what, why,
               twice ? " (does another relay-logdb load the same logs?)" : "");
  exit(EXIT_TEMPORARY);
}

_Noreturn void logdb_die_memory(void)
{
  report_fatal("out of memory");
  exit(EXIT_TEMPORARY);
}

static void execute(struct logdb *db, const char *text, const char *what)
{
  if (db->sql->driver->execute(db->sql, text) == -1) {
    logdb_die(db, what);
  }
}

static struct sql_statement *prepare(struct logdb *db, const char *text)
{
  struct sql_statement *s = db->sql->driver->prepare(db->sql, text);

  if (!s) {
    logdb_die(db, "prepare statements for");
  }
  return s;
}

/* "INSERT INTO communications ... VALUES (?,?,?,?,?),(?,?,?,?,?),..." */
static void prepare_lines(struct logdb *db)
{
  static const char more[] = ",(?,?,?,?,?)";
  unsigned rows = db->sql->driver->rows;
  const char *words = db->sql->driver->insert_rows;
  const char *rest = texts[LOGDB_COMMUNICATION] + strlen("INSERT");
  size_t head = strlen(words) + strlen(rest);
  char *text = malloc(head + rows * sizeof(more));

  db->lines = calloc(rows, LINE_VALUES * sizeof(*db->lines));
  db->line_text = calloc(rows, sizeof(*db->line_text));
  db->line_data = calloc(rows, sizeof(*db->line_data));
  db->line_size = calloc(rows, sizeof(*db->line_size));
  if (!text || !db->lines || !db->line_text || !db->line_data || !db->line_size) {
    logdb_die_memory();
  }
  snprintf(text, head + 1, "%s%s", words, rest);
  for (unsigned i = 1; i < rows; i++) {
    memcpy(text + head, more, sizeof(more));
    head += sizeof(more) - 1;
  }
  db->statements[LOGDB_COMMUNICATIONS] = prepare(db, text);
  free(text);
}

void logdb_open(struct logdb *db, const char *sqlite, const char *mysql, const char *source)
{
  char error[SQL_ERROR_SIZE];

  *db = (struct logdb){.source = source};
  db->sql = sqlite ? sql_open_sqlite(sqlite, error) : sql_open_mysql(mysql, error);
  if (!db->sql) {
    report_fatal("unable to open the database (%s): %s", sqlite ? sqlite : mysql, error);
    exit(EXIT_TEMPORARY);
  }
  logdb_schema(db);
  for (unsigned i = 0; i < LOGDB_STATEMENTS; i++) {
    if (texts[i]) {
      db->statements[i] = prepare(db, texts[i]);
    }
  }
  prepare_lines(db);
}

void logdb_close(struct logdb *db)
{
  for (unsigned i = 0; i < LOGDB_STATEMENTS; i++) {
    db->sql->driver->finish(db->statements[i]);
  }
  for (unsigned i = 0; i < db->sql->driver->rows; i++) {
    free(db->line_data[i]);
  }
  free(db->lines);
  free(db->line_text);
  free(db->line_data);
  free(db->line_size);
  db->sql->driver->close(db->sql);
}

static struct log_text cut(struct log_text text, size_t max)
{
  if (text.len > max) {
    while (max > 0 && ((unsigned char)text.s[max] & 0xc0) == 0x80) {
      max--; /* not in the middle of a character */
    }
    text.len = max;
  }
  return text;
}

static struct sql_value text_value(struct log_text text, size_t max)
{
  text = cut(text, max);
  return (struct sql_value){
    .type = text.s ? SQL_STRING : SQL_NULL, .text = text.s, .len = text.len};
}

void row_text(struct logdb_row *row, struct log_text text, size_t max)
{
  row->values[row->count++] = text_value(text, max);
}

void row_string(struct logdb_row *row, const char *s)
{
  row_text(row, (struct log_text){*s ? s : NULL, strlen(s)}, DATA_MAX);
}

void row_number(struct logdb_row *row, int64_t number)
{
  row->values[row->count++] = (struct sql_value){.type = SQL_NUMBER, .number = number};
}

void row_time(struct logdb_row *row, int64_t at)
{
  char *text = row->times[row->time_count++];

  if (at == 0) {
    row->values[row->count++] = (struct sql_value){.type = SQL_NULL};
    return;
  }
  tai64n_utc(at, text);
  row_string(row, text);
}

static void begin(struct logdb *db)
{
  if (!db->open) {
    execute(db, "BEGIN", "write to");
    db->open = true;
  }
}

int64_t logdb_run(struct logdb *db, enum logdb_statement which, const struct logdb_row *row)
{
  begin(db);
  int64_t changed = db->sql->driver->run(db->statements[which], row->values, row->count);
  if (changed == -1) {
    logdb_die(db, "write to");
  }
  return changed;
}

void logdb_query(struct logdb *db, enum logdb_statement which, const struct logdb_row *row)
{
  begin(db);
  if (db->sql->driver->query(db->statements[which], row->values, row->count) == -1) {
    logdb_die(db, "read");
  }
}

bool logdb_next(struct logdb *db, enum logdb_statement which, struct sql_value *row, unsigned count)
{
  int got = db->sql->driver->next(db->statements[which], row, count);

  if (got == -1) {
    logdb_die(db, "read");
  }
  return got == 1;
}

static void run_lines(struct logdb *db, enum logdb_statement which, unsigned first, unsigned count)
{
  begin(db);
  if (db->sql->driver->run(db->statements[which], db->lines + first * LINE_VALUES,
                           count * LINE_VALUES) == -1) {
    logdb_die(db, "write to");
  }
}

/* A copy of data in the place of the n-th line. */
static const char *keep(struct logdb *db, unsigned n, struct log_text data)
{
  if (data.len > db->line_size[n]) {
    char *more = realloc(db->line_data[n], data.len);
    if (!more) {
      logdb_die_memory();
    }
    db->line_data[n] = more;
    db->line_size[n] = data.len;
  }
  if (data.len > 0) {
    memcpy(db->line_data[n], data.s, data.len);
  }
  return data.len ? db->line_data[n] : "";
}

void logdb_line(struct logdb *db, const char *id, const char *connection, const char *direction,
                struct log_text data, int64_t at)
{
  unsigned n = db->line_count++;
  struct sql_value *v = db->lines + n * LINE_VALUES;
  char *text = db->line_text[n];

  memcpy(text, id, LOGDB_ID_SIZE);
  memcpy(text + LOGDB_ID_SIZE, connection, LOGDB_ID_SIZE);
  tai64n_utc(at, text + 2 * LOGDB_ID_SIZE);
  data = cut(data, DATA_MAX);
  v[0] = (struct sql_value){SQL_STRING, 0, text, LOGDB_ID_SIZE - 1};
  v[1] = (struct sql_value){SQL_STRING, 0, text + LOGDB_ID_SIZE, LOGDB_ID_SIZE - 1};
  v[2] = (struct sql_value){SQL_STRING, 0, direction, 2};
  v[3] = (struct sql_value){SQL_STRING, 0, keep(db, n, data), data.len};
  v[4] = (struct sql_value){SQL_STRING, 0, text + 2 * LOGDB_ID_SIZE, 26};
  if (db->line_count == db->sql->driver->rows) {
    run_lines(db, LOGDB_COMMUNICATIONS, 0, db->line_count);
    db->line_count = 0;
  }
}

void logdb_files_load(struct logdb *db, struct log_follow *follow)
{
  struct logdb_row row = {0};
  struct sql_value got[2];

  row_string(&row, db->source);
  row_string(&row, follow->directory);
  logdb_query(db, LOGDB_FILE_GET, &row);
  while (logdb_next(db, LOGDB_FILE_GET, got, 2)) {
    if (log_follow_resume(follow, got[0].text, strtoull(got[1].text, NULL, 10)) == -1) {
      logdb_die_memory();
    }
  }
}

static void save_file(struct logdb *db, const struct log_follow *follow, struct log_mark *m)
{
  struct logdb_row row = {0};
  enum logdb_statement which = LOGDB_FILE;

  if (!m->there) {
    which = LOGDB_FILE_DELETE;
  } else if (m->saved == 0) {
    which = LOGDB_FILE_INSERT;
  } else {
    row_number(&row, (int64_t)m->offset);
  }
  row_string(&row, db->source);
  row_string(&row, follow->directory);
  row_string(&row, m->file);
  if (which != LOGDB_FILE_DELETE) {
    row_number(&row, (int64_t)(which == LOGDB_FILE ? m->saved : m->offset));
  }
  if (logdb_run(db, which, &row) != 1 && which == LOGDB_FILE) {
    report_fatal("%s is being loaded by another relay-logdb for %s, too: its place has changed",
                 follow->directory, db->source);
    exit(EXIT_TEMPORARY);
  }
}

void logdb_files_save(struct logdb *db, struct log_follow *follow)
{
  for (size_t i = 0; i < follow->mark_count; i++) {
    if (follow->marks[i].changed || !follow->marks[i].there) {
      save_file(db, follow, &follow->marks[i]);
    }
  }
  log_follow_saved(follow);
}

void logdb_commit(struct logdb *db)
{
  for (unsigned i = 0; i < db->line_count; i++) {
    run_lines(db, LOGDB_COMMUNICATION, i, 1);
  }
  db->line_count = 0;
  if (db->open) {
    execute(db, "COMMIT", "write to");
  }
  db->open = false;
}
