/* Sessions: found by directory and pid, written as rows of connections. */
#include "logdb_load.h"

#include "exits.h"
#include "report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_MAX (32 << 20)
#define COMMANDS_MAX 100000                      /* replies that an MX owes us; more are no SMTP */
#define AGAIN_NS INT64_C(600000000000)           /* ten minutes: one worker's attempts to connect */
#define SILENT_NS (INT64_C(172800) * 1000000000) /* two days: its end is not in the log */

#define STRING(name)                                                                               \
  {                                                                                                \
    's', offsetof(struct logdb_session, name), sizeof(((struct logdb_session *)0)->name)           \
  }
#define NUMBER(name)                                                                               \
  {                                                                                                \
    'n', offsetof(struct logdb_session, name), 0                                                   \
  }
#define BUFFER(name)                                                                               \
  {                                                                                                \
    'b', offsetof(struct logdb_session, name), 0                                                   \
  }

static const struct logdb_field fields[] = {
  NUMBER(kind),         STRING(id),        NUMBER(began),    NUMBER(data_at), NUMBER(last),
  NUMBER(by_tcpserver), NUMBER(connected), NUMBER(quitting), NUMBER(ended),   NUMBER(in_data),
  NUMBER(messages),     STRING(mail_from), STRING(mail_to),  STRING(tenant),  STRING(peer),
  STRING(host),         STRING(site),      STRING(tls),      STRING(reason),  STRING(command),
  STRING(argument),     BUFFER(commands),  BUFFER(rcpts),
};
#define FIELDS (sizeof(fields) / sizeof(*fields))

static struct logdb_session *new_session(struct logdb_load *l, unsigned directory, uint32_t pid)
{
  struct logdb_session *s = calloc(1, sizeof(*s));

  if (!s) {
    logdb_die_memory();
  }
  s->directory = directory;
  s->pid = pid;
  buf_init(&s->commands, COMMANDS_MAX);
  buf_init(&s->rcpts, LOGDB_RCPTS_MAX);
  if (hash_insert(&l->sessions, s) == -1) {
    logdb_die_memory();
  }
  return s;
}

struct logdb_session *session_find(struct logdb_load *l, unsigned directory, uint32_t pid)
{
  uint32_t key[2] = {directory, pid};

  return hash_find(&l->sessions, key, sizeof(key));
}

/* "s DIRECTORY PID" */
static void item_name(const struct logdb_load *l, const struct logdb_session *s, char item[320])
{
  snprintf(item, 320, "s %.300s %u", l->merge->follow[s->directory].directory, s->pid);
}

struct logdb_session *session_begin(struct logdb_load *l, const struct log_entry *entry,
                                    uint32_t pid, enum logdb_kind kind)
{
  struct logdb_session *s = session_find(l, entry->directory, pid);
  char site[LOGDB_TEXT_SIZE];

  *site = '\0';
  if (s && s->kind != LOGDB_NEW) {
    /* A worker that connects again without TLS, or to the next host, is still for that site. */
    if (s->kind == LOGDB_MX && kind == LOGDB_MX && s->messages == 0 &&
        entry->line.at - s->began < AGAIN_NS) {
      memcpy(site, s->site, sizeof(site));
    }
    session_end(l, s);
    s = NULL;
  }
  if (!s) {
    s = new_session(l, entry->directory, pid);
    memcpy(s->site, site, sizeof(site));
  }
  s->kind = kind;
  s->began = s->last = entry->line.at;
  s->changed = true;
  if (kind != LOGDB_NEW) {
    logdb_id(l, entry, s->id);
  }
  return s;
}

static void write_row(struct logdb_load *l, const struct logdb_session *s)
{
  struct logdb_row row = {0};

  row_string(&row, s->id);
  /* "unknown" and the negative numbers are Warp's. */
  row_string(&row, *s->mail_from ? s->mail_from : "unknown");
  row_string(&row, *s->mail_to ? s->mail_to : "unknown");
  row_time(&row, s->began);
  row_number(&row, s->data_at ? (s->data_at - s->began) / 1000000 : -2);
  row_string(&row, s->kind == LOGDB_CLIENT ? "client" : "mx");
  row_string(&row, l->db->source);
  row_number(&row, s->pid);
  row_string(&row, s->peer);
  row_string(&row, s->host);
  row_string(&row, s->tenant);
  row_string(&row, s->site);
  row_string(&row, s->tls);
  row_number(&row, s->messages);
  row_time(&row, s->ended ? s->last : 0);
  row_string(&row, s->reason);
  logdb_run(l->db, LOGDB_CONNECTION, &row);
}

void session_free(struct logdb_session *s)
{
  buf_free(&s->commands);
  buf_free(&s->rcpts);
  free(s);
}

void session_end(struct logdb_load *l, struct logdb_session *s)
{
  uint32_t key[2] = {s->directory, s->pid};
  char item[320];

  if (s->kind != LOGDB_NEW) {
    s->ended = 1;
    write_row(l, s);
  }
  if (s->stored) {
    item_name(l, s, item);
    state_drop(l, item);
  }
  hash_remove(&l->sessions, key, sizeof(key));
  session_free(s);
}

void session_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                  const char *direction)
{
  char id[LOGDB_ID_SIZE];

  logdb_id(l, entry, id);
  logdb_line(l->db, id, s->id, direction, entry->line.text, entry->line.at);
  s->last = entry->line.at;
  s->changed = true;
}

void session_fact(char *out, size_t size, const struct log_facts *facts, const char *key)
{
  struct log_text value = log_facts_get(facts, key);

  if (value.len > 0) {
    text_copy(out, size, value);
  }
}

void session_add_rcpt(struct logdb_session *s, struct log_text address)
{
  netstring_put(&s->rcpts, address.s, address.len); /* what is over the maximum is left out */
}

static void save(struct logdb_load *l, struct logdb_session *s)
{
  struct buf value = BUF_INIT(STATE_MAX);
  char item[320];

  if (s->kind != LOGDB_NEW) {
    write_row(l, s);
  }
  if (state_put(&value, s, fields, FIELDS) == -1) {
    logdb_die_memory();
  }
  item_name(l, s, item);
  state_keep(l, item, &value);
  buf_free(&value);
  s->stored = true;
  s->changed = false;
}

void session_save(struct logdb_load *l)
{
  struct logdb_session *s, *silent = NULL;
  size_t cursor = 0;

  while ((s = hash_next(&l->sessions, &cursor))) {
    if (s->changed) {
      save(l, s);
    } else if (l->latest - s->last > SILENT_NS) {
      silent = s; /* one a commit is enough: a relay that was killed leaves a few */
    }
  }
  if (silent) {
    session_end(l, silent);
  }
}

void session_load(struct logdb_load *l, const char *item, const char *value, size_t len)
{
  const char *last = strrchr(item, ' ');
  struct netstring_reader r;
  size_t name = (size_t)(last - item - 2);
  unsigned directory = 0;

  while (directory < l->merge->count &&
         (strlen(l->merge->follow[directory].directory) != name ||
          memcmp(l->merge->follow[directory].directory, item + 2, name) != 0)) {
    directory++;
  }
  if (directory == l->merge->count) {
    return; /* of a directory that is not loaded this time: it stays as it is */
  }
  struct logdb_session *s = new_session(l, directory, (uint32_t)strtoul(last + 1, NULL, 10));
  netstring_open(&r, value, len);
  if (state_get(&r, s, fields, FIELDS) == -1) {
    report_fatal("log_state has something garbled at \"%s\"", item);
    exit(EXIT_TEMPORARY);
  }
  s->stored = true;
}

void session_end_all(struct logdb_load *l, unsigned directory, enum logdb_kind kind)
{
  struct logdb_session *s;
  size_t cursor;

  for (;;) {
    cursor = 0;
    do {
      s = hash_next(&l->sessions, &cursor);
    } while (s && (s->directory != directory || s->kind != (int64_t)kind));
    if (!s) {
      return;
    }
    session_end(l, s);
  }
}
