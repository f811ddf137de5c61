#include "work.h"

#include <errno.h>
#include <string.h>

static int put_ip(struct buf *b, const struct ip *ip)
{
  char text[IP_TEXT_SIZE] = "";

  if (ip->family)
    ip_format(ip, text);
  return netstring_put_str(b, text);
}

/* An empty field is "none". */
static int get_ip(struct netstring_reader *r, struct ip *ip)
{
  const char *text;
  size_t len;

  memset(ip, 0, sizeof *ip);
  if (netstring_get(r, IP_TEXT_SIZE - 1, &text, &len))
    return -1;
  if (len && ip_parse(text, len, ip)) {
    r->bad = true;
    return -1;
  }
  return 0;
}

#define TIMEOUTS (sizeof(struct work_timeouts) / sizeof(uint32_t))
_Static_assert(TIMEOUTS * sizeof(uint32_t) == sizeof(struct work_timeouts), "only uint32_t inside");

int work_put_open(struct buf *b, const struct work_open *o)
{
  uint32_t timeouts[TIMEOUTS];

  memcpy(timeouts, &o->timeouts, sizeof timeouts);
  if (netstring_put(b, "O", 1) || netstring_put_str(b, o->helo) || put_ip(b, &o->source4) ||
      put_ip(b, &o->source6))
    return -1;
  for (size_t i = 0; i < TIMEOUTS; i++)
    if (netstring_put_u64(b, timeouts[i]))
      return -1;
  if (netstring_put_u64(b, o->host_count))
    return -1;
  for (uint32_t i = 0; i < o->host_count; i++)
    if (netstring_put_str(b, o->hosts[i].name) || put_ip(b, &o->hosts[i].ip) ||
        netstring_put_u64(b, (uint64_t)o->hosts[i].port))
      return -1;
  return 0;
}

int work_get_open(struct netstring_reader *r, struct work_open *o)
{
  uint32_t timeouts[TIMEOUTS];
  uint64_t value = 0;

  memset(o, 0, sizeof *o);
  netstring_get_str(r, o->helo, sizeof o->helo);
  get_ip(r, &o->source4);
  get_ip(r, &o->source6);
  for (size_t i = 0; i < TIMEOUTS; i++) {
    netstring_get_u64(r, UINT32_MAX, &value);
    timeouts[i] = (uint32_t)value;
  }
  memcpy(&o->timeouts, timeouts, sizeof timeouts);
  if (netstring_get_u64(r, WORK_HOSTS_MAX, &value))
    return -1;
  o->host_count = (uint32_t)value;
  for (uint32_t i = 0; i < o->host_count; i++) {
    netstring_get_str(r, o->hosts[i].name, sizeof o->hosts[i].name);
    get_ip(r, &o->hosts[i].ip);
    if (netstring_get_u64(r, 65535, &value) || !o->hosts[i].ip.family)
      return -1;
    o->hosts[i].port = (int)value;
  }
  return r->bad ? -1 : 0;
}

int work_put_job(struct buf *b, const struct work_job *j)
{
  if (netstring_put(b, "J", 1) || netstring_put_u64(b, j->token) || netstring_put_str(b, j->id) ||
      netstring_put_u64(b, j->envelope_len) || netstring_put_u64(b, j->content_len) ||
      netstring_put_u64(b, j->rcpt_count))
    return -1;
  for (uint32_t i = 0; i < j->rcpt_count; i++)
    if (netstring_put_u64(b, j->rcpts[i]))
      return -1;
  return 0;
}

int work_get_job(struct netstring_reader *r, struct work_job *j)
{
  uint64_t value = 0;

  memset(j, 0, sizeof *j);
  netstring_get_u64(r, UINT64_MAX, &j->token);
  netstring_get_str(r, j->id, sizeof j->id);
  netstring_get_u64(r, ENVELOPE_MAX, &j->envelope_len);
  netstring_get_u64(r, INT64_MAX, &j->content_len);
  if (netstring_get_u64(r, WORK_RCPTS_MAX, &value))
    return -1;
  j->rcpt_count = (uint32_t)value;
  for (uint32_t i = 0; i < j->rcpt_count; i++) {
    netstring_get_u64(r, ENVELOPE_RCPTS_MAX - 1, &value);
    j->rcpts[i] = (uint32_t)value;
  }
  return r->bad ? -1 : 0;
}

/* A time of -1 ("none") travels as 0, others one higher. */
static int put_ms(struct buf *b, int64_t ms)
{
  return netstring_put_u64(b, ms < 0 ? 0 : (uint64_t)ms + 1);
}

static void get_ms(struct netstring_reader *r, int64_t *ms)
{
  uint64_t value = 0;

  netstring_get_u64(r, INT64_MAX, &value);
  *ms = (int64_t)value - 1;
}

int work_put_end(struct buf *b, const struct work_end *e)
{
  if (netstring_put(b, "E", 1) || netstring_put_u64(b, e->token) ||
      netstring_put_u64(b, e->keep) || netstring_put_u64(b, e->dsn) ||
      netstring_put_u64(b, e->stale) || put_ms(b, e->ms_mail) || put_ms(b, e->ms_rcpt) ||
      put_ms(b, e->ms_dot) || netstring_put_u64(b, e->bytes))
    return -1;
  return 0;
}

int work_get_end(struct netstring_reader *r, struct work_end *e)
{
  uint64_t keep = 0, dsn = 0, stale = 0;

  memset(e, 0, sizeof *e);
  netstring_get_u64(r, UINT64_MAX, &e->token);
  netstring_get_u64(r, 1, &keep);
  netstring_get_u64(r, 1, &dsn);
  netstring_get_u64(r, 1, &stale);
  get_ms(r, &e->ms_mail);
  get_ms(r, &e->ms_rcpt);
  get_ms(r, &e->ms_dot);
  netstring_get_u64(r, UINT64_MAX, &e->bytes);
  e->keep = keep;
  e->dsn = dsn;
  e->stale = stale;
  return r->bad ? -1 : 0;
}
