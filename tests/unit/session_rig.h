/*
 * tests/unit/session_rig.h - a session, driven by hand, with a trace of its effects: a word each, a reply's
 * code or the effect's name.
 */
#pragma once

#include <glib.h>

#include "smtp/session.h"

extern const struct smtp_service rig_smtp, rig_lmtp;
extern const struct smtp_client rig_client; /* who may nothing that not all may */

/* All effects that wait. *ret_ticket (may be NULL) is that of the last question among them. */
void rig_pull(struct smtp_session *s, GString *trace, uint64_t *ret_ticket);

/* Feeds until nothing more is taken. What is left of `text` is returned. */
const char *rig_feed(struct smtp_session *s, const char *text, msec_t now, GString *trace,
                     uint64_t *ret_ticket);

/* At time 0. */
void rig_answer(struct smtp_session *s, uint64_t ticket, enum smtp_outcome outcome, GString *trace);

/* A session whose transaction has one recipient, who was taken; all at time 0. */
struct smtp_session *rig_with_recipient(const struct smtp_service *service, const char *mail);

/* And forgets it. */
#define assert_trace(trace, want) (assert_string_equal((trace)->str, want), g_string_truncate(trace, 0))
