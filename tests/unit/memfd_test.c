#include "memfd.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALL (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int make(int seals, off_t size)
{
  int fd = memfd_make("test");

  CHECK(fd != -1);
  CHECK_INT(ftruncate(fd, size), 0);
  CHECK_INT(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

int main(void)
{
  static const struct {
    int seals;
    off_t size;
    int result;
  } cases[] = {
    {ALL, 100, 0},
    {ALL | F_SEAL_FUTURE_WRITE, 100, 0},
    {ALL, 99, -1},
    {ALL, 101, -1},
    {ALL & ~F_SEAL_WRITE, 100, -1},
    {ALL & ~F_SEAL_GROW, 100, -1},
    {ALL & ~F_SEAL_SHRINK, 100, -1},
    {ALL & ~F_SEAL_SEAL, 100, -1},
    {(ALL & ~F_SEAL_WRITE) | F_SEAL_FUTURE_WRITE, 100, -1},
    {0, 100, -1},
  };
  char path[] = "/tmp/memfd_test.XXXXXX", proc[64];
  int fd, other, p[2];
  size_t i;
  void *map;

  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    fd = make(cases[i].seals, 100);
    errno = 0;
    CHECK_INT(memfd_check(fd, cases[i].size), cases[i].result);
    CHECK_INT(errno, cases[i].result ? EINVAL : 0);
    close(fd);
  }

  fd = make(0, 10);
  map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(map != MAP_FAILED);
  CHECK_INT(memfd_seal(fd), -1);
  CHECK_INT(errno, EBUSY);
  munmap(map, 10);
  snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
  other = open(proc, O_WRONLY);
  CHECK_INT(memfd_seal(fd), 0);
  CHECK_INT(memfd_check(fd, 10), 0);
  CHECK_INT(write(fd, "x", 1), -1);
  CHECK_INT(memfd_check(other, 10), -1); /* could not be read */
  close(other);
  other = open(proc, O_PATH);
  CHECK_INT(memfd_check(other, 10), -1);
  close(other);
  close(fd);

  fd = mkstemp(path);
  CHECK_INT(memfd_check(fd, 0), -1);
  close(fd);
  unlink(path);
  CHECK_INT(pipe(p), 0);
  CHECK_INT(memfd_check(p[0], 0), -1);
  CHECK_INT(memfd_check(-1, 0), -1);
  return check_done("memfd");
}
