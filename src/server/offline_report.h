/*
 * server/offline_report.h - what handlers decided about one message, for people and for programs, and the
 * message as it would be stored, without trace fields. Failure: -errno of reading the message or writing.
 */
#pragma once

#include <stdio.h>

#include "server/offline.h"

/* Lines of text, without control characters of whoever wrote the message; or one JSON object on one line. */
int offline_report_text(const struct offline_question *q, const struct offline_answer *a, FILE *to);
int offline_report_json(const struct offline_question *q, const struct offline_answer *a, FILE *to);

/* For an answer that is no FAILURE. */
int offline_write_message(const struct offline_question *q, const struct offline_answer *a, FILE *to);
