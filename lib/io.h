#ifndef IO_H
#define IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * I/O with a deadline, on the clock of clock_monotonic_ms(). EINTR and short
 * I/O are handled here and nowhere else. A deadline that has passed gives -1
 * with errno ETIMEDOUT. IO_FOREVER waits without end.
 */
#define IO_FOREVER INT64_MAX

/* Waits until fd can be read (POLLIN) or written (POLLOUT). 0 or -1. */
int io_wait(int fd, short events, int64_t deadline);

/* One read of what is there, 0 at end of file. fd may be blocking or not. */
ssize_t io_read(int fd, void *data, size_t len, int64_t deadline);

/* All of it, or -1. */
int io_write_all(int fd, const void *data, size_t len, int64_t deadline);

/* Exactly len bytes from an offset, -1 with EIO when the file is shorter. */
int io_pread_all(int fd, void *data, size_t len, off_t offset);
int io_pwrite_all(int fd, const void *data, size_t len, off_t offset);

int io_set_nonblocking(int fd);
int io_set_cloexec(int fd);

/* Opens /dev/null on whichever of 0, 1 and 2 is closed. */
int io_reserve_standard_fds(void);

#endif
