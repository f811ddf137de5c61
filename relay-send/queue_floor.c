#include "queue_floor.h"

#include "clock.h"
#include "queue_spare.h"
#include "report.h"

#include <sys/statvfs.h>

#define FLOOR_MS 1000
#define FLOOR_SEGMENTS 4
#define FLOOR_PART 20 /* a twentieth is 5% */
#define FLOOR_INODES 1000

static bool below_floor(const struct queue *q)
{
  const struct queue_config *c = &q->config;
  uint64_t bytes = c->free_bytes, inodes = c->free_inodes;
  struct statvfs v;

  if (fstatvfs(q->store.log, &v) == -1) {
    return false; /* writes will tell */
  }
  if (bytes == 0) {
    bytes = FLOOR_SEGMENTS * c->segment_bytes + (uint64_t)v.f_blocks * v.f_frsize / FLOOR_PART;
  }
  if (inodes == 0) {
    inodes = v.f_files / FLOOR_PART < FLOOR_INODES ? v.f_files / FLOOR_PART : FLOOR_INODES;
  }
  /* Spare segments are free space of ours. f_files 0: the filesystem does not count inodes. */
  return (uint64_t)v.f_bavail * v.f_frsize + q->store.spare_count * c->segment_bytes < bytes ||
         (v.f_files > 0 && v.f_favail < inodes);
}

static void run(struct disk_job *job)
{
  struct floor *f = CONTAINER(job, struct floor, job);

  /* Without room for one this fails each second; the floor has stopped intake long before. */
  spare_prepare(&f->queue->store);
  f->more = spare_fill(&f->queue->store);
}

void floor_look(struct queue *q)
{
  bool below = below_floor(q);

  if (below != q->floor.below) {
    report_warning(below ? "queue: too little disk space or inodes left: 452 until there is more"
                         : "queue: enough disk space again");
  }
  q->floor.below = below;
}

static void done(struct disk_job *job)
{
  struct floor *f = CONTAINER(job, struct floor, job);

  f->busy = f->more && !f->queue->ending;
  if (f->busy) {
    disk_put(&f->queue->disk, job, DISK_BACKGROUND);
  }
}

void floor_start(struct queue *q)
{
  q->floor.queue = q;
  q->floor.job.run = run;
  q->floor.job.done = done;
  spare_prepare(&q->store);
  floor_look(q);
  q->floor.next = clock_monotonic_ms(); /* the spare is filled while nobody waits yet */
}

int floor_run(struct queue *q, int64_t now)
{
  struct floor *f = &q->floor;

  if (now >= f->next) {
    f->next = now + FLOOR_MS;
    floor_look(q);
    if (!f->busy) {
      f->busy = true;
      disk_put(&q->disk, &f->job, DISK_BACKGROUND);
    }
  }
  return (int)(f->next - now);
}
