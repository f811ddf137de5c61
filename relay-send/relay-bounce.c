/*
 * relay-bounce: composes delivery status notifications for relay-queue.
 *
 * Runs as relayb in the relay's directory. fd 6 is the channel to relay-queue
 * (bounce.h), fd 2 the log; 0 and 1 are not used. This process only passes
 * jobs and answers on. What reads the original, which came from the network,
 * is a child for each DSN: confined, without the channel, gone after one
 * answer, so that a message that breaks it meets no other message.
 */
#include "dsn.h"
#include "dsn_job.h"

#include "clock.h"
#include "confine.h"
#include "control.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "memfd.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FD_CHANNEL 6
#define COMPOSE_SECONDS 30
#define ANSWER_MAX 1024
#define DSN_ENVELOPE_MAX 4096 /* bytes; one recipient */

static void die_errno(const char *what)
{
  report_fatal_errno("unable to %s", what);
  _exit(EXIT_TEMPORARY);
}

/* The child. Ends with 0 when an answer was sent. */
static void compose_and_exit(const struct dsn_config *config, const struct dsn_job *job,
                             int message, int parent)
{
  const struct rlimit cpu = {COMPOSE_SECONDS, COMPOSE_SECONDS};
  struct bounce_answer answer;
  struct buf b = BUF_INIT(ANSWER_MAX);
  int dsn_fd;

  close(FD_CHANNEL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (setrlimit(RLIMIT_CPU, &cpu) < 0 || drop_hide() < 0 || confine_compute() < 0) {
    die_errno("confine the composer");
  }
  dsn_compose(config, job, message, &answer, &dsn_fd);
  if (bounce_put_answer(&b, &answer) < 0 || seqpacket_send(parent, b.data, b.len, dsn_fd) < 0) {
    die_errno("send an answer");
  }
  _exit(EXIT_OK);
}

/*
 * A notification of ours: from <>, to one. So a composer that was taken over by
 * what it read cannot make relay-queue send mail in anybody's name.
 */
static bool is_notification(const struct bounce_answer *a, int fd)
{
  char data[DSN_ENVELOPE_MAX];
  struct envelope e;

  envelope_init(&e);
  bool good = a->envelope_len <= sizeof data &&
              io_pread_all(fd, data, (size_t)a->envelope_len, 0) == 0 &&
              envelope_decode(&e, data, (size_t)a->envelope_len) == 0 && !e.sender[0] &&
              e.rcpt_count == 1 && (e.flags & ENVELOPE_DSN);
  envelope_free(&e);
  return good;
}

/* What the child may say on our behalf: it has read bytes from the network. */
static bool answer_is_good(const struct bounce_answer *a, const struct dsn_job *job, int fd)
{
  if (a->serial != job->head.serial || (a->ok == 1) != (fd >= 0)) {
    return false;
  }
  return a->ok != 1 || (a->content_len <= DSN_CONTENT_MAX + DSN_ORIGINAL_MAX &&
                        memfd_check(fd, (off_t)(a->envelope_len + a->content_len)) == 0 &&
                        is_notification(a, fd));
}

/* Waits for the child's one answer; one that is none becomes ok 0. */
static void hear_child(int child_socket, const struct dsn_job *job, struct bounce_answer *answer,
                       int *dsn_fd)
{
  char data[ANSWER_MAX];
  int64_t deadline = clock_monotonic_ms() + COMPOSE_SECONDS * 1000;
  ssize_t n = seqpacket_recv_by(child_socket, data, sizeof data, dsn_fd, deadline);

  if (n > 0 && bounce_get_answer(data, (size_t)n, answer) == 0 &&
      answer_is_good(answer, job, *dsn_fd)) {
    return;
  }
  if (*dsn_fd >= 0) {
    close(*dsn_fd);
    *dsn_fd = -1;
  }
  const char *why = n > 0    ? "the composer's answer was bad"
                    : n == 0 ? "the composer died"
                             : "the composer took too long";
  *answer = (struct bounce_answer){.serial = job->head.serial};
  snprintf(answer->text, sizeof answer->text, "%s", why);
}

static void reap(pid_t pid)
{
  int status;

  kill(pid, SIGKILL); /* it has answered, or never will; still ours until waited for */
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

static int run_job(const struct dsn_config *config, const struct dsn_job *job, int message,
                   struct bounce_answer *answer)
{
  int pair[2], dsn_fd = -1;

  *answer = (struct bounce_answer){.serial = job->head.serial};
  if (seqpacket_pair(pair) < 0) {
    snprintf(answer->text, sizeof answer->text, "unable to make a socketpair: %s", strerror(errno));
    return -1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(pair[0]);
    compose_and_exit(config, job, message, pair[1]);
  }
  close(pair[1]);
  if (pid < 0) {
    snprintf(answer->text, sizeof answer->text, "unable to fork: %s", strerror(errno));
  } else {
    hear_child(pair[0], job, answer, &dsn_fd);
    reap(pid);
  }
  close(pair[0]);
  return dsn_fd;
}

static void send_answer(const struct bounce_answer *answer, int dsn_fd)
{
  struct buf b = BUF_INIT(ANSWER_MAX);

  if (bounce_put_answer(&b, answer) < 0) {
    die_errno("encode an answer");
  }
  if (seqpacket_send_by(FD_CHANNEL, b.data, b.len, dsn_fd, IO_FOREVER) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) {
      _exit(EXIT_OK); /* relay-queue has ended, so do we */
    }
    die_errno("send an answer");
  }
  buf_free(&b);
}

static void serve(const struct dsn_config *config)
{
  static struct bounce_rcpt rcpts[ENVELOPE_RCPTS_MAX];
  struct dsn_job job = {.rcpts = rcpts};
  struct bounce_answer answer;
  int message, got;

  while ((got = dsn_job_receive(FD_CHANNEL, &job, &message)) > 0) {
    int dsn_fd = -1;
    if (got == 1) {
      dsn_fd = run_job(config, &job, message, &answer);
      close(message);
    } else {
      answer = (struct bounce_answer){.serial = job.head.serial, .text = "the job was garbled"};
    }
    if (answer.ok == 0) {
      report_warning("no notification for serial %llu: %s", (unsigned long long)answer.serial,
                     answer.text);
    }
    send_answer(&answer, dsn_fd);
    if (dsn_fd >= 0) {
      close(dsn_fd);
    }
  }
  if (got < 0 && errno != ECONNRESET) {
    die_errno("read from relay-queue");
  }
}

static const char usage[] =
  "usage: relay-bounce [-d DIR]\n"
  "Composes delivery status notifications. Run by relay-start, which gives it a socket on fd 6.\n";

int main(int argc, char **argv)
{
  const char *directory = NULL;
  static struct dsn_config config;
  int status;

  report_program("relay-bounce");
  status = home_options(argc, argv, usage, &directory);
  if (status != -1) {
    return status;
  }
  if (home_enter(directory) < 0) {
    die_errno("enter the relay's directory");
  }
  if (dsn_config_read(&config) < 0) {
    report_fatal("%s", control_error());
    return EXIT_PERMANENT;
  }
  if (io_reserve_standard_fds() < 0 || drop_hide() < 0) {
    die_errno("hide from siblings");
  }
  tzset(); /* glibc's first date opens /etc/localtime, which a confined child may not */
  serve(&config);
  return EXIT_OK;
}
