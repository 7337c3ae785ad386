/*
 * server/offline.h - handlers on one message, with nothing delivered: by the same host program that workers
 * use, which is waited for. Ownership: the question is borrowed, and outlives the answer; offline_clear frees
 * what the answer has. Failure of handlers is an answer.
 */
#pragma once

#include <glib.h>

#include "handlers/lone_host.h"
#include "server/settings.h"

struct offline_question {
    const struct settings *settings;
    const char *listener, *protocol, *client, *helo; /* as the envelope has them */
    const char *from;                                /* "": the null reverse-path */
    char **to;                                       /* one or more addresses; ends in NULL */
    int message;                                     /* from its beginning; lines end in LF */
    uint64_t size;
};

/* What it comes to for all recipients, as where there is one reply for all: DEFER goes before REJECT, and
 * those before DELIVER. */
enum offline_result { OFFLINE_DELIVER, OFFLINE_REJECT, OFFLINE_DEFER, OFFLINE_DISCARD, OFFLINE_FAILURE };
extern const char *const offline_result_names[];

struct offline_answer {
    enum offline_result result;
    char *failure; /* of a FAILURE: why, in a sentence */
    char *reply;   /* of a FAILURE: what a client of the server would be told; NULL: it would be delivered */
    GPtrArray *recipients; /* struct wire_recipient: what each led to */
    struct wire_verdict verdict;
    struct wire_frame frame; /* that the verdict lies in */
    struct lone_host host;   /* which has ended; its scratch file is a message that was replaced */
};

/* Is told what handlers say; `handler` is its name. */
struct offline_log {
    void (*tell)(void *owner, const char *handler, const char *level, const char *text);
    void *owner;
};

void offline_ask(const struct offline_question *q, const struct offline_log *log,
                 struct offline_answer *ret_answer);
void offline_answer_clear(struct offline_answer *a);
AUTO_VAL_DEFINE(offline_answer);
