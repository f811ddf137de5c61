#ifndef HOME_H
#define HOME_H

/*
 * The relay's directory, which holds control/, queue/ and run/. With a
 * directory (option -d) that one; otherwise the working directory if it has
 * control/ and run/; otherwise conf-relay. Returns 0 having changed into it,
 * or -1 with errno.
 */
int home_enter(const char *directory);

/*
 * The options of a program that has no others: -d DIR (then in *directory, else
 * that is left alone) and --help. Returns -1 to go on, or the status to exit
 * with: help was asked for, or the options are wrong, and usage is printed.
 */
int home_options(int argc, char **argv, const char *usage, const char **directory);

/* What conf-relay said at build time. */
extern const char home_default[];

#endif
