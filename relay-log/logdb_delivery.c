/*
 * Deliveries: a row for each result of relay-queue. What only the worker's
 * session knows (how long it took, TLS, the recipient of mail that did not come
 * over SMTP) comes from its "deliver", a little before or after the results.
 */
#include "logdb_load.h"

#include "exits.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define PAIR_NS INT64_C(10000000000) /* so near in time are a result and its session */

void delivery_waits_free(struct logdb_message *m)
{
  struct logdb_wait *w;

  while ((w = m->first_wait)) {
    m->first_wait = w->next;
    buf_free(&w->rcpts);
    free(w);
  }
  m->last_wait = NULL;
}

static struct logdb_wait *add_wait(struct logdb_message *m, char kind, struct log_text host,
                                   int64_t at)
{
  struct logdb_wait *w = calloc(1, sizeof(*w));

  if (!w) {
    logdb_die_memory();
  }
  w->kind[0] = kind;
  w->at = at;
  text_copy(w->host, sizeof(w->host), host);
  buf_init(&w->rcpts, LOGDB_RCPTS_MAX);
  *(m->last_wait ? &m->last_wait->next : &m->first_wait) = w;
  m->last_wait = w;
  return w;
}

static void remove_wait(struct logdb_message *m, struct logdb_wait *gone)
{
  struct logdb_wait **at = &m->first_wait, *before = NULL;

  while (*at != gone) {
    before = *at;
    at = &(*at)->next;
  }
  *at = gone->next;
  if (m->last_wait == gone) {
    m->last_wait = before;
  }
  buf_free(&gone->rcpts);
  free(gone);
}

static struct logdb_wait *find_wait(struct logdb_message *m, char kind, struct log_text host,
                                    int64_t at)
{
  for (struct logdb_wait *w = m->first_wait; w; w = w->next) {
    if (w->kind[0] == kind && log_text_is(host, w->host) && llabs(at - w->at) < PAIR_NS) {
      return w;
    }
  }
  return NULL;
}

/* The recipient's address as the client gave it, s NULL if no session of a client is known. */
static struct log_text address_of(struct logdb_load *l, struct logdb_message *m, int64_t rcpt,
                                  char out[LOGDB_ADDRESS_SIZE])
{
  struct logdb_row row = {0};
  struct sql_value value, extra;

  *out = '\0';
  if (m->has_rcpts && rcpt == 0) {
    return (struct log_text){m->first, strlen(m->first)};
  }
  if (!m->has_rcpts && !m->known) {
    return (struct log_text){NULL, 0};
  }
  row_string(&row, m->id);
  row_number(&row, rcpt);
  logdb_query(l->db, LOGDB_RECIPIENT_GET, &row);
  if (!logdb_next(l->db, LOGDB_RECIPIENT_GET, &value, 1)) {
    return (struct log_text){NULL, 0};
  }
  text_copy(out, LOGDB_ADDRESS_SIZE, (struct log_text){value.text, value.len});
  while (logdb_next(l->db, LOGDB_RECIPIENT_GET, &extra, 1)) {
  }
  return (struct log_text){out, strlen(out)};
}

static void insert(struct logdb_load *l, const struct logdb_message *m, const char *id,
                   const struct log_entry *entry, const struct log_facts *facts,
                   struct log_text address, const struct logdb_wait *session)
{
  struct logdb_row row = {0};

  row_string(&row, id);
  row_string(&row, m->id);
  row_number(&row, log_facts_number(facts, "rcpt", -1));
  row_string(&row, m->tenant);
  row_text(&row, address, LOGDB_ADDRESS_SIZE - 1);
  row_text(&row, message_domain(address), LOGDB_TEXT_SIZE - 1);
  row_string(&row, session ? session->site : "");
  row_text(&row, log_facts_get(facts, "host"), LOGDB_TEXT_SIZE - 1);
  row_text(&row, log_facts_get(facts, "verdict"), 16);
  row_text(&row, log_facts_get(facts, "status"), 16);
  row_text(&row, log_facts_get(facts, "reply"), LOG_FOLLOW_LINE_MAX - 1);
  row_string(&row, session ? session->tls : "");
  row_number(&row, log_facts_number(facts, "attempts", 0));
  if (session) {
    row_number(&row, session->ms);
  } else {
    row_string(&row, "");
  }
  row_string(&row, session ? session->connection : "");
  row_time(&row, m->arrived_at);
  row_time(&row, entry->line.at);
  logdb_run(l->db, LOGDB_DELIVERY, &row);
}

void delivery_site(struct logdb_load *l, const struct logdb_session *s)
{
  struct logdb_row row = {0};

  row_string(&row, s->site);
  row_string(&row, s->id);
  row_time(&row, s->began - PAIR_NS); /* the index of the times finds them */
  logdb_run(l->db, LOGDB_DELIVERY_SITES, &row);
}

/* The session of a wait may have got its site since. That is rare, and sessions are few. */
static void look_for_site(struct logdb_load *l, struct logdb_wait *w)
{
  struct logdb_session *s;
  size_t cursor = 0;

  while (!*w->site && (s = hash_next(&l->sessions, &cursor))) {
    if (strcmp(s->id, w->connection) == 0) {
      memcpy(w->site, s->site, sizeof(w->site));
    }
  }
}

void delivery_result(struct logdb_load *l, const struct log_entry *entry,
                     const struct log_facts *facts)
{
  struct logdb_message *m = message_get(l, log_facts_get(facts, "id"));
  struct log_text host = log_facts_get(facts, "host"), address;
  char id[LOGDB_ID_SIZE], text[LOGDB_ADDRESS_SIZE];
  struct logdb_wait *w;

  if (!m || !log_facts_get(facts, "verdict").s) {
    return;
  }
  logdb_id(l, entry, id);
  address = address_of(l, m, log_facts_number(facts, "rcpt", 0), text);
  w = find_wait(m, 'a', host, entry->line.at);
  if (w) {
    struct log_text theirs = message_rcpt(&w->rcpts, 0);
    look_for_site(l, w);
    insert(l, m, id, entry, facts, address.s ? address : theirs, w);
    if (theirs.s) {
      buf_consume(&w->rcpts, (size_t)(theirs.s + theirs.len + 1 - w->rcpts.data));
    }
    if (--w->left == 0) {
      remove_wait(m, w);
    }
  } else {
    insert(l, m, id, entry, facts, address, NULL);
    if (host.len > 0) {
      memcpy(add_wait(m, 'r', host, entry->line.at)->delivery, id, LOGDB_ID_SIZE);
    }
  }
  m->has_deliveries = true;
}

/* A result that was written before its session was known. */
static void complete(struct logdb_load *l, const struct logdb_wait *result,
                     const struct logdb_session *s, int64_t ms, struct log_text address)
{
  struct logdb_row row = {0};

  row_string(&row, s->id);
  row_string(&row, s->site);
  row_string(&row, s->tls);
  row_number(&row, ms);
  row_text(&row, address, LOGDB_ADDRESS_SIZE - 1);
  row_text(&row, message_domain(address), LOGDB_TEXT_SIZE - 1);
  row_string(&row, result->delivery);
  logdb_run(l->db, LOGDB_DELIVERY_ATTEMPT, &row);
}

void delivery_session(struct logdb_load *l, const struct logdb_session *s,
                      const struct log_entry *entry, const struct log_facts *facts)
{
  struct logdb_message *m = message_get(l, log_facts_get(facts, "id"));
  struct log_text host = log_facts_get(facts, "host");
  int64_t count = log_facts_number(facts, "rcpts", 0), done = 0;
  int64_t ms = log_facts_number(facts, "ms", 0);
  struct logdb_wait *w;

  if (!m) {
    return;
  }
  while (done < count && (w = find_wait(m, 'r', host, entry->line.at))) {
    complete(l, w, s, ms, message_rcpt(&s->rcpts, (uint64_t)done));
    remove_wait(m, w);
    done++;
  }
  if (done == count) {
    return;
  }
  w = add_wait(m, 'a', host, entry->line.at);
  memcpy(w->connection, s->id, sizeof(w->connection));
  memcpy(w->site, s->site, sizeof(w->site));
  memcpy(w->tls, s->tls, sizeof(w->tls));
  w->ms = ms;
  w->left = count - done;
  for (struct log_text a; (a = message_rcpt(&s->rcpts, (uint64_t)done)).s; done++) {
    netstring_put(&w->rcpts, a.s, a.len);
  }
}

void delivery_attempt(struct logdb_load *l, const struct log_entry *entry,
                      const struct log_facts *facts)
{
  struct logdb_message *m = message_get(l, log_facts_get(facts, "id"));
  struct log_text host = log_facts_get(facts, "host");

  for (struct logdb_wait *w = m ? m->first_wait : NULL; w; w = w->next) {
    if (w->kind[0] == 'r' && log_text_is(host, w->host) &&
        llabs(entry->line.at - w->at) < PAIR_NS) {
      struct logdb_row row = {0};
      row_text(&row, log_facts_get(facts, "site"), LOGDB_TEXT_SIZE - 1);
      row_number(&row, log_facts_number(facts, "ms", 0));
      row_string(&row, w->delivery);
      logdb_run(l->db, LOGDB_DELIVERY_SITE, &row);
    }
  }
}
