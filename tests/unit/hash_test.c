/*
 * The hash table against a model, and the hash function against vectors. It is
 * included, not linked, because the keyed function is nobody else's business.
 */
#include "../../lib/hash.c"
#include "check.h"

#define ITEMS 2000
#define STEPS 200000

struct item {
  char key[8];
  size_t len;
  bool in;
};

static struct item items[ITEMS];
static uint64_t state = 88172645463325252u;

static uint32_t any(uint32_t below)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

static const void *key_of(const void *p, size_t *len)
{
  const struct item *item = p;

  *len = item->len;
  return item->key;
}

/* Of the bytes 0, 1, 2, ... with an all-zero secret; made with CPython 3.11's hash(). */
static void test_vectors(void)
{
  static const struct {
    size_t len;
    uint64_t hash;
  } cases[] = {
    {1, 0x68a914128e01e473},  {2, 0x010bac45c41e3669},  {7, 0x2f098ab0c751325a},
    {8, 0xead411e67ebe2eea},  {9, 0x75927f9d95124362},  {15, 0xf30eb725bb91c9ea},
    {16, 0x8972188433a5c5b7}, {17, 0x4883c49a2c009c1d}, {63, 0x385d3e39e5f37359},
    {64, 0x75e05fd5bbc870c6},
  };
  static const uint64_t zero[2];
  unsigned char data[64];

  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = (unsigned char)i;
  }
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK(siphash13(zero, data, cases[i].len) == cases[i].hash);
  }
  uint64_t plain = siphash13(zero, data, 64);
  CHECK(hash_bytes(data, 64) == hash_bytes(data, 64));
  CHECK(hash_bytes(data, 64) != plain); /* there is a secret */
  CHECK(hash_bytes("a\0", 2) != hash_bytes("a", 1));
  CHECK(hash_bytes(NULL, 0) == hash_bytes("", 0));
}

static int walk_faults(const struct hash *h, size_t count)
{
  size_t cursor = 0, seen = 0;
  int wrong = 0;

  for (struct item *item; (item = hash_next(h, &cursor)); seen++) {
    wrong += !item->in;
  }
  return wrong + (seen != count) + (h->count != count) + (h->cap != 0 && h->count > h->cap / 4 * 3);
}

static void test_model(void)
{
  struct hash h;
  size_t count = 0;
  int wrong = 0;

  hash_init(&h, key_of);
  for (int i = 0; i < ITEMS; i++) {
    items[i].len = (size_t)snprintf(items[i].key, sizeof items[i].key, "%d", i);
  }
  for (int i = 0; i < STEPS; i++) {
    /* First mostly few items, then many: gaps are closed in both. */
    struct item *item = &items[any(i < STEPS / 2 ? 40 : ITEMS)];
    wrong += hash_find(&h, item->key, item->len) != (item->in ? item : NULL);
    if (item->in) {
      wrong += hash_remove(&h, item->key, item->len) != item;
      count--;
    } else {
      wrong += hash_remove(&h, item->key, item->len) != NULL;
      wrong += i % 2 ? hash_insert(&h, item) != 0 : hash_insert_new(&h, item) != 1;
      wrong += hash_insert_new(&h, item) != 0;
      count++;
    }
    item->in = !item->in;
    wrong += i % 1000 == 0 ? walk_faults(&h, count) : 0;
  }
  for (int i = 0; i < ITEMS; i++) {
    wrong += hash_find(&h, items[i].key, items[i].len) != (items[i].in ? &items[i] : NULL);
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(walk_faults(&h, count), 0);
  CHECK(count > ITEMS / 4);
  hash_free(&h);
  CHECK(hash_find(&h, "1", 1) == NULL);
  CHECK(hash_remove(&h, "1", 1) == NULL);
  CHECK_INT(hash_insert(&h, &items[0]), 0);
  hash_free(&h);
}

static void test_odd_keys(void)
{
  static struct item empty, nul = {.key = "a\0b", .len = 3}, prefix = {.key = "a", .len = 1};
  struct hash h;
  size_t cursor = 0;

  hash_init(&h, key_of);
  CHECK(hash_next(&h, &cursor) == NULL);
  CHECK_INT(hash_insert(&h, &nul), 0);
  CHECK_INT(hash_insert(&h, &prefix), 0);
  CHECK(hash_find(&h, NULL, 0) == NULL);
  CHECK_INT(hash_insert(&h, &empty), 0);
  CHECK(hash_find(&h, NULL, 0) == &empty);
  CHECK(hash_find(&h, "a\0b", 3) == &nul);
  CHECK(hash_find(&h, "a\0c", 3) == NULL);
  CHECK(hash_find(&h, "a", 1) == &prefix);
  CHECK(hash_remove(&h, "", 0) == &empty);
  CHECK(hash_find(&h, NULL, 0) == NULL);
  hash_free(&h);
}

int main(void)
{
  test_vectors();
  test_model();
  test_odd_keys();
  return check_done("hash");
}
