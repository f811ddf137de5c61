/* One client connection of load: MAIL, RCPT and DATA in one write where the server takes that. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 480 /* bytes of every message's header: X-Pad fills it */
#define LINE "seventy-six letters and a line end make a line of ordinary mail, as here ...\r\n"

enum state { CONNECT, BANNER, HELO, MAIL, RCPT, DATA, DOT, RSET };

static char *body; /* lines, and the final dot; a message of any size is its tail */
static size_t body_len;

void session_prepare(void)
{
  size_t line = strlen(LINE), want = load_size - HEADER, first = want % line;

  body = malloc(want + 3);
  if (!body) {
    tool_die("make a message");
  }
  /* The first line is what is left of one; "\n" alone must not be. */
  memset(body, 'x', first);
  if (first >= 2) {
    memcpy(body + first - 2, "\r\n", 2);
  }
  for (size_t at = first; at < want; at += line) {
    memcpy(body + at, LINE, line);
  }
  memcpy(body + want, ".\r\n", 3);
  body_len = want + 3;
}

static void close_session(struct session *s)
{
  loop_remove(&tool_loop, &s->watch);
  close(s->watch.fd);
  s->watch.fd = -1;
}

/* The connection is of no more use; the message, if it has one, was not taken. */
static void lost(struct session *s, int code, const char *text)
{
  close_session(s);
  if (s->busy) {
    s->busy = false;
    load_done(s, code, text);
  }
}

/* --- output */

/* Writes what is left of out and body; false when the connection is lost. */
static bool flush(struct session *s)
{
  while (s->out_at < s->out_len + s->body_len) {
    size_t in_body = s->out_at > s->out_len ? s->out_at - s->out_len : 0;
    struct iovec parts[2] = {{s->out + s->out_at, s->out_len - s->out_at},
                             {body + in_body, s->body_len - in_body}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = s->body_len > 0 ? 2 : 1};
    ssize_t n;
    if (s->out_at >= s->out_len) {
      m.msg_iov = parts + 1;
      m.msg_iovlen = 1;
    }
    n = sendmsg(s->watch.fd, &m, MSG_NOSIGNAL);
    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
      tool_rewatch(&s->watch, EPOLLIN | EPOLLOUT);
      return true;
    }
    if (n == -1) {
      lost(s, 0, strerror(errno));
      return false;
    }
    s->out_at += (size_t)n;
  }
  tool_rewatch(&s->watch, EPOLLIN);
  if (s->state == DOT && s->message.dot == 0) {
    s->message.dot = tool_now();
  }
  return true;
}

static bool say(struct session *s, enum state state, int len)
{
  s->state = state;
  s->out_len = (size_t)len;
  s->out_at = s->body_len = 0;
  return flush(s);
}

static bool say_envelope(struct session *s)
{
  char rcpt[300];

  s->code = 0;
  load_recipient(s, rcpt, sizeof rcpt);
  return say(s, MAIL,
             snprintf(s->out, sizeof s->out, "MAIL FROM:<%s@sender.test>\r\n%s%s%s%s", load_name(s),
                      s->pipelining ? "RCPT TO:<" : "", s->pipelining ? rcpt : "",
                      s->pipelining ? ">\r\n" : "", s->pipelining ? "DATA\r\n" : ""));
}

static bool say_content(struct session *s)
{
  char rcpt[300];
  int len;

  load_recipient(s, rcpt, sizeof rcpt);
  s->state = DOT;
  len = snprintf(s->out, HEADER,
                 "From: <%s@sender.test>\r\nTo: <%s>\r\nSubject: load\r\n"
                 "X-Token: %s-%u\r\nX-Pad: ",
                 load_name(s), rcpt, load_name(s), s->message.number);
  memset(s->out + len, 'x', (size_t)(HEADER - len));
  memcpy(s->out + HEADER - 4, "\r\n\r\n", 4);
  s->out_len = HEADER;
  s->out_at = 0;
  s->body_len = body_len;
  return flush(s);
}

/* --- replies */

static bool done(struct session *s, int code, const char *text)
{
  s->busy = false;
  s->served++;
  load_done(s, code, text);
  return s->watch.fd != -1;
}

/* MAIL, RCPT or DATA was refused: what was pipelined behind it is answered yet. */
static bool refused(struct session *s, int code)
{
  if (s->code == 0) {
    s->code = code;
  }
  if (s->pipelining && s->state != DATA) {
    s->state++;
    return true;
  }
  return say(s, RSET, snprintf(s->out, sizeof s->out, "RSET\r\n"));
}

static bool transaction(struct session *s, int code)
{
  char rcpt[300];

  if (s->state == DATA && code == 354) {
    if (s->code == 0) {
      return say_content(s);
    }
    lost(s, s->code, "refused, and yet 354");
    return false;
  }
  if (s->state == DATA || code / 100 != 2) {
    return refused(s, code);
  }
  if (s->pipelining) {
    s->state++;
    return true;
  }
  load_recipient(s, rcpt, sizeof rcpt);
  return s->state == MAIL ? say(s, RCPT, snprintf(s->out, sizeof s->out, "RCPT TO:<%s>\r\n", rcpt))
                          : say(s, DATA, snprintf(s->out, sizeof s->out, "DATA\r\n"));
}

/* The last line of a reply; false when the connection is gone or was given up. */
static bool reply(struct session *s, int code, const char *text)
{
  if (code == 421 || (code / 100 != 2 && s->state <= HELO)) {
    lost(s, code, text);
    return false;
  }
  switch (s->state) {
  case BANNER:
    return say(s, HELO, snprintf(s->out, sizeof s->out, "EHLO %s.sender.test\r\n", load_name(s)));
  case HELO:
    s->message.connected = s->message.connected ? s->message.connected : tool_now();
    return say_envelope(s);
  case MAIL:
  case RCPT:
  case DATA:
    return transaction(s, code);
  case DOT:
    return done(s, code, text);
  case RSET:
    return done(s, s->code, "refused before the dot");
  default:
    lost(s, 0, "a reply to nothing");
    return false;
  }
}

static bool use_line(struct session *s, const char *line, size_t len)
{
  int code = len >= 3 ? (int)strtol((char[]){line[0], line[1], line[2], 0}, NULL, 10) : 0;

  if (s->state == HELO && len >= 14 && memcmp(line + 4, "PIPELINING", 10) == 0) {
    s->pipelining = true;
  }
  if (len >= 4 && line[3] == '-') {
    return true;
  }
  return reply(s, code, line + (len >= 4 ? 4 : 0));
}

static void read_replies(struct session *s)
{
  ssize_t n = read(s->watch.fd, s->in + s->in_len, sizeof s->in - 1 - s->in_len);
  char *newline, *line = s->in;

  if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (n <= 0) {
    lost(s, 0, n == 0 ? "connection closed" : strerror(errno));
    return;
  }
  s->in_len += (size_t)n;
  s->in[s->in_len] = '\0';
  while ((newline = strchr(line, '\n'))) {
    if (!use_line(s, line, (size_t)(newline - line))) {
      return;
    }
    line = newline + 1;
  }
  s->in_len -= (size_t)(line - s->in);
  memmove(s->in, line, s->in_len);
  if (s->in_len == sizeof s->in - 1) {
    lost(s, 0, "a reply line of 2 KiB");
  }
}

/* --- the connection */

static void session_ready(struct loop_watch *watch, uint32_t events)
{
  struct session *s = (struct session *)watch;
  socklen_t len = sizeof(int);
  int error = 0;

  if (s->state == CONNECT) {
    getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
      lost(s, 0, strerror(error));
      return;
    }
    s->state = BANNER;
    tool_rewatch(watch, EPOLLIN);
    return;
  }
  if ((events & EPOLLOUT) && !flush(s)) {
    return;
  }
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    read_replies(s);
  }
}

static void open_session(struct session *s)
{
  struct sockaddr_in from = load_source(s);
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd == -1) {
    tool_die("make a socket");
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) == -1) {
    tool_die("bind to a tenant's address");
  }
  s->watch = (struct loop_watch){fd, EPOLLOUT, session_ready};
  s->state = CONNECT;
  s->pipelining = false;
  s->served = 0;
  s->in_len = s->out_len = s->out_at = s->body_len = 0;
  tool_watch(&s->watch);
  if (connect(fd, (struct sockaddr *)&load_server, sizeof load_server) == -1 &&
      errno != EINPROGRESS) {
    lost(s, 0, strerror(errno));
  }
}

void session_send(struct session *s)
{
  s->busy = true;
  s->message.start = tool_now();
  if (s->watch.fd == -1) {
    open_session(s);
    return;
  }
  s->message.connected = s->message.start;
  say_envelope(s);
}

/* Does not wait for the 221: nothing depends on it. */
void session_quit(struct session *s)
{
  if (s->watch.fd != -1) {
    send(s->watch.fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
    close_session(s);
  }
}
