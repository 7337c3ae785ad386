/*
 * tests/sim/trace.h - what happened in a world, a line each: when, who, what. For people to read (--trace),
 * or only mixed into one number (--digest), which two runs of a world have in common if all their lines are
 * the same.
 *
 * Ownership: the caller's. NULL is a trace of which nobody wants to know, and costs a test of a pointer.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"

struct trace_log;

struct trace_log *trace_log_new(FILE *out); /* NULL: none; then there is only the number */
void trace_log_free(struct trace_log *t);
uint64_t trace_log_digest(const struct trace_log *t);

/* The instant of all lines from now on, in microseconds. */
void trace_log_set_time(struct trace_log *t, int64_t now_us);

void trace_log(struct trace_log *t, const char *who, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* What a connection's end says, a line for each of its lines; what is not printable is escaped. `said`: by
 * the client. */
void trace_log_dialogue(struct trace_log *t, const char *who, char said, struct slice octets);
