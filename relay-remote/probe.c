/* relay-remote --check DOMAIN: MXs, addresses, and what each address says to EHLO. */
#include "probe.h"

#include "exits.h"
#include "seqpacket.h"
#include "session.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROBE_CONNECT_SECONDS 10
#define PROBE_REPLY_SECONDS 30

static const char *status_words(const struct resolve_answer *a)
{
  switch (a->status) {
  case RESOLVE_OK:
    return "mail goes to its MXs";
  case RESOLVE_NULLMX:
    return "takes no mail at all (null MX): mail is refused, 5.1.10";
  case RESOLVE_NODOMAIN:
    return "does not exist: mail is refused, 5.1.2";
  case RESOLVE_NOADDRESS:
    return "has neither MX nor address: mail is refused, 5.1.2";
  case RESOLVE_SELF:
    return "has this host as its best MX: mail is refused, 5.4.6";
  case RESOLVE_AGAIN:
    break;
  }
  return "cannot be looked up now: mail waits, 4.4.3";
}

static void print_lines(const struct mxreply *r)
{
  printf("    %.*s\n", (int)r->text_len, r->text);
}

/* One address: connect, banner, EHLO, QUIT. True if it would take a transaction. */
static bool probe_address(const struct resolve_answer *a, uint32_t i, const char *me)
{
  static struct session s;
  struct outcome outcome = {0};
  char offers[256];
  int fds[2];

  memset(&s, 0, sizeof(s));
  if (seqpacket_pair(fds) == -1) {
    return false;
  }
  /* Nobody speaks at the other end; it is open so that the session is wanted. */
  loglines_init(&s.log, open("/dev/null", O_WRONLY | O_CLOEXEC), false);
  wire_init(&s.wire, fds[0], &s.log);
  snprintf(s.open.helo, sizeof(s.open.helo), "%s", me);
  s.open.host_count = 1;
  s.open.hosts[0].ip = a->addresses[i].ip;
  s.open.hosts[0].port = 25;
  memcpy(s.open.hosts[0].name, a->hosts[a->addresses[i].host].name, 256);
  s.open.timeouts = (struct work_timeouts){.connect = PROBE_CONNECT_SECONDS,
                                           .banner = PROBE_REPLY_SECONDS,
                                           .helo = PROBE_REPLY_SECONDS,
                                           .quit = 1};
  if (session_connect(&s, &outcome) == 0) {
    session_extensions(&s, offers, sizeof(offers));
    printf("  %s: ready, %s\n", s.host, offers);
    print_lines(&s.reply);
    session_quit(&s);
    wire_close(&s.wire);
  } else {
    printf("  %s: %s\n", s.host, outcome.reply);
  }
  close(s.log.fd);
  close(fds[0]);
  close(fds[1]);
  return s.usable;
}

int probe_domain(const char *domain, const struct dns_config *config)
{
  static struct resolve_answer a;
  uint32_t usable = 0;

  if (dns_ask(config, domain, true, &a) == -1) {
    return EXIT_TEMPORARY;
  }
  printf("%s %s\n", domain, status_words(&a));
  if (*a.text) {
    printf("  %s\n", a.text);
  }
  if (a.status != RESOLVE_OK) {
    return a.status == RESOLVE_AGAIN ? EXIT_TEMPORARY : EXIT_PERMANENT;
  }
  for (uint32_t i = 0; i < a.host_count; i++) {
    printf("  MX %u %s\n", a.hosts[i].preference, a.hosts[i].name);
  }
  printf("  answers are good for %u seconds\n", a.ttl);
  for (uint32_t i = 0; i < a.address_count; i++) {
    usable += probe_address(&a, i, config->rules.me);
  }
  return usable > 0 ? EXIT_OK : EXIT_TEMPORARY;
}
