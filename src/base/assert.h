/*
 * base/assert.h - pst_assert: a bug is reported and ends the process, in every build.
 * Never on bytes, files or plugin answers from outside: those are outcomes or errors.
 */
#pragma once

#include <stdnoreturn.h>

/* Called by a failed pst_assert. Prints one line on standard error, then aborts. */
noreturn void pst_assert_failed(const char *expression, const char *file, int line, const char *function);

#define pst_assert(expression)                                                                               \
    (__builtin_expect(!!(expression), 1) ? (void)0                                                           \
                                         : pst_assert_failed(#expression, __FILE__, __LINE__, __func__))
