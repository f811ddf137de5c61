/* One connection to the tarpit: SMTP, every reply after its step's delay. */
#include "tarpit.h"

#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT 8192    /* bytes read and not yet used: pipelined commands, content */
#define HEAD 100      /* bytes kept of a line of content: enough for X-Token */
#define TOKEN_SIZE 64 /* bytes, its NUL included */
#define TOKEN_FIELD "X-Token: "

struct session {
  struct loop_watch watch; /* the first member */
  struct tool_timer timer;
  struct client *client;
  enum step step;     /* what is being answered */
  const char *reply;  /* being delayed; nothing is read meanwhile */
  struct ssl_st *tls; /* NULL: in clear */
  bool refused, mail, rcpt, content, in_header, shaken;
  char token[TOKEN_SIZE];
  uint64_t bytes; /* of content */
  size_t head_len, input_len;
  char head[HEAD];
  char input[INPUT];
};

static struct session *of_timer(struct tool_timer *timer)
{
  return (struct session *)((char *)timer - offsetof(struct session, timer));
}

static void end(struct session *s)
{
  tool_timer_clear(&s->timer);
  if (s->tls) {
    tls_free(s->tls);
  }
  loop_remove(&tool_loop, &s->watch);
  close(s->watch.fd);
  client_closed(s->client);
  free(s);
}

static bool send_all(struct session *s, const char *data, size_t len)
{
  return s->tls ? tls_write_all(s->tls, data, len)
                : send(s->watch.fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* RFC 3207 4.2: nothing that was said in clear counts, nor what came behind STARTTLS. */
static void start_tls(struct session *s)
{
  s->tls = tls_accept(s->watch.fd);
  s->mail = s->rcpt = false;
  s->input_len = 0;
}

/* Sends the reply; false when that was the end of the session. */
static bool say(struct session *s)
{
  if (s->step == DOT) {
    client_message(s->client, s->token, s->bytes);
  }
  if (!send_all(s, s->reply, strlen(s->reply)) || s->step == QUIT) {
    end(s);
    return false;
  }
  s->reply = NULL;
  if (s->step == STARTTLS) {
    start_tls(s);
  }
  return true;
}

/* The reply to a step, now or after its delay; false when the session has ended. */
static bool answer(struct session *s, enum step step, const char *reply)
{
  s->step = step;
  s->reply = reply;
  if (settings.delay[step] == 0) {
    return say(s);
  }
  tool_timer_set(&s->timer, tool_now() + settings.delay[step]);
  return true;
}

/* --- content */

static void content_line(struct session *s)
{
  size_t field = strlen(TOKEN_FIELD), len = s->head_len;

  if (len <= 1) {
    s->in_header = false; /* the blank line */
  } else if (scan_case_prefix(s->head, len, TOKEN_FIELD)) {
    len -= field;
    while (len > 0 && (s->head[field + len - 1] == '\r' || s->head[field + len - 1] == ' ')) {
      len--;
    }
    len = len < TOKEN_SIZE ? len : TOKEN_SIZE - 1;
    memcpy(s->token, s->head + field, len);
    s->token[len] = '\0';
  }
}

/* Takes bytes of content up to and with the final dot; how many it took. */
static size_t content(struct session *s, const char *data, size_t len)
{
  size_t used = 0;

  while (used < len && s->content) {
    const char *newline = memchr(data + used, '\n', len - used);
    size_t piece = newline ? (size_t)(newline - data) - used : len - used;
    size_t room = (s->in_header ? HEAD : 3) - s->head_len; /* of the body only "is it a dot?" */
    size_t kept = piece < room ? piece : room;
    memcpy(s->head + s->head_len, data + used, kept);
    s->head_len += kept;
    used += piece;
    if (!newline) {
      break;
    }
    used++;
    if (s->head_len == 2 && memcmp(s->head, ".\r", 2) == 0) {
      s->content = false;
    } else if (s->in_header) {
      content_line(s);
    }
    s->head_len = 0;
  }
  s->bytes += used;
  return used;
}

static bool begin_content(struct session *s)
{
  if (!s->rcpt) {
    return answer(s, DATA, "503 5.5.1 RCPT first\r\n");
  }
  s->content = s->in_header = true;
  s->head_len = s->bytes = 0;
  s->token[0] = '\0';
  return answer(s, DATA, "354 go on\r\n");
}

/* --- commands */

static bool mail(struct session *s)
{
  if (s->refused) {
    client_refused(s->client);
    s->step = QUIT;
    s->reply = TOO_MANY;
    return say(s);
  }
  if (!client_may_send(s->client)) {
    return answer(s, MAIL, "450 4.7.1 too many messages from your address\r\n");
  }
  s->mail = true;
  s->rcpt = false;
  return answer(s, MAIL, "250 2.1.0 ok\r\n");
}

static bool rcpt(struct session *s)
{
  if (!s->mail) {
    return answer(s, RCPT, "503 5.5.1 MAIL first\r\n");
  }
  s->rcpt = true;
  return answer(s, RCPT, "250 2.1.5 ok\r\n");
}

static bool rset(struct session *s)
{
  s->mail = s->rcpt = false;
  return answer(s, RSET, "250 2.0.0 ok\r\n");
}

/* The same for all sessions, so it may be delayed. */
static const char *greeting(const struct session *s)
{
  static char text[2][120];
  bool offer = settings.tls && !s->tls;

  snprintf(text[offer], sizeof text[offer],
           "250-tarpit.test\r\n%s%s250-SIZE 104857600\r\n250 8BITMIME\r\n",
           settings.pipelining ? "250-PIPELINING\r\n" : "", offer ? "250-STARTTLS\r\n" : "");
  return text[offer];
}

static bool command(struct session *s, const char *line, size_t len)
{
  if (scan_case_prefix(line, len, "MAIL FROM:")) {
    return mail(s);
  }
  if (scan_case_prefix(line, len, "RCPT TO:")) {
    return rcpt(s);
  }
  if (scan_case_prefix(line, len, "DATA")) {
    return begin_content(s);
  }
  if (scan_case_prefix(line, len, "EHLO ")) {
    return answer(s, HELO, greeting(s));
  }
  if (scan_case_prefix(line, len, "HELO ")) {
    return answer(s, HELO, "250 tarpit.test\r\n");
  }
  if (scan_case_prefix(line, len, "RSET") || scan_case_prefix(line, len, "NOOP")) {
    return rset(s);
  }
  if (settings.tls && !s->tls && scan_case_prefix(line, len, "STARTTLS")) {
    return answer(s, STARTTLS, "220 2.0.0 go ahead\r\n");
  }
  if (scan_case_prefix(line, len, "QUIT")) {
    return answer(s, QUIT, "221 2.0.0 bye\r\n");
  }
  return answer(s, RSET, "502 5.5.1 unknown command\r\n");
}

/* One command or piece of content at the head of the input; bytes used, 0: more are needed. */
static size_t one(struct session *s, const char *data, size_t len, bool *alive)
{
  const char *newline;
  size_t used;

  if (s->content) {
    used = content(s, data, len);
    if (!s->content) {
      s->bytes -= strlen(".\r\n");
      s->mail = s->rcpt = false;
      *alive = answer(s, DOT, "250 2.0.0 taken\r\n");
    }
    return used;
  }
  newline = memchr(data, '\n', len);
  if (!newline) {
    return 0;
  }
  used = (size_t)(newline - data) + 1;
  *alive = command(s, data, used);
  return used;
}

/* Uses the input until a reply is being delayed; false when the session has ended. */
static bool work(struct session *s)
{
  size_t at = 0, used = 1;
  bool alive = true;

  while (!s->reply && at < s->input_len && used > 0) {
    used = one(s, s->input + at, s->input_len - at, &alive);
    if (!alive) {
      return false;
    }
    at += used;
  }
  if (at < s->input_len) {
    s->input_len -= at;
    memmove(s->input, s->input + at, s->input_len);
  } else {
    s->input_len = 0; /* or STARTTLS has forgotten it */
  }
  if (!s->reply && s->input_len == INPUT) {
    end(s); /* a command of 8 KiB */
    return false;
  }
  tool_rewatch(&s->watch, s->reply ? 0 : EPOLLIN);
  return true;
}

static ssize_t receive(struct session *s)
{
  char *data = s->input + s->input_len;
  size_t len = INPUT - s->input_len;
  ssize_t n;

  if (!s->tls) {
    return read(s->watch.fd, data, len);
  }
  n = tls_read(s->tls, data, len);
  if (!s->shaken && tls_is_open(s->tls)) {
    s->shaken = true;
    client_secure(s->client, tls_version(s->tls), tls_is_resumed(s->tls));
  }
  return n;
}

/* Reads and works; with TLS until there is no more, which the loop would not be told of. */
static void take(struct session *s)
{
  ssize_t n;

  do {
    n = receive(s);
    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (n <= 0) {
      end(s);
      return;
    }
    s->input_len += (size_t)n;
  } while (work(s) && s->tls && !s->reply);
}

static void delayed(struct tool_timer *timer)
{
  struct session *s = of_timer(timer);

  if (say(s) && work(s) && s->tls && !s->reply) {
    take(s);
  }
}

static void session_ready(struct loop_watch *watch, uint32_t events)
{
  struct session *s = (struct session *)watch;

  (void)events;
  if (s->reply) { /* nothing is read now: EPOLLHUP or EPOLLERR */
    end(s);
    return;
  }
  take(s);
}

void session_open(int fd, struct client *client, bool refused)
{
  struct session *s = calloc(1, sizeof *s);

  if (!s) {
    tool_die("remember a connection");
  }
  s->watch = (struct loop_watch){fd, EPOLLIN, session_ready};
  s->client = client;
  s->refused = refused;
  tool_timer_init(&s->timer, delayed);
  tool_watch(&s->watch);
  if (answer(s, BANNER, "220 tarpit.test ESMTP\r\n")) {
    work(s);
  }
}
