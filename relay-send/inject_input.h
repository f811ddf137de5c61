#ifndef INJECT_INPUT_H
#define INJECT_INPUT_H

#include "buf.h"

#include <stdint.h>

/*
 * The message as the caller gave it on standard input, as CRLF lines: the
 * first part in memory, the rest in an unlinked file.
 */
#define INJECT_HEAD_MAX (1 << 20) /* also the most that a header may be */

struct inject_input {
  struct buf head;
  int rest_fd; /* what follows head, -1 if nothing does */
  uint64_t rest_len;
  bool eight_bit;
};

enum inject_input_result {
  INJECT_INPUT_OK,
  INJECT_INPUT_NUL,     /* a NUL byte */
  INJECT_INPUT_TOO_BIG, /* more than max bytes */
  INJECT_INPUT_READ,    /* errno says why */
  INJECT_INPUT_WRITE
};

/*
 * Reads fd to its end, or with dot_ends to a line that is a lone dot. LF and
 * CRLF end a line; so does a CR alone, as it makes one in the output of
 * progress meters; but in the header, where it would begin a field, that
 * becomes a blank.
 */
enum inject_input_result inject_input_read(struct inject_input *in, int fd, bool dot_ends,
                                           uint64_t max);
void inject_input_free(struct inject_input *in);

#endif
