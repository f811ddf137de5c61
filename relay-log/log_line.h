#ifndef LOG_LINE_H
#define LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A line of a log that multilog t has written for relay (lib/loglines.h,
 * tcpserver, diagnostics): a stamp, then
 *
 *   PID < text    PID > text    PID = word key=value ...
 *   tcpserver: pid|ok|deny|end PID ...
 *   anything else
 *
 * Nothing is copied: every text points into the line that was given.
 */
struct log_text {
  const char *s; /* not terminated */
  size_t len;
};

struct log_line {
  int64_t at;           /* tai64n.h */
  uint32_t pid;         /* 0: the line names none */
  char direction;       /* '<', '>', '='; 't': tcpserver's, with a pid; 0: anything else */
  struct log_text text; /* behind "PID < "; of 't' and 0, behind the stamp */
};

/* s is one line without its end. False: it has no stamp. */
bool log_line_parse(const char *s, size_t len, struct log_line *line);

/*
 * The facts of a '=' line. A value ends at the next blank; one that begins
 * with '"' ends at the last '"' of the line that stands before a blank or the
 * end (a peer's reply may hold quotes itself), one that begins with '<' is an
 * address and ends at its '>', quoted local part and all. Words without '='
 * are left out. Of a key that comes twice the first counts, so that nothing
 * in a peer's text, which comes last, replaces a fact. Further facts than
 * LOG_FACTS_MAX are left out.
 */
#define LOG_FACTS_MAX 40

struct log_facts {
  struct log_text word; /* "connect", "queued", ... */
  unsigned count;
  struct {
    struct log_text key, value; /* value without its quotes or angle brackets */
  } fact[LOG_FACTS_MAX];
};

void log_facts_parse(struct log_text text, struct log_facts *facts);

/* Is it a '=' line whose word is that one? */
bool log_line_is_fact(const struct log_line *line, const char *word);

/* The value of key; s is NULL if there is none. */
struct log_text log_facts_get(const struct log_facts *facts, const char *key);
/* As a number; missing (and anything that is none) is otherwise. */
int64_t log_facts_number(const struct log_facts *facts, const char *key, int64_t otherwise);

bool log_text_is(struct log_text text, const char *s);
bool log_text_equal(struct log_text a, struct log_text b);
/* Does text begin with prefix? ASCII case does not matter. */
bool log_text_begins(struct log_text text, const char *prefix);

/*
 * The address of "MAIL FROM:<...>" or "RCPT TO:<...>" (verb "MAIL FROM:" or
 * "RCPT TO:"), case and blanks as people send them, without its brackets.
 * False: the line is not that command.
 */
bool log_text_address(struct log_text text, const char *verb, struct log_text *address);

/* The code of an SMTP reply line, 0 if it is none; *last: "250 ", not "250-". */
unsigned log_text_reply(struct log_text text, bool *last);

#endif
