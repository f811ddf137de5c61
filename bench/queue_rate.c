/*
 * queue_rate RELAY-QUEUE DIR SUBMITTERS SECONDS [keep]: how many messages of 5 KiB
 * relay-queue commits a second, and what that writes to the block device.
 * DIR is a relay's directory on a filesystem of its own (or else others'
 * writes count too). Plays relay-smtpd and relay-send: each message is
 * delivered as soon as it is announced, unless "keep" says that it stays.
 */
#include "dispatch.h"
#include "envelope.h"
#include "intake.h"
#include "memfd.h"
#include "seqpacket.h"
#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTENT 5120
#define SUBMITTERS_MAX 1000

static volatile int stop;
static unsigned long done[SUBMITTERS_MAX];
static int send_fd, keep;
static pthread_mutex_t minting = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
  perror(what);
  exit(111);
}

static void submit(int fd, struct buf *b, const char *content)
{
  struct envelope e;
  size_t envelope_len;
  char answer[1024];
  int message;

  envelope_init(&e);
  pthread_mutex_lock(&minting);
  id_mint(e.id);
  pthread_mutex_unlock(&minting);
  strcpy(e.sender, "sender@example.com");
  strcpy(e.tenant, "msa1");
  strcpy(e.client, "192.0.2.7");
  e.priority = ENVELOPE_PRIORITY_DEFAULT;
  e.arrival = clock_wall_ms();
  envelope_add_rcpt(&e, "recipient@example.org", 0, "");
  buf_reset(b);
  envelope_encode(&e, b);
  envelope_len = b->len;
  envelope_free(&e);
  buf_append(b, content, CONTENT);
  message = memfd_make("message");
  if (write(message, b->data, b->len) != (ssize_t)b->len || memfd_seal(message) == -1)
    die("memfd");
  buf_reset(b);
  intake_put_submit(b, envelope_len, CONTENT, "", 0);
  if (seqpacket_send(fd, b->data, b->len, message) == -1)
    die("submit");
  close(message);
  if (seqpacket_recv(fd, answer, sizeof answer, NULL) <= 0 || memcmp(answer, "1:V,3:250,", 10))
    die("verdict");
}

static void *submitter(void *arg)
{
  size_t number = (size_t)arg;
  int fd = seqpacket_connect(INTAKE_PATH, clock_monotonic_ms() + 5000);
  struct buf b = BUF_INIT(1 << 20);
  static char content[CONTENT];
  char answer[1024];

  memset(content, 'x', sizeof content);
  intake_put_hello(&b, "msa1", "192.0.2.7");
  if (fd == -1 || seqpacket_send(fd, b.data, b.len, -1) == -1 ||
      seqpacket_recv(fd, answer, sizeof answer, NULL) <= 0)
    die("hello");
  while (!stop) {
    submit(fd, &b, content);
    done[number]++;
  }
  return NULL;
}

static void *scheduler(void *arg)
{
  static char data[SEQPACKET_MAX];
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  int fd;
  ssize_t n;

  while ((n = seqpacket_recv(send_fd, data, sizeof data, &fd)) > 0) {
    struct netstring_reader r;
    struct dispatch_message m;
    uint32_t here;
    char verb;
    struct dispatch_result result = {
      .outcome = {.verdict = VERDICT_DELIVERED, .stage = STAGE_DOT, .code = 250, .status = "2.0.0",
                  .host = "mx.example.org[192.0.2.25]", .reply = "250 2.0.0 Ok: queued as 4C1F2A"},
      .attempts = 1};
    if (fd != -1)
      close(fd);
    netstring_open(&r, data, (size_t)n);
    netstring_get_char(&r, &verb);
    if (verb == 'E')
      *(int *)arg = 1;
    if (verb != 'M' || keep || dispatch_get_message(&r, &m, &here) == -1)
      continue;
    buf_reset(&b);
    netstring_put_str(&b, "R");
    netstring_put_u64(&b, m.serial);
    dispatch_put_result(&b, &result);
    seqpacket_send(send_fd, b.data, b.len, -1);
  }
  return NULL;
}

static unsigned long device_bytes(void)
{
  unsigned long field[7] = {0};
  char path[100];
  struct stat st;
  FILE *f;

  stat("queue", &st);
  snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
  f = fopen(path, "r");
  for (int i = 0; f && i < 7; i++)
    if (fscanf(f, "%lu", &field[i]) != 1)
      break;
  if (f)
    fclose(f);
  return field[6] * 512;
}

static pid_t start(const char *program)
{
  int listen_fd[2], pair[2], bounce[2], fds[4], high[4];
  pid_t pid;

  listen_fd[0] = seqpacket_listen(INTAKE_PATH, 4096, 0600);
  listen_fd[1] = seqpacket_listen(INJECT_PATH, 16, 0600);
  if (listen_fd[0] == -1 || listen_fd[1] == -1 || seqpacket_pair(pair) || seqpacket_pair(bounce))
    die("sockets");
  pid = fork();
  if (pid == 0) {
    fds[0] = listen_fd[0], fds[1] = listen_fd[1], fds[2] = pair[0], fds[3] = bounce[0];
    for (int i = 0; i < 4; i++)
      high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < 4; i++)
      dup2(high[i], 3 + i);
    execl(program, program, "-d", ".", (char *)NULL);
    die(program);
  }
  close(listen_fd[0]);
  close(listen_fd[1]);
  close(pair[0]);
  close(bounce[0]);
  send_fd = pair[1];
  return pid;
}

int main(int argc, char **argv)
{
  pthread_t thread[SUBMITTERS_MAX], other;
  volatile int told = 0;
  unsigned long total = 0, before, after;
  int submitters, seconds;
  struct rusage usage;
  char program[4096];
  int64_t began, start_ms;
  pid_t pid;

  if (argc < 5 || !realpath(argv[1], program) || chdir(argv[2]) == -1)
    die("usage: queue_rate RELAY-QUEUE DIR SUBMITTERS SECONDS [keep]");
  submitters = atoi(argv[3]);
  seconds = atoi(argv[4]);
  keep = argc > 5;
  start_ms = clock_monotonic_ms();
  pid = start(program);
  pthread_create(&other, NULL, scheduler, (void *)&told);
  while (!told)
    usleep(1000);
  printf("told of the queue within %lld ms of the start\n",
         (long long)(clock_monotonic_ms() - start_ms));
  sync();
  before = device_bytes();
  began = clock_monotonic_ms();
  for (size_t i = 0; i < (size_t)submitters; i++)
    pthread_create(&thread[i], NULL, submitter, (void *)i);
  while (clock_monotonic_ms() - began < seconds * 1000)
    usleep(10000);
  stop = 1;
  for (int i = 0; i < submitters; i++) {
    pthread_join(thread[i], NULL);
    total += done[i];
  }
  began = clock_monotonic_ms() - began;
  shutdown(send_fd, SHUT_WR);
  wait4(pid, NULL, 0, &usage);
  sync();
  after = device_bytes();
  if (total > 0)
    printf("%d submitters: %.0f messages/s, %.3f device bytes per message byte, "
           "%.1f us CPU a message in relay-queue, peak %ld KiB\n",
           submitters, (double)total * 1000 / (double)began,
           (double)(after - before) / ((double)total * CONTENT),
           ((double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec +
            (double)usage.ru_stime.tv_sec * 1e6 + (double)usage.ru_stime.tv_usec) /
             (double)total,
           usage.ru_maxrss);
  return 0;
}
