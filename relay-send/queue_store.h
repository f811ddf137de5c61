#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include "buf.h"
#include "queue_record.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * The files of queue/: log/ with the segments, each named NUMBER-KEY (ten
 * digits, sixteen hex digits), and spares, segments to be; big/; quarantine/.
 * After replay it belongs to the disk thread: nothing here is locked.
 *
 * A dead segment is renamed to a spare and later, under a new number and key,
 * written over: a sync of bytes that replace old ones moves no metadata
 * through the filesystem's journal (doc/INTERNALS.md has the figures).
 */
#define STORE_SPARES_MAX 4 /* queue_spare.h */
#define STORE_OPEN_MAX 64  /* segments kept open for reading */
#define STORE_SEGMENT_BYTES (64 << 20)

struct store_segment {
  uint32_t number;
  uint64_t key;
  int fd;        /* -1: not open now */
  uint64_t end;  /* what follows is not of this segment; UINT64_MAX: not known */
  uint32_t used; /* clock of the last read */
  bool unfit;    /* a sync failed on it: it is never used again */
};

struct store {
  int queue, log, big; /* directories */
  uint64_t segment_bytes;
  struct store_segment *segments; /* by number */
  uint32_t count, cap;
  bool appending; /* the last segment is ours to append to, at offset */
  uint64_t offset;
  uint32_t spares[STORE_SPARES_MAX], spare_count, spare_next;
  uint32_t filling; /* the spare that is being filled, */
  uint64_t filled;  /* up to here; UINT64_MAX: none is */
  uint32_t clock, open_count;
  bool read_only;
};

/* Opens the directories (and makes what is missing, unless read_only) and lists the segments.
 * 0, or -1 with errno; *what names what failed. */
int store_open(struct store *s, const char *queue_dir, uint64_t segment_bytes, bool read_only,
               const char **what);
void store_close(struct store *s);

struct store_segment *store_find(struct store *s, uint32_t number);
/* Its fd for pread, -1 with errno. Valid until the next store call. */
int store_fd(struct store *s, struct store_segment *segment);
/* Exactly len bytes. 0, or -1 (ENOENT: no such segment). */
int store_read(struct store *s, uint32_t number, void *data, size_t len, uint64_t offset);
/* Is the content of the record at offset what was to be written? True if it has none. */
bool store_content_is_whole(struct store *s, uint32_t number, const struct record *r,
                            uint64_t offset);

enum append_result {
  APPEND_OK,
  APPEND_REFUSED, /* nothing was written (errno, mostly ENOSPC); what was collected may be tried
                     again */
  APPEND_VOIDED,  /* a sync failed: RESULT, STATE and NOTE records are durable, the rest is void */
  APPEND_FATAL    /* neither; nothing may be answered any more */
};

struct append {
  struct buf *records;  /* whole records, one behind the other; padded and sealed here */
  uint64_t next_serial; /* written at the head of a new segment */
  uint64_t *positions;  /* per record: its offset, or 0 if it was voided */
  uint32_t count;
  /* Answers: */
  uint32_t segment;
  uint64_t end;
  bool opened; /* segment is a new one */
};

/* Writes and syncs. */
enum append_result store_append(struct store *s, struct append *a);

/* The oldest segment goes, its directory entry synced away. 0 or -1. */
int store_drop_first(struct store *s);
/* The newest goes: at start, when nothing valid is in it. */
int store_drop_last(struct store *s);

/* Copies a damaged range to queue/quarantine/. 0: copied and synced, 1: it is there already, -1. */
int store_quarantine(struct store *s, uint32_t number, uint64_t from, uint64_t to);

/* The SEGMENT record's extra: the previous segment, where it ended, the next serial. */
int store_segment_put(struct buf *b, uint32_t previous, uint64_t previous_end,
                      uint64_t next_serial);
int store_segment_get(const char *data, size_t len, uint64_t *previous, uint64_t *previous_end,
                      uint64_t *next_serial);

/* For queue_append.c and queue_spare.c: */
struct store_segment *store_add(struct store *s, uint32_t number, uint64_t key, int fd);
void store_name(char *out, size_t size, uint32_t number, uint64_t key);
#define STORE_NAME_SIZE 40

#endif
