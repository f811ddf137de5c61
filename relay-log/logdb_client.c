/* A client's session with the relay, line by line. */
#include "logdb_load.h"

#include <string.h>

static void forget_transaction(struct logdb_session *s)
{
  buf_reset(&s->rcpts);
}

static void command(struct logdb_session *s, struct log_text text)
{
  struct log_text address;

  *s->argument = '\0';
  if (log_text_address(text, "MAIL FROM:", &address)) {
    strcpy(s->command, "M");
    text_copy(s->argument, sizeof(s->argument), address);
  } else if (log_text_address(text, "RCPT TO:", &address)) {
    strcpy(s->command, "R");
    text_copy(s->argument, sizeof(s->argument), address);
  } else if (log_text_begins(text, "EHLO") || log_text_begins(text, "HELO")) {
    strcpy(s->command, "E");
  } else if (log_text_begins(text, "AUTH") || log_text_begins(text, "STARTTLS")) {
    strcpy(s->command, "A");
  } else if (log_text_begins(text, "RSET")) {
    strcpy(s->command, "Z");
  } else {
    strcpy(s->command, "O");
  }
}

static void reply(struct logdb_session *s, const struct log_entry *entry)
{
  bool last;
  unsigned code = log_text_reply(entry->line.text, &last);

  if (code == 0 || !last) {
    return;
  }
  s->in_data = code == 354;
  if (code == 354) {
    s->data_at = entry->line.at;
  }
  if (code / 100 == 2 && *s->command == 'M') {
    forget_transaction(s);
    memcpy(s->mail_from, s->argument, sizeof(s->mail_from));
  } else if (code / 100 == 2 && *s->command == 'R') {
    session_add_rcpt(s, (struct log_text){s->argument, strlen(s->argument)});
    memcpy(s->mail_to, s->argument, sizeof(s->mail_to));
  } else if (code / 100 == 2 && (*s->command == 'E' || *s->command == 'Z')) {
    forget_transaction(s);
  }
  if (code / 100 != 3) {
    *s->command = '\0';
  }
}

/* Warp's arrows: ">|" and "<|" are what goes no further than the proxy. */
static const char *direction_of(const struct logdb_session *s, char direction)
{
  bool ours = *s->command == 'A';

  if (direction == '<') {
    return ours ? ">|" : "->";
  }
  return ours || *s->command == 'E' ? "<|" : "<-";
}

static void facts_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                       const struct log_facts *facts)
{
  session_fact(s->tls, sizeof(s->tls), facts, "tls");
  session_fact(s->tenant, sizeof(s->tenant), facts, "tenant");
  if (log_text_is(facts->word, "connect")) {
    s->connected = 1;
    session_fact(s->peer, sizeof(s->peer), facts, "client");
    session_fact(s->host, sizeof(s->host), facts, "host");
  } else if (log_text_is(facts->word, "accept")) {
    s->messages++;
    message_answered(l, s, entry, facts);
    forget_transaction(s);
    s->in_data = 0;
  } else if (log_text_is(facts->word, "refuse")) {
    message_answered(l, s, entry, facts);
    forget_transaction(s);
    s->in_data = 0;
  } else if (log_text_is(facts->word, "end")) {
    session_fact(s->reason, sizeof(s->reason), facts, "reason");
  }
}

void client_line(struct logdb_load *l, struct logdb_session *s, const struct log_entry *entry,
                 const struct log_facts *facts)
{
  char direction = entry->line.direction;

  if (direction == '<' && !s->in_data) {
    /* In a dialogue of AUTH a line of the client is no command. */
    if (*s->command != 'A') {
      command(s, entry->line.text);
    }
  }
  session_line(l, s, entry,
               direction == '<' || direction == '>' ? direction_of(s, direction) : "--");
  if (direction == '>') {
    reply(s, entry);
  } else if (direction == '=') {
    facts_line(l, s, entry, facts);
  }
  if ((direction == '=' && log_text_is(facts->word, "end") && !s->by_tcpserver) ||
      (direction == 't' && (log_text_begins(entry->line.text, "tcpserver: end") ||
                            log_text_begins(entry->line.text, "tcpserver: deny")))) {
    session_end(l, s);
  }
}
