/* Who waits for whom, and for how long: a client that says or reads nothing, and one whose message the disk
 * is not ready for. */
#include "suite.h"

#include "delivery/delivery.h"
#include "rig.h"

enum { MINUTE = 60 * 1000, LINGER_MS = 30 * 1000 };

#define HELLO "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n"

/* Each says this and then nothing, and is ended after so many minutes, and not a second before. */
static const struct silence_row {
    const char *name, *says;
    unsigned minutes;
} silence_rows[] = {
    { "silent from the start", "", 5 },
    { "silent behind half a line", "EHLO x.exam", 5 },
    { "silent in a transaction", HELLO, 5 },
    { "silent in a message", HELLO "DATA\r\nSubject: x\r\n", 10 },
    { "silent in a chunk", HELLO "BDAT 10\r\nxx", 10 },
    { "silent between chunks", HELLO "BDAT 2\r\nxx", 10 },
    { "silent in a chunk that is refused", "EHLO x.example\r\nBDAT 10\r\nxx", 10 },
};

static void the_silent_are_ended(void **state)
{
    const struct silence_row *row = *state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, row->says);
    rig_run_for(rig, row->minutes * MINUTE - LATER_MS);
    assert_false(c->ended);
    g_string_truncate(c->got, 0);
    rig_run_for(rig, LATER_MS);
    assert_said(c, "421 4.4.2 ");
    assert_true(c->ended);
    rig_end(rig);
}

/* The last reply waits for the one who does not take it, but not for ever. */
static void who_does_not_read_the_last_reply_is_cut_off(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct reactor_sim_link narrow = reactor_sim_defaults.link;
    narrow.window = 4;
    struct caller *c = rig_call(rig, 0, 0);
    reactor_sim_set_link(c->stream, &narrow);
    stream_set_reading(c->stream, false);
    rig_say(rig, c, "QUIT\r\n");
    rig_run_for(rig, LINGER_MS - LATER_MS);
    assert_int_equal(rig->shares[0].connections, 1);
    rig_run_for(rig, LATER_MS);
    assert_int_equal(rig->shares[0].connections, 0);
    rig_end(rig);
}

/* Lines, the last of which begins with a dot, so that it is a piece of its own, and is refused. */
static char *piece_with_a_bare_lf(size_t len)
{
    g_autofree char *line = g_strnfill(len, 'x');
    return g_strconcat(line, "\r\n..\r\nbare\nlf\r\n.\r\n", NULL);
}

/* When the disk is behind, the client is kept waiting, until it is not any more, or the message is refused.
 * One of these is refused in the very read that was one too many. */
static void the_wait_for_the_disk_ends_with_the_message(void **state)
{
    enum { PIECE = 32 * 1024, PIECES = 2 * DELIVERY_HELD_BACK / PIECE };
    (void)state;
    struct reactor_sim_settings quick = reactor_sim_defaults;
    quick.link.segment_min = quick.link.segment_max; /* each piece is one read */
    struct reactor_sim_settings slow = quick;
    slow.job.min_us = slow.job.max_us = MINUTE * 1000;
    g_autofree char *piece = g_strnfill(PIECE, 'x'), *last = piece_with_a_bare_lf(PIECE);
    for (int before = 0; before < PIECES; before++) {
        struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
        reactor_sim_configure(rig->reactor, &quick);
        struct caller *c = rig_call(rig, 0, 0);
        rig_say(rig, c, HELLO "DATA\r\n");
        reactor_sim_configure(rig->reactor, &slow);
        for (int i = 0; i < before; i++)
            rig_say(rig, c, piece);
        rig_say(rig, c, last);
        rig_run_for(rig, 20 * MINUTE);
        assert_said(c, "550 5.6.0 ");
        rig_run_for(rig, 20 * MINUTE); /* its jobs end */
        rig_end(rig);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("patience");
    suite_add_rows(s, silence_rows, the_silent_are_ended);
    suite_add(s, "who does not read the last reply is cut off", who_does_not_read_the_last_reply_is_cut_off,
              NULL);
    suite_add(s, "the wait for the disk ends with the message", the_wait_for_the_disk_ends_with_the_message,
              NULL);
    return suite_run(s, argc, argv);
}
