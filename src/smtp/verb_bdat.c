/*
 * BDAT (RFC 3030) and its chunks. A chunk that is refused is read to its end all the same, and answered then,
 * so that its octets are never taken for commands.
 */
#include "smtp/session_internal.h"

/* "SIZE" or "SIZE LAST" */
static bool parse(struct slice argument, uint64_t *ret_size, bool *ret_last)
{
    size_t blank = slice_find(argument, 0, ' ');
    struct slice rest = slice_skip(argument, blank + 1);
    *ret_last = slice_equal_nocase(rest, "LAST");
    return (*ret_last || blank == argument.len) &&
           pst_parse_u64(slice_first(argument, blank), UINT64_MAX, ret_size) == 0;
}

/* The chunk's end was reached, and it is refused. */
static void end_refused(struct smtp_session *s)
{
    smtp_enter(s, SMTP_PHASE_REFUSING);
}

/*
 * What is left of this chunk is thrown away; then come `replies`, and the phase `after`. RFC 3030 2: a
 * chunk's failure is told behind its octets.
 */
static void skip(struct smtp_session *s, enum smtp_outcome why, uint64_t replies, enum smtp_phase after)
{
    s->refusal = why;
    s->answers_due = replies;
    s->after = after;
    smtp_enter(s, SMTP_PHASE_SKIPPING);
    if (s->chunk_left == 0)
        end_refused(s);
}

/*
 * The transaction is gone. Behind the last chunk another may begin, as behind DATA. Else the client may have
 * pipelined more of this message, which must not be taken for another's: RSET it is (RFC 3030 2).
 */
static void fail(struct smtp_session *s, enum smtp_outcome why)
{
    smtp_push(s, SMTP_EFFECT_RESET);
    if (s->last)
        skip(s, why, smtp_answers_of_message(s), SMTP_PHASE_READY);
    else
        skip(s, why, 1, SMTP_PHASE_FAILED);
}

/* A chunk that there is no transaction for. */
static void refuse_chunk(struct smtp_session *s, enum smtp_outcome why, struct slice line)
{
    uint64_t replies = 1;
    if (!smtp_blame(s, why, line))
        return;
    if (s->phase == SMTP_PHASE_FAILED && s->last) {
        /* RFC 2033 4.2: the last chunk gets a reply for each recipient that was accepted; the client counts.
         */
        replies = smtp_answers_of_message(s);
        s->accepted = 0;
    }
    skip(s, why, replies, s->phase);
}

static void end_chunk(struct smtp_session *s)
{
    if (s->last) {
        smtp_message_finish(s);
    } else {
        smtp_enter(s, SMTP_PHASE_CHUNKING);
        smtp_reply(s, SMTP_CHUNK_TAKEN);
    }
}

static void begin_chunk(struct smtp_session *s, struct slice line)
{
    bool first = s->phase == SMTP_PHASE_MAIL;
    if (s->chunk_left > s->service->limits.message_size - (first ? 0 : s->octets)) {
        /* It is no mistake, and so never one too many. If a message is open, it is that which is refused. */
        (void)smtp_blame(s, SMTP_TOO_BIG, first ? line : (struct slice){ 0 });
        fail(s, SMTP_TOO_BIG);
        return;
    }
    if (first)
        smtp_message_open(s);
    smtp_enter(s, SMTP_PHASE_CHUNK);
    if (s->chunk_left == 0)
        end_chunk(s);
}

void smtp_start_bdat(struct smtp_session *s, const struct smtp_command *command)
{
    if (!parse(command->argument, &s->chunk_left, &s->last)) {
        if (smtp_blame(s, SMTP_BDAT_SYNTAX, command->line)) {
            smtp_reply(s, SMTP_BDAT_SYNTAX);
            smtp_say_goodbye(s, SMTP_OUT_OF_STEP);
        }
    } else if (s->phase == SMTP_PHASE_MAIL && s->accepted == 0) {
        if (smtp_blame(s, SMTP_NEEDS_RCPT, command->line))
            fail(s, SMTP_NEEDS_RCPT);
    } else if (s->phase == SMTP_PHASE_MAIL || s->phase == SMTP_PHASE_CHUNKING) {
        begin_chunk(s, command->line);
    } else {
        enum smtp_outcome why = smtp_out_of_sequence(s);
        (void)smtp_is_barred(s, &why);
        refuse_chunk(s, why, command->line);
    }
}

static void take_piece(struct smtp_session *s, struct slice piece)
{
    enum smtp_outcome why;
    s->chunk_left -= piece.len;
    if (s->phase == SMTP_PHASE_SKIPPING) {
        if (s->chunk_left == 0)
            end_refused(s);
    } else if (!smtp_message_take(s, piece, &why)) {
        smtp_push(s, SMTP_EFFECT_REFUSED)->outcome = why;
        fail(s, why);
    } else if (s->chunk_left == 0) {
        end_chunk(s);
    }
}

size_t smtp_chunk_feed(struct smtp_session *s, struct slice in)
{
    struct slice piece = slice_first(in, s->chunk_left < in.len ? (size_t)s->chunk_left : in.len);
    take_piece(s, piece);
    return piece.len;
}
