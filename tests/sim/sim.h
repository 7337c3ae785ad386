/*
 * tests/sim/sim.h - what all parts of a simulated world share: how it fails, which mailboxes there are, and
 * what a promise is.
 *
 * Content says what is expected. A speaker (speaker.h) only produces octets; an oracle (oracle.h) reads what
 * was said and heard on a connection and derives from that alone what must be in which mailbox; the checker
 * of mail (mail.h) compares that with the disk. So whoever speaks, honest or not, goes through the same
 * checks.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- how a world fails ---- */

/* Prints "FAILED: " and the text, and aborts. */
_Noreturn void sim_fail(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The text says what was promised, in a world's words: not the condition. */
#define sim_check(condition, ...) (__builtin_expect(!!(condition), 1) ? (void)0 : sim_fail(__VA_ARGS__))

/* ---- who gets mail at example.org ---- */

enum { SIM_BOXES = 3 };
/* The last one's name is beyond ASCII: it needs SMTPUTF8. */
extern const char *const sim_boxes[SIM_BOXES];

/* The mailbox `name`, as one of sim_boxes; NULL: there is none. */
const char *sim_box(const char *name);

/* team@ is an alias of sim_boxes[0] and sim_boxes[1]; nobody@ is not there. */
#define SIM_DOMAIN "example.org"
#define SIM_TEAM   "team"
#define SIM_NOBODY "nobody"

/* ---- what handlers do ---- */

/* Where a world has handlers, a message whose content begins with "X-Act: NAME" tells what they do to it. */
enum sim_act {
    SIM_DELIVER, /* what has no such line, or another name */
    SIM_EDIT,    /* 250; in front of the content there is SIM_EDITED */
    SIM_REJECT,  /* 5xx */
    SIM_DEFER,   /* 4xx */
    SIM_DISCARD, /* 250, and nobody gets it */
    SIM_HANG,    /* this one and the next three: 4xx, never 250 */
    SIM_DIE,
    SIM_LIE,         /* what it says is nothing that a handler may say */
    SIM_LATE,        /* says that it is to be delivered, behind the time limit */
    SIM_DIE_PARSING, /* 554 5.6.0 */
    SIM_ACTS,
};
#define SIM_EDITED "X-Edited: yes\n"

enum sim_act sim_act_of(const uint8_t *content, size_t len);
const char *sim_act_name(enum sim_act act); /* "deliver" */

/* ---- promises ---- */

enum promise_fate {
    PROMISE_OPEN,    /* no answer has come: it is there once, or not at all */
    PROMISE_KEPT,    /* 250: it is there, once */
    PROMISE_REFUSED, /* it is not there */
};

/* One message to one mailbox, whose end was said. Its owner changes nothing of it but its fate. */
struct promise {
    const char *box;    /* one of sim_boxes */
    GBytes *content;    /* as it must be stored behind the trace header, before a handler's edit */
    const char *sender; /* its reverse-path, "<a@b>": interned */
    enum sim_act act;
    enum promise_fate fate;
    unsigned life; /* of the world: which worker it was said to */
};

/* A new one, open; takes a reference to the content, and its act from there if `has_handlers`. */
struct promise *promise_new(const char *box, GBytes *content, const char *sender, bool has_handlers,
                            unsigned life);
void promise_free(void *promise);
