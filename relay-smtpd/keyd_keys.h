#ifndef KEYD_KEYS_H
#define KEYD_KEYS_H

#include "keyd_key.h"

/*
 * All keys of relay-keyd, as control/servercert lists them: a line each, CHAIN
 * [KEY [NAME ...]], files below control/ unless they begin with "/". Without
 * KEY the chain's file holds the private key too.
 *
 * In two steps: the files are opened by who may (root), which reads none of
 * them, and parsed by who has given up root, which opens none.
 */
#define KEYD_KEYS_MAX 100

#define KEYD_FILE_NAME_SIZE 1100

struct keyd_file {
  char name[KEYD_FILE_NAME_SIZE]; /* as in messages: "control/tls/mx.pem" */
  int fd;
};

struct keyd_line {
  unsigned number;
  char *names; /* the words behind the files; in the list's text */
  struct keyd_file chain, key;
};

struct keyd_lines {
  struct keyd_line *lines;
  size_t count;
  void *list; /* keyd_keys.c's own */
};

/* Reads the list and opens its files. 0, or -1 with keyd_keys_error(). Close it in any case. */
int keyd_lines_open(struct keyd_lines *l);
void keyd_lines_close(struct keyd_lines *l);

struct keyd_keys {
  struct keyd_key *keys[KEYD_KEYS_MAX];
  size_t count;
};

/* Parses what was opened. 0, or -1 with keyd_keys_error(). */
int keyd_keys_load(struct keyd_keys *keys, const struct keyd_lines *l);
void keyd_keys_free(struct keyd_keys *keys);
const char *keyd_keys_error(void);

/*
 * From now on the name of the file that is being opened or read is kept in at,
 * "" when none is: for another process, in shared memory, to say what this one
 * waits for. NULL: no longer.
 */
void keyd_keys_tell(char at[KEYD_FILE_NAME_SIZE]);

/*
 * The key for that server name of a kind that the client takes: among those
 * for the name; if none of them will do, among those without names; then among
 * all. ECDSA before RSA, then the first. NULL: none of that kind.
 */
struct keyd_key *keyd_keys_choose(const struct keyd_keys *keys, const char *server_name,
                                  unsigned kinds);

#endif
