#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Classic BPF, as seccomp(2) has it: a bit for each denied call number, 32 to a
 * word, and one comparison and one look at a word for each word with denials.
 * relay-smtpd pays for the installation once a connection, and the kernel's
 * price is by instruction: it checks, converts and compiles the program, and
 * walks it once for every call number to find those that are always allowed.
 * It does not walk on behind an instruction that it cannot follow, and TAX is
 * one: so the shift comes first. What the walk would have bought, 30 ns a call,
 * a session does not earn back. A search tree over ranges took 87 us, this 50.
 *
 * The lists are of the denied calls and not of the allowed ones: libc changes
 * its mind about harmless calls, but does not invent ways to open files.
 */
#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#define ON_X86_64(...) __VA_ARGS__
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#define ON_X86_64(...)
#else
#error "confine.c knows x86_64 and aarch64 only"
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZER 1
#endif

/* Newer than some libraries' headers; the numbers are the same on every architecture. */
#ifndef __NR_process_madvise
#define __NR_process_madvise 440
#endif
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif
#ifndef __NR_process_mrelease
#define __NR_process_mrelease 448
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr 467
#endif

/* clang-format off */

/* Ways into other processes of the same uid. More of them: tests[] below. */
#define OTHERS(X, word)                                                                            \
  X(word, kill) X(word, rt_sigqueueinfo) X(word, rt_tgsigqueueinfo)                                \
  X(word, pidfd_open) X(word, pidfd_getfd) X(word, pidfd_send_signal)                              \
  X(word, ptrace) X(word, process_vm_readv) X(word, process_vm_writev)                             \
  X(word, process_madvise) X(word, process_mrelease)

/* Further processes, programs, privileges, and the kernel's wider doors. */
#define PROCESSES(X, word)                                                                         \
  ON_X86_64(X(word, fork) X(word, vfork))                                                          \
  X(word, clone) X(word, clone3) X(word, execve) X(word, execveat)                                 \
  X(word, unshare) X(word, setns)                                                                  \
  X(word, setuid) X(word, setgid) X(word, setreuid) X(word, setregid)                              \
  X(word, setresuid) X(word, setresgid) X(word, setfsuid) X(word, setfsgid)                        \
  X(word, setgroups) X(word, capset)                                                               \
  X(word, bpf) X(word, perf_event_open) X(word, userfaultfd)                                       \
  X(word, keyctl) X(word, add_key) X(word, request_key)                                            \
  X(word, io_uring_setup) X(word, io_uring_enter) X(word, io_uring_register)

/* open(), other ways to files, and changes to the file system. */
#define FILES(X, word)                                                                             \
  ON_X86_64(X(word, open) X(word, creat) X(word, unlink) X(word, rmdir) X(word, rename)            \
            X(word, link) X(word, symlink) X(word, mkdir) X(word, mknod)                           \
            X(word, chmod) X(word, chown) X(word, lchown))                                         \
  X(word, openat) X(word, openat2) X(word, name_to_handle_at) X(word, open_by_handle_at)           \
  X(word, unlinkat) X(word, renameat) X(word, renameat2) X(word, linkat) X(word, symlinkat)        \
  X(word, mkdirat) X(word, mknodat)                                                                \
  X(word, fchmod) X(word, fchmodat) X(word, fchmodat2) X(word, fchown) X(word, fchownat)           \
  X(word, truncate) X(word, chroot) X(word, pivot_root)                                            \
  X(word, mount) X(word, umount2) X(word, move_mount) X(word, open_tree) X(word, open_tree_attr)   \
  X(word, fsopen) X(word, fsconfig) X(word, fsmount) X(word, fspick) X(word, mount_setattr)

/* New ways to anybody. What is open can still be read and written. */
#define SOCKETS(X, word) X(word, socket) X(word, connect) X(word, bind) X(word, listen)
#define ACCEPTS(X, word) X(word, accept) X(word, accept4)

/* clang-format on */

#if defined(CONFINE_SANITIZER)
/* AddressSanitizer opens /proc/self/maps and log files, and clones, when it reports: the
 * tests' sanitized programs are only kept out of other processes. */
#define DENIED(X, word) OTHERS(X, word)
#else
#define DENIED(X, word) OTHERS(X, word) PROCESSES(X, word) FILES(X, word)
#endif

#define WORD_BITS 32
#define WORDS 15
#define BIT(word, call)                                                                            \
  | (__NR_##call / WORD_BITS == (word) ? UINT32_C(1) << __NR_##call % WORD_BITS : 0)
#define EACH_WORD(W)                                                                               \
  {                                                                                                \
    W(0), W(1), W(2), W(3), W(4), W(5), W(6), W(7), W(8), W(9), W(10), W(11), W(12), W(13), W(14)  \
  }
#define WORD_NETWORK(word) 0 DENIED(BIT, word)
#define WORD_SERVE(word) 0 DENIED(BIT, word) SOCKETS(BIT, word)
#define WORD_COMPUTE(word) 0 DENIED(BIT, word) SOCKETS(BIT, word) ACCEPTS(BIT, word)
_Static_assert(__NR_open_tree_attr < WORDS * WORD_BITS, "the newest call is in a word");

static const uint32_t denied_network[WORDS] = EACH_WORD(WORD_NETWORK);
static const uint32_t denied_serve[WORDS] = EACH_WORD(WORD_SERVE);
static const uint32_t denied_compute[WORDS] = EACH_WORD(WORD_COMPUTE);

#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD_NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
/* The low half of an argument: all those looked at here are ints to the kernel. */
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IS(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define FROM(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), (yes), (no))

/* X: the bit of the call's number. A: the number, of this architecture for sure. */
static const struct sock_filter head[] = {
  LOAD_NR,
  BPF_STMT(BPF_ALU | BPF_AND | BPF_K, WORD_BITS - 1),
  BPF_STMT(BPF_MISC | BPF_TAX, 0),
  BPF_STMT(BPF_LD | BPF_IMM, 1),
  BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0),
  BPF_STMT(BPF_MISC | BPF_TAX, 0),
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
  IS(CONFINE_ARCH, 1, 0),
  KILL,
  LOAD_NR,
#if defined(__x86_64__)
  /* x32 calls have the same arch and bit 30 set: the rules would not match them. */
  FROM(0x40000000, 0, 1),
  KILL,
#endif
};

/* clang-format off */
/* Calls that are allowed with some arguments. Each test ends by allowing or killing. */
static const struct sock_filter tests[] = {
  /* An fd that is ready can send any signal to its "owner". */
  IS(__NR_fcntl, 0, 6), LOAD_ARG(1),
  IS(F_SETOWN, 3, 0), IS(F_SETOWN_EX, 2, 0), IS(F_SETSIG, 1, 0), ALLOW, KILL,
  IS(__NR_ioctl, 0, 5), LOAD_ARG(1), IS(FIOSETOWN, 2, 0), IS(SIOCSPGRP, 1, 0), ALLOW, KILL,
  IS(__NR_prlimit64, 0, 4), LOAD_ARG(0), IS(0, 0, 1), ALLOW, KILL,
  /* abort() and raise() send a signal to our own pid (glibc by tgkill, musl by tkill). */
  IS(__NR_tgkill, 1, 0), IS(__NR_tkill, 0, 4), LOAD_ARG(0),
};
/* clang-format on */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define OWN_PID_LEN 3 /* the end of the last test */
#define WORD_LEN 3
#define PROGRAM_LEN (LENGTH(head) + LENGTH(tests) + OWN_PID_LEN + WORD_LEN * WORDS + 2)

static size_t put(struct sock_filter *program, size_t len, const struct sock_filter *code, size_t n)
{
  memcpy(program + len, code, n * sizeof(*code));
  return len + n;
}

/* For each word: is the number in a later one? Else it is denied if its bit is set. */
static size_t put_words(struct sock_filter *program, size_t len, const uint32_t denied[WORDS])
{
  const struct sock_filter ends[] = {ALLOW, KILL};

  for (uint32_t i = 0; i < WORDS; i++) {
    unsigned char behind = (unsigned char)(WORD_LEN * (WORDS - 1 - i));
    const struct sock_filter word[WORD_LEN] = {
      FROM((i + 1) * WORD_BITS, 2, 0), /* behind the last word this is ALLOW */
      BPF_STMT(BPF_LD | BPF_IMM, denied[i]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, behind + 1, behind),
    };
    len = put(program, len, word, WORD_LEN);
  }
  return put(program, len, ends, LENGTH(ends));
}

static int confine(const uint32_t denied[WORDS])
{
  const struct sock_filter own_pid[OWN_PID_LEN] = {IS((unsigned)getpid(), 0, 1), ALLOW, KILL};
  struct sock_filter code[PROGRAM_LEN];
  struct sock_fprog program = {.filter = code};
  size_t len = 0;

  len = put(code, len, head, LENGTH(head));
  len = put(code, len, tests, LENGTH(tests));
  len = put(code, len, own_pid, LENGTH(own_pid));
  program.len = (unsigned short)put_words(code, len, denied);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
    return -1;
  }
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int confine_network(void)
{
  return confine(denied_network);
}

int confine_compute(void)
{
  return confine(denied_compute);
}

int confine_serve(void)
{
  return confine(denied_serve);
}
