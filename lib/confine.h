#ifndef CONFINE_H
#define CONFINE_H

/*
 * A seccomp filter for a process that parses bytes from the network and has
 * everything open that it needs: kill and its kin, ptrace, process_vm_*,
 * pidfd_*, execve, open and its kin, and making further processes end the
 * process; the rest is allowed. Written as a fixed BPF program because
 * relay-smtpd installs it once a connection. 0, or -1 with errno.
 */
int confine_network(void);

/* As confine_network(), and no further socket: for a process that has all that it will talk to. */
int confine_compute(void);

/* As confine_network(), but of sockets only accept(): for a daemon whose listening socket is open. */
int confine_serve(void);

#endif
