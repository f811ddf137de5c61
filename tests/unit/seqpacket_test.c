#include "seqpacket.h"

#include "check.h"
#include "clock.h"
#include "io.h"
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char big[SEQPACKET_MAX + 1];

static int open_fds(void)
{
  int fd, n = 0;

  for (fd = 0; fd < 200; fd++) {
    n += fcntl(fd, F_GETFD) != -1;
  }
  return n;
}

static void send_two(int to, int a, int b)
{
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
  } control = {.space = {0}};
  struct iovec iov = {.iov_base = (char[]){"two"}, .iov_len = 3};
  struct msghdr message = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof(control.space)};
  int fds[2] = {a, b};

  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(fds));
  memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
  CHECK_INT(sendmsg(to, &message, 0), 3);
}

static void test_passing(void)
{
  int s[2], fd = memfd_make("m"), got, before;
  char data[16];

  CHECK_INT(seqpacket_pair(s), 0);
  before = open_fds();
  CHECK_INT(io_pwrite_all(fd, "content", 7, 0), 0);
  CHECK_INT(seqpacket_send(s[0], "hello", 5, fd), 0);
  CHECK_INT(seqpacket_send(s[0], "bare", 4, -1), 0);
  CHECK_INT(seqpacket_recv(s[1], data, sizeof(data), &got), 5);
  CHECK(got != -1 && got != fd && (fcntl(got, F_GETFD) & FD_CLOEXEC));
  CHECK_INT(pread(got, data, sizeof(data), 0), 7);
  close(got);
  CHECK_INT(seqpacket_recv(s[1], data, sizeof(data), &got), 4);
  CHECK_INT(got, -1);

  /* Two are sent, one is taken, none leaks. */
  send_two(s[0], fd, fd);
  CHECK_INT(seqpacket_recv(s[1], data, sizeof(data), &got), 3);
  CHECK(got != -1);
  CHECK_INT(open_fds(), before + 1);
  close(got);
  send_two(s[0], fd, fd);
  CHECK_INT(seqpacket_recv(s[1], data, sizeof(data), NULL), 3);
  CHECK_INT(open_fds(), before);

  /* Cut: gone, with its descriptor. */
  CHECK_INT(seqpacket_send(s[0], big, 100, fd), 0);
  CHECK_INT(seqpacket_recv(s[1], data, sizeof(data), &got), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(got, -1);
  CHECK_INT(open_fds(), before);

  CHECK_INT(seqpacket_send(s[0], big, 0, -1), -1);
  CHECK_INT(errno, EINVAL);
  CHECK_INT(seqpacket_send(s[0], big, SEQPACKET_MAX + 1, -1), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(seqpacket_send(s[0], big, SEQPACKET_MAX, -1), 0);
  CHECK_INT(seqpacket_recv(s[1], big, sizeof(big), NULL), SEQPACKET_MAX);

  CHECK_INT(seqpacket_recv_by(s[1], data, sizeof(data), &got, clock_monotonic_ms() + 20), -1);
  CHECK_INT(errno, ETIMEDOUT);
  while (seqpacket_send_by(s[0], big, 10000, -1, clock_monotonic_ms() + 20) == 0) {
  }
  CHECK_INT(errno, ETIMEDOUT);
  close(s[0]);
  close(s[1]);
  close(fd);
}

/* The peer answers and goes, our next request unread: the answer is not lost. */
static void test_last_answer(void)
{
  char data[16];
  int s[2];

  CHECK_INT(seqpacket_pair(s), 0);
  CHECK_INT(seqpacket_send(s[0], "request", 7, -1), 0);
  CHECK_INT(seqpacket_send(s[1], "answer", 6, -1), 0);
  close(s[1]);
  CHECK_INT(seqpacket_recv(s[0], data, sizeof(data), NULL), 6);
  CHECK_INT(seqpacket_recv(s[0], data, sizeof(data), NULL), 0);
  CHECK_INT(seqpacket_send(s[0], "x", 1, -1), -1);
  CHECK_INT(errno, EPIPE);
  close(s[0]);
}

static void test_paths(void)
{
  char dir[] = "/tmp/seqpacket_test.XXXXXX", path[64];
  int listener, a, b, i, many[20];
  struct stat st;
  pid_t pid;
  uid_t uid;
  gid_t gid;

  CHECK(mkdtemp(dir) != NULL);
  snprintf(path, sizeof(path), "%s/s", dir);
  CHECK_INT(seqpacket_connect(path, IO_FOREVER), -1);
  CHECK_INT(errno, ENOENT);
  close(seqpacket_listen(path, 1, 0600)); /* leaves a stale one */
  listener = seqpacket_listen(path, 1, 0620);
  CHECK(listener != -1);
  CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0620);
  CHECK_INT(seqpacket_accept(listener), -1);
  CHECK_INT(errno, EAGAIN);
  a = seqpacket_connect(path, clock_monotonic_ms() + 1000);
  b = seqpacket_accept(listener);
  CHECK(a != -1 && b != -1 && (fcntl(b, F_GETFL) & O_NONBLOCK));
  CHECK_INT(seqpacket_peer(b, &pid, &uid, &gid), 0);
  CHECK(pid == getpid() && uid == getuid() && gid == getgid());
  /* A full backlog meets the deadline. */
  for (i = 0; i < 20; i++) {
    many[i] = seqpacket_connect(path, clock_monotonic_ms() + 30);
    if (many[i] == -1) {
      break;
    }
  }
  CHECK(i < 20);
  CHECK_INT(errno, ETIMEDOUT);
  while (i-- > 0) {
    close(many[i]);
  }
  close(a);
  close(b);
  close(listener);
  unlink(path);
  close(open(path, O_CREAT | O_WRONLY, 0600));
  CHECK_INT(seqpacket_listen(path, 1, 0600), -1); /* not a socket: left alone */
  CHECK(stat(path, &st) == 0 && S_ISREG(st.st_mode));
  unlink(path);
  rmdir(dir);
}

int main(void)
{
  test_passing();
  test_last_answer();
  test_paths();
  return check_done("seqpacket");
}
