/*
 * load: several tenants that send through one SMTP server at once, each from
 * an address of its own, on a schedule or as fast as their connections let
 * them. One thread. Logs every attempt with CLOCK_MONOTONIC microseconds.
 */
#include "load.h"

#include "exits.h"
#include "report.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE                                                                                      \
  "usage: load [-s BYTES] [-l FILE] [-t SECONDS] ADDRESS:PORT TENANT ...\n"                        \
  "  -s BYTES    a message's content (default 5120, at least 512)\n"                               \
  "  -t SECONDS  ends then, whatever is outstanding\n"                                             \
  "  -l FILE     log: TOKEN DUE START CONNECTED DOT REPLIED CODE TEXT, a line an attempt;\n"       \
  "              times: microseconds, CLOCK_MONOTONIC, 0: not reached; CODE 0: connection lost;\n" \
  "              TOKEN: NAME-NUMBER, which is the message's X-Token field\n"                       \
  "TENANT: KEY=VALUE,...\n"                                                                        \
  "  name=NAME from=ADDRESS    who, and the address that it connects from\n"                       \
  "  to=DOMAIN spread=N        recipients' domain; % in it is 1 to N in turn (default 1)\n"        \
  "  messages=N                a round's messages (default 1)\n"                                   \
  "  rounds=N every=MS after=MS  rounds (default 1), from one to the next, before the first\n"     \
  "  connections=N per=N       at a time (default 1); messages on each (default 1, 0: no limit)\n" \
  "  retry=MS tries=N          a 4xx or lost connection is tried again (default tries 1: never)\n"

#define NAME_SIZE 32
#define DOMAIN_SIZE 200
#define MESSAGES_MAX 10000000
#define CONNECTIONS_MAX 20000

struct again {
  struct message message;
  int64_t when;
};

struct tenant {
  struct tool_timer timer; /* the first member: the next round, or the next second try */
  char name[NAME_SIZE], to[DOMAIN_SIZE];
  struct sockaddr_in from;
  uint32_t spread, messages, rounds, connections, per, tries;
  int64_t every, after, retry; /* microseconds */
  int64_t began;
  uint32_t taken, done, total;
  uint8_t *tried;      /* a count for each message */
  struct again *again; /* a ring: one delay for all, so in order */
  uint32_t again_first, again_count;
  struct session *sessions, *idle;
};

struct sockaddr_in load_server;
size_t load_size = 5120;
static struct tenant *tenants;
static size_t tenant_count, tenants_done;

/* --- what is to be sent when */

static int64_t round_start(const struct tenant *t, uint32_t number)
{
  return t->began + t->after + t->every * (int64_t)(number / t->messages);
}

/* The next message that is due; false: none is, and the timer is set if one will be. */
static bool take(struct tenant *t, struct message *m)
{
  int64_t now = tool_now(), next = INT64_MAX;

  if (t->again_count > 0) {
    struct again *a = &t->again[t->again_first];
    if (a->when <= now) {
      *m = a->message;
      t->again_first = (t->again_first + 1) % t->total;
      t->again_count--;
      return true;
    }
    next = a->when;
  }
  if (t->taken < t->total) {
    int64_t due = round_start(t, t->taken);
    if (due <= now) {
      *m = (struct message){.number = t->taken++, .due = due};
      return true;
    }
    next = due < next ? due : next;
  }
  if (next != INT64_MAX) {
    tool_timer_set(&t->timer, next);
  }
  return false;
}

static void start_idle(struct tenant *t)
{
  while (t->idle) {
    struct session *s = t->idle;
    if (!take(t, &s->message)) {
      return;
    }
    t->idle = s->next_idle;
    session_send(s);
  }
}

static void due(struct tool_timer *timer)
{
  start_idle((struct tenant *)timer);
}

/* --- what sessions ask */

const char *load_name(const struct session *s)
{
  return s->tenant->name;
}

struct sockaddr_in load_source(const struct session *s)
{
  return s->tenant->from;
}

void load_recipient(const struct session *s, char *out, size_t size)
{
  const struct tenant *t = s->tenant;
  const char *percent = strchr(t->to, '%');

  if (percent) {
    snprintf(out, size, "%s-%u@%.*s%u%s", t->name, s->message.number, (int)(percent - t->to), t->to,
             s->message.number % t->spread + 1, percent + 1);
  } else {
    snprintf(out, size, "%s-%u@%s", t->name, s->message.number, t->to);
  }
}

bool load_again(const struct session *s)
{
  return s->tenant->per == 0 || s->served < s->tenant->per;
}

static void log_attempt(const struct session *s, int64_t now, int code, const char *text)
{
  const struct message *m = &s->message;

  tool_log("%s-%u %lld %lld %lld %lld %lld %d %.*s", s->tenant->name, m->number, (long long)m->due,
           (long long)m->start, (long long)m->connected, (long long)m->dot, (long long)now, code,
           (int)strcspn(text, "\r\n"), text);
}

void load_done(struct session *s, int code, const char *text)
{
  struct tenant *t = s->tenant;
  int64_t now = tool_now();
  uint32_t number = s->message.number;

  log_attempt(s, now, code, text);
  if (code < 500 && code / 100 != 2 && ++t->tried[number] < t->tries) {
    uint32_t last = (t->again_first + t->again_count++) % t->total;
    t->again[last] = (struct again){{.number = number, .due = s->message.due}, now + t->retry};
  } else if (++t->done == t->total) {
    tenants_done++;
  }
  if (s->watch.fd != -1 && load_again(s) && take(t, &s->message)) {
    session_send(s);
    return;
  }
  session_quit(s);
  /* Not taken at once: a connection that is refused must not make a loop. */
  s->next_idle = t->idle;
  t->idle = s;
  tool_timer_set(&t->timer, now);
}

static void turn(void)
{
  tool_loop.stop = tool_loop.stop || tenants_done == tenant_count;
}

/* --- start */

static bool set_text(const char *key, const char *value, const char *wanted, char *out, size_t size)
{
  if (strcmp(key, wanted) != 0) {
    return false;
  }
  if (strlen(value) >= size) {
    report_fatal("too long: %s=%s", key, value);
    exit(EXIT_USAGE);
  }
  strcpy(out, value);
  return true;
}

static void set_number(struct tenant *t, const char *key, const char *value)
{
  const struct {
    const char *key;
    uint32_t *value;
    uint64_t max;
  } counts[] = {
    {"spread", &t->spread, 10000},        {"messages", &t->messages, MESSAGES_MAX},
    {"rounds", &t->rounds, MESSAGES_MAX}, {"connections", &t->connections, CONNECTIONS_MAX},
    {"per", &t->per, MESSAGES_MAX},       {"tries", &t->tries, 200}};
  const struct {
    const char *key;
    int64_t *value;
  } times[] = {{"every", &t->every}, {"after", &t->after}, {"retry", &t->retry}};

  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    if (strcmp(key, counts[i].key) == 0) {
      *counts[i].value = (uint32_t)tool_number(key, value, counts[i].max);
      return;
    }
  }
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    if (strcmp(key, times[i].key) == 0) {
      *times[i].value = 1000 * (int64_t)tool_number(key, value, 3600000);
      return;
    }
  }
  report_fatal("unknown: %s=%s", key, value);
  exit(EXIT_USAGE);
}

static void parse_tenant(struct tenant *t, char *text)
{
  char address[INET_ADDRSTRLEN] = "";

  *t = (struct tenant){
    .spread = 1, .messages = 1, .rounds = 1, .connections = 1, .per = 1, .tries = 1};
  for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
    char *value = strchr(part, '=');
    if (!value) {
      tool_usage(USAGE);
    }
    *value++ = '\0';
    if (!set_text(part, value, "name", t->name, sizeof t->name) &&
        !set_text(part, value, "to", t->to, sizeof t->to) &&
        !set_text(part, value, "from", address, sizeof address)) {
      set_number(t, part, value);
    }
  }
  t->total = t->messages * t->rounds;
  if (!t->name[0] || !t->to[0] || !address[0] || !t->total || !t->connections || !t->spread ||
      !t->tries || (uint64_t)t->messages * t->rounds > MESSAGES_MAX) {
    tool_usage(USAGE);
  }
  t->from = tool_address(address);
}

static void begin(struct tenant *t)
{
  tool_timer_init(&t->timer, due);
  t->sessions = calloc(t->connections, sizeof *t->sessions);
  t->tried = calloc(t->total, 1);
  t->again = t->tries > 1 ? calloc(t->total, sizeof *t->again) : NULL;
  if (!t->sessions || !t->tried || (t->tries > 1 && !t->again)) {
    tool_die("remember a tenant's messages");
  }
  for (uint32_t i = 0; i < t->connections; i++) {
    t->sessions[i] = (struct session){.watch.fd = -1, .tenant = t, .next_idle = t->idle};
    t->idle = &t->sessions[i];
  }
  t->began = tool_now();
  tool_timer_set(&t->timer, t->began);
}

static void time_is_over(struct tool_timer *timer)
{
  (void)timer;
  tool_loop.stop = true;
}

/* Returns how many seconds it may take, 0 for no limit. */
static uint64_t options(int argc, char **argv)
{
  uint64_t seconds = 0;
  int option;

  while ((option = getopt(argc, argv, "s:l:t:")) != -1) {
    if (option == 's') {
      load_size = tool_number("-s", optarg, 1 << 30);
    } else if (option == 'l') {
      tool_log_open(optarg);
    } else if (option == 't') {
      seconds = tool_number("-t", optarg, 86400);
    } else {
      tool_usage(USAGE);
    }
  }
  if (argc - optind < 2 || load_size < LOAD_SIZE_MIN) {
    tool_usage(USAGE);
  }
  return seconds;
}

int main(int argc, char **argv)
{
  static struct tool_timer over;
  uint64_t seconds;

  report_program("load");
  seconds = options(argc, argv);
  load_server = tool_address(argv[optind++]);
  tool_raise_files();
  tool_start(turn);
  session_prepare();
  tenant_count = (size_t)(argc - optind);
  tenants = calloc(tenant_count, sizeof *tenants);
  if (!tenants) {
    tool_die("remember the tenants");
  }
  for (size_t i = 0; i < tenant_count; i++) {
    parse_tenant(&tenants[i], argv[optind + (int)i]);
  }
  for (size_t i = 0; i < tenant_count; i++) {
    begin(&tenants[i]);
  }
  if (seconds > 0) {
    tool_timer_init(&over, time_is_over);
    tool_timer_set(&over, tool_now() + (int64_t)seconds * 1000000);
  }
  tool_run();
  return EXIT_OK;
}
