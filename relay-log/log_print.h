#ifndef LOG_PRINT_H
#define LOG_PRINT_H

#include "log_line.h"

#include <stdio.h>

/* A text from a log for a terminal: control bytes and what is not UTF-8 as \xHH. */
void log_print(FILE *out, struct log_text text);
/* The same as a JSON string, quotes and all. */
void log_print_json(FILE *out, struct log_text text);

#endif
