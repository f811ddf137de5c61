#include "io.h"

#include "check.h"
#include "clock.h"
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char big[300000], back[300000];

static void test_deadlines(void)
{
  int fds[2], kind;
  int64_t start;
  char c;

  for (kind = 0; kind < 2; kind++) {
    CHECK_INT(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds), 0);
    start = clock_monotonic_ms();
    CHECK_INT(io_read(fds[0], &c, 1, start + 30), -1);
    CHECK_INT(errno, ETIMEDOUT);
    CHECK(clock_monotonic_ms() >= start + 30);
    /* Blocking descriptors, and nobody reads: must not hang. */
    CHECK_INT(io_write_all(fds[1], big, sizeof(big), clock_monotonic_ms() + 30), -1);
    CHECK_INT(errno, ETIMEDOUT);
    /* Past is past, even with bytes there. */
    CHECK_INT(io_read(fds[0], &c, 1, clock_monotonic_ms() - 1), -1);
    CHECK_INT(errno, ETIMEDOUT);
    CHECK_INT(io_read(fds[0], &c, 1, IO_FOREVER), 1);
    close(fds[0]);
    close(fds[1]);
  }
  CHECK_INT(io_wait(999, POLLIN, IO_FOREVER), -1);
  CHECK_INT(errno, EBADF);
}

static void test_all_bytes(bool nonblocking)
{
  size_t got = 0;
  ssize_t n;
  int fds[2];
  pid_t pid;

  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  if (nonblocking) {
    CHECK_INT(io_set_nonblocking(fds[0]), 0);
    CHECK_INT(io_set_nonblocking(fds[1]), 0);
  }
  pid = fork();
  if (pid == 0) {
    close(fds[0]);
    _exit(io_write_all(fds[1], big, sizeof(big),
                       nonblocking ? IO_FOREVER : clock_monotonic_ms() + 10000) != 0);
  }
  close(fds[1]);
  while ((n = io_read(fds[0], back + got, sizeof(back) - got, clock_monotonic_ms() + 10000)) > 0) {
    got += (size_t)n;
  }
  CHECK_INT(got, sizeof(big));
  CHECK(memcmp(big, back, sizeof(big)) == 0);
  CHECK_INT(waitpid(pid, &fds[1], 0), pid);
  CHECK_INT(fds[1], 0);
  close(fds[0]);
}

static void test_files(void)
{
  int fd = memfd_make("io");
  int status;
  pid_t pid;

  CHECK_INT(io_pwrite_all(fd, big, 1000, 5), 0);
  CHECK_INT(io_pread_all(fd, back, 1005, 0), 0);
  CHECK(memcmp(back + 5, big, 1000) == 0);
  CHECK_INT(io_pread_all(fd, back, 1006, 0), -1);
  CHECK_INT(errno, EIO);
  CHECK_INT(io_set_cloexec(fd), 0);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  close(fd);

  pid = fork();
  if (pid == 0) {
    close(0);
    close(2);
    if (io_reserve_standard_fds() == -1 || fcntl(0, F_GETFD) == -1 || fcntl(2, F_GETFD) == -1) {
      _exit(1);
    }
    _exit(open("/dev/null", O_RDONLY) < 3);
  }
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
}

int main(void)
{
  size_t i;

  signal(SIGPIPE, SIG_IGN);
  for (i = 0; i < sizeof(big); i++) {
    big[i] = (char)(i * 7 + i / 251);
  }
  test_deadlines();
  test_all_bytes(false);
  test_all_bytes(true);
  test_files();
  return check_done("io");
}
