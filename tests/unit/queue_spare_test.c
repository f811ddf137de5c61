/* Spares of the queue: made, filled while they wait, taken in the middle of that, kept over a
 * start, removed by somebody. */
#include "queue_spare.h"

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BYTES (3 * (SPARE_FILL_STEP) / 2)

static char directory[] = "/tmp/queue_spare_test.XXXXXX";
static struct store store;

static void reopen(void)
{
  const char *what;

  if (store.segment_bytes) {
    store_close(&store);
  }
  CHECK_INT(store_open(&store, directory, SEGMENT_BYTES, false, &what), 0);
}

/* Where the first byte is that was never written; -1: there is no such file. */
static off_t written(const char *name)
{
  int fd = openat(store.log, name, O_RDONLY | O_CLOEXEC);
  off_t hole = fd == -1 ? -1 : lseek(fd, 0, SEEK_HOLE);

  if (fd != -1) {
    close(fd);
  }
  return hole;
}

static off_t size_of(const char *name)
{
  struct stat st;

  return fstatat(store.log, name, &st, 0) == 0 ? st.st_size : -1;
}

static int unlink_spares(void)
{
  char name[STORE_NAME_SIZE];
  int gone = 0;

  for (uint32_t n = 0; n < store.spare_next; n++) {
    snprintf(name, sizeof(name), "spare.%u", n);
    gone += unlinkat(store.log, name, 0) == 0;
  }
  return gone;
}

static void test_filled(void)
{
  CHECK(!spare_fill(&store));
  CHECK_INT(spare_prepare(&store), 0);
  CHECK_INT(spare_prepare(&store), 0);
  CHECK_INT(store.spare_count, 1);
  CHECK_INT(size_of("spare.0"), SEGMENT_BYTES);
  CHECK(spare_fill(&store));
  CHECK(!spare_fill(&store));
  CHECK_INT(written("spare.0"), SEGMENT_BYTES);
  CHECK_INT(size_of("spare.0"), SEGMENT_BYTES);
  CHECK(!spare_fill(&store));
}

/* A segment is needed before the spare is full. */
static void test_taken(void)
{
  CHECK_INT(spare_take(&store, "taken"), 0);
  CHECK_INT(spare_prepare(&store), 0);
  CHECK(spare_fill(&store));
  CHECK_INT(spare_take(&store, "half"), 0);
  CHECK(!spare_fill(&store));
  CHECK_INT(size_of("half"), SEGMENT_BYTES);
  CHECK_INT(store.spare_count, 0);
  CHECK_INT(spare_from(&store, "half"), 0);
  CHECK_INT(spare_from(&store, "taken"), 0);
  CHECK_INT(store.spare_count, 2);
  CHECK(!spare_fill(&store));
  reopen();
  CHECK_INT(store.spare_count, 2);
  CHECK_INT(store.spare_next, 4);
  CHECK(!spare_fill(&store));
}

/* Where mail piles up, what is filled would be written twice. */
static void test_many(void)
{
  char name[STORE_NAME_SIZE];

  CHECK_INT(spare_take(&store, "x"), 0);
  CHECK_INT(spare_take(&store, "y"), 0);
  for (uint32_t n = 1; n <= SPARE_FILL_FILES; n++) {
    store_name(name, sizeof(name), n, n);
    CHECK(store_add(&store, n, n, -1) != NULL);
    CHECK_INT(spare_prepare(&store), 0);
    CHECK_INT(spare_fill(&store), n < SPARE_FILL_FILES);
    CHECK_INT(spare_take(&store, name), 0);
  }
}

/* An operator on a full disk takes what is called spare; the queue goes on. */
static void test_removed(void)
{
  CHECK_INT(spare_prepare(&store), 0);
  CHECK_INT(store.spare_count, 1);
  CHECK_INT(unlink_spares(), 1);
  CHECK_INT(spare_take(&store, "none"), 0);
  CHECK_INT(size_of("none"), -1);
  CHECK_INT(spare_prepare(&store), 0);
  CHECK_INT(unlink_spares(), 1);
  CHECK_INT(spare_prepare(&store), 0);
  CHECK_INT(store.spare_count, 1);
  CHECK_INT(spare_take(&store, "again"), 0);
  CHECK_INT(size_of("again"), SEGMENT_BYTES);
}

int main(void)
{
  char command[80];

  CHECK(mkdtemp(directory) != NULL);
  reopen();
  test_filled();
  test_taken();
  test_many();
  test_removed();
  store_close(&store);
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("queue_spare");
}
