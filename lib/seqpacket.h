#ifndef SEQPACKET_H
#define SEQPACKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * SOCK_SEQPACKET sockets: one datagram is one request or one answer, with at
 * most one file descriptor. All sockets are made CLOEXEC.
 */
#define SEQPACKET_MAX 65536 /* bytes in a datagram */

int seqpacket_pair(int fds[2]);
int seqpacket_listen(const char *path, int backlog, mode_t mode); /* replaces a stale socket */
/* The same for root and one group alone (mode 0660); without root for the caller's own uid and
 * group. errno ENOENT: no such group. */
int seqpacket_listen_group(const char *path, int backlog, const char *group);
int seqpacket_connect(const char *path, int64_t deadline);
/* The same, trying again while there is no socket, or nobody behind it: a daemon between two lives. */
int seqpacket_connect_patiently(const char *path, int64_t deadline);
int seqpacket_accept(int listener); /* non-blocking and CLOEXEC */

/*
 * Sends one datagram, with passed_fd over SCM_RIGHTS unless it is -1; the
 * caller keeps passed_fd. On a non-blocking socket -1 with EAGAIN says try
 * later. Never raises SIGPIPE.
 */
int seqpacket_send(int fd, const void *data, size_t len, int passed_fd);

/*
 * Receives one datagram of up to size bytes. Returns its length, 0 at end of
 * file, -1 on error; EMSGSIZE when it was cut (it is gone then). *passed_fd is
 * the one descriptor that came with it, CLOEXEC and the caller's to close, or
 * -1. There is room for exactly one: the kernel closes any other. A NULL
 * passed_fd takes none.
 */
ssize_t seqpacket_recv(int fd, void *data, size_t size, int *passed_fd);

/* The same pair for a blocking caller with a deadline (io.h). */
int seqpacket_send_by(int fd, const void *data, size_t len, int passed_fd, int64_t deadline);
ssize_t seqpacket_recv_by(int fd, void *data, size_t size, int *passed_fd, int64_t deadline);

/* Who is on the other side (SO_PEERCRED). */
int seqpacket_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

#endif
