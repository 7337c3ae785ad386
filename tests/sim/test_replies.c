/* In how many writes replies leave. Whoever is answered several times at once is sent one segment. */
#include "suite.h"

#include "rig.h"

static void count_replies(struct caller *c, const char *text, size_t want)
{
    size_t count = 0;
    for (const char *at = c->got->str; (at = strstr(at, text)) != NULL; at++)
        count++;
    assert_int_equal(count, want);
}

static struct caller *begin_lmtp(struct rig *rig)
{
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "LHLO x.example\r\nMAIL FROM:<>\r\n");
    for (int i = 0; i < 3; i++)
        rig_say(rig, c, "RCPT TO:<alice@example.org>\r\n");
    rig_say(rig, c, "DATA\r\n");
    assert_said(c, "354 ");
    return c;
}

static void lmtp_answers_leave_together(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_LMTP, 10);
    struct caller *c = begin_lmtp(rig);
    rig_say(rig, c, "body\r\n.\r\n");
    count_replies(c, "250 2.0.0 Delivered, ", 3);
    assert_int_equal(rig->writes, 1);
    rig_end(rig);
}

static void what_waited_behind_them_leaves_with_them(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_LMTP, 10);
    struct caller *c = begin_lmtp(rig);
    rig_say(rig, c, "body\r\n.\r\nNOOP\r\nQUIT\r\n");
    count_replies(c, "250 2.0.0 ", 4);
    count_replies(c, "221 2.0.0 ", 1);
    assert_true(c->ended);
    assert_int_equal(rig->writes, 1);
    rig_end(rig);
}

static void a_refused_message_too(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_LMTP, 10);
    struct caller *c = begin_lmtp(rig);
    rig_say(rig, c, "bare\nline feed\r\n.\r\n");
    count_replies(c, "550 5.6.0 ", 3);
    assert_int_equal(rig->writes, 1);
    rig_end(rig);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("replies");
    suite_add(s, "LMTP's answers to a message leave in one write", lmtp_answers_leave_together, NULL);
    suite_add(s, "what was pipelined behind it is answered in the same",
              what_waited_behind_them_leaves_with_them, NULL);
    suite_add(s, "so do the refusals of a message", a_refused_message_too, NULL);
    return suite_run(s, argc, argv);
}
