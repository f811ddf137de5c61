#include "message.h"

#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "memory.h"
#include "sources.h"
#include "tenant.h"
#include "through.h"

#include <stdlib.h>
#include <string.h>

struct list messages;
static uint64_t newest;
static struct hash by_id;

/* The budget of doc/INTERNALS.md; a field too many shows here first. */
_Static_assert(sizeof(struct rcpt) == 56 || sizeof(void *) != 8, "struct rcpt has grown");
_Static_assert(sizeof(struct message) == 72 || sizeof(void *) != 8, "struct message has grown");

static const void *key(const void *item, size_t *len)
{
  *len = MESSAGE_ID_PACKED;
  return ((const struct message *)item)->id;
}

void message_start(void)
{
  list_init(&messages);
  hash_init(&by_id, key);
}

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void pack(const char *id, unsigned char out[MESSAGE_ID_PACKED])
{
  unsigned bits = 0, held = 0;

  for (size_t i = 0, n = 0; i < ID_LENGTH; i++) {
    const char *c = strchr(alphabet, id[i]);
    held = (held << 5 | (unsigned)(c ? c - alphabet : 0)) & 0x1fff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[n++] = (unsigned char)(held >> bits);
    }
  }
}

void message_id(const struct message *m, char id[ID_SIZE])
{
  for (size_t i = 0; i < ID_LENGTH; i++) {
    size_t bit = i * 5, byte = bit / 8;
    unsigned two = (unsigned)m->id[byte] << 8;
    two |= byte + 1 < MESSAGE_ID_PACKED ? m->id[byte + 1] : 0;
    id[i] = alphabet[two >> (11 - bit % 8) & 31];
  }
  id[ID_LENGTH] = '\0';
}

uint64_t message_newest(void)
{
  return newest;
}

struct message *message_find(const char *id)
{
  unsigned char packed[MESSAGE_ID_PACKED];

  if (!id_valid(id, strlen(id))) {
    return NULL;
  }
  pack(id, packed);
  return hash_find(&by_id, packed, sizeof packed);
}

static void fill_rcpt(struct message *m, uint16_t place, const struct dispatch_rcpt *from,
                      uint32_t *at)
{
  struct rcpt *r = &m->rcpts[place];
  size_t size = strlen(from->address) + 1;

  timer_init(&r->timer, TIMER_RCPT);
  list_head_init(&r->link);
  r->address_at = *at;
  memcpy((char *)m + *at, from->address, size);
  *at += (uint32_t)size;
  r->index = (uint16_t)from->rcpt;
  r->place = place;
  r->attempts = from->attempts > UINT16_MAX ? UINT16_MAX : (uint16_t)from->attempts;
  r->notify = from->notify & 15;
  r->delay_told = from->delay_told;
  r->told = from->attempts > 0;
  r->where = RCPT_AT_END;
}

static size_t block_size(const struct dispatch_message *m, const struct dispatch_rcpt *rcpts)
{
  size_t size = sizeof(struct message) + m->rcpts_total * sizeof(struct rcpt);

  size += strlen(m->sender) + 1;
  for (uint32_t i = 0; i < m->rcpts_total; i++) {
    size += strlen(rcpts[i].address) + 1;
  }
  return size;
}

struct message *message_make(const struct dispatch_message *from, const struct dispatch_rcpt *rcpts)
{
  if (!id_valid(from->id, strlen(from->id)) || from->content_len > UINT32_MAX) {
    return NULL;
  }
  struct message *m = memory_get(block_size(from, rcpts));
  uint32_t at = (uint32_t)(sizeof *m + from->rcpts_total * sizeof(struct rcpt));
  m->serial = from->serial;
  m->arrival = from->arrival;
  m->envelope_len = from->envelope_len;
  m->content_len = (uint32_t)from->content_len;
  m->flags = (uint16_t)from->flags;
  m->priority = (uint8_t)from->priority;
  m->rcpt_count = m->live = m->pending = (uint16_t)from->rcpts_total;
  pack(from->id, m->id);
  m->source = sources_index(from->source);
  memcpy((char *)m + at, from->sender, strlen(from->sender) + 1);
  at += (uint32_t)strlen(from->sender) + 1;
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    fill_rcpt(m, i, &rcpts[i], &at);
    sched.places[RCPT_AT_END]++;
    m->rcpts[i].domain = domain_get(from->destination, rcpt_address(&m->rcpts[i]));
  }
  m->tenant = tenant_get(from->tenant);
  m->tenant->recipients += m->live;
  /* An id that is in use twice (a queue restored by hand): the first one keeps the index. */
  int inserted = hash_insert_new(&by_id, m);
  if (inserted == -1) {
    memory_out();
  }
  m->indexed = inserted == 1;
  list_append(&messages, &m->all);
  newest = m->serial > newest ? m->serial : newest;
  sched.messages++;
  return m;
}

const char *message_sender(const struct message *m)
{
  return (const char *)&m->rcpts[m->rcpt_count];
}

struct message *rcpt_message(struct rcpt *r)
{
  return LIST_ITEM(r - r->place, struct message, rcpts);
}

const char *rcpt_address(struct rcpt *r)
{
  return (const char *)rcpt_message(r) + r->address_at;
}

void rcpt_place(struct rcpt *r, enum rcpt_where where)
{
  sched.places[r->where]--;
  sched.places[where]++;
  if ((r->where == RCPT_AT_ACTIVE) != (where == RCPT_AT_ACTIVE)) {
    rcpt_message(r)->tenant->sending += where == RCPT_AT_ACTIVE ? 1 : UINT32_MAX;
  }
  r->where = (uint8_t)where;
}

void rcpt_detach(struct rcpt *r)
{
  timer_clear(&r->timer);
  if (r->where == RCPT_AT_READY) {
    flow_remove(r);
  } else if (r->where == RCPT_AT_LOOKUP) {
    domain_leave(r);
  }
}

static void message_free(struct message *m)
{
  list_remove(&messages, &m->all);
  sched.messages--;
  if (m->through) {
    through_forget(m);
  }
  if (m->held) {
    char id[ID_SIZE];
    message_id(m, id);
    hold_set("id", id, false);
  }
  if (m->indexed) {
    hash_remove(&by_id, m->id, sizeof m->id);
  }
  tenant_release(m->tenant);
  free(m);
}

void message_release(struct message *m)
{
  if (m->live == 0 && !m->notice_open) {
    message_free(m);
  }
}

void rcpt_end(struct rcpt *r)
{
  struct message *m = rcpt_message(r);

  timer_clear(&r->timer);
  rcpt_place(r, RCPT_AT_END);
  sched.places[RCPT_AT_END]--;
  domain_release(r->domain);
  r->domain = NULL;
  m->live--;
  m->tenant->recipients--;
  message_release(m);
}
