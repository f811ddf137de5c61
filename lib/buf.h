#ifndef BUF_H
#define BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A growable byte buffer with a maximum. Every append is checked: it either
 * adds all of its bytes or none, and returns -1 with errno ENOMEM (out of
 * memory) or EMSGSIZE (over the maximum).
 */
struct buf {
  char *data; /* not terminated; NULL while cap is 0 */
  size_t len;
  size_t cap;
  size_t max;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* releases the memory; the buffer can be used again */
void buf_reset(struct buf *b); /* forgets the bytes, keeps the memory */

int buf_reserve(struct buf *b, size_t extra); /* room for extra more bytes at data + len */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list ap);

/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Puts a NUL behind the bytes, not counted in len; NULL with errno if it has no room. */
const char *buf_cstr(struct buf *b);

#endif
