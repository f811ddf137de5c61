#ifndef REPLY_H
#define REPLY_H

#include "loglines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_pump;

/*
 * What the client is told. Replies are collected and written when the session
 * is about to wait (RFC 2920 3.2), each logged as it is made. Everything is
 * written in reply_flush(), which is where TLS encrypts.
 */
#define REPLY_LINE_MAX 512 /* RFC 5321 4.5.3.1.5, with CRLF */
#define REPLY_BUFFER 4096

struct reply {
  int fd;
  struct tls_pump *tls; /* NULL: in clear */
  struct loglines *log;
  int64_t timeout_ms; /* for one flush */
  bool broken;        /* the client is gone or takes nothing: all further replies vanish */
  size_t len;
  char bytes[REPLY_BUFFER];
};

/* One line, without CRLF. Bytes that no reply may have are made "?"; too long is cut. */
void reply_line(struct reply *r, const char *text);
void reply_printf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes what was collected. The log is flushed by whoever waits for long. */
void reply_flush(struct reply *r);

#endif
