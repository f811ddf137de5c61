/* A worker's connection to an MX, line by line: commands and replies are paired in order. */
#include "logdb_load.h"

#include <string.h>

static void command(struct logdb_session *s, struct log_text text)
{
  struct log_text address;
  char letter = 'O';

  if (log_text_address(text, "MAIL FROM:", &address)) {
    letter = 'M';
    buf_reset(&s->rcpts);
    text_copy(s->mail_from, sizeof(s->mail_from), address);
  } else if (log_text_address(text, "RCPT TO:", &address)) {
    /* Those that are refused have a result, too. */
    letter = 'R';
    session_add_rcpt(s, address);
    text_copy(s->mail_to, sizeof(s->mail_to), address);
  } else if (log_text_begins(text, "DATA")) {
    letter = 'D';
  } else if (log_text_begins(text, "QUIT")) {
    letter = 'Q';
    s->quitting = 1;
  }
  buf_append_char(&s->commands, letter);
}

/* True: the connection has ended well. */
static bool reply(struct logdb_session *s, const struct log_entry *entry)
{
  bool last;
  unsigned code = log_text_reply(entry->line.text, &last);

  if (code == 0 || !last || s->commands.len == 0) {
    return false; /* the greeting answers nothing */
  }
  char letter = s->commands.data[0];
  if (letter == 'D' && code == 354) {
    s->data_at = entry->line.at;
    s->commands.data[0] = '.'; /* the next reply is to the final dot */
    return false;
  }
  buf_consume(&s->commands, 1);
  return letter == 'Q' || (s->quitting && code == 221); /* whatever it has left unanswered */
}

static void facts_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                       const struct log_facts *facts)
{
  session_fact(s->tls, sizeof(s->tls), facts, "tls");
  if (log_text_is(facts->word, "connect")) {
    session_fact(s->peer, sizeof(s->peer), facts, "ip");
    session_fact(s->host, sizeof(s->host), facts, "host");
  } else if (log_text_is(facts->word, "deliver")) {
    s->messages++;
    session_fact(s->host, sizeof(s->host), facts, "host");
    delivery_session(l, s, entry, facts);
    buf_reset(&s->rcpts);
  }
}

void mx_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
             const struct log_facts *facts)
{
  bool ended = false;

  switch (entry->line.direction) {
  case '<':
    session_line(l, s, entry, "|<");
    s->connected = 1;
    ended = reply(s, entry);
    break;
  case '>':
    session_line(l, s, entry, "|>");
    command(s, entry->line.text);
    break;
  default:
    session_line(l, s, entry, "--");
    facts_line(l, s, entry, facts);
  }
  if (ended) {
    session_end(l, s);
  }
}
