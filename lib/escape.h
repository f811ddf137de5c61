#ifndef ESCAPE_H
#define ESCAPE_H

#include <stddef.h>

/*
 * Makes bytes from a peer harmless for a log line or a terminal: a control
 * byte, a byte that is not part of valid UTF-8 (RFC 3629), and a C1 control
 * (U+0080 to U+009F, which terminals obey) become \xHH; all else, the
 * backslash too, stays.
 */

/*
 * Escapes as many leading bytes of text as fit whole into size bytes of out.
 * Returns how many bytes of text that were; *written is what is in out, which
 * is not terminated. No character is split.
 */
size_t escape_text(const char *text, size_t len, char *out, size_t size, size_t *written);

#endif
