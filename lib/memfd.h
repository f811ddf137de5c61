#ifndef MEMFD_H
#define MEMFD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A message is a file descriptor: a memfd that its maker fills and seals
 * against every change. Holders share its offset, so it is read with pread.
 */
int memfd_make(const char *name);

/* WRITE, GROW, SHRINK and SEAL; fails (EBUSY) while a writable mapping is left. */
int memfd_seal(int fd);

/*
 * For an fd that came from another process: 0 if it is a regular memfd with
 * the four seals and exactly size bytes, else -1 with errno EINVAL.
 */
int memfd_check(int fd, off_t size);

#endif
