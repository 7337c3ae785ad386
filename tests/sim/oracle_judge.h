/*
 * tests/sim/oracle_judge.h - the oracle's law: which replies a command may have where it is said, and where
 * the conversation is behind it. Of what was said and heard, who knows of promises and pipelining is
 * oracle.c. Values; nothing fails.
 */
#pragma once

#include "content.h"
#include "oracle.h"
#include "phrase.h"
#include "replies.h"

/* Where a conversation is. The ranges are in what the oracle keeps. */
struct talk {
    enum oracle_place place;
    bool has_utf8, is_binary; /* of MAIL: SMTPUTF8, its body */
    const char *sender;
    guint recipients_from, recipients_to;
    size_t chunks_from, chunks_to;
    msec_t began;      /* MESSAGE, CHUNKS: the message */
    uint64_t failures; /* had been when MAIL was said, or fewer */
};

enum { JUDGE_BAD_REPLIES = 5 };

/* Prefixes. Both may be possible; without `good` it must be refused. */
struct judgement {
    const char *good;
    const char *bad[JUDGE_BAD_REPLIES]; /* ends in NULL */
};

/* Something was said that is owed replies. */
struct turn {
    const char *name;
    struct judgement may;
    struct talk good, bad; /* behind it */
    size_t replies, heard;
    bool is_greeting;
    bool lists; /* EHLO */
    bool is_mail, is_rcpt;
    bool is_right;   /* if it is refused, that is no mistake: well said, but not to be had */
    bool is_message; /* a message's end: there are replies for each recipient, or one for all */
    bool must_end;   /* behind its reply only 421 may come */
    bool ends;       /* its reply is the last */
    /* for oracle.c */
    struct talk talk;                    /* in front of it */
    size_t begin, end;                   /* of what was said */
    msec_t not_before, said_at;          /* it was said: no earlier, no later */
    uint64_t failures;                   /* had been by then, or fewer */
    struct promise *promises[SIM_BOXES]; /* NULL: nobody's there */
};

struct turn judge_greeting(const struct oracle_rules *rules);
/* Of all verbs but BDAT. */
struct turn judge_phrase(const struct oracle_rules *rules, const struct talk *talk, const struct phrase *p,
                         msec_t now);
/* A message's end, however it came; `content` is NULL if it has bare CRs or LFs. */
struct turn judge_message(const struct oracle_rules *rules, const struct talk *talk, GBytes *content,
                          const struct content_faults *faults);
/* BDAT with all its octets; `content` if it is the last one of a message. */
struct turn judge_chunk(const struct oracle_rules *rules, const struct talk *talk, const struct phrase *p,
                        GBytes *content, const struct content_faults *faults);

bool oracle_takes_chunks(const struct talk *talk);

/* ---- EHLO's list ---- */

/* False for a line that may not stand there. */
bool extension_take(const struct oracle_rules *rules, const struct reply_line *line, unsigned *seen);
bool extensions_are_all(unsigned seen);

/* ---- what is counted ---- */

struct tally {
    uint64_t mistakes, strangers, commands, messages;
};

/* A refusal. True when it should have been 421. */
bool tally_count(struct tally *t, const struct smtp_limits *limits, const struct reply_line *line,
                 bool is_rcpt);

/* One more may be one too many. */
bool tally_is_full(const struct tally *t, const struct smtp_limits *limits);
