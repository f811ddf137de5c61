#include "queue_big.h"

#include "io.h"
#include "queue_floor.h"
#include "queue_inject.h"
#include "queue_submission.h"
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define COPY_CHUNK (256 << 10)

struct big_job {
  struct disk_job job;
  struct queue *queue;
  struct submission *submission; /* NULL: unlink */
  char name[EXTRA_NAME_SIZE];
  int fd, error;
};

static int random_name(char name[EXTRA_NAME_SIZE])
{
  uint64_t n;

  if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n)) {
    return -1;
  }
  snprintf(name, EXTRA_NAME_SIZE, "%016llx", (unsigned long long)n);
  return 0;
}

static int create(struct store *s, char name[EXTRA_NAME_SIZE], int flags)
{
  if (random_name(name) == -1) {
    return -1;
  }
  return openat(s->big, name, flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* len bytes of a file to another (out -1: nowhere), and their checksum. 0 or -1. */
static int copy_sum(int in, uint64_t from, uint64_t len, int out, uint64_t at, uint64_t *sum)
{
  char *chunk = malloc(COPY_CHUNK);
  XXH3_state_t *state = XXH3_createState();
  int result = -1;
  size_t n;

  if (!chunk || !state) {
    errno = ENOMEM;
    goto cleanup;
  }
  XXH3_64bits_reset(state);
  for (; len > 0; len -= n, from += n, at += n) {
    n = len < COPY_CHUNK ? (size_t)len : COPY_CHUNK;
    if (io_pread_all(in, chunk, n, (off_t)from) == -1 ||
        (out != -1 && io_pwrite_all(out, chunk, n, (off_t)at) == -1)) {
      goto cleanup;
    }
    XXH3_64bits_update(state, chunk, n);
  }
  *sum = XXH3_64bits_digest(state);
  result = 0;

cleanup:
  XXH3_freeState(state);
  free(chunk);
  return result;
}

int big_copy(struct store *s, const char *name, uint64_t content_len, uint64_t sum, int out,
             uint64_t at)
{
  int fd = openat(s->big, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), result = -1;
  uint64_t found;
  struct stat st;

  if (fd == -1) {
    return -1;
  }
  errno = EILSEQ;
  if (fstat(fd, &st) == 0 && (uint64_t)st.st_size >= content_len &&
      copy_sum(fd, (uint64_t)st.st_size - content_len, content_len, out, at, &found) == 0) {
    errno = EILSEQ;
    result = found == sum ? 0 : -1;
  }
  close(fd);
  return result;
}

/* A client's file: whole, and nobody can write to it any more. Its fd, or -1. */
static int take_file(struct store *s, const char *name, uint64_t size)
{
  int fd = openat(s->big, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st;

  if (fd == -1) {
    return -1;
  }
  if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1) {
    errno = errno == EAGAIN ? EINVAL : errno;
    goto fail;
  }
  /* Writers are gone for good: nobody else can open it. */
  fcntl(fd, F_SETLEASE, F_UNLCK);
  if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
    errno = EINVAL;
    goto fail;
  }
  return fd;

fail:
  close(fd);
  return -1;
}

/* The message's envelope in submission->head, and in prefix what goes before the content. */
static int make_head(struct submission *s, int from, struct buf *prefix)
{
  struct envelope e;
  int result = -1;

  buf_reset(&s->head); /* through has had the envelope there */
  if (buf_reserve(&s->head, s->envelope_len) == -1 ||
      io_pread_all(from, s->head.data, s->envelope_len, 0) == -1) {
    return -1;
  }
  s->head.len = s->envelope_len;
  if (!s->inject) {
    return 0;
  }
  envelope_init(&e);
  if (envelope_decode(&e, s->head.data, s->head.len) == 0) {
    inject_cleanse(&e, s->uid);
    buf_reset(&s->head);
    if (envelope_encode(&e, &s->head) == 0 &&
        inject_received(prefix, &e, s->queue->config.me, s->uid) == 0) {
      result = 0;
    }
  }
  envelope_free(&e);
  return result;
}

/* A new file with head, prefix and the source's content, synced. Its name in job->name. */
static int rewrite(struct big_job *j, int from, const struct buf *prefix)
{
  struct submission *s = j->submission;
  struct store *store = &j->queue->store;
  uint64_t content_at = s->head.len + prefix->len, ignored;
  int fd = create(store, j->name, O_RDWR), result = -1;

  if (fd == -1) {
    return -1;
  }
  if (io_pwrite_all(fd, s->head.data, s->head.len, 0) == 0 &&
      io_pwrite_all(fd, prefix->data, prefix->len, (off_t)s->head.len) == 0 &&
      copy_sum(from, s->envelope_len, s->content_len, fd, content_at, &ignored) == 0 &&
      copy_sum(fd, s->head.len, prefix->len + s->content_len, -1, 0, &s->content_sum) == 0) {
    result = fsync(fd);
  }
  if (result == -1) {
    unlinkat(store->big, j->name, 0);
  }
  close(fd);
  return result;
}

static int prepare(struct big_job *j)
{
  struct submission *s = j->submission;
  struct store *store = &j->queue->store;
  struct buf prefix = BUF_INIT(4096);
  int from = s->fd, result = -1;

  if (s->big[0]) {
    from = take_file(store, s->big, s->envelope_len + s->content_len);
  }
  if (from == -1 || make_head(s, from, &prefix) == -1) {
    goto cleanup;
  }
  if (s->big[0] && !s->inject) {
    memcpy(j->name, s->big, sizeof(j->name));
    result = copy_sum(from, s->envelope_len, s->content_len, -1, 0, &s->content_sum);
    result = result == 0 ? fsync(from) : -1;
  } else {
    result = rewrite(j, from, &prefix);
  }
  if (result == 0) {
    result = fsync(store->big);
  }

cleanup:
  if (from != -1 && from != s->fd) {
    close(from);
  }
  s->content_len += prefix.len;
  s->envelope_len = s->head.len;
  buf_free(&prefix);
  return result;
}

static void run_prepare(struct disk_job *job)
{
  struct big_job *j = CONTAINER(job, struct big_job, job);

  j->error = prepare(j) == 0 ? 0 : errno;
}

static void done_prepare(struct disk_job *job)
{
  struct big_job *j = CONTAINER(job, struct big_job, job);
  struct submission *s = j->submission;
  int error = j->error;

  if (error == 0 && strcmp(s->big, j->name) != 0) {
    if (s->big[0]) {
      big_forget(j->queue, s->big);
    }
    memcpy(s->big, j->name, sizeof(s->big));
  }
  if (s->fd != -1) {
    close(s->fd); /* the file has it all */
    s->fd = -1;
  }
  j->queue->preparing--;
  free(j);
  submission_prepared(s, error);
}

static struct big_job *job_new(struct queue *q, struct submission *s,
                               void (*run)(struct disk_job *), void (*done)(struct disk_job *))
{
  struct big_job *j = calloc(1, sizeof(*j));

  if (j) {
    j->job.run = run;
    j->job.done = done;
    j->queue = q;
    j->submission = s;
    j->fd = -1;
  }
  return j;
}

void big_prepare(struct submission *s)
{
  struct big_job *j = job_new(s->queue, s, run_prepare, done_prepare);

  if (!j) {
    submission_prepared(s, ENOMEM);
    return;
  }
  s->queue->preparing++;
  disk_put(&s->queue->disk, &j->job, DISK_READ);
}

static void run_unlink(struct disk_job *job)
{
  struct big_job *j = CONTAINER(job, struct big_job, job);

  unlinkat(j->queue->store.big, j->name, 0);
}

static void done_unlink(struct disk_job *job)
{
  free(CONTAINER(job, struct big_job, job));
}

void big_forget(struct queue *q, const char *name)
{
  struct big_job *j = job_new(q, NULL, run_unlink, done_unlink);

  if (!j) {
    return; /* it goes at the next start */
  }
  snprintf(j->name, sizeof(j->name), "%s", name);
  disk_put(&q->disk, &j->job, DISK_BACKGROUND);
}

static void run_open(struct disk_job *job)
{
  struct big_job *j = CONTAINER(job, struct big_job, job);

  j->fd = create(&j->queue->store, j->name, O_WRONLY);
  j->error = errno;
}

static void done_open(struct disk_job *job)
{
  struct big_job *j = CONTAINER(job, struct big_job, job);
  struct client *c = j->submission->client;

  if (c) {
    c->submission = NULL;
  }
  if (!c && j->fd != -1) {
    big_forget(j->queue, j->name);
    close(j->fd);
  } else if (c && j->fd == -1) {
    client_answer(c, '-', j->error == ENOSPC || j->error == EDQUOT ? 452 : 451,
                  "4.3.1 no room in the queue for a big message", -1);
  } else if (c) {
    memcpy(c->big, j->name, sizeof(c->big));
    client_answer(c, '+', 250, j->name, j->fd);
  }
  free(j->submission);
  free(j);
}

void big_open(struct client *c)
{
  struct queue *q = c->queue;
  struct submission *s;
  struct big_job *j;

  if (c->big[0]) {
    big_forget(q, c->big); /* begun and given up */
    c->big[0] = '\0';
  }
  floor_look(q); /* a second's worth of big files may be all the room that there is */
  if (q->floor.below || q->commit.stuck) {
    client_answer(c, '-', 452, "4.3.1 queue file system is full", -1);
    return;
  }
  s = calloc(1, sizeof(*s)); /* keeps the client's next request out, and knows when it is gone */
  j = s ? job_new(q, s, run_open, done_open) : NULL;
  if (!j) {
    free(s);
    client_answer(c, '-', 451, "4.3.0 out of memory", -1);
    return;
  }
  s->client = c;
  c->submission = s;
  disk_put(&q->disk, &j->job, DISK_READ);
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void big_clean(struct store *s, const struct index *x)
{
  const char **names = malloc((x->by_serial.count + 1) * sizeof(*names)), *key;
  const struct index_message *m;
  size_t count = 0, cursor = 0;
  int fd = openat(s->big, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd == -1 ? NULL : fdopendir(fd);
  struct dirent *d;

  if (!names || !dir) {
    report_warning_errno("unable to look for old files in queue/big");
    goto cleanup;
  }
  while ((m = hash_next(&x->by_serial, &cursor))) {
    if (m->big) {
      names[count++] = m->big;
    }
  }
  qsort(names, count, sizeof(*names), compare_names);
  while ((d = readdir(dir))) {
    key = d->d_name;
    if (key[0] != '.' && !bsearch(&key, names, count, sizeof(*names), compare_names)) {
      unlinkat(s->big, key, 0);
    }
  }

cleanup:
  if (dir) {
    closedir(dir);
  } else if (fd != -1) {
    close(fd);
  }
  free(names);
}
