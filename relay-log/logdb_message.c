/* Messages: rows of messages and recipients, and what is known of them for their deliveries. */
#include "logdb_load.h"

#include "exits.h"
#include "report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATE_MAX (4 << 20)
#define CACHE_MAX 20000                  /* messages kept in memory after a commit, 2 KB each */
#define WAIT_MAX_NS INT64_C(60000000000) /* later a result and a session are no pair */

#define WAIT_STRING(name)                                                                          \
  {                                                                                                \
    's', offsetof(struct logdb_wait, name), sizeof(((struct logdb_wait *)0)->name)                 \
  }
#define WAIT_NUMBER(name)                                                                          \
  {                                                                                                \
    'n', offsetof(struct logdb_wait, name), 0                                                      \
  }

static const struct logdb_field wait_fields[] = {
  WAIT_STRING(kind),       WAIT_NUMBER(at),
  WAIT_STRING(host),       WAIT_STRING(delivery),
  WAIT_STRING(connection), WAIT_STRING(site),
  WAIT_STRING(tls),        WAIT_NUMBER(ms),
  WAIT_NUMBER(left),       {'b', offsetof(struct logdb_wait, rcpts), 0},
};
#define WAIT_FIELDS (sizeof(wait_fields) / sizeof(*wait_fields))

struct log_text message_rcpt(const struct buf *rcpts, uint64_t n)
{
  struct netstring_reader r;
  struct log_text address = {NULL, 0};

  netstring_open(&r, rcpts->len ? rcpts->data : "", rcpts->len);
  for (uint64_t i = 0; i <= n; i++) {
    if (!netstring_more(&r) || netstring_get(&r, SIZE_MAX, &address.s, &address.len) == -1) {
      return (struct log_text){NULL, 0};
    }
  }
  return address;
}

struct log_text message_domain(struct log_text address)
{
  const char *at = address.len ? memrchr(address.s, '@', address.len) : NULL;

  return at ? (struct log_text){at + 1, (size_t)(address.s + address.len - at - 1)}
            : (struct log_text){NULL, 0};
}

static int64_t number_of(const struct sql_value *v)
{
  return v->type == SQL_STRING ? strtoll(v->text, NULL, 10) : -1;
}

static void string_of(const struct sql_value *v, char *out, size_t size)
{
  text_copy(out, size, (struct log_text){v->text, v->type == SQL_STRING ? v->len : 0});
}

/* The moment of "2026-11-22 13:54:06.123456", UTC. */
static int64_t time_of(const struct sql_value *v)
{
  struct tm t = {0};
  char *rest = v->type == SQL_STRING ? strptime(v->text, "%Y-%m-%d %H:%M:%S", &t) : NULL;

  if (!rest) {
    return 0;
  }
  int64_t micro = *rest == '.' ? strtoll(rest + 1, NULL, 10) : 0;
  return (int64_t)timegm(&t) * 1000000000 + micro * 1000;
}

/* What the table has of it. */
static void read_row(struct logdb_load *l, struct logdb_message *m)
{
  struct logdb_row row = {0};
  struct sql_value v[11], extra[11];

  row_string(&row, m->id);
  logdb_query(l->db, LOGDB_MESSAGE_GET, &row);
  if (!logdb_next(l->db, LOGDB_MESSAGE_GET, v, 11)) {
    return;
  }
  m->known = m->has_deliveries = true;
  string_of(&v[0], m->connection, sizeof(m->connection));
  string_of(&v[1], m->tenant, sizeof(m->tenant));
  string_of(&v[2], m->sender, sizeof(m->sender));
  m->has_sender = v[2].type == SQL_STRING;
  m->bytes = number_of(&v[3]);
  m->rcpts = number_of(&v[4]);
  m->serial = number_of(&v[5]);
  m->uid = number_of(&v[6]);
  m->through = number_of(&v[7]);
  m->code = number_of(&v[8]);
  string_of(&v[9], m->dsn_of, sizeof(m->dsn_of));
  m->arrived_at = time_of(&v[10]);
  while (logdb_next(l->db, LOGDB_MESSAGE_GET, extra, 11)) {
  }
}

struct logdb_message *message_get(struct logdb_load *l, struct log_text id)
{
  struct logdb_message *m;

  if (!id.s || !id_valid(id.s, id.len)) {
    return NULL;
  }
  m = hash_find(&l->messages, id.s, ID_LENGTH);
  if (m) {
    return m;
  }
  m = calloc(1, sizeof(*m));
  if (!m) {
    logdb_die_memory();
  }
  memcpy(m->id, id.s, ID_LENGTH);
  m->bytes = m->rcpts = m->serial = m->uid = m->code = -1;
  if (hash_insert(&l->messages, m) == -1) {
    logdb_die_memory();
  }
  read_row(l, m);
  return m;
}

/* "queued", "through": what relay-queue says counts, whatever came before. */
void message_queued(struct logdb_load *l, const struct log_entry *entry,
                    const struct log_facts *facts)
{
  struct logdb_message *m = message_get(l, log_facts_get(facts, "id"));
  struct log_text value;

  if (!m) {
    return;
  }
  if (m->serial < 0) { /* of a message tried first and committed later, the first line counts */
    m->arrived_at = entry->line.at;
  }
  text_copy(m->tenant, sizeof(m->tenant), log_facts_get(facts, "tenant"));
  value = log_facts_get(facts, "from");
  m->has_sender = value.s != NULL;
  text_copy(m->sender, sizeof(m->sender), value);
  value = log_facts_get(facts, "dsn-of");
  if (value.s && id_valid(value.s, value.len)) {
    text_copy(m->dsn_of, sizeof(m->dsn_of), value);
  }
  m->bytes = log_facts_number(facts, "bytes", m->bytes);
  m->rcpts = log_facts_number(facts, "rcpts", m->rcpts);
  m->serial = log_facts_number(facts, "serial", m->serial);
  m->uid = log_facts_number(facts, "uid", m->uid);
  m->through = m->through > 0 || log_text_is(facts->word, "through");
  m->changed = true;
}

static void put_rcpt(struct logdb_load *l, struct logdb_message *m, int64_t n,
                     struct log_text address)
{
  struct logdb_row row = {0}, update = {0};

  row_string(&row, m->id);
  row_number(&row, n);
  row_text(&row, address, LOGDB_ADDRESS_SIZE - 1);
  logdb_run(l->db, LOGDB_RECIPIENT, &row);
  if (n == 0) {
    text_copy(m->first, sizeof(m->first), address);
  }
  if (m->has_deliveries) {
    /* A fast MX: its results are in the log before the client's session has its 250. */
    row_text(&update, address, LOGDB_ADDRESS_SIZE - 1);
    row_text(&update, message_domain(address), LOGDB_TEXT_SIZE - 1);
    row_string(&update, m->id);
    row_number(&update, n);
    logdb_run(l->db, LOGDB_DELIVERY_RECIPIENT, &update);
  }
}

void message_answered(struct logdb_load *l, const struct logdb_session *s,
                      const struct log_entry *entry, const struct log_facts *facts)
{
  struct logdb_message *m = message_get(l, log_facts_get(facts, "id"));
  struct netstring_reader r;
  struct log_text address;

  if (!m) {
    return;
  }
  memcpy(m->connection, s->id, sizeof(m->connection));
  if (m->serial < 0) { /* relay-queue's own line has not come yet */
    text_copy(m->tenant, sizeof(m->tenant), log_facts_get(facts, "tenant"));
    memcpy(m->sender, s->mail_from, sizeof(m->sender));
    m->has_sender = true;
    m->bytes = log_facts_number(facts, "bytes", -1);
    m->rcpts = log_facts_number(facts, "rcpts", -1);
    m->arrived_at = m->arrived_at ? m->arrived_at : entry->line.at;
  }
  netstring_open(&r, s->rcpts.len ? s->rcpts.data : "", s->rcpts.len);
  for (int64_t n = 0;
       netstring_more(&r) && netstring_get(&r, SIZE_MAX, &address.s, &address.len) == 0; n++) {
    put_rcpt(l, m, n, address);
  }
  m->code = log_facts_number(facts, "code", -1);
  m->has_rcpts = m->changed = true;
}

static void number_or_null(struct logdb_row *row, int64_t number)
{
  if (number >= 0) {
    row_number(row, number);
  } else {
    row_string(row, "");
  }
}

static void write_row(struct logdb_load *l, struct logdb_message *m)
{
  struct logdb_row row = {0};

  row_string(&row, m->id);
  row_string(&row, m->connection);
  row_string(&row, m->tenant);
  row_text(&row, (struct log_text){m->has_sender ? m->sender : NULL, strlen(m->sender)},
           LOGDB_ADDRESS_SIZE - 1);
  number_or_null(&row, m->bytes);
  number_or_null(&row, m->rcpts);
  number_or_null(&row, m->serial);
  number_or_null(&row, m->uid);
  row_number(&row, m->through > 0);
  number_or_null(&row, m->code);
  row_string(&row, m->dsn_of);
  row_time(&row, m->arrived_at);
  logdb_run(l->db, LOGDB_MESSAGE, &row);
  m->changed = false;
}

static void drop_old_waits(struct logdb_load *l, struct logdb_message *m)
{
  struct logdb_wait **at = &m->first_wait, *w;

  m->last_wait = NULL;
  while ((w = *at)) {
    if (l->latest - w->at > WAIT_MAX_NS) {
      *at = w->next;
      buf_free(&w->rcpts);
      free(w);
    } else {
      m->last_wait = w;
      at = &w->next;
    }
  }
}

/* "m ID" */
static void save_waits(struct logdb_load *l, struct logdb_message *m)
{
  struct buf value = BUF_INIT(STATE_MAX);
  char item[ID_SIZE + 2];

  drop_old_waits(l, m);
  snprintf(item, sizeof(item), "m %s", m->id);
  if (m->first_wait) {
    for (struct logdb_wait *w = m->first_wait; w; w = w->next) {
      if (state_put(&value, w, wait_fields, WAIT_FIELDS) == -1) {
        logdb_die_memory();
      }
    }
    state_keep(l, item, &value);
  } else if (m->stored) {
    state_drop(l, item);
  }
  m->stored = m->first_wait != NULL;
  buf_free(&value);
}

void message_free(struct logdb_message *m)
{
  delivery_waits_free(m);
  free(m);
}

/* Only those that are waited for need to stay; the table has the rest. */
static void shrink_cache(struct logdb_load *l)
{
  struct hash kept;
  struct logdb_message *m;
  size_t cursor = 0;

  hash_init(&kept, l->messages.key);
  while ((m = hash_next(&l->messages, &cursor))) {
    if (!m->first_wait) {
      message_free(m);
    } else if (hash_insert(&kept, m) == -1) {
      logdb_die_memory();
    }
  }
  hash_free(&l->messages);
  l->messages = kept;
}

void message_save(struct logdb_load *l)
{
  struct logdb_message *m;
  size_t cursor = 0;

  while ((m = hash_next(&l->messages, &cursor))) {
    if (m->changed) {
      write_row(l, m);
    }
    if (m->first_wait || m->stored) {
      save_waits(l, m);
    }
  }
  if (l->messages.count > CACHE_MAX) {
    shrink_cache(l);
  }
}

void message_load(struct logdb_load *l, const char *item, const char *value, size_t len)
{
  struct logdb_message *m = message_get(l, (struct log_text){item + 2, strlen(item + 2)});
  struct netstring_reader r;

  netstring_open(&r, value, len);
  while (m && netstring_more(&r)) {
    struct logdb_wait *w = calloc(1, sizeof(*w));
    if (!w) {
      logdb_die_memory();
    }
    buf_init(&w->rcpts, LOGDB_RCPTS_MAX);
    *(m->last_wait ? &m->last_wait->next : &m->first_wait) = w;
    m->last_wait = w;
    if (state_get(&r, w, wait_fields, WAIT_FIELDS) == -1) {
      report_fatal("log_state has something garbled at \"%s\"", item);
      exit(EXIT_TEMPORARY);
    }
  }
  if (m) {
    m->stored = true;
  }
}
