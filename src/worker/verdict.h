/*
 * worker/verdict.h - from what a look-up or a delivery (-errno) or an exchange of AUTH came to, to what the
 * client is told. Pure.
 */
#pragma once

#include "auth/auth.h"
#include "delivery/router.h"
#include "smtp/outcome.h"

/* Of RCPT. `full` is the mailbox that has no room (-EDQUOT), or NULL. */
enum smtp_outcome verdict_of_lookup(int result, const struct mailbox *full);

/* Of one copy; `domain` is its mailbox's. */
enum smtp_outcome verdict_of_delivery(int result, const struct domain *domain);

/* Of a step of AUTH. */
enum smtp_outcome verdict_of_auth(enum auth_kind kind);
