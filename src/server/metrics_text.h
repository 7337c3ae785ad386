/*
 * server/metrics_text.h - the figures of all workers as Prometheus reads them, in its text format 0.0.4.
 * A function of the rows, which may change meanwhile: each figure is true of some moment, and no counter is
 * ever less than it was.
 */
#pragma once

#include <glib.h>

#include "worker/worker.h"

void metrics_text_append(GString *to, const struct worker_share *shares, size_t count);
