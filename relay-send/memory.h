#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/*
 * relay-send's state is plain memory that relay-queue can tell it again. So
 * where memory is out in the middle of a change, it says so and exits 111
 * rather than go on with half of one; supervise starts it again.
 */
void *memory_get(size_t size); /* zeroed */
char *memory_copy(const char *s);
_Noreturn void memory_out(void);

#endif
