/*
 * The hash table: linear probing, no tombstones (a removal closes the gap), and
 * SipHash-1-3, so that a peer who chooses keys cannot choose where they go.
 */
#include "hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define HASH_FIRST_CAP 16

static uint64_t rotate(uint64_t x, int bits)
{
  return x << bits | x >> (64 - bits);
}

/* Inline, so that v stays in registers. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
  v[0] += v[1];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[0] = rotate(v[0], 32);
  v[2] += v[3];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[2] = rotate(v[2], 32);
}

/* Little-endian wherever we run, as the published vectors have it. */
static uint64_t load_word(const unsigned char *p)
{
  uint64_t word;

  memcpy(&word, p, sizeof(word)); /* one instruction, which compilers do not make of a loop */
  return le64toh(word);
}

static uint64_t load_rest(const unsigned char *p, size_t n)
{
  uint64_t word = 0;

  for (size_t i = 0; i < n; i++) {
    word |= (uint64_t)p[i] << (8 * i);
  }
  return word;
}

/* Aumasson and Bernstein, with one round a word and three at the end. */
static uint64_t siphash13(const uint64_t secret[2], const unsigned char *data, size_t len)
{
  uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
                   secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573};
  uint64_t last = (uint64_t)len << 56;

  for (; len >= 8; data += 8, len -= 8) {
    uint64_t word = load_word(data);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  last |= load_rest(data, len);
  v[3] ^= last;
  sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) {
    sip_round(v);
  }
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void make_secret(uint64_t secret[2])
{
  ssize_t n;

  do {
    n = getrandom(secret, 2 * sizeof *secret, 0);
  } while (n < 0 && errno == EINTR);
  if (n != (ssize_t)(2 * sizeof *secret)) {
    /* A kernel without getrandom: guessable with effort, and better than no table. */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    secret[0] = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
    secret[1] = (uint64_t)getpid() << 48 ^ (uintptr_t)secret ^ (uintptr_t)&now << 16;
  }
}

uint64_t hash_bytes(const void *data, size_t len)
{
  static uint64_t secret[2];
  static bool made;

  if (!made) {
    int saved = errno;
    make_secret(secret);
    errno = saved;
    made = true;
  }
  return siphash13(secret, data, len);
}

void hash_init(struct hash *h, const void *(*key)(const void *item, size_t *len))
{
  *h = (struct hash){.key = key};
}

void hash_free(struct hash *h)
{
  free(h->slots);
  *h = (struct hash){.key = h->key};
}

/* The slot of the key, or the empty one where it would go. cap is not 0. */
static size_t probe(const struct hash *h, const void *key, size_t len)
{
  size_t mask = h->cap - 1, i = hash_bytes(key, len) & mask;

  /* Ends: a quarter of the slots is empty. */
  for (; h->slots[i]; i = (i + 1) & mask) {
    size_t item_len;
    const void *item_key = h->key(h->slots[i], &item_len);
    if (item_len == len && (len == 0 || memcmp(item_key, key, len) == 0)) {
      break;
    }
  }
  return i;
}

static size_t home(const struct hash *h, const void *item)
{
  size_t len;
  const void *key = h->key(item, &len);

  return hash_bytes(key, len) & (h->cap - 1);
}

/* For keys that are known not to be there: nothing is compared. */
static void place(struct hash *h, void *item)
{
  size_t mask = h->cap - 1, i = home(h, item);

  while (h->slots[i]) {
    i = (i + 1) & mask;
  }
  h->slots[i] = item;
}

static int grow(struct hash *h)
{
  struct hash wider = {.count = h->count, .key = h->key};

  if (h->cap > SIZE_MAX / 2 / sizeof *h->slots) {
    errno = ENOMEM;
    return -1;
  }
  wider.cap = h->cap ? 2 * h->cap : HASH_FIRST_CAP;
  wider.slots = calloc(wider.cap, sizeof *wider.slots);
  if (!wider.slots) {
    errno = ENOMEM;
    return -1;
  }
  for (size_t i = 0; i < h->cap; i++) {
    if (h->slots[i]) {
      place(&wider, h->slots[i]);
    }
  }
  free(h->slots);
  *h = wider;
  return 0;
}

void *hash_find(const struct hash *h, const void *key, size_t len)
{
  return h->count ? h->slots[probe(h, key, len)] : NULL;
}

int hash_insert(struct hash *h, void *item)
{
  if (h->count >= h->cap / 4 * 3 && grow(h) < 0) {
    return -1;
  }
  place(h, item);
  h->count++;
  return 0;
}

int hash_insert_new(struct hash *h, void *item)
{
  size_t len, i;
  const void *key;

  if (h->count >= h->cap / 4 * 3 && grow(h) < 0) {
    return -1;
  }
  key = h->key(item, &len);
  i = probe(h, key, len);
  if (h->slots[i]) {
    return 0;
  }
  h->slots[i] = item;
  h->count++;
  return 1;
}

void *hash_remove(struct hash *h, const void *key, size_t len)
{
  if (h->count == 0) {
    return NULL;
  }
  size_t mask = h->cap - 1, gap = probe(h, key, len);
  void *item = h->slots[gap];
  if (!item) {
    return NULL;
  }
  /* What stands behind the gap moves up, unless that would be before its home. */
  for (size_t i = (gap + 1) & mask; h->slots[i]; i = (i + 1) & mask) {
    size_t from_home = (i - home(h, h->slots[i])) & mask;
    if (from_home >= ((i - gap) & mask)) {
      h->slots[gap] = h->slots[i];
      gap = i;
    }
  }
  h->slots[gap] = NULL;
  h->count--;
  return item;
}

void *hash_next(const struct hash *h, size_t *cursor)
{
  while (*cursor < h->cap) {
    void *item = h->slots[(*cursor)++];
    if (item) {
      return item;
    }
  }
  return NULL;
}
