#ifndef EXITS_H
#define EXITS_H

/* Exit statuses, as qmail has them. */
enum {
  EXIT_OK = 0,
  EXIT_USAGE = 100,     /* permanent: wrong use, malformed configuration */
  EXIT_PERMANENT = 100, /* permanent: trying again will not help */
  EXIT_TEMPORARY = 111  /* temporary: try again later */
};

#endif
