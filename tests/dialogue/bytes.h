/*
 * tests/dialogue/bytes.h - bytes as scripts write them: "text\r\n", with \r \n \t \0 \\ \" and \xHH; "a"*1000
 * repeats; several in a row are one. And bytes as reports show them, in the same form.
 */
#pragma once

#include <glib.h>

#include "base/slice.h"

/* Appends what `text` (all of it) says. 0, or -EINVAL and *ret_problem (static) with part of it appended. */
int bytes_parse(const char *text, GString *to, const char **ret_problem);

/* In quotes, and cut when it is long; g_free it. */
char *bytes_quote(struct slice bytes);
