#include "replies.h"

#include "memory.h"
#include "scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define REPLIES_BLANKS " \t"

struct reply_rule {
  struct reply_rule *next;
  enum trouble kind;
  unsigned stages; /* a bit each, stage_bit() */
  char *site;      /* into pattern's block, behind its NUL */
  char pattern[];
};

static const struct {
  const char *word;
  enum stage stage;
} where[] = {
  {"connect", STAGE_CONNECT}, {"banner", STAGE_BANNER}, {"helo", STAGE_HELO}, {"tls", STAGE_TLS},
  {"mail", STAGE_MAIL},       {"rcpt", STAGE_RCPT},     {"data", STAGE_DATA}, {"dot", STAGE_DOT},
};
#define WHERE_COUNT (sizeof where / sizeof *where)
#define WHERE_ANY ((1u << WHERE_COUNT) - 1)

const char *trouble_name(enum trouble kind)
{
  static const char *const names[TROUBLE_KINDS] = {
    "", "ceiling", "rate", "reputation", "blocked", "slow", "broken", "down", "source"};

  return names[kind];
}

void replies_init(struct replies *replies)
{
  replies->first = replies->last = NULL;
}

void replies_free(struct replies *replies)
{
  while (replies->first) {
    struct reply_rule *rule = replies->first;
    replies->first = rule->next;
    free(rule);
  }
  replies_init(replies);
}

static unsigned stage_bit(enum stage stage)
{
  for (unsigned i = 0; i < WHERE_COUNT; i++) {
    if (where[i].stage == stage) {
      return 1u << i;
    }
  }
  return 0;
}

/* 0: not a list of stages. */
static unsigned parse_stages(const char *s, size_t len)
{
  unsigned stages = 0;

  if (len == 1 && *s == '*') {
    return WHERE_ANY;
  }
  while (len > 0) {
    const char *comma = memchr(s, ',', len);
    size_t word = comma ? (size_t)(comma - s) : len, i = 0;
    while (i < WHERE_COUNT && !scan_case_equal(s, word, where[i].word, strlen(where[i].word))) {
      i++;
    }
    if (i == WHERE_COUNT || (comma && word + 1 == len)) {
      return 0;
    }
    stages |= 1u << i;
    s += word + (comma != NULL);
    len -= word + (comma != NULL);
  }
  return stages;
}

/* -1: not a kind that a line may name. */
static int parse_kind(const char *s, size_t len)
{
  if (scan_case_equal(s, len, "none", 4)) {
    return TROUBLE_NONE;
  }
  for (int kind = TROUBLE_CEILING; kind <= TROUBLE_BLOCKED; kind++) {
    const char *name = trouble_name((enum trouble)kind);
    if (scan_case_equal(s, len, name, strlen(name))) {
      return kind;
    }
  }
  return -1;
}

const char *replies_add(struct replies *replies, const char *line)
{
  const char *column[4];
  size_t len[4];

  for (int i = 0; i < 4; i++) {
    line += strspn(line, REPLIES_BLANKS);
    column[i] = line;
    len[i] = i < 3 ? strcspn(line, REPLIES_BLANKS) : strlen(line);
    line += len[i];
  }
  if (len[3] == 0) {
    return "not KIND WHERE SITE PATTERN";
  }
  int kind = parse_kind(column[0], len[0]);
  if (kind == -1) {
    return "the kind is not one of none, ceiling, rate, reputation, blocked";
  }
  unsigned stages = parse_stages(column[1], len[1]);
  if (stages == 0) {
    return "the second column is neither * nor some of connect,banner,helo,tls,mail,rcpt,data,dot";
  }
  if (len[3] > REPLIES_PATTERN_MAX) {
    return "the pattern is longer than 500 bytes";
  }
  struct reply_rule *rule = memory_get(sizeof *rule + len[3] + len[2] + 2);
  rule->kind = (enum trouble)kind;
  rule->stages = stages;
  memcpy(rule->pattern, column[3], len[3]);
  rule->site = rule->pattern + len[3] + 1;
  memcpy(rule->site, column[2], len[2]);
  scan_lowercase(rule->pattern, len[3]);
  scan_lowercase(rule->site, len[2]);
  if (replies->last) {
    replies->last->next = rule;
  } else {
    replies->first = rule;
  }
  replies->last = rule;
  return NULL;
}

enum control_result replies_read(struct replies *replies)
{
  struct control_list list;
  enum control_result result = control_list("replies", &list);

  if (result == CONTROL_OK) {
    for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
      const char *wrong = replies_add(replies, list.lines[i]);
      if (wrong) {
        result = control_fail("replies", list.number[i], "%s: %s", wrong, list.lines[i]);
      }
    }
    control_list_free(&list);
  }
  for (const char *const *line = replies_built_in;
       *line && (result == CONTROL_OK || result == CONTROL_MISSING); line++) {
    replies_add(replies, *line);
  }
  return result;
}

static bool has_line(const struct control_list *list, const char *line)
{
  for (size_t i = 0; i < list->count; i++) {
    if (strcmp(list->lines[i], line) == 0) {
      return true;
    }
  }
  return false;
}

enum control_result replies_print(FILE *out)
{
  struct replies checked;
  struct control_list list = {0};

  replies_init(&checked);
  enum control_result result = replies_read(&checked);
  replies_free(&checked);
  if (result == CONTROL_OK) {
    result = control_list("replies", &list);
  }
  if (result != CONTROL_OK && result != CONTROL_MISSING) {
    return result;
  }
  fputs("# control/replies: the first line that fits decides\n", out);
  for (size_t i = 0; i < list.count; i++) {
    fprintf(out, "%s\n", list.lines[i]);
  }
  fputs("# the table in relay\n", out);
  for (const char *const *line = replies_built_in; *line; line++) {
    if (!has_line(&list, *line)) {
      fprintf(out, "%s\n", *line);
    }
  }
  control_list_free(&list);
  return CONTROL_OK;
}

/* A star takes the shortest text that lets the rest fit; only the last star is ever tried again. */
bool replies_match(const char *pattern, const char *text)
{
  const char *star = NULL, *from = NULL;

  while (*text) {
    if (*pattern == '*') {
      star = ++pattern;
      from = text;
    } else if (*pattern == *text || *pattern == '?') {
      pattern++;
      text++;
    } else if (star) {
      /* Go to where the byte behind the star is next; most texts end here. */
      from++;
      if (*star && *star != '?' && *star != '*') {
        from = strchr(from, *star);
      }
      if (!from) {
        return false;
      }
      pattern = star;
      text = from;
    } else {
      return false;
    }
  }
  pattern += strspn(pattern, "*");
  return *pattern == '\0';
}

/* In lower case, blanks single, the status ("5.7.1") only where it first appears. */
static void normalise(const char *reply, char *out, size_t size)
{
  char status[OUTCOME_STATUS_SIZE] = "";
  size_t n = 0;

  for (const char *s = reply + strspn(reply, " "); *s && n + 1 < size; s += strspn(s, " ")) {
    size_t word = strcspn(s, " "), len = word;
    if (!*status && n > 0 && word < sizeof status && isdigit((unsigned char)*s) &&
        strspn(s, "0123456789.") == word && s[1] == '.') {
      memcpy(status, s, word);
    } else if (*status && word == strlen(status) && strncmp(s, status, word) == 0) {
      s += word;
      continue;
    }
    if (n > 0) {
      out[n++] = ' ';
    }
    len = len < size - 1 - n ? len : size - 1 - n;
    memcpy(out + n, s, len);
    n += len;
    s += word;
  }
  out[n] = '\0';
  scan_lowercase(out, n);
}

enum trouble replies_find(const struct replies *replies, const char *site, const struct outcome *o)
{
  char text[OUTCOME_REPLY_SIZE], name[256];
  unsigned stage = stage_bit(o->stage);
  size_t len = strlen(site);

  if (o->code < 400) {
    return TROUBLE_NONE;
  }
  normalise(o->reply, text, sizeof text);
  len = len < sizeof name - 1 ? len : sizeof name - 1;
  memcpy(name, site, len);
  name[len] = '\0';
  scan_lowercase(name, len);
  for (const struct reply_rule *rule = replies->first; rule; rule = rule->next) {
    if ((rule->stages & stage) && replies_match(rule->pattern, text) &&
        replies_match(rule->site, name)) {
      return rule->kind;
    }
  }
  return TROUBLE_NONE;
}
