/*
 * server/log_sink.h - where log lines go: standard error, syslog, or a file.
 * The master writes each line at once. A worker's loop must not wait for a disk, so that there lines gather
 * for a moment and a job writes them, whole lines with one write(2), while the next ones gather. What gathers
 * is bounded: lines beyond that are dropped and counted, and a warning tells how many once there is room
 * again.
 *
 * Ownership: the sink owns the file and the logger. It is opened before privileges are dropped, and inherited
 * by workers. Failure: -errno when it cannot be opened; a write that fails loses its lines, which are counted
 * as dropped.
 */
#pragma once

#include "base/auto.h"
#include "base/log.h"
#include "reactor/reactor.h"

enum log_target_kind { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

struct log_target {
    enum log_target_kind kind;
    char *path; /* of a file */
};

struct log_options {
    struct log_target target;
    int format; /* enum pst_log_format */
    int level;  /* enum pst_log_level: below it nothing is logged */
};

struct log_sink;

int log_sink_open(const struct log_options *options, struct log_sink **ret_sink);
const struct pst_log *log_sink_log(struct log_sink *s); /* valid as long as the sink */

/* From here on lines gather and jobs of that reactor write them; until `detach`, whose reactor must then run
 * to its end. */
void log_sink_attach(struct log_sink *s, struct reactor *r);
void log_sink_detach(struct log_sink *s);

void log_sink_free(struct log_sink *s); /* writes what is left. NULL is welcome */
AUTO_PTR_DEFINE(log_sink);
