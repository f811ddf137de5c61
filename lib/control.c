#include "control.h"

#include "address.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char error_text[2 * CONTROL_LINE_MAX];

const char *control_error(void)
{
  return error_text;
}

/* line 0: the file as a whole. */
static void set_error(const char *name, unsigned line, const char *format, va_list ap)
{
  int n;

  if (line > 0) {
    n = snprintf(error_text, sizeof(error_text), "control/%s:%u: ", name, line);
  } else {
    n = snprintf(error_text, sizeof(error_text), "control/%s: ", name);
  }
  if (n >= 0 && (size_t)n < sizeof(error_text)) {
    vsnprintf(error_text + n, sizeof(error_text) - (size_t)n, format, ap);
  }
}

enum control_result control_fail(const char *name, unsigned line, const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  set_error(name, line, format, ap);
  va_end(ap);
  return CONTROL_MALFORMED;
}

__attribute__((format(printf, 2, 3))) static enum control_result unreadable(const char *name,
                                                                            const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  set_error(name, 0, format, ap);
  va_end(ap);
  return CONTROL_UNREADABLE;
}

/* Reads size bytes, or fewer if the file has fewer now; one byte of text stays free for a NUL. */
static enum control_result read_all(const char *name, int fd, char *text, size_t size, size_t *len)
{
  ssize_t n;

  *len = 0;
  while (*len < size) {
    n = read(fd, text + *len, size - *len);
    if (n == 0) {
      break;
    }
    if (n == -1 && errno != EINTR) {
      return unreadable(name, "%s", strerror(errno));
    }
    *len += n > 0 ? (size_t)n : 0;
  }
  text[*len] = '\0';
  return CONTROL_OK;
}

static enum control_result read_open(const char *name, int fd, char **text, size_t *len)
{
  enum control_result result;
  struct stat st;

  if (fstat(fd, &st) == -1) {
    return unreadable(name, "%s", strerror(errno));
  }
  if (!S_ISREG(st.st_mode)) {
    return unreadable(name, "not a regular file");
  }
  if (st.st_size > CONTROL_FILE_MAX) {
    return control_fail(name, 0, "over %d bytes", CONTROL_FILE_MAX);
  }
  *text = malloc((size_t)st.st_size + 1);
  if (!*text) {
    return unreadable(name, "%s", strerror(errno));
  }
  result = read_all(name, fd, *text, (size_t)st.st_size, len);
  if (result != CONTROL_OK) {
    free(*text);
    *text = NULL;
  }
  return result;
}

/* The whole file, to be freed, NUL-terminated. */
static enum control_result read_file(const char *name, char **text, size_t *len)
{
  enum control_result result;
  char path[256];
  int fd;

  if ((size_t)snprintf(path, sizeof(path), "control/%s", name) >= sizeof(path)) {
    return unreadable(name, "%s", strerror(ENAMETOOLONG));
  }
  /* Non-blocking, so that a FIFO is refused instead of waited for. */
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd == -1) {
    return errno == ENOENT ? CONTROL_MISSING : unreadable(name, "%s", strerror(errno));
  }
  result = read_open(name, fd, text, len);
  close(fd);
  return result;
}

/* Checks the len bytes of a line and cuts blanks at its end; the new end in *trimmed. */
static enum control_result check_line(const char *name, unsigned line, const char *s, size_t len,
                                      size_t *trimmed)
{
  size_t i;

  while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
    len--;
  }
  if (len > CONTROL_LINE_MAX) {
    return control_fail(name, line, "longer than %d bytes", CONTROL_LINE_MAX);
  }
  for (i = 0; i < len; i++) {
    if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f) {
      return control_fail(name, line, "control byte 0x%02x", (unsigned)s[i]);
    }
  }
  *trimmed = len;
  return CONTROL_OK;
}

static size_t line_length(const char *s, size_t len)
{
  const char *end = memchr(s, '\n', len);

  return end ? (size_t)(end - s) : len;
}

enum control_result control_line(const char *name, char *value, size_t size)
{
  enum control_result result;
  char *text;
  size_t len;

  result = read_file(name, &text, &len);
  if (result != CONTROL_OK) {
    return result;
  }
  result = check_line(name, 1, text, line_length(text, len), &len);
  if (result == CONTROL_OK && len >= size) {
    result = control_fail(name, 1, "longer than %zu bytes", size - 1);
  }
  if (result == CONTROL_OK) {
    memcpy(value, text, len);
    value[len] = '\0';
  }
  free(text);
  return result;
}

static enum control_result parse_number(const char *name, unsigned line, const char *s, size_t len,
                                        uint64_t min, uint64_t max, uint64_t *value)
{
  uint64_t number;

  if (scan_u64(s, len, max, &number) == -1 || number < min) {
    return control_fail(name, line, "not a number from %llu to %llu: %.*s", (unsigned long long)min,
                        (unsigned long long)max, (int)len, s);
  }
  *value = number;
  return CONTROL_OK;
}

enum control_result control_u64(const char *name, uint64_t min, uint64_t max, uint64_t *value)
{
  char text[CONTROL_LINE_MAX + 1];
  enum control_result result;

  result = control_line(name, text, sizeof(text));
  if (result != CONTROL_OK) {
    return result;
  }
  return parse_number(name, 1, text, strlen(text), min, max, value);
}

enum control_result control_u64_list(const char *name, uint64_t min, uint64_t max, uint64_t *values,
                                     size_t capacity, size_t *count)
{
  struct control_list list;
  enum control_result result;
  size_t i, n = 0, len;
  const char *s;

  result = control_list(name, &list);
  if (result != CONTROL_OK) {
    return result;
  }
  for (i = 0; i < list.count && result == CONTROL_OK; i++) {
    for (s = list.lines[i] + strspn(list.lines[i], " \t"); *s && result == CONTROL_OK;
         s += strspn(s, " \t")) {
      len = strcspn(s, " \t");
      if (n == capacity) {
        result = control_fail(name, list.number[i], "more than %zu numbers", capacity);
      } else {
        result = parse_number(name, list.number[i], s, len, min, max, &values[n++]);
      }
      s += len;
    }
  }
  control_list_free(&list);
  if (result == CONTROL_OK && n == 0) {
    result = control_fail(name, 1, "no number");
  }
  if (result == CONTROL_OK) {
    *count = n;
  }
  return result;
}

static enum control_result split_lines(const char *name, struct control_list *list, size_t len)
{
  enum control_result result;
  size_t at, end, trimmed;
  unsigned number = 0;

  for (at = 0; at < len; at = end + 1) {
    end = at + line_length(list->text + at, len - at);
    number++;
    result = check_line(name, number, list->text + at, end - at, &trimmed);
    if (result != CONTROL_OK) {
      return result;
    }
    if (trimmed == 0 || list->text[at] == '#') {
      continue;
    }
    list->text[at + trimmed] = '\0';
    list->lines[list->count] = list->text + at;
    list->number[list->count] = number;
    list->count++;
  }
  return CONTROL_OK;
}

enum control_result control_list(const char *name, struct control_list *list)
{
  enum control_result result;
  size_t len, i, most = 1;

  *list = (struct control_list){.text = NULL};
  result = read_file(name, &list->text, &len);
  if (result != CONTROL_OK) {
    return result;
  }
  for (i = 0; i < len; i++) {
    most += list->text[i] == '\n';
  }
  list->lines = calloc(most, sizeof(*list->lines));
  list->number = calloc(most, sizeof(*list->number));
  if (!list->lines || !list->number) {
    result = unreadable(name, "%s", strerror(ENOMEM));
  } else {
    result = split_lines(name, list, len);
  }
  if (result != CONTROL_OK) {
    control_list_free(list);
  }
  return result;
}

void control_list_free(struct control_list *list)
{
  free(list->text);
  free(list->lines);
  free(list->number);
  *list = (struct control_list){.text = NULL};
}

enum control_result control_me(char *value, size_t size)
{
  char host[ADDRESS_DOMAIN_MAX + 2] = "";
  enum control_result result;

  result = control_line("me", value, size);
  if (result == CONTROL_OK && !address_domain_valid(value, strlen(value), false)) {
    return control_fail("me", 1, "not a domain: %s", value);
  }
  if (result != CONTROL_MISSING) {
    return result;
  }
  /* A name that was cut has no NUL at the end, and is none. */
  if (gethostname(host, sizeof(host)) == -1 || host[sizeof(host) - 1] != '\0' ||
      !address_domain_valid(host, strlen(host), false)) {
    strcpy(host, "localhost");
  }
  if (strlen(host) >= size) {
    return control_fail("me", 0, "missing, and the host name is longer than %zu bytes", size - 1);
  }
  strcpy(value, host);
  return CONTROL_OK;
}
