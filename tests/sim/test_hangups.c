/* Who hangs up while something of theirs is under way: it comes to its end without them, and nothing of it
 * stays. */
#include "suite.h"

#include <errno.h>

#include "disk/disk_sim.h"
#include "rig.h"

enum { JOB_MS = 1000 };

static void slow_down_jobs(struct rig *rig)
{
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job.min_us = slow.job.max_us = JOB_MS * 1000;
    reactor_sim_configure(rig->reactor, &slow);
}

/* As a machine that loses its power does, or a process that is killed. */
static void hang_up(struct rig *rig, struct caller *c)
{
    stream_abort(g_steal_pointer(&c->stream));
    rig_run_for(rig, SOON_MS);
}

static size_t mails(void)
{
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    return g_strv_length(names);
}

static void while_a_recipient_is_looked_up(void **state)
{
    const bool *breaks = *state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    slow_down_jobs(rig);
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n");
    assert_false(g_str_has_suffix(c->got->str, "250 2.1.5 Recipient OK\r\n"));
    if (*breaks)
        reactor_sim_break(c->stream, -ECONNRESET);
    hang_up(rig, c);
    assert_int_equal(rig->shares[0].connections, 1); /* what is asked will still be answered */
    rig_run_for(rig, 3 * JOB_MS);
    assert_int_equal(rig->shares[0].connections, 0);
    assert_null(strstr(rig->told->str, "rcpt-refused")); /* nobody was */
    rig_end(rig);
}

static void while_a_message_is_delivered(void **state)
{
    const bool *breaks = *state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    slow_down_jobs(rig);
    rig_say(rig, c, "body\r\n.\r\n");
    assert_string_equal(c->got->str, "");
    assert_int_equal(mails(), 0);
    if (*breaks)
        reactor_sim_break(c->stream, -ECONNRESET);
    hang_up(rig, c);
    rig_run_for(rig, 10 * JOB_MS);
    assert_int_equal(mails(), 1); /* its sender will come again: twice is better than never */
    assert_int_equal(rig->shares[0].connections, 0);
    rig_end(rig);
}

static void in_the_middle_of_a_message(void **state)
{
    const bool *breaks = *state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    g_autofree char *large = g_strnfill(200 * 1000, 'x');
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    slow_down_jobs(rig);
    rig_say(rig, c, large);
    rig_say(rig, c, "\r\nend of a line\r\n");
    if (*breaks)
        reactor_sim_break(c->stream, -ECONNRESET);
    hang_up(rig, c);
    rig_run_for(rig, 10 * JOB_MS);
    assert_int_equal(mails(), 0);
    assert_int_equal(rig->shares[0].connections, 0);
    rig_end(rig); /* which looks into tmp/ */
}

int main(int argc, char **argv)
{
    static const bool closes = false, breaks = true;
    struct suite *s = suite_new("hangups");
    suite_add(s, "while a recipient is looked up", while_a_recipient_is_looked_up, (void *)&closes);
    suite_add(s, "while a recipient is looked up, by a reset", while_a_recipient_is_looked_up,
              (void *)&breaks);
    suite_add(s, "while a message is delivered", while_a_message_is_delivered, (void *)&closes);
    suite_add(s, "while a message is delivered, by a reset", while_a_message_is_delivered, (void *)&breaks);
    suite_add(s, "in the middle of a message", in_the_middle_of_a_message, (void *)&closes);
    suite_add(s, "in the middle of a message, by a reset", in_the_middle_of_a_message, (void *)&breaks);
    return suite_run(s, argc, argv);
}
