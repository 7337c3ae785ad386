/*
 * tests/contract/reactor_diary.h - a world whose timers and jobs write their letters into a text, which in
 * the end is what the case wants.
 */
#pragma once

#include "reactor_contract.h"

struct diary {
    struct world w;
    GString *text;
};

struct entry {
    struct diary *d;
    char letter;
    struct timer *t;
    msec_t not_before;
    void (*then)(struct entry *e); /* when its timer has fired; NULL: closes that */
    struct entry *other;           /* for `then` */
    msec_t again_at;               /* for `then` */
};

void diary_begin(struct diary *d);
void diary_end(struct diary *d, const char *want); /* all is closed, or closes itself */

struct entry entry_of(struct diary *d, char letter);
void entry_start(struct entry *e, msec_t deadline); /* its timer, which is made the first time */
void entry_on_fire(void *entry);                    /* for a timer that the case makes */
