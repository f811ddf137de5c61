/* A report, MailEngine's way, or an object of JSON a line. */
#include "log_print.h"
#include "rate.h"
#include "tai64n.h"

#include <stdlib.h>
#include <string.h>

static unsigned long long per_hour(uint64_t count, double seconds)
{
  return seconds > 0 ? (unsigned long long)((double)count * 3600 / seconds + 0.5) : 0;
}

/* "2026/11/22 13:54:06" */
static void print_time(FILE *out, int64_t at)
{
  char when[TAI64N_TEXT_SIZE];

  tai64n_local(at, when);
  when[4] = when[7] = '/';
  fprintf(out, "%.19s", when);
}

static int by_recv(const void *a, const void *b)
{
  const struct rate_name *x = *(struct rate_name *const *)a, *y = *(struct rate_name *const *)b;

  return x->recv != y->recv ? (x->recv < y->recv ? 1 : -1) : strcmp(x->name, y->name);
}

static uint64_t tries(const struct rate_name *n)
{
  return n->sent + n->deferred + n->failed;
}

static int by_tries(const void *a, const void *b)
{
  const struct rate_name *x = *(struct rate_name *const *)a, *y = *(struct rate_name *const *)b;

  return tries(x) != tries(y) ? (tries(x) < tries(y) ? 1 : -1) : strcmp(x->name, y->name);
}

/* The names in order, malloced; NULL if there are none. */
static struct rate_name **sorted(const struct hash *names, int (*order)(const void *, const void *))
{
  struct rate_name **list, *n;
  size_t cursor = 0, count = 0;

  list = names->count ? calloc(names->count, sizeof(struct rate_name *)) : NULL;
  if (!list) {
    return NULL;
  }
  while ((n = hash_next(names, &cursor))) {
    list[count++] = n;
  }
  qsort(list, count, sizeof(*list), order);
  return list;
}

static struct log_text name_of(const struct rate_name *n)
{
  return (struct log_text){n->name, strlen(n->name)};
}

static void print_top(FILE *out, const struct rate *r, unsigned top)
{
  struct rate_name **tenants = sorted(&r->tenants, by_recv), **sites = sorted(&r->sites, by_tries);

  for (size_t i = 0; tenants && i < r->tenants.count && i < top; i++) {
    fprintf(out, "  %8llu recv  tenant ", (unsigned long long)tenants[i]->recv);
    log_print(out, name_of(tenants[i]));
    putc('\n', out);
  }
  for (size_t i = 0; sites && i < r->sites.count && i < top; i++) {
    fprintf(out, "  %8llu sent  %llu deferred, %llu failed  site ",
            (unsigned long long)sites[i]->sent, (unsigned long long)sites[i]->deferred,
            (unsigned long long)sites[i]->failed);
    log_print(out, name_of(sites[i]));
    putc('\n', out);
  }
  free(tenants);
  free(sites);
}

void rate_print(FILE *out, const struct rate *r, const struct rate_report *report)
{
  const struct rate_counts *n = &r->now, *t = &r->total;
  uint64_t recv = n->inbound + n->relay, sent = n->first + n->retried;

  print_time(out, report->at);
  fprintf(out, " %llu recv [%llu inbound, %llu relay] (%llu/h avg, %llu total)\n",
          (unsigned long long)recv, (unsigned long long)n->inbound, (unsigned long long)n->relay,
          per_hour(recv, report->seconds), (unsigned long long)(recv + t->inbound + t->relay));
  print_time(out, report->at);
  fprintf(
    out,
    " %llu sent [%llu first, %llu retried] (%llu/h avg, %llu total) %llu deferred, %llu failed\n",
    (unsigned long long)sent, (unsigned long long)n->first, (unsigned long long)n->retried,
    per_hour(sent, report->seconds), (unsigned long long)(sent + t->first + t->retried),
    (unsigned long long)n->deferred, (unsigned long long)n->failed);
  print_top(out, r, report->top);
}

static void print_json_top(FILE *out, const struct rate *r, unsigned top)
{
  struct rate_name **tenants = sorted(&r->tenants, by_recv), **sites = sorted(&r->sites, by_tries);

  fputs(",\"tenants\":[", out);
  for (size_t i = 0; tenants && i < r->tenants.count && i < top; i++) {
    fputs(i ? ",{\"tenant\":" : "{\"tenant\":", out);
    log_print_json(out, name_of(tenants[i]));
    fprintf(out, ",\"recv\":%llu}", (unsigned long long)tenants[i]->recv);
  }
  fputs("],\"sites\":[", out);
  for (size_t i = 0; sites && i < r->sites.count && i < top; i++) {
    fputs(i ? ",{\"site\":" : "{\"site\":", out);
    log_print_json(out, name_of(sites[i]));
    fprintf(out, ",\"sent\":%llu,\"deferred\":%llu,\"failed\":%llu}",
            (unsigned long long)sites[i]->sent, (unsigned long long)sites[i]->deferred,
            (unsigned long long)sites[i]->failed);
  }
  putc(']', out);
  free(tenants);
  free(sites);
}

void rate_print_json(FILE *out, const struct rate *r, const struct rate_report *report)
{
  const struct rate_counts *n = &r->now, *t = &r->total;
  uint64_t recv = n->inbound + n->relay, sent = n->first + n->retried;
  char when[TAI64N_TEXT_SIZE];

  tai64n_utc(report->at, when);
  when[10] = 'T';
  fprintf(out, "{\"time\":\"%.26sZ\",\"seconds\":%.3f", when, report->seconds);
  fprintf(out,
          ",\"recv\":{\"count\":%llu,\"inbound\":%llu,\"relay\":%llu,\"per_hour\":%llu,"
          "\"total\":%llu}",
          (unsigned long long)recv, (unsigned long long)n->inbound, (unsigned long long)n->relay,
          per_hour(recv, report->seconds), (unsigned long long)(recv + t->inbound + t->relay));
  fprintf(out,
          ",\"sent\":{\"count\":%llu,\"first\":%llu,\"retried\":%llu,\"deferred\":%llu,"
          "\"failed\":%llu,\"per_hour\":%llu,\"total\":%llu}",
          (unsigned long long)sent, (unsigned long long)n->first, (unsigned long long)n->retried,
          (unsigned long long)n->deferred, (unsigned long long)n->failed,
          per_hour(sent, report->seconds), (unsigned long long)(sent + t->first + t->retried));
  if (report->top > 0) {
    print_json_top(out, r, report->top);
  }
  fputs("}\n", out);
}
