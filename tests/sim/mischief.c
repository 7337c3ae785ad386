/* What nobody should say: wrong order, rubbish, half commands, floods. */
#include "talker_internal.h"

#include <string.h>

#define pick(t, texts) talker_pick((t), (texts), G_N_ELEMENTS(texts))

static void say(struct talker *t, const char *text)
{
    g_string_append(t->said, text);
}

/* ---- single lines ---- */

static void say_out_of_order(struct talker *t)
{
    static const char *const commands[] = {
        "DATA\r\n",
        "RSET\r\n",
        "EHLO client.example.net\r\n",
        "HELO client.example.net\r\n",
        "BDAT 0\r\n",
        "BDAT 0 LAST\r\n",
        "BDAT 5\r\nhello",
        "BDAT 5 LAST\r\nhello",
        "STARTTLS\r\n",
        "AUTH PLAIN\r\n",
        "LHLO client.example.net\r\n",
        "XCLIENT ADDR=192.0.2.9\r\n",
        "bdat 3 last\r\nab\n",
        "BDAT 7\r\nQUIT\r\n\r",
        "MAIL FROM:<sender@example.net>\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN ">\r\n",
        "XFORWARD NAME=x\r\n",
        "BDAT 2\r\n\r\n",
        "NOOP\r\n",
    };
    say(t, pick(t, commands));
}

static void say_malformed(struct talker *t)
{
    static const char *const lines[] = {
        "MAIL\r\n",
        "MAIL FROM\r\n",
        "MAIL FROM:\r\n",
        "MAIL FROM:sender@example.net\r\n",
        "MAIL FROM:<sender@example.net\r\n",
        "MAIL FROM:<sender@-example.net>\r\n",
        "MAIL FROM:<sender@@example.net>\r\n",
        "MAIL FROM:<.sender@example.net>\r\n",
        "MAIL FROM:<sender@example.net>SIZE=3\r\n",
        "MAIL FROM:<sender@example.net> SIZE=x\r\n",
        "MAIL FROM:<sender@example.net> SIZE=1 SIZE=2\r\n",
        "MAIL FROM:<sender@example.net> BODY=9BIT\r\n",
        "MAIL FROM:<sender@example.net> SMTPUTF8=1\r\n",
        "MAIL FROM:<sender@example.net> AUTH=<>\r\n",
        "MAIL FROM:<sender@example.net> REQUIRETLS\r\n",
        "MAIL FROM:<sender@example.net> RET=SOME\r\n",
        "MAIL FROM:<s\xc3\xa9nder@example.net>\r\n",
        "MAIL FROM:<s\xc3nder@example.net> SMTPUTF8\r\n",
        "RCPT\r\n",
        "RCPT TO:\r\n",
        "RCPT TO:<>\r\n",
        "RCPT TO:<alice>\r\n",
        "RCPT TO:<alice@>\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN "\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN "> NOTIFY=NEVER,DELAY\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN "> ORCPT=x\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN "> SIZE=3\r\n",
        "RCPT TO:<alice@" SIM_DOMAIN ">x\r\n",
        "RCPT TO:<alice/../bob@" SIM_DOMAIN ">\r\n",
        "RCPT TO:<../alice@" SIM_DOMAIN ">\r\n",
        "RCPT TO:<\"alice/\"@" SIM_DOMAIN ">\r\n",
        "RCPT TO:<alice@sub." SIM_DOMAIN ">\r\n",
        "RCPT TO:<@relay.example:" SIM_TEAM "@" SIM_DOMAIN ">\r\n",
        "DATA now\r\n",
        "RSET now\r\n",
        "QUIT now\r\n",
        "VRFY\r\n",
        "EXPN\r\n",
        "AUTH\r\n",
        "XCLIENT\r\n",
        "EHLO\r\n",
        "LHLO -\r\n",
        "HELO a b\r\n",
        "EHLO client..example.net\r\n",
        "\r\n",
        " \r\n",
        "hello there\r\n",
        "NOOP\n",
        "NO\nOP\r\n",
        "RSET\r",
        "NOOP\t\r\n",
        "\xff\xfe\r\n",
        "NOOP \x01\r\n",
        ".\r\n",
        "RCPTTO:<alice@" SIM_DOMAIN ">\r\n",
    };
    say(t, pick(t, lines));
}

/* None of these is survived. */
static void say_what_ends_it(struct talker *t)
{
    static const char *const lines[] = {
        "BDAT\r\n",
        "BDAT x\r\n",
        "BDAT -1\r\n",
        "BDAT 5 FIRST\r\nhello",
        "BDAT\t5\r\nhello",
        "BDAT 5 LAST \x01\r\nhello",
        "GET / HTTP/1.0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<x@example.net>\r\n",
        "SSH-2.0-x\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "\x16\x03\x01\x02\x05\r\nNOOP\r\n",
        "QUIT\r\nMAIL FROM:<sender@example.net>\r\n",
        "BDAT 99999999999999999999999\r\n",
    };
    say(t, pick(t, lines));
}

static void say_too_long(struct talker *t)
{
    static const char *const begins[] = { "NOOP ", "A", "MAIL FROM:<", "BDAT 1 ", " ", "EHLO x" };
    const char *begin = pick(t, begins);
    size_t len = 1500 + pst_random_below(t->random, 3000);
    say(t, begin);
    size_t at = t->said->len;
    g_string_set_size(t->said, at + len);
    memset(t->said->str + at, begin[0] == 'B' || begin[0] == ' ' ? ' ' : 'a', len);
    say(t, "\r\n");
}

static void say_octets(struct talker *t)
{
    size_t len = 1 + pst_random_below(t->random, 60);
    g_string_set_size(t->said, len);
    pst_random_fill(t->random, t->said->str, len);
    if (talker_chance(t, 2))
        say(t, "\r\n");
}

/* ---- more of it ---- */

static void say_many(struct talker *t)
{
    static const char *const lines[] = { "NOOP\r\n",   "x\r\n",    "RSET\r\n",
                                         "VRFY x\r\n", "HELP\r\n", "RCPT TO:<nobody@" SIM_DOMAIN ">\r\n" };
    const char *line = pick(t, lines);
    for (uint64_t count = 5 + pst_random_below(t->random, 40); count > 0; count--)
        say(t, line);
}

/* What it declares is not what comes. */
static void say_wrong_size(struct talker *t)
{
    talker_say_mail(t, talker_chance(t, 2) ? 1 : UINT64_C(1) << (10 + pst_random_below(t->random, 50)));
}

/* A chunk of which not all comes, or a command; what follows is taken for the rest. */
static void say_half(struct talker *t)
{
    static const char *const halves[] = {
        "BDAT 40\r\nhalf of", "BDAT 300 LAST\r\n", "MAIL FRO", "RCPT TO:<alice@", "DATA\r",
        "BDAT 100000000\r\n"
    };
    say(t, pick(t, halves));
}

static void say_something(struct talker *t)
{
    switch (pst_random_below(t->random, 16)) {
    case 0:
        say_too_long(t);
        break;
    case 1:
        say_octets(t);
        break;
    case 2:
        say_many(t);
        break;
    case 3:
        say_wrong_size(t);
        break;
    case 4:
        if (talker_chance(t, 3))
            say_half(t);
        break;
    case 5:
        if (talker_chance(t, 3))
            say_what_ends_it(t);
        break;
    case 6:
    case 7:
    case 8:
        say_malformed(t);
        break;
    default:
        say_out_of_order(t);
        break;
    }
}

/* Part of the message, and then perhaps no more; or what would end it for others. */
static void say_in_message(struct talker *t)
{
    const GString *wire = t->letter.wire;
    if (talker_chance(t, 4))
        say_octets(t);
    else if (talker_chance(t, 3))
        g_string_append_len(t->said, wire->str, (gssize)pst_random_below(t->random, wire->len + 1));
}

/*
 * Behind a DATA that awaits its answer nobody can tell what will be a message and what commands. It may be
 * tried, with what makes no message in either case; and then all must be answered before it goes on.
 */
static void say_blindly(struct talker *t)
{
    if (t->waits && talker_chance(t, 3) && !t->letter.is_smuggler)
        g_string_append_len(t->said, t->letter.wire->str, (gssize)t->letter.wire->len);
    t->waits = true;
}

void talker_do_mischief(struct talker *t, const struct oracle *o)
{
    bool is_message = oracle_place(o) == ORACLE_MESSAGE;
    if (t->mischief == 0 || !talker_chance(t, 2))
        return;
    if (is_message && oracle_owed(o) > 0) {
        say_blindly(t);
        return;
    }
    if (t->waits && oracle_owed(o) > 0 && oracle_place(o) != ORACLE_START)
        return;
    t->mischief--;
    if (is_message)
        say_in_message(t);
    else
        say_something(t);
}
