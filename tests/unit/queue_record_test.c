#include "queue_record.h"
#include "queue_entry.h"

#include "check.h"

#include <stdlib.h>

#define KEY 0x1122334455667788u

static size_t make(char *out, const char *head, const char *content)
{
  struct record r = {.type = RECORD_MESSAGE,
                     .rcpts = 1,
                     .serial = 7,
                     .envelope_len = (uint32_t)strlen(head),
                     .content_len = strlen(content)};

  record_put(out, &r);
  memcpy(out + RECORD_HEADER, head, strlen(head));
  memcpy(out + RECORD_HEADER + strlen(head), content, strlen(content));
  record_sum_content(out);
  record_seal(out, 3, KEY);
  return RECORD_HEADER + strlen(head) + strlen(content);
}

/* Every flipped bit of header and head is found, but for those that only say how to read them. */
static void flips(void)
{
  char data[256];
  size_t len = make(data, "envelope", "content\r\n"), head = RECORD_HEADER + 8;
  struct record r;

  CHECK_INT(record_get(data, &r), 0);
  CHECK(record_head_valid(data, &r, 3, KEY));
  CHECK(!record_head_valid(data, &r, 4, KEY));
  CHECK(!record_head_valid(data, &r, 3, KEY + 1));
  CHECK_INT(record_size(&r), (len + 7) / 8 * 8);
  CHECK(record_content_sum(data + head, 9) == r.content_sum);
  CHECK(record_content_sum(data + head, 8) != r.content_sum);
  for (size_t i = 0; i < head; i++) {
    for (int bit = 0; bit < 8; bit++) {
      data[i] ^= (char)(1 << bit);
      /* A longer head would be read from beyond the array: replay bounds it by the segment. */
      CHECK(record_get(data, &r) == -1 || record_head_len(&r) > sizeof data - RECORD_HEADER ||
            !record_head_valid(data, &r, 3, KEY));
      data[i] ^= (char)(1 << bit);
    }
  }
}

static void entries(void)
{
  static const struct {
    const char *text;
    int result;
  } table[] = {
    {"1:0,1:p,1:0,1:0,1:0,1:0,1:0,", 0},
    {"3:999,1:e,1:1,1:5,1:6,1:7,1:0,", 0},
    {"4:1000,1:p,1:0,1:0,1:0,1:0,1:0,", -1},
    {"1:0,1:q,1:0,1:0,1:0,1:0,1:0,", -1},
    {"1:0,1:p,1:2,1:0,1:0,1:0,1:0,", -1},
    {"1:0,1:p,1:0,1:0,1:0,1:0,1:1,", -1},
    {"1:0,1:p,1:0,1:0,1:0,1:0,1:1,1:0,2:t.,3:450,5:4.0.0,0:,5:later,", 0},
    {"", -1},
  };

  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct netstring_reader r;
    struct entry e = {0};
    netstring_open(&r, table[i].text, strlen(table[i].text));
    CHECK_INT(entry_get(&r, &e), table[i].result);
  }
}

static void extras(void)
{
  static const struct {
    const char *text;
    int result;
    uint32_t count;
  } table[] = {
    {"", 0, 0},
    {"0:,", 0, 0},
    {"4:name,1:f,1:9,1:2,1:0,1:5,", 0, 2},
    {"0:,1:f,1:9,1:3,1:0,1:5,", -1, 0},
    {"0:,1:f,1:9,1:0,", -1, 0},
    {"0:,1:z,1:9,1:1,1:0,", -1, 0},
    {"0:,1:f,1:9,1:1,1:0,1:1,", -1, 0},
    {"0:,1:f,1:9,1:1,4:1000,", -1, 0},
  };
  char name[EXTRA_NAME_SIZE];
  struct origin o;

  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    CHECK_INT(extra_get(table[i].text, strlen(table[i].text), name, &o), table[i].result);
    if (table[i].result == 0) {
      CHECK_INT(o.count, table[i].count);
      origin_free(&o);
    }
  }
}

int main(void)
{
  flips();
  entries();
  extras();
  return check_done("queue_record");
}
