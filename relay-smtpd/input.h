#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_pump;

/*
 * What the client sends, buffered. Everything is read in input_read(), which
 * is where TLS decrypts. The struct is meant to be static: pages of the
 * buffer that were never written to cost no memory.
 */
#define INPUT_SIZE 65536
/* RFC 5321 4.5.3.1.4 has 512 bytes, and extensions add to it: ENVID and ORCPT
 * 500 each (RFC 3461 5), AUTH initial responses more. */
#define INPUT_LINE_MAX 2048
#define INPUT_SOON_MS 50
#define INPUT_COMMAND_READ 4096 /* bytes asked for while waiting for commands */

enum input_result {
  INPUT_LINE,
  INPUT_NEED, /* no whole line yet: input_read() */
  INPUT_TOO_LONG,
  INPUT_BARE_LF
};

struct input {
  int fd;
  bool soon; /* input_read_soon() can be used */
  struct tls_pump *tls; /* NULL: in clear */
  size_t start, end; /* of what was read and not yet taken */
  bool discarding;   /* in a line that is too long */
  char bytes[INPUT_SIZE];
};

/* The next line, without its CRLF, valid until the next input_read(). */
enum input_result input_line(struct input *in, const char **line, size_t *len);

/*
 * Prepares fd for input_read_soon(): a read of a socket ends by itself after
 * INPUT_SOON_MS. On a pipe (recordio) it cannot, and input_read_soon() is not used.
 */
void input_open(struct input *in, int fd);

/* Reads once, at most max bytes. As io_read(). */
ssize_t input_read(struct input *in, size_t max, int64_t deadline);

/*
 * The same within a moment, in one system call where input_read() takes two:
 * -1 with EAGAIN when nothing came in INPUT_SOON_MS.
 */
ssize_t input_read_soon(struct input *in, size_t max);

/* Gives back the memory that a large message has used. */
void input_trim(struct input *in);

#endif
