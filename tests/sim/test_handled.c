/*
 * What a worker makes of what handlers decide: the reply, the mailboxes and folders, the content, and what it
 * tells them before. The hosts are played, in virtual time; what they can do wrong themselves is test_hosts'
 * and the pool's.
 */
#include "suite.h"

#include <string.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "host_play.h"
#include "rig.h"

enum { RECIPIENTS_MAX = 3, TIMEOUT_MS = 30 * 1000 };

#define CONTENT "Subject: one\r\nX-Old: yes\r\n\r\nbody\r\n"
#define STORED  "Subject: one\nX-Old: yes\n\nbody\n"
#define ALICE   "alice@example.org"
#define BOB     "bob@example.org"
#define CAROL   "carol@example.com"
#define NO_SUCH "550 5.7.1 Not like this\r\n"

/* Addresses for redirects. */
#define TO(...)                                                                                              \
    {                                                                                                        \
        (const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)            \
    }

#define REJECT                                                                                               \
    {                                                                                                        \
        .decision = WIRE_REJECT, .code = 550, .enhanced = "5.7.1", .text = "Not like this"                   \
    }
#define DEFER                                                                                                \
    {                                                                                                        \
        .decision = WIRE_DEFER, .code = 450, .enhanced = "4.2.0", .text = ""                                 \
    }
#define DISCARD                                                                                              \
    {                                                                                                        \
        .decision = WIRE_DISCARD                                                                             \
    }

struct row {
    const char *name;
    enum smtp_protocol protocol;
    const char *to[RECIPIENTS_MAX + 1];
    struct wire_fate fates[RECIPIENTS_MAX];
    const char *front; /* of what is stored */
    uint64_t skip;     /* octets of what came, or of `scratch`, which then takes its place */
    const char *scratch;
    const char *told;   /* when the message has ended */
    const char *stored; /* a line for each file */
    const char *file;   /* how each of them ends */
    const char *log;
    bool hangs;    /* the host, in place of all that */
    bool delivers; /* on failure */
};

static const struct row rows[] = {
    { "it is delivered",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n",
      .file = "\n" STORED },
    { "it is rejected",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { REJECT },
      .told = NO_SUCH,
      .stored = "",
      .log = "*event=handler-verdict * to=" ALICE
             " verdict=reject handler=judge reply=\"550 5.7.1 Not like this\"\n*" },
    { "a refusal without a text gets one",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .decision = WIRE_REJECT, .code = 554, .enhanced = "5.6.0" } },
      .told = "554 5.6.0 Message refused\r\n",
      .stored = "" },
    { "it is deferred",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { DEFER },
      .told = "450 4.2.0 Not now, try again later\r\n",
      .stored = "",
      .log = "*verdict=defer handler=judge *" },
    { "421 would say that the connection ends",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .decision = WIRE_DEFER, .code = 421, .enhanced = "4.3.2", .text = "later" } },
      .told = "451 4.3.2 later\r\n",
      .stored = "" },
    { "it is discarded",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { DISCARD },
      .told = "250 2.0.0 *\r\n",
      .stored = "",
      .log = "*verdict=discard handler=judge *" },
    { "a verdict that is nobody's",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .decision = WIRE_DISCARD, .handler = -1 } },
      .told = "250 2.0.0 *\r\n",
      .stored = "",
      .log = "*verdict=discard handler=\"\" *" },

    { "rejected for one over SMTP is so for all",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { { 0 }, REJECT },
      .told = NO_SUCH,
      .stored = "" },
    { "deferred for one goes before rejected for another",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { REJECT, DEFER },
      .told = "450 4.2.0 *\r\n",
      .stored = "" },
    { "discarded for one, the others get it",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { DISCARD },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/bob/new/*\n",
      .file = "\n" STORED },
    { "discarded for one and rejected for another",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { DISCARD, REJECT },
      .told = NO_SUCH,
      .stored = "" },
    { "each its own over LMTP",
      SMTP_PROTOCOL_LMTP,
      { ALICE, BOB, CAROL },
      { REJECT, { 0 }, DISCARD },
      .told = NO_SUCH "250 2.0.0 *\r\n250 2.0.0 *\r\n",
      .stored = "/mail/bob/new/*\n",
      .file = "\n" STORED },
    { "nobody gets it over LMTP",
      SMTP_PROTOCOL_LMTP,
      { ALICE, BOB },
      { DISCARD, DEFER },
      .told = "250 2.0.0 *\r\n450 4.2.0 *\r\n",
      .stored = "" },

    { "a front is put in front",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      .front = "X-New: yes\n",
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n",
      .file = "\nX-New: yes\n" STORED },
    { "a front in place of a field",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      .front = "Subject: two\n",
      .skip = 13,
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n/mail/bob/new/*\n",
      .file = "\nSubject: two\nX-Old: yes\n\nbody\n" },
    { "a field is left out",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      .skip = 13,
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n",
      .file = "\nX-Old: yes\n\nbody\n" },
    { "all of it is another",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      .front = "X-New: yes\n",
      .skip = 6,
      .scratch = "A: no\nB: yes\n\nother\n",
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n/mail/bob/new/*\n",
      .file = "\nX-New: yes\nB: yes\n\nother\n" },

    { "into a folder",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .folder = "Lists" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/.Lists/new/*\n",
      .file = "\n" STORED,
      .log = "*event=delivered *mailbox=alice folder=.Lists *" },
    { "into a folder that is not there",
      SMTP_PROTOCOL_SMTP,
      { BOB },
      { { .folder = "Lists" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/bob/new/*\n",
      .log = "*event=handler-folder-missing * value=.Lists\n*" },
    { "into the mailbox itself",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .folder = "INBOX" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n" },
    { "into no folder at all",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .folder = "../bob" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n",
      .log = "*event=handler-folder-ignored * value=../bob\n*" },
    { "with flags",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .flags = "SF" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/cur/*:2,FS\n" },
    { "for one of two in a folder, with flags",
      SMTP_PROTOCOL_LMTP,
      { ALICE, BOB },
      { { .folder = "Lists", .flags = "S" } },
      .told = "250 2.0.0 *\r\n250 2.0.0 *\r\n",
      .stored = "/mail/alice/.Lists/cur/*:2,S\n/mail/bob/new/*\n" },

    { "to another",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .redirects = TO(CAROL) } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/com/carol/new/*\n",
      .file = "\n" STORED },
    { "to two, of whom one has it already",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { { .redirects = TO(BOB, CAROL) } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/bob/new/*\n/com/carol/new/*\n" },
    { "to another's folder, with flags",
      SMTP_PROTOCOL_SMTP,
      { BOB },
      { { .redirects = TO(ALICE), .folder = "Lists", .flags = "T" } },
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/.Lists/cur/*:2,T\n" },
    { "to nobody",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .redirects = TO("nobody@example.org") } },
      .told = "451 4.3.0 *\r\n",
      .stored = "",
      .log = "*event=handler-redirect-refused * value=nobody@example.org\n*" },
    { "to a domain of others",
      SMTP_PROTOCOL_SMTP,
      { ALICE, BOB },
      { { .redirects = TO(BOB, "a@example.net") } },
      .told = "451 4.3.0 *\r\n",
      .stored = "",
      .log = "*event=handler-redirect-refused * value=a@example.net\n*" },
    { "to what is no address",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      { { .redirects = TO("alice") } },
      .told = "451 4.3.0 *\r\n",
      .stored = "",
      .log = "*event=handler-redirect-refused * value=alice\n*" },
    { "rejected, a redirect is not followed",
      SMTP_PROTOCOL_LMTP,
      { ALICE, BOB },
      { { .decision = WIRE_REJECT,
          .code = 550,
          .enhanced = "5.7.1",
          .text = "Not like this",
          .redirects = TO("a@example.net") } },
      .told = NO_SUCH "250 2.0.0 *\r\n",
      .stored = "/mail/bob/new/*\n" },
    { "one lost redirect over LMTP",
      SMTP_PROTOCOL_LMTP,
      { ALICE, BOB },
      { { .redirects = TO("nobody@example.org") } },
      .told = "451 4.3.0 *\r\n451 4.3.0 *\r\n",
      .stored = "" },

    { "no answer defers",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      .hangs = true,
      .told = "451 4.3.0 *\r\n",
      .stored = "",
      .log = "*event=handler-failed *" },
    { "or delivers, as it was configured",
      SMTP_PROTOCOL_SMTP,
      { ALICE },
      .hangs = true,
      .delivers = true,
      .told = "250 2.0.0 *\r\n",
      .stored = "/mail/alice/new/*\n",
      .file = "\n" STORED },
};

/* ---- the scene ---- */

struct scene {
    struct rig *rig;
    struct caller *caller;
    const struct row *row;
    struct host_play play;
    struct wire_handler handlers[2];
    struct handler_scope scopes[2];
    struct handler_settings settings;
    GString *heard; /* what the host was told */
};

static void hear(GString *heard, const struct wire_message *m)
{
    g_string_append_printf(heard, "%s %s %s %s <%s> %s", m->listener, m->protocol, m->client, m->helo,
                           m->reverse_path, m->body);
    g_string_append_printf(heard, " ret=%s envid=%s size=%d utf8=%d\n", m->ret != NULL ? m->ret : "",
                           m->envelope_id != NULL ? m->envelope_id : "", (int)m->declared_size, m->utf8);
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct wire_recipient *r = &m->recipients[i];
        g_string_append_printf(heard, "to %s notify=%s orcpt=%s:", r->address,
                               r->notify != NULL ? r->notify : "", r->original != NULL ? r->original : "");
        for (uint32_t k = 0; k < r->mailboxes.count; k++)
            g_string_append_printf(heard, " %s", r->mailboxes.texts[k]);
        g_string_append_c(heard, '\n');
    }
    for (uint32_t i = 0; i < m->turn_count; i++) {
        g_string_append_printf(heard, "turn %u:", m->turns[i].handler);
        for (uint32_t k = 0; k < m->turns[i].recipient_count; k++)
            g_string_append_printf(heard, " %u", m->turns[i].recipients[k]);
        g_string_append_c(heard, '\n');
    }
}

static struct wire_fate fate_of(const struct row *row, uint32_t i)
{
    struct wire_fate fate = { .handler = -1, .enhanced = "", .text = "" };
    if (row == NULL || i >= RECIPIENTS_MAX)
        return fate;
    fate = row->fates[i];
    fate.enhanced = fate.enhanced != NULL ? fate.enhanced : "";
    fate.text = fate.text != NULL ? fate.text : "";
    return fate;
}

static struct host_act decide(void *owner, unsigned number, const struct wire_message *m, int fd, int scratch)
{
    (void)number, (void)fd;
    struct scene *s = owner;
    const struct row *row = s->row;
    struct host_act act = host_act_usual;
    hear(s->heard, m);
    if (row != NULL && row->hangs)
        act.after_ms = MSEC_NEVER;
    struct wire_frame f = host_verdict(m->recipient_count);
    for (uint32_t i = 0; i < m->recipient_count; i++)
        f.verdict.fates[i] = fate_of(row, i);
    if (row != NULL && row->front != NULL)
        f.verdict.front = slice_str(row->front);
    f.verdict.skip = row != NULL ? row->skip : 0;
    if (row != NULL && row->scratch != NULL) {
        const struct slice part = slice_str(row->scratch);
        assert_int_equal(disk_append(scratch, &part, 1), 0);
        f.verdict.replaced = true;
        f.verdict.replaced_size = part.len;
    }
    act.say = host_say(NULL, &f);
    g_free(f.verdict.fates);
    return act;
}

static void make_maildir(const char *path)
{
    static const char *const subs[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
        g_autofree char *sub = g_strdup_printf("%s/%s", path, subs[i]);
        disk_sim_mkdir_all(sub);
    }
}

/* Two handlers, of which the second one is for example.com alone. */
static struct scene *scene_new(enum smtp_protocol protocol, const struct row *row)
{
    static char *of_com[] = { (char *)"example.com", NULL };
    struct scene *s = g_new0(struct scene, 1);
    s->row = row;
    s->heard = g_string_new(NULL);
    s->rig = rig_begin(protocol, 1);
    make_maildir("/mail/alice/.Lists");
    make_maildir("/mail/bob");
    make_maildir("/com/carol");
    assert_int_equal(
        router_add_domain(s->rig->router, "example.com", &(struct domain_options){ .maildirs = "/com" }), 0);
    s->play = (struct host_play){ .r = s->rig->reactor, .on_message = decide, .owner = s };
    host_play_add(&s->play);
    s->handlers[0] = (struct wire_handler){ .name = "judge", .file = "/judge.so" };
    s->handlers[1] = (struct wire_handler){ .name = "second", .file = "/second.so" };
    s->scopes[1].domains = of_com;
    s->settings = (struct handler_settings){
        .program = HOST_PLAY_PROGRAM,
        .config = { .handlers = s->handlers, .handler_count = 2 },
        .scopes = s->scopes,
        .processes = 1,
        .timeout = TIMEOUT_MS,
        .deliver_on_failure = row != NULL && row->delivers,
    };
    s->rig->handlers = &s->settings;
    return s;
}

static void scene_call(struct scene *s)
{
    rig_add_worker(s->rig, 10);
    s->caller = rig_call(s->rig, 0, 0);
    rig_say(s->rig, s->caller,
            s->rig->protocol == SMTP_PROTOCOL_LMTP ? "LHLO x.example\r\n" : "EHLO x.example\r\n");
    assert_said(s->caller, "250-");
}

static void scene_free(struct scene *s)
{
    rig_end(s->rig);
    assert_int_equal(s->play.running, 0);
    g_string_free(s->heard, TRUE);
    g_free(s);
}

static void scene_send(struct scene *s, const char *envelope, const char *message)
{
    rig_say(s->rig, s->caller, envelope);
    rig_run_for(s->rig, LATER_MS);
    assert_non_null(strstr(s->caller->got->str, "\r\n354 "));
    rig_say(s->rig, s->caller, message);
    rig_run_for(s->rig, 2 * TIMEOUT_MS);
}

/* ---- what became of it ---- */

static void assert_like(const char *what, const char *got, const char *pattern)
{
    if (!g_pattern_match_simple(pattern, got))
        fail_msg("%s: got \"%s\", expected \"%s\"", what, got, pattern);
}

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (const char *c = text; *c != '\0'; c++)
        count += *c == '\n';
    return count;
}

static char *list_files(void)
{
    static const char *const dirs[] = { "/mail/alice/new",        "/mail/alice/cur", "/mail/alice/.Lists/new",
                                        "/mail/alice/.Lists/cur", "/mail/bob/new",   "/mail/bob/cur",
                                        "/com/carol/new",         "/com/carol/cur" };
    GString *list = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
        g_auto(GStrv) names = disk_sim_names(dirs[i]);
        for (size_t k = 0; names[k] != NULL; k++)
            g_string_append_printf(list, "%s/%s\n", dirs[i], names[k]);
    }
    return g_string_free(list, FALSE);
}

static void assert_files(const char *list, const char *pattern, const char *end)
{
    assert_like("files", list, pattern);
    assert_int_equal(lines_of(list), lines_of(pattern));
    g_auto(GStrv) paths = g_strsplit(list, "\n", -1);
    for (size_t i = 0; end != NULL && *paths[i] != '\0'; i++) {
        g_autofree char *content = disk_sim_read_file(paths[i], NULL);
        assert_true(g_str_has_suffix(content, end));
    }
}

/* Recipients who were told 250: over SMTP one reply is for all of them. */
static uint64_t granted(const struct row *row)
{
    uint64_t all = 0, good = 0;
    while (row->to[all] != NULL)
        all++;
    g_auto(GStrv) lines = g_strsplit(row->told, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++)
        good += g_str_has_prefix(lines[i], "250 ");
    return row->protocol == SMTP_PROTOCOL_LMTP ? good : good * all;
}

/* For the figures that an operator reads. */
static void assert_counted(const struct counters *c, uint64_t recipients)
{
    assert_int_equal(c->value[COUNTER_MESSAGES], recipients > 0);
    assert_int_equal(c->value[COUNTER_RECIPIENTS], recipients);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct scene *s = scene_new(row->protocol, row);
    scene_call(s);
    g_autoptr(GString) envelope = g_string_new("MAIL FROM:<s@example.net>\r\n");
    for (size_t i = 0; row->to[i] != NULL; i++)
        g_string_append_printf(envelope, "RCPT TO:<%s>\r\n", row->to[i]);
    g_string_append(envelope, "DATA\r\n");
    scene_send(s, envelope->str, CONTENT ".\r\n");
    assert_like("replies", s->caller->got->str, row->told);
    assert_int_equal(lines_of(s->caller->got->str), lines_of(row->told));
    assert_counted(&s->rig->shares[0].counters, granted(row));
    g_autofree char *list = list_files();
    assert_files(list, row->stored, row->file);
    if (row->log != NULL)
        assert_like("log", s->rig->told->str, row->log);
    scene_free(s);
}

/* ---- what handlers are told, and which of them ---- */

static void tells_all_of_the_envelope(void **state)
{
    (void)state;
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, NULL);
    scene_call(s);
    scene_send(s,
               "MAIL FROM:<s@example.net> SIZE=99 BODY=8BITMIME RET=HDRS ENVID=q1\r\n"
               "RCPT TO:<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@example.net\r\n"
               "RCPT TO:<carol@example.com> NOTIFY=NEVER\r\nDATA\r\n",
               CONTENT ".\r\n");
    assert_said(s->caller, "250 2.0.0 ");
    assert_like(
        "envelope", s->heard->str,
        "inbound ESMTP 127.0.0.1 x.example <s@example.net> 8BITMIME ret=HDRS envid=q1 size=99 utf8=0\n"
        "to alice@example.org notify=success,delay orcpt=rfc822;a@example.net: alice@example.org\n"
        "to carol@example.com notify=never orcpt=: carol@example.com\n"
        "turn 0:\nturn 1: 1\n");
    scene_free(s);
}

static void tells_of_a_binary_one(void **state)
{
    (void)state;
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, NULL);
    scene_call(s);
    rig_say(s->rig, s->caller,
            "MAIL FROM:<> BODY=BINARYMIME SMTPUTF8 RET=FULL\r\nRCPT TO:<carol@example.com>\r\nBDAT 9 "
            "LAST\r\nA: b\r\n\r\nc");
    rig_run_for(s->rig, LATER_MS);
    assert_non_null(strstr(s->caller->got->str, "\r\n250 2.0.0 Delivered"));
    assert_like("envelope", s->heard->str,
                "inbound UTF8SMTP 127.0.0.1 x.example <> BINARYMIME ret=FULL envid= size=0 utf8=1\n"
                "to carol@example.com notify= orcpt=: carol@example.com\nturn 0:\nturn 1:\n");
    g_autofree char *list = list_files();
    assert_files(list, "/com/carol/new/*\n", "\nA: b\r\n\r\nc");
    scene_free(s);
}

static void asks_nobody_for_others(void **state)
{
    (void)state;
    static char *elsewhere[] = { (char *)"another", NULL };
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, NULL);
    s->scopes[0].listeners = elsewhere;
    scene_call(s);
    scene_send(s, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nDATA\r\n", CONTENT ".\r\n");
    assert_said(s->caller, "250 2.0.0 ");
    assert_string_equal(s->heard->str, "");
    g_autofree char *list = list_files();
    assert_files(list, "/mail/alice/new/*\n", "\n" STORED);
    scene_free(s);
}

/* ---- before and behind them ---- */

static void refuses_a_bomb_unseen(void **state)
{
    (void)state;
    struct scene *s = scene_new(SMTP_PROTOCOL_LMTP, NULL);
    scene_call(s);
    g_autoptr(GString) bomb = g_string_new(NULL);
    for (size_t i = 0; i < 300; i++)
        g_string_append_printf(bomb, "Content-Type: message/rfc822\r\n\r\n");
    g_string_append(bomb, ".\r\n");
    scene_send(s, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nRCPT TO:<" BOB ">\r\nDATA\r\n", bomb->str);
    assert_like("replies", s->caller->got->str, "554 5.6.0 *\r\n554 5.6.0 *\r\n");
    assert_like("log", s->rig->told->str,
                "*event=structure-refused * limit=?*\n*event=message-refused *code=554*");
    assert_string_equal(s->heard->str, "");
    g_autofree char *list = list_files();
    assert_string_equal(list, "");
    scene_free(s);
}

/* A mail loop is seen before handlers see the message. */
static void refuses_a_loop_unseen(void **state)
{
    (void)state;
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, NULL);
    scene_call(s);
    g_autoptr(GString) message = g_string_new(NULL);
    for (size_t i = 0; i < 101; i++)
        g_string_append(message, "Received: by a\r\n");
    g_string_append(message, CONTENT ".\r\n");
    scene_send(s, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nDATA\r\n", message->str);
    assert_said(s->caller, "554 5.4.6 ");
    assert_string_equal(s->heard->str, "");
    scene_free(s);
}

/* To whoever has had it before, by its Delivered-To, a handler may not send it either. */
static void refuses_a_redirect_that_goes_round(void **state)
{
    (void)state;
    const struct row row = { .fates = { { .redirects = TO(CAROL) } } };
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, &row);
    scene_call(s);
    scene_send(s, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nDATA\r\n",
               "Delivered-To: " CAROL "\r\n" CONTENT ".\r\n");
    assert_said(s->caller, "554 5.4.6 ");
    g_autofree char *list = list_files();
    assert_string_equal(list, "");
    scene_free(s);
}

/* A large one lies in a file, of which the host has a descriptor; its other front is all that is new. */
static void edits_a_large_one(void **state)
{
    (void)state;
    static const struct row row = { .front = "X-New: yes\n", .skip = 13 };
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, &row);
    scene_call(s);
    g_autoptr(GString) message = g_string_new(CONTENT),
                       stored = g_string_new("\nX-New: yes\nX-Old: yes\n\nbody\n");
    for (size_t i = 0; i < 20000; i++) {
        g_string_append_printf(message, "line %zu of many\r\n", i);
        g_string_append_printf(stored, "line %zu of many\n", i);
    }
    g_string_append(message, ".\r\n");
    scene_send(s, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nRCPT TO:<" BOB ">\r\nDATA\r\n", message->str);
    assert_said(s->caller, "250 2.0.0 ");
    g_autofree char *list = list_files();
    assert_files(list, "/mail/alice/new/*\n/mail/bob/new/*\n", stored->str);
    scene_free(s);
}

/* What a host has of a message is nobody's when its client has gone: it is delivered all the same, for it was
 * whole. */
static void delivers_for_who_has_gone(void **state)
{
    (void)state;
    const struct row row = { .fates = { { .redirects = TO(BOB), .flags = "S" } } };
    struct scene *s = scene_new(SMTP_PROTOCOL_SMTP, &row);
    scene_call(s);
    rig_say(s->rig, s->caller, "MAIL FROM:<>\r\nRCPT TO:<" ALICE ">\r\nDATA\r\n");
    stream_write(s->caller->stream, slice_str(CONTENT ".\r\n"));
    stream_close(g_steal_pointer(&s->caller->stream));
    rig_run_for(s->rig, LATER_MS);
    g_autofree char *list = list_files();
    assert_files(list, "/mail/bob/cur/*:2,S\n", "\n" STORED);
    scene_free(s);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("handled");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "handlers are told all of the envelope", tells_all_of_the_envelope, NULL);
    suite_add(s, "and of a binary message", tells_of_a_binary_one, NULL);
    suite_add(s, "no handler is for it", asks_nobody_for_others, NULL);
    suite_add(s, "a bomb is refused unseen", refuses_a_bomb_unseen, NULL);
    suite_add(s, "so is a loop", refuses_a_loop_unseen, NULL);
    suite_add(s, "a redirect that goes round", refuses_a_redirect_that_goes_round, NULL);
    suite_add(s, "a large one is edited", edits_a_large_one, NULL);
    suite_add(s, "its client has gone", delivers_for_who_has_gone, NULL);
    return suite_run(s, argc, argv);
}
