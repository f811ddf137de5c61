#ifndef HASH_H
#define HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A hash table of pointers, open addressing, grown at three quarters. It holds
 * only the pointer (8 bytes a slot): key() says where the item's own key is.
 * Hashed with a secret that is random for each process, because keys come
 * from peers.
 */
struct hash {
  void **slots;
  size_t count, cap; /* cap is 0 or a power of two */
  const void *(*key)(const void *item, size_t *len);
};

void hash_init(struct hash *h, const void *(*key)(const void *item, size_t *len));
void hash_free(struct hash *h); /* the table, not the items */
void *hash_find(const struct hash *h, const void *key, size_t len);
int hash_insert(struct hash *h, void *item);     /* the key is not in it yet; 0 or -1 (ENOMEM) */
int hash_insert_new(struct hash *h, void *item); /* 1, or 0: the key is in it already; or -1 */
void *hash_remove(struct hash *h, const void *key, size_t len);
/* Walks: *cursor starts at 0; NULL at the end. Removing during a walk is not allowed. */
void *hash_next(const struct hash *h, size_t *cursor);

uint64_t hash_bytes(const void *data, size_t len);

#endif
