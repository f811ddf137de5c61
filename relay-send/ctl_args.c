#include "ctl_args.h"

#include "id.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char ctl_args_help[] =
  "usage: relay-ctl [-d DIR] [--json] [--wide] [--limit N] COMMAND [WHAT]\n"
  "\n"
  "  stat [WHAT]    the relay, what is in trouble, its sites, its tenants (--wide: all of it)\n"
  "  list [WHAT]    the recipients in the queue\n"
  "  why ID         what holds a message, the last reply, the next attempt\n"
  "  retry WHAT     try it now\n"
  "  hold WHAT      keep it, and what comes later, from being tried\n"
  "  release WHAT   end a hold\n"
  "  bounce WHAT    return it to its sender\n"
  "  drop WHAT      forget it, and tell nobody\n"
  "\n"
  "WHAT is ID, id:ID, tenant:NAME, site:NAME, domain:NAME or all.\n"
  "Status: 0 done, 1 refused (no such message, not held), 100 wrong use or not permitted,\n"
  "111 relay is not running.\n";

static const char *const asking[] = {"stat", "list", "why", NULL};
static const char *const acting[] = {"retry", "hold", "release", "bounce", "drop", NULL};

static bool in(const char *word, const char *const *words)
{
  for (; *words; words++) {
    if (strcmp(word, *words) == 0) {
      return true;
    }
  }
  return false;
}

bool ctl_args_asks(const char *verb)
{
  return in(verb, asking);
}

static int wrong(struct ctl_args *args, const char *text, const char *word)
{
  snprintf(args->wrong, sizeof args->wrong, "%s%s%s", text, *word ? ": " : "", word);
  return -1;
}

static int parse_what(struct ctl_args *args, const char *what)
{
  static const char *const kinds[] = {"id", "tenant", "site", "domain", NULL};
  const char *colon = strchr(what, ':');
  struct ctl_request *q = &args->request;

  if (strcmp(what, "all") == 0) {
    strcpy(q->kind, "all");
    return 0;
  }
  if (id_valid(what, strlen(what))) {
    strcpy(q->kind, "id");
    strcpy(q->value, what);
    return 0;
  }
  if (!colon || colon - what >= CTL_VERB_SIZE) {
    return wrong(args, "not an id, id:X, tenant:X, site:X, domain:X or all", what);
  }
  memcpy(q->kind, what, (size_t)(colon - what));
  if (!in(q->kind, kinds)) {
    return wrong(args, "not an id, id:X, tenant:X, site:X, domain:X or all", what);
  }
  if (!colon[1] || strlen(colon + 1) > sizeof q->value - 32) {
    return wrong(args, "nothing, or too much, after the colon", what);
  }
  strcpy(q->value, colon + 1);
  if (strcmp(q->kind, "domain") == 0) {
    scan_lowercase(q->value, strlen(q->value));
  }
  if (strcmp(q->kind, "id") == 0 && !id_valid(q->value, strlen(q->value))) {
    return wrong(args, "not a message id", q->value);
  }
  return 0;
}

/* An option at argv[*at]: 1, 0 if it is none, -1 if it is wrong. */
static int parse_option(struct ctl_args *args, int argc, char **argv, int *at)
{
  const char *word = argv[*at];

  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    args->help = true;
  } else if (strcmp(word, "--json") == 0) {
    args->json = true;
  } else if (strcmp(word, "--wide") == 0) {
    args->wide = true;
  } else if (strcmp(word, "-d") == 0 || strcmp(word, "--limit") == 0) {
    if (*at + 1 == argc) {
      return wrong(args, "something must follow", word);
    }
    const char *value = argv[++*at];
    if (word[1] == 'd') {
      args->directory = value;
    } else if (scan_u64(value, strlen(value), UINT32_MAX, &args->request.limit) == -1) {
      return wrong(args, "not a number", value);
    }
  } else {
    return word[0] == '-' && word[1] ? wrong(args, "unknown option", word) : 0;
  }
  return 1;
}

static int check(struct ctl_args *args, unsigned words)
{
  struct ctl_request *q = &args->request;

  if (words == 0) {
    return wrong(args, "no command", "");
  }
  if (words == 1) {
    strcpy(q->kind, "all");
    /* What changes the queue is never meant for all by leaving a word out. */
    if (in(q->verb, acting) || strcmp(q->verb, "why") == 0) {
      return wrong(args, "what? an id, tenant:X, site:X, domain:X or all must follow", q->verb);
    }
  }
  if (strcmp(q->verb, "why") == 0 && strcmp(q->kind, "id") != 0) {
    return wrong(args, "why needs the id of a message", "");
  }
  if (args->wide && strcmp(q->verb, "stat") != 0) {
    return wrong(args, "--wide is for stat", "");
  }
  if (q->limit > 0 && strcmp(q->verb, "stat") == 0) {
    return wrong(args, "stat counts all recipients: --limit is not for it", "");
  }
  if (strcmp(q->verb, "stat") == 0 && strcmp(q->kind, "id") == 0) {
    return wrong(args, "stat is of all, tenant:X, site:X or domain:X; of a message ask why", "");
  }
  return 0;
}

int ctl_args_parse(int argc, char **argv, struct ctl_args *args)
{
  unsigned words = 0;

  memset(args, 0, sizeof *args);
  for (int i = 1; i < argc; i++) {
    int option = parse_option(args, argc, argv, &i);
    if (option == -1) {
      return -1;
    }
    if (option == 1) {
      continue;
    }
    if (words == 0 && !in(argv[i], asking) && !in(argv[i], acting)) {
      return wrong(args, "unknown command", argv[i]);
    }
    if (words == 0) {
      strcpy(args->request.verb, argv[i]);
    } else if (words == 1 && parse_what(args, argv[i]) == -1) {
      return -1;
    } else if (words > 1) {
      return wrong(args, "one selection at a time", argv[i]);
    }
    words++;
  }
  return args->help ? 0 : check(args, words);
}
