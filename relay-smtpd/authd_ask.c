#include "authd_ask.h"

#include "envelope.h"

#include <string.h>

#define STRINGS 3

/* Appends s and its NUL. */
static bool put(struct authd_ask *ask, const char *s)
{
  size_t size = strlen(s) + 1;

  if (size > sizeof ask->input - ask->len) {
    return false;
  }
  memcpy(ask->input + ask->len, s, size);
  ask->len += (uint32_t)size;
  return true;
}

bool authd_ask_fill(struct authd_ask *ask, const struct authd_request *q, bool response_first)
{
  const char *second = response_first ? q->response : q->challenge;
  const char *third = response_first ? q->challenge : q->response;

  memset(ask, 0, sizeof *ask);
  if (ip_parse(q->client, strlen(q->client), &ask->client) < 0) {
    ask->client = (struct ip){.family = 0};
  }
  if (q->verb == 'P') {
    second = q->password;
    third = "";
  }
  return put(ask, q->user) && put(ask, second) && put(ask, third);
}

bool authd_ask_valid(const struct authd_ask *ask, ssize_t len)
{
  unsigned strings = 0;

  if (len != (ssize_t)sizeof *ask || ask->len == 0 || ask->len > sizeof ask->input ||
      ask->input[ask->len - 1] != '\0') {
    return false;
  }
  for (uint32_t i = 0; i < ask->len; i++) {
    strings += ask->input[i] == '\0';
  }
  return strings == STRINGS && envelope_tenant_valid(ask->input, strlen(ask->input)) &&
         (ask->client.family == 0 || ask->client.family == AF_INET ||
          ask->client.family == AF_INET6);
}
