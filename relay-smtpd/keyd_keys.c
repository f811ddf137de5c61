#include "keyd_keys.h"

#include "control.h"
#include "tls_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST "servercert"

static char error_text[2600];
static char *told_at;

const char *keyd_keys_error(void)
{
  return error_text;
}

void keyd_keys_tell(char at[KEYD_FILE_NAME_SIZE])
{
  told_at = at;
}

static void at_file(const char *name)
{
  if (told_at) {
    snprintf(told_at, KEYD_FILE_NAME_SIZE, "%s", name);
  }
}

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  vsnprintf(error_text, sizeof error_text, format, ap);
  va_end(ap);
  return -1;
}

#define FAIL_LINE(number, format, ...) fail("control/" LIST ":%u: " format, (number), __VA_ARGS__)

/* Ends the first word of s; returns what follows it. */
static char *cut_word(char *s)
{
  char *end = s + strcspn(s, " \t");

  if (*end) {
    *end++ = '\0';
  }
  return end + strspn(end, " \t");
}

static int open_file(unsigned line, const char *word, struct keyd_file *f)
{
  struct stat st;

  snprintf(f->name, sizeof f->name, "%s%s", *word == '/' ? "" : "control/", word);
  at_file(f->name);
  /* Not blocking: a FIFO or a device in the list must not hold us. */
  f->fd = open(f->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (f->fd == -1) {
    return FAIL_LINE(line, "unable to open %s: %s", f->name, strerror(errno));
  }
  if (fstat(f->fd, &st) == -1 || !S_ISREG(st.st_mode)) {
    return FAIL_LINE(line, "%s is not a regular file", f->name);
  }
  at_file("");
  return 0;
}

/* A private key that others can read is none. */
static int check_mode(unsigned line, const struct keyd_file *f)
{
  struct stat st;

  if (fstat(f->fd, &st) == 0 && (st.st_mode & S_IRWXO) == 0) {
    return 0;
  }
  return FAIL_LINE(line, "%s has a private key and everybody can read it: chmod 600", f->name);
}

static int open_line(struct keyd_line *l, char *text)
{
  char *chain = text + strspn(text, " \t"), *key = cut_word(chain);

  l->names = cut_word(key);
  if (open_file(l->number, chain, &l->chain) < 0 ||
      open_file(l->number, *key ? key : chain, &l->key) < 0) {
    return -1;
  }
  return check_mode(l->number, &l->key);
}

int keyd_lines_open(struct keyd_lines *l)
{
  struct control_list *list = calloc(1, sizeof *list);

  *l = (struct keyd_lines){.list = list};
  if (!list) {
    return fail("out of memory");
  }
  at_file("control/" LIST);
  switch (control_list(LIST, list)) {
  case CONTROL_OK:
    break;
  case CONTROL_MISSING:
    return fail("there is no control/" LIST ": it lists the certificates, see relay-keyd(8)");
  default:
    return fail("%s", control_error());
  }
  if (list->count == 0 || list->count > KEYD_KEYS_MAX) {
    return fail("control/" LIST ": has %zu lines, must have 1 to %d", list->count, KEYD_KEYS_MAX);
  }
  l->lines = calloc(list->count, sizeof *l->lines);
  if (!l->lines) {
    return fail("out of memory");
  }
  for (size_t i = 0; i < list->count; i++) {
    l->lines[i].chain.fd = l->lines[i].key.fd = -1;
    l->lines[i].number = list->number[i];
    l->count++;
    if (open_line(&l->lines[i], list->lines[i]) < 0) {
      return -1;
    }
  }
  return 0;
}

void keyd_lines_close(struct keyd_lines *l)
{
  for (size_t i = 0; i < l->count; i++) {
    if (l->lines[i].chain.fd != -1) {
      close(l->lines[i].chain.fd);
    }
    if (l->lines[i].key.fd != -1) {
      close(l->lines[i].key.fd);
    }
  }
  free(l->lines);
  if (l->list) {
    control_list_free(l->list);
    free(l->list);
  }
  *l = (struct keyd_lines){.count = 0};
}

/* The whole file; one that is longer is refused by keyd_key_load(). */
static int slurp(const struct keyd_file *f, char *to, size_t *len)
{
  ssize_t n;

  at_file(f->name);
  for (*len = 0; *len < KEYD_FILE_MAX; *len += (size_t)n) {
    n = pread(f->fd, to + *len, KEYD_FILE_MAX - *len, (off_t)*len);
    if (n == -1) {
      return fail("unable to read %s: %s", f->name, strerror(errno));
    }
    if (n == 0) {
      break;
    }
  }
  at_file("");
  if (*len < KEYD_FILE_MAX) {
    to[(*len)++] = '\n'; /* a last line without its end is no error in PEM */
  }
  return 0;
}

static int add_names(struct keyd_key *k, unsigned line, char *names)
{
  while (*names) {
    char *next = cut_word(names);

    if (keyd_key_name(k, names) < 0) {
      return FAIL_LINE(line, "%s", keyd_key_error());
    }
    names = next;
  }
  return 0;
}

static int load_line(struct keyd_keys *keys, const struct keyd_line *l)
{
  static char chain[KEYD_FILE_MAX], key[KEYD_FILE_MAX];
  size_t chain_len, key_len;
  struct keyd_key *k = NULL;
  int result = -1;

  if (slurp(&l->chain, chain, &chain_len) == 0 && slurp(&l->key, key, &key_len) == 0) {
    k = keyd_key_load(l->chain.name, chain, chain_len, l->key.name, key, key_len);
    result = k ? add_names(k, l->number, l->names) : FAIL_LINE(l->number, "%s", keyd_key_error());
  }
  tls_wipe(chain, sizeof chain); /* may be the key's file, too */
  tls_wipe(key, sizeof key);
  if (result == 0) {
    keys->keys[keys->count++] = k;
  } else {
    keyd_key_free(k);
  }
  return result;
}

int keyd_keys_load(struct keyd_keys *keys, const struct keyd_lines *l)
{
  *keys = (struct keyd_keys){.count = 0};
  for (size_t i = 0; i < l->count; i++) {
    if (load_line(keys, &l->lines[i]) < 0) {
      keyd_keys_free(keys);
      return -1;
    }
  }
  return 0;
}

void keyd_keys_free(struct keyd_keys *keys)
{
  for (size_t i = 0; i < keys->count; i++) {
    keyd_key_free(keys->keys[i]);
  }
  keys->count = 0;
}

enum among { FOR_NAME, WITHOUT_NAMES, ALL };

static struct keyd_key *pick(const struct keyd_keys *keys, enum among among, const char *name,
                             unsigned kinds)
{
  for (size_t i = 0; i < keys->count; i++) {
    struct keyd_key *k = keys->keys[i];

    if ((k->kind & kinds) && (among == ALL || (among == WITHOUT_NAMES && k->name_count == 0) ||
                              (among == FOR_NAME && keyd_key_is_for(k, name)))) {
      return k;
    }
  }
  return NULL;
}

struct keyd_key *keyd_keys_choose(const struct keyd_keys *keys, const char *server_name,
                                  unsigned kinds)
{
  for (enum among among = *server_name ? FOR_NAME : WITHOUT_NAMES; among <= ALL; among++) {
    struct keyd_key *k = pick(keys, among, server_name, kinds & (KEYD_P256 | KEYD_P384));

    k = k ? k : pick(keys, among, server_name, kinds);
    if (k) {
      return k;
    }
  }
  return NULL;
}
