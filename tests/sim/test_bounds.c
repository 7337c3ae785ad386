/*
 * P3: what a worker holds is bounded by its sessions and the configured limits, and not by the size of
 * messages, lines and header sections, nor by how slow clients, disks and handlers are.
 *
 * In each case some clients say what they have to say, all at once and without waiting for replies, and the
 * most that the worker has held meanwhile must be less than
 *
 *     MEMORY_WORKER + sessions * (MEMORY_SESSION [+ MEMORY_TLS]) + recipients * MEMORY_RECIPIENT
 *
 * which memory.h puts together from the code's own limits. Where a case tells a lower bound, the worker has
 * held at least that: a count that sees nothing would pass all.
 */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "hosts.h"
#include "memory.h"
#include "rig.h"
#include "rig_tls.h"
#include "tls_peer.h"

enum {
    SESSIONS_MAX = 500,
    PIECE = 32 * 1024, /* octets, about, that are written at once */
    KIB = 1024,
    MIB = 1024 * 1024,
    HOURS_MS = 3600 * 1000,
};

/* What clients say: `before`, so many octets of `again`, `after`. */
struct script {
    const char *name;
    enum smtp_protocol protocol;
    size_t sessions;
    const char *before, *again, *after;
    uint64_t octets;
    const char
        *reply; /* which the last line that each of them has heard begins with; NULL: it reads nothing */
    size_t recipients; /* of each session; they are said behind `before` */
    bool has_handlers;
    bool has_tls;
    int64_t job_ms;     /* that a job waits for its turn, at most */
    size_t least;       /* octets that are held for each session at some time */
    size_t session_max; /* less than MEMORY_SESSION; 0: that */
};

struct sender {
    const struct script *script;
    struct stream *stream;
    struct tls_peer *tls; /* NULL: without */
    GString *piece;
    uint64_t said; /* of script->octets */
    unsigned step;
    GString *heard; /* the last line, as far as it has come */
    bool is_over;
};

/* ---- clients ---- */

static void say_wire(struct sender *c)
{
    if (c->tls->out->len > 0)
        stream_write(c->stream, slice_of(c->tls->out->data, c->tls->out->len));
    g_byte_array_set_size(c->tls->out, 0);
}

static void say(struct sender *c, const char *text, size_t len)
{
    if (c->tls == NULL) {
        stream_write(c->stream, slice_of(text, len));
        return;
    }
    tls_peer_write(c->tls, slice_of(text, len));
    say_wire(c);
}

static void say_recipients(struct sender *c)
{
    g_autoptr(GString) all = g_string_new(NULL);
    for (size_t i = 0; i < c->script->recipients; i++)
        g_string_append_printf(all, "RCPT TO:<user%zu@example.org>\r\n", i);
    say(c, all->str, all->len);
}

/* As long as nothing is kept here; what the network takes is not ours to bound. */
static void go_on(struct sender *c)
{
    const struct script *s = c->script;
    if (c->tls != NULL && !c->tls->is_open)
        return;
    while (!c->is_over && stream_unsent(c->stream) == 0 && c->step < 4) {
        switch (c->step) {
        case 0:
            say(c, s->before, strlen(s->before));
            break;
        case 1:
            say_recipients(c);
            if (s->recipients > 0)
                say(c, "DATA\r\n", 6);
            break;
        case 2:
            if (c->said < s->octets) {
                say(c, c->piece->str, c->piece->len);
                c->said += c->piece->len;
                continue;
            }
            break;
        default:
            say(c, s->after, strlen(s->after));
        }
        c->step++;
    }
}

static void on_connected(void *owner, int error)
{
    struct sender *c = owner;
    assert_int_equal(error, 0);
    stream_set_reading(c->stream, c->script->reply != NULL || c->tls != NULL);
    if (c->tls != NULL) {
        tls_peer_feed(c->tls, slice_of(NULL, 0));
        say_wire(c);
    }
    go_on(c);
}

static void hear(struct sender *c, struct slice bytes)
{
    g_string_append_len(c->heard, (const char *)bytes.data, (gssize)bytes.len);
    for (const char *end; (end = strstr(c->heard->str, "\r\n")) != NULL && end[2] != '\0';)
        g_string_erase(c->heard, 0, end + 2 - c->heard->str);
}

static void on_read(void *owner, struct slice bytes)
{
    struct sender *c = owner;
    if (c->tls == NULL) {
        hear(c, bytes);
        return;
    }
    tls_peer_feed(c->tls, bytes);
    hear(c, slice_of(c->tls->got->data, c->tls->got->len));
    g_byte_array_set_size(c->tls->got, 0);
    say_wire(c);
    if (c->script->reply == NULL && c->tls->is_open)
        stream_set_reading(c->stream, false);
    go_on(c);
}

static void on_end(void *owner, int error)
{
    (void)error;
    ((struct sender *)owner)->is_over = true;
}

static void on_drained(void *owner)
{
    go_on(owner);
}

static void sender_init(struct sender *c, struct rig *rig, const struct script *script, GString *piece)
{
    static const struct stream_events events = {
        .on_connected = on_connected, .on_read = on_read, .on_end = on_end, .on_drained = on_drained
    };
    const struct net_address *to = &rig->listeners[0].address;
    *c = (struct sender){ .script = script, .piece = piece, .heard = g_string_new(NULL) };
    c->tls = script->has_tls ? tls_peer_new(&(struct tls_peer_wish){ 0 }) : NULL;
    assert_int_equal(
        stream_connect(rig->reactor, (const struct sockaddr *)&to->storage, to->len, &events, c, &c->stream),
        0);
}

static void sender_clear(struct sender *c)
{
    stream_abort(c->stream);
    tls_peer_free(c->tls);
    g_string_free(c->heard, TRUE);
}

/* ---- the worker ---- */

static void make_network(struct rig *rig, const struct script *script)
{
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.link.segment_min = 8 * KIB; /* or tens of megabytes take long */
    settings.job.max_us = MAX(settings.job.max_us, script->job_ms * 1000);
    reactor_sim_configure(rig->reactor, &settings);
}

static void make_mailboxes(const struct script *script)
{
    for (size_t i = 0; i < script->recipients; i++) {
        static const char *const subs[] = { "tmp", "new", "cur" };
        for (size_t k = 0; k < G_N_ELEMENTS(subs); k++) {
            g_autofree char *path = g_strdup_printf("/mail/user%zu/%s", i, subs[k]);
            disk_sim_mkdir_all(path);
        }
    }
}

/* Whoever reads is told QUIT's reply, or sent away; whoever does not, says what there is room for. */
static bool is_over(struct rig *rig, const struct sender *senders, msec_t since)
{
    bool all = true;
    for (size_t i = 0; i < senders[0].script->sessions; i++)
        all = all && senders[i].is_over;
    return all || reactor_now(rig->reactor) - since > 6 * (msec_t)HOURS_MS;
}

/* Where RCPT is slow, too, some are told that too many others ask, and what they say then is no command. */
static void check(const struct script *script, const struct sender *senders, size_t base)
{
    const size_t session = script->session_max > 0
                               ? script->session_max
                               : (size_t)MEMORY_SESSION + (script->has_tls ? MEMORY_TLS : 0);
    size_t most = MEMORY_WORKER + script->sessions * (session + script->recipients * MEMORY_RECIPIENT);
    print_message("# %zu x %s: %zu KiB idle, %zu KiB at most, of %zu: %.1f KiB a session\n", script->sessions,
                  script->name, base / KIB, memory_peak() / KIB, most / KIB,
                  (double)(memory_peak() - base) / (double)script->sessions / KIB);
    for (size_t i = 0; script->reply != NULL && i < script->sessions; i++)
        if (!g_str_has_prefix(senders[i].heard->str, script->reply) &&
            !(script->job_ms > 0 && g_str_has_prefix(senders[i].heard->str, "421 ")))
            fail_msg("client %zu has heard: %s", i, senders[i].heard->str);
    if (memory_uncounted() != NULL)
        return;
    assert_true(base <= MEMORY_WORKER);
    assert_true(memory_peak() <= most);
    assert_true(memory_peak() >= base + script->sessions * script->least);
}

struct scene {
    char *folder; /* NULL: there is no TLS, and no store */
    struct tls_store *store;
    struct rig *rig;
    struct hosts *hosts;
};

static void scene_begin(struct scene *scene, const struct script *script)
{
    *scene = (struct scene){ .rig = rig_begin(script->protocol, 1) };
    make_network(scene->rig, script);
    make_mailboxes(script);
    if (script->has_tls) {
        scene->folder = certificate_folder();
        scene->store = rig_store(scene->folder);
        scene->rig->tls = scene->store;
        scene->rig->like.tls = WORKER_TLS_IMPLICIT;
    }
    if (script->has_handlers) {
        scene->hosts = hosts_new(scene->rig->reactor, 1, false);
        scene->rig->handlers = hosts_settings(scene->hosts);
    }
    rig_add_worker(scene->rig, script->sessions);
    rig_run_for(scene->rig, LATER_MS);
}

static void scene_end(struct scene *scene)
{
    rig_end(scene->rig);
    hosts_free(scene->hosts);
    tls_store_free(scene->store);
    if (scene->folder != NULL)
        certificate_folder_remove(scene->folder);
}

static void play(const struct script *script)
{
    struct scene scene;
    scene_begin(&scene, script);
    memory_reset();
    const size_t base = memory_held();
    g_autofree struct sender *senders = g_new0(struct sender, script->sessions);
    g_autoptr(GString) piece = g_string_new(NULL);
    while (piece->len < PIECE && *script->again != '\0')
        g_string_append(piece, script->again);
    for (size_t i = 0; i < script->sessions; i++)
        sender_init(&senders[i], scene.rig, script, piece);
    const msec_t start = reactor_now(scene.rig->reactor);
    while (!is_over(scene.rig, senders, start) && reactor_sim_step(scene.rig->reactor))
        ;
    check(script, senders, base);
    for (size_t i = 0; i < script->sessions; i++)
        sender_clear(&senders[i]);
    scene_end(&scene);
}

static void holds_no_more(void **state)
{
    const struct script *script = *state;
    reactor_sim_party = REACTOR_SIM_TEST; /* also behind a case that has failed */
    if (script->has_tls) {                /* what OpenSSL makes once, and keeps, is nobody's */
        struct script once = *script;
        once.sessions = 1;
        once.octets = once.least = 0;
        play(&once);
    }
    const size_t before = memory_held();
    play(script);
    assert_int_equal(memory_held(), before);
}

/* ---- the cases ---- */

#define HELO "EHLO client.example\r\n"
#define LHLO "LHLO client.example\r\n"
#define MAIL "MAIL FROM:<sender@example.net>\r\n"
#define RCPT "RCPT TO:<alice@example.org>\r\n"
#define TEXT "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n"
#define BYE  "QUIT\r\n"
#define END  ".\r\n" BYE

static const struct script scripts[] = {
    { .name = "sessions that say nothing",
      .sessions = 500,
      .before = HELO,
      .again = "",
      .after = "",
      .reply = "421 ",
      .session_max = 4 * KIB,
      .least = KIB - 64 },
    { .name = "a message of 40 MiB",
      .sessions = 1,
      .before = HELO MAIL RCPT "DATA\r\nSubject: large\r\n\r\n",
      .again = TEXT,
      .octets = 40 * MIB,
      .after = END,
      .reply = "221 ",
      .least = DELIVERY_SMALL },
    { .name = "a line of 20 MiB",
      .sessions = 1,
      .before = HELO MAIL RCPT "DATA\r\nSubject: long\r\n\r\n",
      .again = "0123456789abcdef",
      .octets = 20 * MIB,
      .after = "\r\n" END,
      .reply = "221 ",
      .least = DELIVERY_SMALL },
    { .name = "a header field of 20 MiB",
      .sessions = 1,
      .before = HELO MAIL RCPT "DATA\r\nSubject: long\r\n",
      .again = " and longer",
      .octets = 20 * MIB,
      .after = "\r\n" END,
      .reply = "221 " },
    { .name = "a million header fields",
      .sessions = 4,
      .before = HELO MAIL RCPT "DATA\r\n",
      .again = "X-Field: 1\r\n",
      .octets = 12 * MIB,
      .after = "\r\n" END,
      .reply = "221 " },
    { .name = "a chunk of 40 MiB",
      .sessions = 1,
      .before = HELO "MAIL FROM:<> BODY=BINARYMIME\r\n" RCPT "BDAT 41943040 LAST\r\n",
      .again = "0123456789abcdef",
      .octets = 40 * MIB,
      .after = BYE,
      .reply = "221 ",
      .least = DELIVERY_SMALL },
    { .name = "a command of 20 MiB",
      .sessions = 4,
      .before = HELO,
      .again = "NOOPNOOP",
      .octets = 20 * MIB,
      .after = "\r\n" BYE,
      .reply = "221 ",
      .session_max = 128 * KIB },
    { .name = "replies that nobody reads",
      .sessions = 20,
      .before = HELO,
      .again = "NOOP\r\nVRFY alice\r\nEHLO client.example\r\nRSET\r\n",
      .octets = 20 * MIB,
      .after = BYE,
      .least = 16 * KIB,
      .session_max = 256 * KIB },
    { .name = "messages behind replies that nobody reads",
      .sessions = 20,
      .before = HELO,
      .again = MAIL RCPT "DATA\r\nSubject: one of many\r\n\r\n" TEXT ".\r\n",
      .octets = 4 * MIB,
      .after = BYE },
    { .name = "a disk that takes minutes",
      .sessions = 20,
      .before = HELO MAIL RCPT "DATA\r\nSubject: slow\r\n\r\n",
      .again = TEXT,
      .octets = 2 * MIB,
      .after = END,
      .reply = "221 ",
      .job_ms = 5 * 60 * 1000,
      .least = DELIVERY_SMALL },
    { .name = "many large messages at once",
      .sessions = 200,
      .before = HELO MAIL RCPT "DATA\r\nSubject: many\r\n\r\n",
      .again = TEXT,
      .octets = MIB,
      .after = END,
      .reply = "221 ",
      .job_ms = 1000,
      .least = DELIVERY_SMALL },
    { .name = "sessions in TLS that say nothing",
      .sessions = 100,
      .before = HELO,
      .again = "",
      .after = "",
      .reply = "421 ",
      .has_tls = true,
      .session_max = 64 * KIB,
      .least = 8 * KIB },
    { .name = "messages of 8 MiB in TLS",
      .sessions = 8,
      .before = HELO MAIL RCPT "DATA\r\nSubject: large\r\n\r\n",
      .again = TEXT,
      .octets = 8 * MIB,
      .after = END,
      .reply = "221 ",
      .has_tls = true,
      .least = DELIVERY_SMALL },
    { .name = "replies in TLS that nobody reads",
      .sessions = 20,
      .before = HELO,
      .again = "NOOP\r\nVRFY alice\r\nEHLO client.example\r\nRSET\r\n",
      .octets = 4 * MIB,
      .after = BYE,
      .has_tls = true,
      .least = 16 * KIB,
      .session_max = 256 * KIB },
    { .name = "1000 mailboxes for each message",
      .protocol = SMTP_PROTOCOL_LMTP,
      .sessions = 4,
      .before = LHLO MAIL,
      .recipients = 1000,
      .again = TEXT,
      .octets = 64 * KIB,
      .after = END,
      .reply = "221 ",
      .least = 1000 * 256 },
    { .name = "handlers that hang, with many waiting",
      .sessions = 50,
      .before = HELO MAIL RCPT "DATA\r\nX-Act: hang\r\n\r\n",
      .again = TEXT,
      .octets = 60 * KIB,
      .after = END,
      .reply = "221 ",
      .has_handlers = true,
      .least = 32 * KIB },
    { .name = "large messages that handlers edit",
      .sessions = 8,
      .before = HELO MAIL RCPT "DATA\r\nX-Act: edit\r\n\r\n",
      .again = TEXT,
      .octets = 4 * MIB,
      .after = END,
      .reply = "221 ",
      .has_handlers = true },
    { .name = "parts within parts within parts",
      .sessions = 4,
      .before = HELO MAIL RCPT "DATA\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n",
      .again = "--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n",
      .octets = 8 * MIB,
      .after = END,
      .reply = "221 ",
      .has_handlers = true },
};

/* ---- the count itself ---- */

enum { BLOCK = 1000, BLOCK_COST = 1008 };

/* What the program has allocated is its own until it is freed, by whomever; and what the test has is not. */
static void counts_each_block(void **state)
{
    (void)state;
    const size_t before = memory_held();
    void *test = malloc(BLOCK), *aligned = NULL;
    assert_int_equal(memory_held() - before, 0);
    REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
    void *first = malloc(BLOCK);
    assert_int_equal(memory_held() - before, BLOCK_COST);
    uint8_t *second = calloc(10, BLOCK / 10);
    assert_int_equal(memory_held() - before, 2 * BLOCK_COST);
    assert_int_equal(second[0] + second[BLOCK - 1], 0);
    assert_int_equal(posix_memalign(&aligned, 4096, BLOCK), 0);
    assert_int_equal((uintptr_t)aligned % 4096, 0);
    assert_int_equal(memory_held() - before, 3 * BLOCK_COST);
    memset(aligned, 'a', BLOCK);
    aligned = realloc(aligned, 10 * BLOCK);
    assert_int_equal(((uint8_t *)aligned)[BLOCK - 1], 'a');
    first = realloc(first, 1);
    assert_int_equal(memory_held() - before, 32 + BLOCK_COST + 10 * BLOCK + 16);
    free(test);
    assert_int_equal(memory_held() - before, 32 + BLOCK_COST + 10 * BLOCK + 16);
    reactor_sim_party = REACTOR_SIM_TEST;
    free(first);
    free(second);
    free(aligned);
    assert_int_equal(memory_held(), before);
    assert_true(memory_peak() >= before + BLOCK_COST + 10 * BLOCK);
}

/* Its octets and names are on a disk, as far as the program is concerned; what it lists, the program sees. */
static int list_one(void *owner, const char *name)
{
    *(char **)owner = g_strdup(name);
    return 0;
}

static void counts_no_disk(void **state)
{
    (void)state;
    disk_sim_reset(1);
    disk_sim_mkdir_all("/mail");
    const size_t before = memory_held();
    const struct slice text = slice_str("text");
    char *name = NULL;
    {
        REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
        int dir = disk_open_root("/mail");
        int file = disk_create(dir, "name");
        assert_int_equal(disk_append(file, &text, 1), 0);
        assert_int_equal(memory_held(), before);
        assert_int_equal(disk_list(dir, list_one, &name), 0);
        assert_string_equal(name, "name");
        assert_int_equal(memory_held() > before, memory_uncounted() == NULL);
        disk_close(file);
        disk_close(dir);
    }
    g_free(name);
    assert_int_equal(memory_held(), before);
    disk_sim_reset(1);
}

int main(int argc, char **argv)
{
    memory_init(argv);
    if (memory_uncounted() != NULL)
        print_message("# memory is not counted: %s\n", memory_uncounted());
    struct suite *s = suite_new("bounds");
    if (memory_uncounted() == NULL) /* else there is nothing to ask; the others show that all is freed */
        suite_add(s, "each block is counted", counts_each_block, NULL);
    suite_add(s, "what is on the disk is not counted", counts_no_disk, NULL);
    suite_add_rows(s, scripts, holds_no_more);
    return suite_run(s, argc, argv);
}
