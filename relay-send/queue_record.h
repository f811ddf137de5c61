#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One record of a segment: a header of 64 bytes, the head (envelope, states,
 * extra), the body (a MESSAGE's content), zeros up to a multiple of 8. Numbers
 * are little-endian.
 *
 *    0 u32 magic       4 u8 type, u8 0, u16 recipients
 *    8 u64 segment    16 u64 serial
 *   24 u32 envelope   28 u32 states     32 u32 extra (bytes)    36 u32 0
 *   40 u64 content    48 u64 checksum of the content
 *   56 u64 checksum of bytes 0..55 and the head
 *
 * Both checksums are XXH3-64. The head's is keyed with the segment's key, a
 * random number in the segment's name: so what an older use of the same file
 * left behind, and a message whose text imitates records, are not taken for
 * records of this segment.
 */
#define RECORD_HEADER 64
#define RECORD_ALIGN 8
#define RECORD_PAGE 4096 /* a batch begins on one, so that no synced byte is written again */
#define RECORD_HEAD_MAX (8 << 20) /* envelope_encode()'s maximum, and as much for states */

enum record_type {
  RECORD_SEGMENT = 'S', /* first in a segment; extra: previous number, its end, next serial */
  RECORD_MESSAGE = 'M', /* replaces all earlier state of its serial */
  RECORD_BIG = 'B',     /* the same, the content in queue/big/; extra has the name */
  RECORD_RESULT = 'R',  /* states: one entry (queue_entry.h) */
  RECORD_STATE = 'T',   /* extra: an origin (queue_entry.h) */
  RECORD_NOTE = 'N'     /* extra: key, value */
};

struct record {
  enum record_type type;
  uint32_t rcpts;
  uint64_t segment, serial;
  uint32_t envelope_len, states_len, extra_len;
  uint64_t content_len, content_sum;
};

/* The header at out, both checksums and the segment left for record_seal(). */
void record_put(char out[RECORD_HEADER], const struct record *r);

/* Fills in segment and head checksum of the whole record at data. */
void record_seal(char *data, uint64_t segment, uint64_t key);
/* Fills in the content's checksum of the whole record at data, or a given one. */
void record_sum_content(char *data);
void record_set_content_sum(char *data, uint64_t sum);
uint64_t record_content_sum(const void *content, size_t len);

/* Magic, type and lengths only: 0, or -1. */
int record_get(const char header[RECORD_HEADER], struct record *r);

/* header and head lie together at data. */
bool record_head_valid(const char *data, const struct record *r, uint64_t segment, uint64_t key);

size_t record_head_len(const struct record *r);  /* envelope, states, extra */
uint64_t record_body_len(const struct record *r); /* content that lies in the record */
uint64_t record_size(const struct record *r);    /* all of it, padded */

#endif
