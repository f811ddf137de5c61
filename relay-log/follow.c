#include "follow.h"

#include "logrecord.h"
#include "scan.h"
#include "session.h"

#include <string.h>

int follow_init(struct follow *f, enum follow_protocol protocol, struct outlet *outlet,
                size_t sessions)
{
  *f = (struct follow){.protocol = protocol, .outlet = outlet};
  return tracks_init(&f->tracks, sessions);
}

void follow_free(struct follow *f)
{
  tracks_free(&f->tracks);
}

/* --- for the protocols */

void session_join(struct follow *f, struct track *k, struct text *held, const char *p, size_t len,
                  bool newline, session_line_fn *take)
{
  struct text line;

  if (newline && held->len == 0 && held->more == 0) {
    take(f, k, p, len, 0);
    return;
  }
  text_add(&f->tracks, held, p, len);
  if (newline) {
    line = *held; /* take may let the session, and what it holds, go */
    *held = (struct text){.data = NULL};
    take(f, k, line.data, line.len, line.more);
    text_clear(&f->tracks, &line);
  }
}

static void let_go(struct follow *f, struct track *k)
{
  text_clear(&f->tracks, &k->in);
  text_clear(&f->tracks, &k->out);
  text_clear(&f->tracks, &k->queue);
  text_clear(&f->tracks, &k->content.field);
  k->chunk_open = false;
}

void session_lost(struct follow *f, struct track *k, const char *reason)
{
  let_go(f, k);
  k->state = TRACK_LOST;
  if (!k->told) {
    outlet_printf(f->outlet, k->pid, '=', "unfollowed reason=%s", reason);
    k->told = true;
  }
}

void session_tls(struct follow *f, struct track *k, const char *reason)
{
  let_go(f, k);
  k->state = TRACK_OPAQUE;
  outlet_printf(f->outlet, k->pid, '=', "tls begin=%s", reason);
}

void session_put_auth(struct follow *f, struct track *k, const char *line, size_t len)
{
  static const char *const mechanisms[] = {
    "PLAIN",         "LOGIN",
    "CRAM-MD5",      "DIGEST-MD5",
    "SCRAM-SHA-1",   "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
    "NTLM",          "GSSAPI",
    "EXTERNAL",      "ANONYMOUS",
    "XOAUTH2",       "OAUTHBEARER",
  };
  const char *end = line + len, *word, *p = line;

  while (p < end && *p == ' ') {
    p++;
  }
  while (p < end && *p != ' ') { /* the verb */
    p++;
  }
  while (p < end && *p == ' ') {
    p++;
  }
  for (word = p; p < end && *p != ' '; p++) {
  }
  for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
    if (scan_case_equal(word, (size_t)(p - word), mechanisms[i], strlen(mechanisms[i]))) {
      outlet_printf(f->outlet, k->pid, '<', "AUTH %s%s", mechanisms[i],
                    p < end ? " [redacted]" : "");
      return;
    }
  }
  outlet_str(f->outlet, k->pid, '<', "AUTH [redacted]");
}

/* --- recordio's sessions */

static void begin(struct follow *f, struct track *k)
{
  if (f->protocol == FOLLOW_SMTP) {
    smtp_begin(k);
  } else {
    pop3_begin(f, k);
  }
}

/* One side has closed. */
static void closed(struct follow *f, struct track *k, char direction)
{
  bool in = direction == '<', lost = k->state == TRACK_LOST || k->state == TRACK_OPAQUE;

  /* A last line without its end; secrets are redacted in this one, too. */
  if (in && k->in.len > 0) {
    (f->protocol == FOLLOW_SMTP ? smtp_client : pop3_client)(f, k, "", 0, true);
  }
  if (!in && k->out.len > 0 && k->state != TRACK_FIRST) {
    (f->protocol == FOLLOW_SMTP ? smtp_server : pop3_server)(f, k, "", 0, true);
  }
  if (in == (f->protocol == FOLLOW_SMTP)) {
    content_finish(f, k, direction);
  }
  if (in && !k->quit && !lost) {
    outlet_str(f->outlet, k->pid, '<', "[EOF]");
  }
  if (!in) {
    tracks_forget(&f->tracks, k); /* recordio ends with the server's output */
  }
}

static void recorded(struct follow *f, struct track *k, const struct logrecord *r)
{
  bool newline = r->mark == LOGRECORD_NEWLINE;

  if (r->mark == LOGRECORD_EOF) {
    closed(f, k, r->direction);
  } else if (f->protocol == FOLLOW_SMTP) {
    (r->direction == '<' ? smtp_client : smtp_server)(f, k, r->text, r->bytes, newline);
  } else {
    (r->direction == '<' ? pop3_client : pop3_server)(f, k, r->text, r->bytes, newline);
  }
}

/* --- relay's own lines, which have neither bodies nor secrets (loglines.h) */

static bool begins(const struct logrecord *r, const char *word)
{
  return scan_case_prefix(r->text, r->len, word);
}

/* They are redacted where they come from; this costs nothing. */
static bool own_secret(struct follow *f, struct track *k, const struct logrecord *r)
{
  if (k->asked_auth) {
    outlet_str(f->outlet, r->pid, '<', "[redacted]");
  } else if (begins(r, "AUTH ")) {
    session_put_auth(f, k, r->text, r->len);
  } else if (begins(r, "PASS ")) {
    outlet_str(f->outlet, r->pid, '<', "PASS [redacted]");
  } else {
    return false;
  }
  return true;
}

static void own_line(struct follow *f, struct track *k, const struct logrecord *r, size_t more)
{
  if (r->direction == '>') {
    k->own_header = begins(r, "354");
    k->asked_auth = begins(r, "334");
  } else if (r->direction == '<' && k->own_header) {
    size_t n = fieldnames_length(r->text, r->len);
    if (n > 0 && !fieldnames_wanted(&f->outlet->fields, r->text, n)) {
      return;
    }
  } else if (r->direction == '<' && own_secret(f, k, r)) {
    return;
  }
  outlet_put(f->outlet, r->pid, r->direction, r->text, r->len, more);
}

/* --- which of the two */

/*
 * A line that recordio has not marked is relay's own. With both in one log
 * ("recordio relay-smtpd") recordio's lines are followed and relay's own, which
 * say the same, are left out, but for the facts; behind STARTTLS relay's own are
 * all there is. relay's own lines have no raw CR; recordio's do, sooner or later.
 */
static void decide_format(struct follow *f, struct track *k, const struct logrecord *r)
{
  bool marked = r->mark != LOGRECORD_UNMARKED;
  bool cr = marked && r->bytes > 0 && r->text[r->bytes - 1] == '\r';

  if (k->firm) {
    return;
  }
  if (cr) {
    k->firm = true;
    k->format = TRACK_RECORDIO;
  } else if (r->direction == '=') {
    k->format = k->format == TRACK_UNDECIDED ? TRACK_OWN : k->format;
  } else if (!marked) {
    k->format = TRACK_OWN;
  } else if (k->format == TRACK_UNDECIDED) {
    k->format = TRACK_RECORDIO;
  }
  /* relay-smtpd's first line: a session's beginning, if recordio's lines should follow. */
  if (r->direction == '=' && begins(r, "connect ") && k->state == TRACK_FIRST) {
    begin(f, k);
  }
}

static void session_line(struct follow *f, const struct logrecord *r, size_t more)
{
  struct track *k = tracks_get(&f->tracks, r->pid);

  decide_format(f, k, r);
  if (r->direction == '=') {
    outlet_put(f->outlet, r->pid, '=', r->text, r->len, more);
    return;
  }
  if (k->format == TRACK_OWN) {
    own_line(f, k, r, more);
    return;
  }
  if (r->mark == LOGRECORD_UNMARKED) {
    if (k->state == TRACK_OPAQUE) {
      own_line(f, k, r, more);
    }
    return;
  }
  recorded(f, k, r);
  tracks_shrink(&f->tracks, k);
}

/* --- other lines */

static void session_begins(struct follow *f, uint32_t pid)
{
  struct track *k = tracks_get(&f->tracks, pid);

  f->tcpserver = true;
  tracks_reset(&f->tracks, k);
  begin(f, k);
}

/* recordio is still about, until its server's output ends: its session stays. */
static void session_ends(struct follow *f, uint32_t pid)
{
  struct track *k = tracks_find(&f->tracks, pid);

  f->tcpserver = true;
  if (k && k->format != TRACK_RECORDIO) {
    tracks_forget(&f->tracks, k);
  }
}

static void foreign_line(struct follow *f, const char *line, size_t len, size_t more)
{
  size_t glued = logrecord_glued(line, len);
  struct logrecord r;

  if (glued == len) {
    outlet_foreign(f->outlet, line, len, more);
    return;
  }
  outlet_foreign(f->outlet, line, glued, 0);
  logrecord_parse(&r, line + glued, len - glued);
  if (r.kind == LOGRECORD_SESSION) {
    session_line(f, &r, more);
  }
}

void follow_line(struct follow *f, const char *line, size_t len, size_t more)
{
  struct logrecord r;

  logrecord_parse(&r, line, len);
  switch (r.kind) {
  case LOGRECORD_SESSION:
    session_line(f, &r, more);
    break;
  case LOGRECORD_FOREIGN:
    foreign_line(f, line, len, more);
    break;
  case LOGRECORD_BEGIN:
    session_begins(f, r.pid);
    outlet_foreign(f->outlet, line, len, more);
    break;
  case LOGRECORD_END:
    session_ends(f, r.pid);
    outlet_foreign(f->outlet, line, len, more);
    break;
  }
}

void follow_end(struct follow *f)
{
  char side = f->protocol == FOLLOW_SMTP ? '<' : '>';
  struct track *k;

  for (k = tracks_next(&f->tracks, NULL); k; k = tracks_next(&f->tracks, k)) {
    content_finish(f, k, side);
  }
}
