#ifndef HOME_H
#define HOME_H

/*
 * The relay's directory, which holds control/, queue/ and run/. With a
 * directory (option -d) that one; otherwise the working directory if it has
 * control/ and run/; otherwise conf-relay. Returns 0 having changed into it,
 * or -1 with errno.
 */
int home_enter(const char *directory);

/* What conf-relay said at build time. */
extern const char home_default[];

#endif
