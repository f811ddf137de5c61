#ifndef CRLF_H
#define CRLF_H

#include <stddef.h>
#include <stdint.h>

/*
 * Lines of content, a block at a time: nearly all of a body is text that needs
 * neither a change nor a second look, and that can be told for many bytes at
 * once. Both sides of the relay ask before they look at single lines.
 */
#define CRLF_BLOCK 64 /* bytes; a fixed number, so that compilers make vector code of the loop */

/*
 * How many bytes at s are plain, in whole blocks: no CR without its LF or LF
 * without its CR, no line that begins with a dot, no NUL. s[-1] is read, too:
 * it decides about s[0]; and the last byte may be a CR whose LF is still to
 * come. *lines, if not NULL, grows by the LFs among them.
 */
size_t crlf_plain(const char *s, size_t len, uint64_t *lines);

/* The same for the less than a block at the end of a piece: not 0 if something is odd. */
unsigned char crlf_odd(const char *s, size_t n);

#endif
