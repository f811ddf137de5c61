#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Classic BPF, as seccomp(2) has it: a search tree over the runs of allowed and
 * denied call numbers. On installing, the kernel checks and compiles the
 * program, and walks it once for every call number (it caches which are always
 * allowed): a list of comparisons took 230 us, a tree with a leaf for every
 * few calls 90, this one 65, and relay-smtpd pays it for each connection.
 *
 * The lists are of the denied calls and not of the allowed ones: libc changes
 * its mind about harmless calls, but does not invent ways to open files.
 */
#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
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

#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD_NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
/* The low half of an argument: all those looked at here are ints to the kernel. */
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IS(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define FROM(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), (yes), (no))

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

/* A call that ends the process, or does unless its arguments pass a test. */
struct rule {
  unsigned nr;
  unsigned test_len;
  const struct sock_filter *test; /* ends in ALLOW, KILL */
};
#define DENY(call)                                                                                 \
  {                                                                                                \
    __NR_##call, 0, NULL                                                                           \
  }
#define TEST(call, code)                                                                           \
  {                                                                                                \
    __NR_##call, sizeof(code) / sizeof((code)[0]), (code)                                          \
  }

/* An fd that is ready can send any signal to its "owner". */
static const struct sock_filter no_owner[] = {
  LOAD_ARG(1), IS(F_SETOWN, 3, 0), IS(F_SETOWN_EX, 2, 0), IS(F_SETSIG, 1, 0), ALLOW, KILL,
};
static const struct sock_filter no_owner_ioctl[] = {
  LOAD_ARG(1), IS(FIOSETOWN, 2, 0), IS(SIOCSPGRP, 1, 0), ALLOW, KILL,
};
static const struct sock_filter own_limits[] = {LOAD_ARG(0), IS(0, 0, 1), ALLOW, KILL};

/* Ways into other processes of the same uid. */
static const struct rule others[] = {
  DENY(kill),
  DENY(rt_sigqueueinfo),
  DENY(rt_tgsigqueueinfo),
  DENY(pidfd_open),
  DENY(pidfd_getfd),
  DENY(pidfd_send_signal),
  DENY(ptrace),
  DENY(process_vm_readv),
  DENY(process_vm_writev),
  DENY(process_madvise),
  DENY(process_mrelease),
  TEST(fcntl, no_owner),
  TEST(ioctl, no_owner_ioctl),
  TEST(prlimit64, own_limits),
};

#if !defined(CONFINE_SANITIZER)
/* Further processes, programs, privileges, and the kernel's wider doors. */
static const struct rule processes[] = {
#if defined(__x86_64__)
  DENY(fork),
  DENY(vfork),
#endif
  DENY(clone),
  DENY(clone3),
  DENY(execve),
  DENY(execveat),
  DENY(unshare),
  DENY(setns),
  DENY(setuid),
  DENY(setgid),
  DENY(setreuid),
  DENY(setregid),
  DENY(setresuid),
  DENY(setresgid),
  DENY(setfsuid),
  DENY(setfsgid),
  DENY(setgroups),
  DENY(capset),
  DENY(bpf),
  DENY(perf_event_open),
  DENY(userfaultfd),
  DENY(keyctl),
  DENY(add_key),
  DENY(request_key),
  DENY(io_uring_setup),
  DENY(io_uring_enter),
  DENY(io_uring_register),
};

/* Changes to the file system, and ways to files that are not open(). */
static const struct rule files[] = {
#if defined(__x86_64__)
  DENY(creat),
  DENY(unlink),
  DENY(rmdir),
  DENY(rename),
  DENY(link),
  DENY(symlink),
  DENY(mkdir),
  DENY(mknod),
  DENY(chmod),
  DENY(chown),
  DENY(lchown),
#endif
#if defined(__NR_renameat)
  DENY(renameat),
#endif
  DENY(openat2),
  DENY(name_to_handle_at),
  DENY(open_by_handle_at),
  DENY(unlinkat),
  DENY(renameat2),
  DENY(linkat),
  DENY(symlinkat),
  DENY(mkdirat),
  DENY(mknodat),
  DENY(fchmod),
  DENY(fchmodat),
  DENY(fchmodat2),
  DENY(fchown),
  DENY(fchownat),
  DENY(truncate),
  DENY(chroot),
  DENY(pivot_root),
  DENY(mount),
  DENY(umount2),
  DENY(move_mount),
  DENY(open_tree),
  DENY(open_tree_attr),
  DENY(fsopen),
  DENY(fsconfig),
  DENY(fsmount),
  DENY(fspick),
  DENY(mount_setattr),
};

static const struct rule no_open[] = {
#if defined(__x86_64__)
  DENY(open),
#endif
  DENY(openat),
};
#endif

static const struct sock_filter head[] = {
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

/* New ways to anybody. What is open can still be read and written. */
static const struct rule sockets[] = {
  DENY(socket),
  DENY(connect),
  DENY(bind),
  DENY(listen),
};

static const struct rule accepts[] = {
  DENY(accept),
  DENY(accept4),
};

enum sockets_left { EVERY, ACCEPTED, NONE };

#define RULES_MAX 128
#define SEGMENTS_MAX (2 * RULES_MAX + 1)
#define PROGRAM_MAX 256 /* a jump is a byte */

/* A run of call numbers, up to the next segment's, that are treated alike. */
struct segment {
  unsigned from;
  size_t target; /* where in the program they are dealt with */
};

struct filter {
  struct rule rules[RULES_MAX];
  size_t count;
  struct segment segments[SEGMENTS_MAX];
  size_t segment_count;
  struct sock_filter code[PROGRAM_MAX];
  size_t len;
  int overflow;
};

/* Sorts rules in: the numbers' order differs between architectures. */
#define ADD_RULES(f, list) add_rules((f), (list), sizeof(list) / sizeof((list)[0]))
static void add_rules(struct filter *f, const struct rule *list, size_t n)
{
  size_t i, at;

  for (i = 0; i < n; i++) {
    if (f->count == RULES_MAX) {
      f->overflow = 1;
      return;
    }
    for (at = f->count++; at > 0 && f->rules[at - 1].nr > list[i].nr; at--) {
      f->rules[at] = f->rules[at - 1];
    }
    f->rules[at] = list[i];
  }
}

static void emit(struct filter *f, const struct sock_filter *code, size_t n)
{
  if (n > PROGRAM_MAX - f->len) {
    f->overflow = 1;
    return;
  }
  for (size_t i = 0; i < n; i++) {
    f->code[f->len++] = code[i];
  }
}

/* The numbers from this one on go to target; neighbours with one target are one segment. */
static void add_segment(struct filter *f, unsigned from, size_t target)
{
  struct segment *last = f->segments + f->segment_count - 1;

  if (f->segment_count > 0 && last->from == from) {
    last->target = target;
  } else {
    f->segments[f->segment_count++] = (struct segment){from, target};
    last++;
  }
  if (f->segment_count > 1 && last[-1].target == last->target) {
    f->segment_count--;
  }
}

/* Targets are counted from the end of the tree: ALLOW, KILL, then each rule's test. */
enum { TARGET_ALLOW, TARGET_KILL, TARGET_TESTS };

static void make_segments(struct filter *f)
{
  size_t target = TARGET_TESTS;

  f->segment_count = 0;
  add_segment(f, 0, TARGET_ALLOW);
  for (size_t i = 0; i < f->count; i++) {
    add_segment(f, f->rules[i].nr, f->rules[i].test ? target : TARGET_KILL);
    add_segment(f, f->rules[i].nr + 1, TARGET_ALLOW);
    target += f->rules[i].test_len;
  }
}

/* How far to jump from behind `here` to segments first to last - 1: a subtree, or at once the end. */
static unsigned char distance(const struct filter *f, size_t here, size_t subtree, size_t tree_end,
                              size_t first, size_t last)
{
  size_t to = last - first > 1 ? subtree : tree_end + f->segments[first].target;

  return (unsigned char)(to - here - 1);
}

/* The comparisons between segments first to last - 1, one less than there are segments. */
static void emit_tree(struct filter *f, size_t first, size_t last, size_t tree_end)
{
  size_t middle = first + (last - first) / 2, here = f->len;
  struct sock_filter jump;

  if (last - first == 1) {
    return;
  }
  jump = (struct sock_filter)FROM(f->segments[middle].from, 0, 0);
  jump.jf = distance(f, here, here + 1, tree_end, first, middle);
  jump.jt = distance(f, here, here + middle - first, tree_end, middle, last);
  emit(f, &jump, 1);
  emit_tree(f, first, middle, tree_end);
  emit_tree(f, middle, last, tree_end);
}

static void emit_program(struct filter *f)
{
  const struct sock_filter ends[] = {ALLOW, KILL};
  size_t tree_end;

  make_segments(f);
  emit(f, head, sizeof(head) / sizeof(head[0]));
  tree_end = f->len + f->segment_count - 1;
  emit_tree(f, 0, f->segment_count, tree_end);
  emit(f, ends, 2);
  for (size_t i = 0; i < f->count; i++) {
    emit(f, f->rules[i].test, f->rules[i].test_len);
  }
}

static int install(struct filter *f)
{
  struct sock_fprog program;

  emit_program(f);
  if (f->overflow) {
    errno = E2BIG;
    return -1;
  }
  program = (struct sock_fprog){.len = (unsigned short)f->len, .filter = f->code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
    return -1;
  }
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int confine(enum sockets_left left)
{
  /* abort() and raise() send a signal to our own pid (glibc by tgkill, musl by tkill). */
  const struct sock_filter own_signals[] = {
    LOAD_ARG(0),
    IS((unsigned)getpid(), 0, 1),
    ALLOW,
    KILL,
  };
  const struct rule own[] = {TEST(tgkill, own_signals), TEST(tkill, own_signals)};
  struct filter f;

  f.count = f.len = 0;
  f.overflow = 0;
  ADD_RULES(&f, own);
  ADD_RULES(&f, others);
  if (left != EVERY) {
    ADD_RULES(&f, sockets);
  }
  if (left == NONE) {
    ADD_RULES(&f, accepts);
  }
#if !defined(CONFINE_SANITIZER)
  /* AddressSanitizer opens /proc/self/maps and log files, and clones, when it reports: the
   * tests' sanitized programs are only kept out of other processes. */
  ADD_RULES(&f, processes);
  ADD_RULES(&f, files);
  ADD_RULES(&f, no_open);
#endif
  return install(&f);
}

int confine_network(void)
{
  return confine(EVERY);
}

int confine_compute(void)
{
  return confine(NONE);
}

int confine_serve(void)
{
  return confine(ACCEPTED);
}
