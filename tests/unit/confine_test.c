#include "confine.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER 1
#endif
#endif
#if !defined(SANITIZER)
#define SANITIZER 0
#endif

static int pair[2];
static pid_t sibling;
static struct sockaddr_in listener_address;

/* What a confined process does; each returns 0 if it could. */
static int do_read_write(void)
{
  char c;

  return write(pair[0], "x", 1) == 1 && read(pair[1], &c, 1) == 1 && c == 'x' ? 0 : 1;
}

static int do_connect(void)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct pollfd p = {.fd = fd, .events = POLLOUT};

  return connect(fd, (struct sockaddr *)&listener_address, sizeof(listener_address)) == 0 &&
             poll(&p, 1, 1000) == 1 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0
           ? 0
           : 1;
}

static int do_memory(void)
{
  int fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  void *p = malloc(1 << 20);
  struct rlimit limit;

  free(p);
  return fd != -1 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0 &&
             getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
             syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0
           ? 0
           : 1;
}

static int do_bind(void)
{
  struct sockaddr_in any = {.sin_family = AF_INET};

  return bind(pair[0], (struct sockaddr *)&any, sizeof(any)) == 0; /* of another family: refused */
}

/* Numbers that no call has, in a run of them and behind the last: as without a filter. */
static int do_unknown(void)
{
  static const long numbers[] = {390, 415, 479, 480, 511, 100000};

  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    if (syscall(numbers[i]) != -1 || errno != ENOSYS) {
      return 1;
    }
  }
  return 0;
}

static int do_abort(void)
{
  abort();
}

static int do_open(void)
{
  return open("/dev/null", O_RDONLY) == -1;
}

static int do_open_write(void)
{
  return open("/dev/null", O_RDWR) == -1;
}

static int do_open_create(void)
{
  return open("/tmp/confine_test.never", O_RDONLY | O_CREAT, 0600) == -1;
}

static int do_unlink(void)
{
  return unlink("/nonexistent/x") == -1 ? 0 : 1;
}

/* Nobody connects: EINVAL, from a socket that does not listen. */
static int do_accept(void)
{
  return accept(pair[0], NULL, NULL) != -1;
}

static int do_exec(void)
{
  execl("/bin/true", "true", (char *)NULL);
  return 1;
}

static int do_fork(void)
{
  pid_t pid = fork();

  if (pid == 0) {
    _exit(0);
  }
  return pid == -1;
}

static int do_kill(void)
{
  return kill(sibling, 0);
}

static int do_kill_self(void)
{
  return kill(getpid(), 0);
}

static int do_tgkill_other(void)
{
  return (int)syscall(SYS_tgkill, sibling, sibling, 0);
}

static int do_tkill(void)
{
  return (int)syscall(SYS_tkill, sibling, 0);
}

static int do_sigqueue(void)
{
  return sigqueue(sibling, 0, (union sigval){.sival_int = 0});
}

static int do_owner(void)
{
  return fcntl(pair[0], F_SETOWN, sibling);
}

static int do_ptrace(void)
{
  return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1;
}

static int do_vm_read(void)
{
  struct iovec iov = {.iov_base = &sibling, .iov_len = sizeof(sibling)};

  return process_vm_readv(sibling, &iov, 1, &iov, 1, 0) == -1;
}

static int do_pidfd(void)
{
  return (int)syscall(SYS_pidfd_open, sibling, 0) == -1;
}

static int do_prlimit(void)
{
  struct rlimit limit;

  return (int)syscall(SYS_prlimit64, sibling, RLIMIT_NOFILE, NULL, &limit);
}

static int do_setuid(void)
{
  return setuid(getuid());
}

static int do_io_uring(void)
{
  return (int)syscall(SYS_io_uring_setup, 0, NULL) == -1 ? 0 : 1;
}

static int do_mount(void)
{
  return (int)syscall(SYS_umount2, "/nonexistent", 0) == -1 ? 0 : 1;
}

static int do_x32(void)
{
#if defined(__x86_64__)
  return (int)syscall(0x40000000 | SYS_getpid) ? 0 : 0;
#else
  return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
#endif
}

enum { LIVES, DIES, DIES_UNSANITIZED, NEEDS_NETWORK, NEEDS_ACCEPT, ABORTS };

static const struct {
  const char *name;
  int (*act)(void);
  int expected;
} cases[] = {
  {"read and write", do_read_write, LIVES},
  {"connect", do_connect, NEEDS_NETWORK},
  {"bind", do_bind, NEEDS_NETWORK},
  {"accept", do_accept, NEEDS_ACCEPT},
  {"memory", do_memory, LIVES},
  {"no such call", do_unknown, LIVES},
  {"abort", do_abort, ABORTS},
  {"open", do_open, DIES_UNSANITIZED},
  {"open to write", do_open_write, DIES_UNSANITIZED},
  {"open to create", do_open_create, DIES_UNSANITIZED},
  {"unlink", do_unlink, DIES_UNSANITIZED},
  {"exec", do_exec, DIES_UNSANITIZED},
  {"fork", do_fork, DIES_UNSANITIZED},
  {"setuid", do_setuid, DIES_UNSANITIZED},
  {"io_uring", do_io_uring, DIES_UNSANITIZED},
  {"umount", do_mount, DIES_UNSANITIZED},
  {"kill", do_kill, DIES},
  {"kill self", do_kill_self, DIES},
  {"tgkill", do_tgkill_other, DIES},
  {"tkill", do_tkill, DIES},
  {"sigqueue", do_sigqueue, DIES},
  {"F_SETOWN", do_owner, DIES},
  {"ptrace", do_ptrace, DIES},
  {"process_vm_readv", do_vm_read, DIES},
  {"pidfd_open", do_pidfd, DIES},
  {"prlimit of another", do_prlimit, DIES},
  {"x32", do_x32, DIES},
};

static int (*const filters[])(void) = {confine_network, confine_serve, confine_compute};

/* The signal that ended the child, or -1 - its exit status, or 0 if all went well. */
static int outcome(int (*act)(void), int (*confine)(void))
{
  const struct rlimit none = {0, 0};
  int status;
  pid_t pid = fork();

  if (pid == 0) {
    signal(SIGABRT, SIG_DFL);
    setrlimit(RLIMIT_CORE, &none);
    if (confine && confine() == -1) {
      _exit(99);
    }
    _exit(act());
  }
  if (waitpid(pid, &status, 0) != pid) {
    return -1000;
  }
  if (WIFSIGNALED(status)) {
    return WTERMSIG(status);
  }
  return WEXITSTATUS(status) ? -1 - WEXITSTATUS(status) : 0;
}

static int wanted(int expected, int (*filter)(void))
{
  switch (expected) {
  case NEEDS_NETWORK:
    return filter == confine_network ? 0 : SIGSYS;
  case NEEDS_ACCEPT:
    return filter == confine_compute ? SIGSYS : 0;
  case LIVES:
    return 0;
  case ABORTS:
    return SIGABRT;
  case DIES_UNSANITIZED:
    return SANITIZER ? 0 : SIGSYS;
  default:
    return SIGSYS;
  }
}

int main(void)
{
  socklen_t len = sizeof(listener_address);
  int listener, kind, got, want;
  size_t i;

  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  listener_address.sin_family = AF_INET;
  listener_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INT(bind(listener, (struct sockaddr *)&listener_address, len), 0);
  CHECK_INT(listen(listener, 16), 0);
  CHECK_INT(getsockname(listener, (struct sockaddr *)&listener_address, &len), 0);
  sibling = fork();
  if (sibling == 0) {
    sleep(60);
    _exit(0);
  }
  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    for (kind = 0; kind < 3; kind++) {
      want = wanted(cases[i].expected, filters[kind]);
      got = outcome(cases[i].act, filters[kind]);
      if (got != want) {
        fprintf(stderr, "%s (filter %d):\n", cases[i].name, kind);
      }
      CHECK_INT(got, want);
    }
    /* Without the filter it works, so the death was the filter's. */
    if (cases[i].act != do_abort) {
      CHECK_INT(outcome(cases[i].act, NULL), 0);
    }
  }
  kill(sibling, SIGKILL);
  waitpid(sibling, NULL, 0);
  unlink("/tmp/confine_test.never");
  return check_done("confine");
}
