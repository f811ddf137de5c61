#include "sources.h"

#include "hash.h"
#include "memory.h"

#include <string.h>

struct source {
  uint16_t index;
  char name[];
};

static struct source *table[SOURCES_MAX]; /* from 1; pages that are not used cost nothing */
static uint16_t count;

static const void *key(const void *item, size_t *len)
{
  const struct source *s = item;

  *len = strlen(s->name);
  return s->name;
}

static struct hash by_name = {.key = key};

uint16_t sources_index(const char *name)
{
  if (!*name) {
    return 0;
  }
  struct source *s = hash_find(&by_name, name, strlen(name));
  if (s) {
    return s->index;
  }
  if (count == SOURCES_MAX - 1) {
    return SOURCES_MAX;
  }
  s = memory_get(sizeof *s + strlen(name) + 1);
  strcpy(s->name, name);
  s->index = ++count;
  table[count] = s;
  if (hash_insert(&by_name, s) == -1) {
    memory_out();
  }
  return s->index;
}

const char *sources_name(uint16_t index)
{
  if (index > count) {
    return "of a name too many";
  }
  return index == 0 ? "" : table[index]->name;
}
