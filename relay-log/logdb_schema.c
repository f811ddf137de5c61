/* schema.sql, which the Makefile makes a string of, applied section by section. */
#include "logdb_store.h"

#include "exits.h"
#include "report.h"
#include "schema_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "\n-- version "
#define WITHOUT " WITHOUT ROWID"
#define IF_NOT " IF NOT EXISTS"
#define INDEX "CREATE INDEX"

/* The version that the database has, 0 if it has no tables of ours. */
static long version_of(struct logdb *db)
{
  const struct sql_driver *d = db->sql->driver;
  struct sql_statement *s = d->prepare(db->sql, "SELECT MAX(version) FROM schema_version");
  struct sql_value row = {.type = SQL_NULL};
  long version = 0;

  if (!s) {
    return 0;
  }
  if (d->query(s, NULL, 0) == 0 && d->next(s, &row, 1) == 1 && row.type == SQL_STRING) {
    version = strtol(row.text, NULL, 10);
    d->next(s, &row, 1);
  }
  d->finish(s);
  return version;
}

static void remove_word(char *text, const char *word)
{
  char *at = strstr(text, word);

  if (at) {
    memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
  }
}

/* One statement. MariaDB and MySQL have no rowids, and MySQL no IF NOT EXISTS for an index. */
static void apply(struct logdb *db, char *text)
{
  bool mysql = strcmp(db->sql->driver->name, "SQLite") != 0;
  bool index = strstr(text, INDEX) != NULL;

  if (mysql) {
    remove_word(text, WITHOUT);
    if (index) {
      remove_word(text, IF_NOT);
    }
  }
  if (db->sql->driver->execute(db->sql, text) == -1 &&
      !(mysql && index && strstr(db->sql->driver->error(db->sql), "Duplicate key name"))) {
    logdb_die(db, "make the tables of");
  }
}

/* The text without its comment lines, in memory of its own. */
static char *without_comments(const char *begin, const char *end)
{
  char *out = malloc((size_t)(end - begin) + 1), *to = out;

  if (!out) {
    logdb_die_memory();
  }
  while (begin < end) {
    const char *newline = memchr(begin, '\n', (size_t)(end - begin));
    size_t len = newline ? (size_t)(newline + 1 - begin) : (size_t)(end - begin);
    if (len < 2 || memcmp(begin, "--", 2) != 0) {
      memcpy(to, begin, len);
      to += len;
    }
    begin += len;
  }
  *to = '\0';
  return out;
}

static void apply_section(struct logdb *db, const char *begin, const char *end)
{
  char *text = without_comments(begin, end), *next = text, *statement;

  while ((statement = strsep(&next, ";"))) {
    statement += strspn(statement, " \n");
    if (*statement) {
      apply(db, statement);
    }
  }
  free(text);
}

static void set_version(struct logdb *db, long version)
{
  char text[100];

  snprintf(text, sizeof(text), "INSERT INTO schema_version (version) VALUES (%ld)", version);
  if (db->sql->driver->execute(db->sql, text) == -1) {
    logdb_die(db, "write to");
  }
}

void logdb_schema(struct logdb *db)
{
  const char *section = strstr(schema_sql, SECTION);
  long have = version_of(db), newest = 0;

  while (section) {
    const char *begin = strchr(section + 1, '\n'), *end = strstr(section + 1, SECTION);
    newest = strtol(section + strlen(SECTION), NULL, 10);
    if (newest > have) {
      apply_section(db, begin, end ? end : begin + strlen(begin));
      set_version(db, newest);
    }
    section = end;
  }
  if (have > newest) {
    report_fatal("the database is of version %ld, this relay-logdb knows %ld only: update it", have,
                 newest);
    exit(EXIT_USAGE);
  }
}
