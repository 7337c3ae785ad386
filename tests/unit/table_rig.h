/*
 * tests/unit/table_rig.h - tables as tests ask them: all that comes out is text, to g_free and to compare.
 */
#pragma once

#include "delivery/table.h"
#include "suite.h"

/* Aliases: targets are names of mailboxes, or addresses at example.org. */
extern const struct table_rules rig_aliases;

struct table *rig_open(const char *spec, const struct table_rules *rules); /* which nothing is wrong with */
/* What is wrong with it, in lines; it must be something. */
char *rig_refusal(const char *spec, const struct table_rules *rules);

/* "bob, carol", "none", or "unknown: WHY". The domain is example.org. */
char *rig_find(struct table *t, const char *name);
void rig_check(struct table *t, const char *name, const char *want); /* compares with that */

/* "1", or "0" and "-74" with the problems behind it, in lines. */
char *rig_refresh(struct table *t);
void rig_check_refresh(struct table *t, const char *want);

char *rig_problems(const struct diag *d); /* in lines; "" */
