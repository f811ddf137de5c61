#include "memory.h"

#include "exits.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

void *memory_get(size_t size)
{
  void *p = calloc(1, size);

  if (!p) {
    memory_out();
  }
  return p;
}

char *memory_copy(const char *s)
{
  size_t size = strlen(s) + 1;

  return memcpy(memory_get(size), s, size);
}

void memory_out(void)
{
  report_fatal("out of memory");
  exit(EXIT_TEMPORARY);
}
