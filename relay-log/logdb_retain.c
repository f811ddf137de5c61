/*
 * Retention. Ids sort by time, so what is old is the beginning of each table;
 * it goes in steps, so that the loading never waits long for it.
 */
#include "logdb_retain.h"

#include "id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 1000 /* rows that say how far a step goes: sessions, messages, deliveries */

/* The first id of 26 (or, of messages, 16) characters at a moment: its milliseconds. */
static void first_id(int64_t at, unsigned digits, char id[LOGDB_ID_SIZE])
{
  static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  uint64_t ms = (uint64_t)(at / 1000000);

  id[digits] = '\0';
  while (digits-- > 0) {
    id[digits] = alphabet[ms & 31];
    ms >>= 5;
  }
}

static struct sql_statement *start(struct logdb *db, const char *text, const struct logdb_row *row,
                                   bool query)
{
  const struct sql_driver *d = db->sql->driver;
  struct sql_statement *s = d->prepare(db->sql, text);

  if (!s ||
      (query ? d->query(s, row->values, row->count) : d->run(s, row->values, row->count)) < 0) {
    logdb_die(db, "delete old rows of");
  }
  return s;
}

static void run(struct logdb *db, const char *text, const char *boundary)
{
  struct logdb_row row = {0};

  row_string(&row, boundary);
  db->sql->driver->finish(start(db, text, &row, false));
}

/* boundary, or the value STEP rows into what is below it; true if that is less. */
static bool step(struct logdb *db, const char *column, const char *table, char *boundary,
                 size_t size)
{
  struct logdb_row row = {0};
  struct sql_value value;
  char text[200];

  snprintf(text, sizeof(text), "SELECT %s FROM %s WHERE %s < ? ORDER BY %s LIMIT 1 OFFSET %d",
           column, table, column, column, STEP);
  row_string(&row, boundary);
  struct sql_statement *s = start(db, text, &row, true);
  int got = db->sql->driver->next(s, &value, 1);
  if (got == 1) {
    snprintf(boundary, size, "%s", value.text);
  }
  db->sql->driver->finish(s);
  return got == 1;
}

bool logdb_retain(struct logdb *db, int64_t cutoff)
{
  char session[LOGDB_ID_SIZE], message[LOGDB_ID_SIZE], when[TAI64N_TEXT_SIZE];
  bool more;

  if (cutoff <= 0) {
    return false;
  }
  first_id(cutoff, 10, session);
  first_id(cutoff, 9, message);
  tai64n_utc(cutoff, when);
  if (db->sql->driver->execute(db->sql, "BEGIN") == -1) {
    logdb_die(db, "delete old rows of");
  }
  more = step(db, "id", "connections", session, sizeof(session));
  run(db, "DELETE FROM communications WHERE connection_id < ?", session);
  run(db, "DELETE FROM connections WHERE id < ?", session);
  more = step(db, "id", "messages", message, sizeof(message)) || more;
  run(db, "DELETE FROM recipients WHERE message_id < ?", message);
  run(db, "DELETE FROM messages WHERE id < ?", message);
  more = step(db, "occurred_at", "deliveries", when, sizeof(when)) || more;
  run(db, "DELETE FROM deliveries WHERE occurred_at < ?", when);
  if (db->sql->driver->execute(db->sql, "COMMIT") == -1) {
    logdb_die(db, "delete old rows of");
  }
  return more;
}
