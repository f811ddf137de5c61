/* What the resolver reads before it drops: its servers and what "ourselves" means. */
#include "dns.h"

#include "scan.h"

#include <stdio.h>
#include <string.h>

#define SERVER_PORT 53

/* "IP", "IP PORT", "IP:PORT", "[IP]:PORT" to c-ares' form; 0 or -1. */
static int parse_server(const char *line, char *out, size_t size)
{
  size_t len = strlen(line), n;
  uint64_t port = SERVER_PORT;
  char text[IP_TEXT_SIZE];
  const char *end;
  struct ip ip;

  if (*line == '[') {
    end = strchr(line, ']');
    if (!end || ip_parse(line + 1, (size_t)(end - line - 1), &ip) == -1) {
      return -1;
    }
    end++;
  } else if (ip_parse(line, len, &ip) == 0) {
    end = line + len;
  } else {
    n = strcspn(line, " \t");
    end = line[n] ? line + n : strrchr(line, ':');
    if (!end || ip_parse(line, (size_t)(end - line), &ip) == -1) {
      return -1;
    }
  }
  if (*end) {
    end++;
    end += strspn(end, " \t");
    if (scan_u64(end, strlen(end), 65535, &port) == -1 || port == 0) {
      return -1;
    }
  }
  ip_format(&ip, text);
  snprintf(out, size, ip.family == AF_INET ? "%s:%u" : "[%s]:%u", text, (unsigned)port);
  return 0;
}

/* Calls take for each line of a list; a line that it refuses is malformed. */
static enum control_result each_line(const char *name, struct dns_config *config,
                                     int (*take)(struct dns_config *config, const char *line),
                                     const char *wanted)
{
  struct control_list list;
  enum control_result result = control_list(name, &list);

  if (result == CONTROL_MISSING) {
    return CONTROL_OK;
  }
  if (result != CONTROL_OK) {
    return result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    if (take(config, list.lines[i]) == -1) {
      result = control_fail(name, list.number[i], "%s: %s", wanted, list.lines[i]);
    }
  }
  control_list_free(&list);
  return result;
}

static int take_server(struct dns_config *config, const char *line)
{
  size_t len = strlen(config->servers);
  char server[80];

  if (parse_server(line, server, sizeof(server)) == -1 ||
      len + strlen(server) + 2 > sizeof(config->servers)) {
    return -1;
  }
  snprintf(config->servers + len, sizeof(config->servers) - len, "%s%s", len ? "," : "", server);
  return 0;
}

static int take_own(struct dns_config *config, const char *line)
{
  struct route_rules *rules = &config->rules;

  if (rules->own_count == ROUTE_OWN_MAX ||
      ip_parse(line, strlen(line), &rules->own[rules->own_count]) == -1) {
    return -1;
  }
  rules->own_count++;
  return 0;
}

static int take_local(struct dns_config *config, const char *line)
{
  struct route_rules *rules = &config->rules;
  uint32_t n = rules->local_count;

  if (n == ROUTE_LOCAL_MAX ||
      ip_network_parse(line, strlen(line), &rules->local[n]) == -1) {
    return -1;
  }
  rules->local_count++;
  return 0;
}

enum control_result dns_config_read(struct dns_config *config)
{
  enum control_result result;

  memset(config, 0, sizeof(*config));
  result = control_me(config->rules.me, sizeof(config->rules.me));
  if (result != CONTROL_OK && result != CONTROL_MISSING) {
    return result;
  }
  result = each_line("resolver", config, take_server, "not an address with a port");
  if (result == CONTROL_OK) {
    result = each_line("ipme", config, take_own, "not an address, or too many");
  }
  if (result == CONTROL_OK) {
    result = each_line("mxlocal", config, take_local, "not an address or network, or too many");
  }
  return result;
}
