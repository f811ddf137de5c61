/*
 * Replay of a hostile segment. A segment's checksums are keyed, so the fuzzer
 * gives whole records without them: its bytes are cut into records, sealed,
 * and then read as a log; the first byte says how many bytes are scrambled after.
 */
#include "queue_replay.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY 0x42u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/queue_replay_fuzz.XXXXXX";

static void seal_all(char *log, size_t size)
{
  struct record r;
  size_t at = 0;

  while (at + RECORD_HEADER <= size) {
    if (record_get(log + at, &r) == 0 && record_size(&r) <= size - at) {
      record_seal(log + at, 1, KEY);
      at += record_size(&r);
    } else {
      at += RECORD_ALIGN;
    }
  }
}

static void replay(void)
{
  struct replay_counts counts;
  struct store store;
  struct index x;
  const char *what;

  if (store_open(&store, directory, 65536, true, &what) == 0) {
    index_init(&x);
    if (replay_run(&store, &x, &counts) == 0) {
      index_free(&x);
    }
    store_close(&store);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char path[200], *log;
  FILE *f;

  if (size < 2 || size > 65536)
    return 0;
  if (directory[strlen(directory) - 1] == 'X') {
    if (!mkdtemp(directory))
      abort();
    for (int i = 0; i < 3; i++) {
      snprintf(path, sizeof path, "mkdir %s/%s", directory, (const char *[]){"log", "big", "quarantine"}[i]);
      if (system(path) != 0)
        abort();
    }
  }
  log = malloc(size);
  memcpy(log, data + 1, size - 1);
  log[size - 1] = 0;
  seal_all(log, size);
  for (size_t i = 0; i < data[0] / 16u; i++)
    log[(size_t)data[i % size] * 251 % size] ^= (char)data[(i + 7) % size];
  snprintf(path, sizeof path, "%s/log/0000000001-0000000000000042", directory);
  f = fopen(path, "w");
  if (!f || fwrite(log, 1, size, f) != size)
    abort();
  fclose(f);
  free(log);
  replay();
  return 0;
}
