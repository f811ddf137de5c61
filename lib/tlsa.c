#include "tlsa.h"

#include <string.h>

bool dane_valid(char c)
{
  return c && strchr("-inrutl", c) != NULL;
}

size_t tlsa_digest_size(unsigned char type)
{
  return type == TLSA_SHA256 ? 32 : type == TLSA_SHA512 ? 64 : 0;
}

bool tlsa_take(struct tlsa_set *set, const unsigned char *rdata, size_t len)
{
  struct tlsa *t;

  if (len < 3 || (rdata[0] != TLSA_TA && rdata[0] != TLSA_EE) || rdata[1] > TLSA_KEY ||
      tlsa_digest_size(rdata[2]) == 0 || len != 3 + tlsa_digest_size(rdata[2])) {
    return false;
  }
  if (set->count < TLSA_RECORDS_MAX) {
    t = &set->records[set->count++];
    *t = (struct tlsa){.usage = rdata[0], .selector = rdata[1], .type = rdata[2]};
    memcpy(t->digest, rdata + 3, len - 3);
  }
  return true;
}

static bool has_stronger(const struct tlsa_set *set, const struct tlsa *t)
{
  for (uint32_t i = 0; i < set->count; i++) {
    const struct tlsa *other = &set->records[i];
    if (other->usage == t->usage && other->selector == t->selector && other->type > t->type) {
      return true;
    }
  }
  return false;
}

void tlsa_prefer_strongest(struct tlsa_set *set)
{
  struct tlsa_set kept = {.count = 0};

  for (uint32_t i = 0; i < set->count; i++) {
    if (!has_stronger(set, &set->records[i])) {
      kept.records[kept.count++] = set->records[i];
    }
  }
  *set = kept;
}

size_t tlsa_encode(const struct tlsa_set *set, unsigned char out[TLSA_WIRE_MAX])
{
  size_t len = 0, size;

  for (uint32_t i = 0; i < set->count; i++) {
    const struct tlsa *t = &set->records[i];
    size = tlsa_digest_size(t->type);
    out[len] = t->usage;
    out[len + 1] = t->selector;
    out[len + 2] = t->type;
    memcpy(out + len + 3, t->digest, size);
    len += 3 + size;
  }
  return len;
}

int tlsa_decode(const unsigned char *data, size_t len, struct tlsa_set *set)
{
  size_t size;

  set->count = 0;
  while (len > 0) {
    size = len < 3 ? 0 : 3 + tlsa_digest_size(data[2]);
    if (size <= 3 || len < size || set->count == TLSA_RECORDS_MAX || !tlsa_take(set, data, size)) {
      return -1;
    }
    data += size;
    len -= size;
  }
  return 0;
}
