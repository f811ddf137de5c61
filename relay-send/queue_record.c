#include "queue_record.h"

#include <endian.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define RECORD_MAGIC 0x31715272u /* "rRq1" */
#define RECORD_RCPTS_MAX 1000
#define RECORD_CONTENT_MAX (1ULL << 40)
#define HEAD_SUM_AT 56

static void put16(char *p, uint16_t v)
{
  v = htole16(v);
  memcpy(p, &v, sizeof(v));
}

static void put32(char *p, uint32_t v)
{
  v = htole32(v);
  memcpy(p, &v, sizeof(v));
}

static void put64(char *p, uint64_t v)
{
  v = htole64(v);
  memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const char *p)
{
  uint16_t v;

  memcpy(&v, p, sizeof(v));
  return le16toh(v);
}

static uint32_t get32(const char *p)
{
  uint32_t v;

  memcpy(&v, p, sizeof(v));
  return le32toh(v);
}

static uint64_t get64(const char *p)
{
  uint64_t v;

  memcpy(&v, p, sizeof(v));
  return le64toh(v);
}

void record_put(char out[RECORD_HEADER], const struct record *r)
{
  memset(out, 0, RECORD_HEADER);
  put32(out, RECORD_MAGIC);
  out[4] = (char)r->type;
  put16(out + 6, (uint16_t)r->rcpts);
  put64(out + 8, r->segment);
  put64(out + 16, r->serial);
  put32(out + 24, r->envelope_len);
  put32(out + 28, r->states_len);
  put32(out + 32, r->extra_len);
  put64(out + 40, r->content_len);
  put64(out + 48, r->content_sum);
}

static bool type_valid(char c)
{
  return c && strchr("SMBRTN", c) != NULL;
}

int record_get(const char header[RECORD_HEADER], struct record *r)
{
  if (get32(header) != RECORD_MAGIC || !type_valid(header[4]) || header[5] != 0 ||
      get32(header + 36) != 0) {
    return -1;
  }
  *r = (struct record){
    .type = (enum record_type)header[4],
    .rcpts = get16(header + 6),
    .segment = get64(header + 8),
    .serial = get64(header + 16),
    .envelope_len = get32(header + 24),
    .states_len = get32(header + 28),
    .extra_len = get32(header + 32),
    .content_len = get64(header + 40),
    .content_sum = get64(header + 48),
  };
  if (r->rcpts > RECORD_RCPTS_MAX || r->content_len > RECORD_CONTENT_MAX ||
      (uint64_t)r->envelope_len + r->states_len + r->extra_len > RECORD_HEAD_MAX) {
    return -1;
  }
  return 0;
}

size_t record_head_len(const struct record *r)
{
  return (size_t)r->envelope_len + r->states_len + r->extra_len;
}

uint64_t record_body_len(const struct record *r)
{
  return r->type == RECORD_MESSAGE ? r->content_len : 0;
}

uint64_t record_size(const struct record *r)
{
  uint64_t size = RECORD_HEADER + record_head_len(r) + record_body_len(r);

  return (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

uint64_t record_content_sum(const void *content, size_t len)
{
  return XXH3_64bits(content, len);
}

/* The header without its own checksum, then the head; two seeds chained save a copy. */
static uint64_t head_sum(const char *data, size_t head_len, uint64_t key)
{
  uint64_t seed = XXH3_64bits_withSeed(data, HEAD_SUM_AT, key);

  return XXH3_64bits_withSeed(data + RECORD_HEADER, head_len, seed);
}

void record_seal(char *data, uint64_t segment, uint64_t key)
{
  struct record r;

  put64(data + 8, segment);
  if (record_get(data, &r) == 0) {
    put64(data + HEAD_SUM_AT, head_sum(data, record_head_len(&r), key));
  }
}

void record_set_content_sum(char *data, uint64_t sum)
{
  put64(data + 48, sum);
}

void record_sum_content(char *data)
{
  struct record r;

  if (record_get(data, &r) == 0) {
    record_set_content_sum(data, record_content_sum(data + RECORD_HEADER + record_head_len(&r),
                                                    record_body_len(&r)));
  }
}

bool record_head_valid(const char *data, const struct record *r, uint64_t segment, uint64_t key)
{
  return r->segment == segment &&
         get64(data + HEAD_SUM_AT) == head_sum(data, record_head_len(r), key);
}
