/*
 * tests/fault/scene.h - clients who deliver to a worker on the simulated seams, each reply that they got, and
 * what the worker left in the maildirs. What a disk may do to it meanwhile is the test's. A broken promise
 * fails the running test.
 */
#pragma once

#include <glib.h>

#include "delivery/table.h"
#include "disk/disk_sim.h"
#include "host_play.h"
#include "reactor/reactor_sim.h"
#include "worker/worker.h"

enum { SCENE_CLIENTS = 5, SCENE_BOXES = 3 };

enum scene_handler {
    SCENE_NO_HANDLER,
    SCENE_EDITS,    /* adds a header field */
    SCENE_REPLACES, /* the same, and gives the whole message back */
};

struct scene_plan {
    const char *name;
    enum smtp_protocol protocol;
    enum delivery_sync sync;
    size_t size;       /* octets of each message's text, about */
    size_t recipients; /* of each: box0@, box1@ ... */
    size_t clients; /* when the first one's message is being committed, the others' come: they are a batch */
    size_t late;    /* so many of these come while that batch is committed, and are the next one */
    unsigned sync_alls; /* where no call fails; 0: any number */
    bool two_disks;     /* the last recipient's mailbox lies in a file system of its own */
    bool syncs_each;    /* no file system can be synced as a whole */
    bool abandons;      /* clients go when half of the message has been sent */
    bool shares_file;   /* single-instance */
    bool creates;       /* box0 is missing, and box1 half there */
    bool has_quota;     /* box0 has a maildirsize, and the others do not */
    bool seems_full;    /* it told so long ago that box0 has no room left, and that is not true */
    bool has_folder;    /* mail to box0 is for its folder .lists */
    enum scene_handler handler;
    bool has_alias; /* the first recipient is team@, which is box0 and box1 */
};

extern const struct scene_plan scene_plans[];
extern const size_t scene_plan_count;

struct scene_client {
    struct scene *scene;
    struct stream *stream;
    GString *wire, *stored; /* the message */
    GString *line;          /* of replies, not complete yet */
    bool abandons;
    int awaits;
    size_t asked;                /* recipients, of RCPT or of LMTP's last replies */
    unsigned codes[SCENE_BOXES]; /* what became of each recipient; 0: no answer came */
};

struct scene {
    const struct scene_plan *plan;
    struct reactor *reactor;
    struct router *router;
    struct table *aliases;
    struct worker *worker;
    struct pst_log log;
    struct worker_share share;
    struct worker_listener listener;
    struct worker_settings settings;
    bool drained;
    struct wire_handler handler;
    struct handler_scope scope;
    struct handler_settings handlers;
    struct host_play play;
    size_t client_count;
    struct scene_client clients[SCENE_CLIENTS + 1];
};

/* Disk, maildirs and worker are there; nothing has begun. */
void scene_init(struct scene *s, const struct scene_plan *plan);
/* Until the clients have left and the worker has drained, and has let go of everything. */
void scene_run(struct scene *s);
/* 37 hours later, when all of that is over: another worker, which removes what was left in tmp/, and one more
 * client, who delivers to the same recipients and is told 250. */
void scene_resume(struct scene *s);
void scene_forget(struct scene *s); /* that client, whose mail is no longer looked for */
void scene_clear(struct scene *s);

/*
 * Whatever is visible in a new/ is a client's whole message, under a name that tells its sizes; there is one
 * for each 250, and at most one for each recipient.
 */
void scene_check(const struct scene *s);
/* Moreover, there is none where no 250 was said; and who was refused was told to come again. */
void scene_check_refusals(const struct scene *s);
/* No crash has been: the quotas' files do not tell less than there is. */
void scene_check_quotas(const struct scene *s);
void scene_check_success(const struct scene *s); /* nobody was refused */
size_t scene_staged(const struct scene *s);      /* files in all tmp/ */
