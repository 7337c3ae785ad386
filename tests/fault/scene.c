#include "scene.h"

#include "suite.h"

#include <string.h>

enum {
    LARGE = 135000,
    JOB_MS = 40, /* half of it before it runs */
    LONG_ENOUGH_MS = 5000,
    DRAIN_MS = 60000,
    WALL_S = 1795296824,
    QUOTA = 1000000,
};

const struct scene_plan scene_plans[] = {
    { .name = "one message", .size = 500, .recipients = 1, .clients = 1 },
    { .name = "three recipients", .size = 500, .recipients = 3, .clients = 1 },
    { .name = "three recipients, synced one by one",
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .syncs_each = true },
    { .name = "three recipients over LMTP, on two disks",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .two_disks = true },
    { .name = "three recipients over LMTP, synced one by one",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .syncs_each = true },
    { .name = "a large message", .size = LARGE, .recipients = 1, .clients = 1 },
    { .name = "a large message for three", .size = LARGE, .recipients = 3, .clients = 1 },
    { .name = "a large message for three over LMTP, on two disks",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = LARGE,
      .recipients = 3,
      .clients = 1,
      .two_disks = true },
    { .name = "an abandoned message", .size = LARGE, .recipients = 2, .clients = 1, .abandons = true },
    { .name = "two messages in one batch", .size = 500, .recipients = 1, .clients = 3, .sync_alls = 2 },
    { .name = "two messages for two in one batch",
      .size = 500,
      .recipients = 2,
      .clients = 3,
      .sync_alls = 4 },
    { .name = "two batches that share a sync",
      .size = 500,
      .recipients = 1,
      .clients = 5,
      .late = 2,
      .sync_alls = 3 },
    { .name = "two batches over LMTP that share a sync",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 2,
      .clients = 5,
      .late = 2,
      .sync_alls = 5 },
    { .name = "one file for three", .size = 500, .recipients = 3, .clients = 1, .shares_file = true },
    { .name = "one file for three over LMTP, on two disks",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .shares_file = true,
      .two_disks = true },
    { .name = "maildirs that are missing", .size = 500, .recipients = 2, .clients = 1, .creates = true },
    { .name = "maildirs that are missing, over LMTP",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .creates = true },
    { .name = "quotas", .size = 500, .recipients = 2, .clients = 1, .has_quota = true },
    { .name = "quotas over LMTP",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 2,
      .clients = 1,
      .has_quota = true },
    { .name = "a folder", .size = 500, .recipients = 1, .clients = 1, .has_folder = true },
    { .name = "an alias over LMTP",
      .protocol = SMTP_PROTOCOL_LMTP,
      .size = 500,
      .recipients = 3,
      .clients = 1,
      .has_alias = true },
};
const size_t scene_plan_count = G_N_ELEMENTS(scene_plans);

/* Of the mailboxes, the last one may lie on the other disk, in a domain of its own. */
static bool is_on_other_disk(const struct scene *s, size_t box)
{
    return s->plan->two_disks && box == s->plan->recipients - 1;
}

static char *box_path(const struct scene *s, size_t box, const char *sub)
{
    bool folder = s->plan->has_folder && box == 0;
    return g_strdup_printf("/%s/box%zu/%s%s", is_on_other_disk(s, box) ? "other" : "mail", box,
                           folder ? ".lists/" : "", sub);
}

static char *box_address(const struct scene *s, size_t box)
{
    return g_strdup_printf("box%zu@example.%s", box, is_on_other_disk(s, box) ? "net" : "org");
}

static char *recipient_address(const struct scene *s, size_t recipient)
{
    if (s->plan->has_alias && recipient == 0)
        return g_strdup("team@example.org");
    if (s->plan->has_folder && recipient == 0)
        return g_strdup("box0+lists@example.org");
    return box_address(s, recipient);
}

static bool reaches(const struct scene *s, size_t recipient, size_t box)
{
    return recipient == box || (s->plan->has_alias && recipient == 0 && box == 1);
}

/* ---- a client ---- */

enum { GREETING, HELLO, MAIL, RCPT, DATA, CONTENT, QUIT, NOTHING };

static void say(struct scene_client *c, const char *text, int awaits)
{
    c->awaits = awaits;
    stream_write(c->stream, slice_str(text));
}

static void leave(struct scene_client *c)
{
    stream_abort(g_steal_pointer(&c->stream));
}

static void send_rcpt(struct scene_client *c)
{
    g_autofree char *address = recipient_address(c->scene, c->asked);
    g_autofree char *text = g_strdup_printf("RCPT TO:<%s>\r\n", address);
    say(c, text, RCPT);
}

static void send_content(struct scene_client *c)
{
    bool abandons = c->scene->plan->abandons;
    size_t len = abandons ? c->wire->len / 2 : c->wire->len;
    c->asked = 0;
    c->awaits = CONTENT;
    stream_write(c->stream, slice_of(c->wire->str, len));
}

static void on_rcpt_reply(struct scene_client *c, unsigned code)
{
    c->codes[c->asked++] = code == 250 ? 0 : code;
    if (c->asked < c->scene->plan->recipients)
        send_rcpt(c);
    else
        say(c, "DATA\r\n", DATA);
}

/* LMTP tells of each recipient that was accepted, SMTP of all of them at once. */
static void on_last_reply(struct scene_client *c, unsigned code)
{
    bool lmtp = c->scene->plan->protocol == SMTP_PROTOCOL_LMTP;
    size_t count = c->scene->plan->recipients, answered = 0;
    for (; c->asked < count && (answered == 0 || !lmtp); c->asked++) {
        if (c->codes[c->asked] != 0)
            continue;
        c->codes[c->asked] = code;
        answered++;
    }
    assert_true(answered > 0);
    bool more = false;
    for (size_t i = c->asked; i < count; i++)
        more = more || c->codes[i] == 0;
    if (!more)
        say(c, "QUIT\r\n", QUIT);
}

static void on_reply(struct scene_client *c, unsigned code)
{
    bool lmtp = c->scene->plan->protocol == SMTP_PROTOCOL_LMTP;
    switch (c->awaits) {
    case GREETING:
        say(c, lmtp ? "LHLO client.example.com\r\n" : "EHLO client.example.com\r\n", HELLO);
        break;
    case HELLO:
        say(c, "MAIL FROM:<sender@example.com>\r\n", MAIL);
        break;
    case MAIL:
        send_rcpt(c);
        break;
    case RCPT:
        on_rcpt_reply(c, code);
        break;
    case DATA:
        if (code == 354)
            send_content(c);
        else
            say(c, "QUIT\r\n", QUIT); /* nobody was accepted */
        break;
    case CONTENT:
        on_last_reply(c, code);
        break;
    case QUIT:
        assert_int_equal(code, 221);
        c->awaits = NOTHING;
        leave(c);
        break;
    default:
        fail_msg("a reply that nobody asked for: %u", code);
    }
}

static void on_read(void *owner, struct slice bytes)
{
    struct scene_client *c = owner;
    for (size_t i = 0; i < bytes.len && c->stream != NULL; i++) {
        g_string_append_c(c->line, (char)bytes.data[i]);
        if (bytes.data[i] != '\n')
            continue;
        assert_true(c->line->len >= 6 && g_str_has_suffix(c->line->str, "\r\n"));
        unsigned code = (unsigned)g_ascii_strtoull(c->line->str, NULL, 10);
        bool last = c->line->str[3] == ' ';
        g_string_truncate(c->line, 0);
        if (last)
            on_reply(c, code);
    }
}

static void on_connected(void *owner, int error)
{
    struct scene_client *c = owner;
    assert_int_equal(error, 0);
    stream_set_reading(c->stream, true);
}

static void on_end(void *owner, int error)
{
    (void)error;
    fail_msg("the worker left a client that was to be told %d", ((struct scene_client *)owner)->awaits);
}

static void make_message(struct scene_client *c, size_t number)
{
    c->wire = g_string_new(NULL);
    c->stored = g_string_new(NULL);
    g_autofree char *subject = g_strdup_printf("Subject: message %zu of %s", number, c->scene->plan->name);
    g_string_append_printf(c->stored, "%s\n\n", subject);
    g_string_append_printf(c->wire, "%s\r\n\r\n", subject);
    for (size_t line = 0; c->stored->len < c->scene->plan->size; line++) {
        g_autofree char *text = g_strnfill(line * 7 % 900, (char)('a' + number));
        g_string_append_printf(c->stored, "%zu %s\n", line, text);
        g_string_append_printf(c->wire, "%zu %s\r\n", line, text);
    }
    g_string_append(c->wire, ".\r\n");
}

static void client_start(struct scene *s, size_t number)
{
    static const struct stream_events events = { .on_connected = on_connected,
                                                 .on_read = on_read,
                                                 .on_end = on_end };
    struct scene_client *c = &s->clients[number];
    const struct net_address *to = &s->listener.address;
    c->scene = s;
    c->line = g_string_new(NULL);
    c->awaits = GREETING;
    make_message(c, number);
    assert_int_equal(
        stream_connect(s->reactor, (const struct sockaddr *)&to->storage, to->len, &events, c, &c->stream),
        0);
}

/* ---- the scene ---- */

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct scene *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)owner, (void)line, (void)len;
    assert_true(level < PST_LOG_PANIC);
}

static void on_drained(void *owner)
{
    ((struct scene *)owner)->drained = true;
}

static void make_box(const struct scene *s, size_t box)
{
    static const char *const subs[] = { "tmp", "new", "cur" };
    bool missing = s->plan->creates && box == 0, half = s->plan->creates && box == 1;
    for (size_t i = 0; i < (missing ? 0 : half ? 1 : G_N_ELEMENTS(subs)); i++) {
        g_autofree char *path = box_path(s, box, subs[i]);
        disk_sim_mkdir_all(path);
        g_autofree char *inbox = g_strdup_printf("/mail/box%zu/%s", box, subs[i]);
        disk_sim_mkdir_all(inbox);
    }
}

static void make_disk(const struct scene *s)
{
    disk_sim_reset(1);
    disk_sim_set_time(WALL_S * INT64_C(1000000));
    disk_sim_mount("/mail", !s->plan->syncs_each);
    disk_sim_mount("/other", !s->plan->syncs_each);
    for (size_t box = 0; box < SCENE_BOXES; box++)
        make_box(s, box);
    if (s->plan->has_quota)
        disk_sim_write_file("/mail/box0/maildirsize", slice_str("1000000S\n0 0\n"));
    disk_sim_write_file("/aliases", slice_str("team: box0, box1\n"));
}

/* Jobs are so much slower than what is said that all clients have said theirs when the first commit ends. */
static void make_network(struct scene *s)
{
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.job = (struct reactor_sim_span){ JOB_MS * 500, JOB_MS * 500 };
    settings.connect.max_us = settings.link.delay.max_us = 10;
    reactor_sim_configure(s->reactor, &settings);
}

static void make_worker(struct scene *s)
{
    s->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = s };
    s->listener = (struct worker_listener){ .name = "mail", .protocol = s->plan->protocol, .fd = -1 };
    assert_int_equal(net_address_parse("127.0.0.1:25", &s->listener.address), 0);
    s->settings = (struct worker_settings){
        .hostname = "mx.example.org",
        .limits = { .connections = 100 },
        .sync = s->plan->sync,
        .single_instance = s->plan->shares_file,
        .router = s->router,
        .listeners = &s->listener,
        .listener_count = 1,
        .shares = &s->share,
        .share_count = 1,
        .workers = 1,
        .connections_here = 100,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &s->settings.smtp);
    assert_int_equal(worker_new(s->reactor, &s->settings, &s->log, on_drained, s, &s->worker), 0);
}

static void make_router(struct scene *s)
{
    static const struct table_rules rules = { .follows = true };
    struct diag problems = { NULL };
    s->aliases = table_open("/aliases", &rules, (struct origin){ "test", 1 }, &problems);
    assert_non_null(s->aliases);
    const struct domain_options mail = { .maildirs = "/mail",
                                         .aliases = s->plan->has_alias ? s->aliases : NULL,
                                         .subaddress = "+",
                                         .quota = s->plan->has_quota ? QUOTA : 0,
                                         .create = s->plan->creates };
    const struct domain_options other = { .maildirs = "/other" };
    s->router = router_new();
    assert_int_equal(router_add_domain(s->router, "example.org", &mail), 0);
    assert_int_equal(router_add_domain(s->router, "example.net", &other), 0);
}

void scene_init(struct scene *s, const struct scene_plan *plan)
{
    assert_true(plan->clients <= SCENE_CLIENTS && plan->recipients <= SCENE_BOXES);
    *s = (struct scene){ .plan = plan };
    make_disk(s);
    s->reactor = reactor_sim_new(1);
    make_network(s);
    make_router(s);
    make_worker(s);
}

static void run_until(struct scene *s, msec_t later_ms)
{
    reactor_sim_run_until(s->reactor, reactor_now(s->reactor) + later_ms);
}

void scene_run(struct scene *s)
{
    size_t early = s->plan->clients - s->plan->late;
    for (size_t i = 0; i < early; i++)
        client_start(s, i);
    /* A job for each look-up and one for the first message; then the batch is under way. */
    run_until(s, (msec_t)(s->plan->recipients + 1) * JOB_MS + JOB_MS / 2);
    for (size_t i = early; i < s->plan->clients; i++)
        client_start(s, i);
    run_until(s, LONG_ENOUGH_MS);
    for (size_t i = 0; i < s->plan->clients; i++) {
        struct scene_client *c = &s->clients[i];
        assert_true(c->awaits == NOTHING || (s->plan->abandons && c->awaits == CONTENT));
        if (c->stream != NULL)
            leave(c);
    }
    worker_drain(s->worker, DRAIN_MS);
    reactor_run(s->reactor);
    assert_true(s->drained);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_int_equal(reactor_free(g_steal_pointer(&s->reactor)), 0);
}

void scene_clear(struct scene *s)
{
    for (size_t i = 0; i < s->plan->clients; i++) {
        g_string_free(s->clients[i].wire, TRUE);
        g_string_free(s->clients[i].stored, TRUE);
        g_string_free(s->clients[i].line, TRUE);
    }
    router_free(s->router);
    table_free(s->aliases);
}

/* ---- what it left ---- */

static uint64_t number_behind(const char *name, const char *field)
{
    const char *at = strstr(name, field);
    assert_non_null(at);
    return g_ascii_strtoull(at + strlen(field), NULL, 10);
}

/* The sizes that its name tells; readers count a line's end as two octets. */
static void check_sizes(const char *name, const char *content, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += content[i] == '\n';
    assert_int_equal(number_behind(name, ",S="), len);
    assert_int_equal(number_behind(name, ",W="), len + lines);
}

/* Whose whole message that is. */
static size_t sender_of(const struct scene *s, size_t box, const char *content, size_t len)
{
    g_autofree char *address = box_address(s, box);
    g_autofree char *delivered_to =
        s->plan->shares_file ? g_strdup("") : g_strdup_printf("Delivered-To: %s\n", address);
    g_autofree char *head = g_strconcat("Return-Path: <sender@example.com>\n", delivered_to, NULL);
    assert_true(g_str_has_prefix(content, head));
    assert_non_null(strstr(content, "\nReceived: "));
    assert_int_equal(strlen(content), len); /* no octets that were not written */
    for (size_t i = 0; i < s->plan->clients; i++) {
        const GString *stored = s->clients[i].stored;
        if (len >= stored->len && memcmp(content + len - stored->len, stored->str, stored->len) == 0)
            return i;
    }
    fail_msg("not a whole message in box%zu/new: %zu octets", box, len);
    return 0;
}

static void look_into_box(const struct scene *s, size_t box, unsigned copies[SCENE_CLIENTS])
{
    g_autofree char *dir = box_path(s, box, "new");
    g_auto(GStrv) names = disk_sim_names(dir);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        size_t len;
        g_autofree char *path = g_build_filename(dir, names[i], NULL);
        g_autofree char *content = disk_sim_read_file(path, &len);
        copies[sender_of(s, box, content, len)]++;
        check_sizes(names[i], content, len);
    }
}

static void check(const struct scene *s, bool refusals)
{
    for (size_t box = 0; box < SCENE_BOXES; box++) {
        unsigned copies[SCENE_CLIENTS] = { 0 };
        look_into_box(s, box, copies);
        for (size_t i = 0; i < s->plan->clients; i++) {
            bool kept = false, reached = false;
            for (size_t r = 0; r < s->plan->recipients; r++) {
                reached = reached || reaches(s, r, box);
                kept = kept || (reaches(s, r, box) && s->clients[i].codes[r] == 250);
            }
            assert_in_range(copies[i], kept, refusals ? kept : reached);
        }
    }
}

void scene_check(const struct scene *s)
{
    check(s, false);
}

void scene_check_refusals(const struct scene *s)
{
    check(s, true);
    for (size_t i = 0; i < s->plan->clients; i++)
        for (size_t box = 0; box < s->plan->recipients; box++) {
            unsigned code = s->clients[i].codes[box];
            assert_true(code == 250 || code == 451 || code == 452 || (code == 0 && s->plan->abandons));
        }
}

/* What a maildirsize says; 0 when there is none, or it was written in part and will be counted anew. */
static int64_t told_octets(const char *path, bool *ret_is_whole)
{
    int64_t sum = 0;
    g_autofree char *text = disk_sim_read_file(path, NULL);
    *ret_is_whole =
        text != NULL && g_regex_match_simple("^\\d+S\n(-?\\d+ -?\\d+\n)+$", text, G_REGEX_DOLLAR_ENDONLY, 0);
    if (!*ret_is_whole)
        return 0;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 1; lines[i] != NULL; i++)
        sum += g_ascii_strtoll(lines[i], NULL, 10);
    return sum;
}

static int64_t octets_in(const struct scene *s, size_t box)
{
    int64_t sum = 0;
    g_autofree char *dir = box_path(s, box, "new");
    g_auto(GStrv) names = disk_sim_names(dir);
    for (size_t i = 0; names[i] != NULL; i++)
        sum += (int64_t)number_behind(names[i], ",S=");
    return sum;
}

void scene_check_quotas(const struct scene *s)
{
    for (size_t box = 0; s->plan->has_quota && box < s->plan->recipients; box++) {
        bool is_whole;
        g_autofree char *path = g_strdup_printf("/mail/box%zu/maildirsize", box);
        int64_t told = told_octets(path, &is_whole);
        assert_true(!is_whole || told >= octets_in(s, box));
    }
}

void scene_check_success(const struct scene *s)
{
    for (size_t i = 0; i < s->plan->clients; i++)
        for (size_t r = 0; r < s->plan->recipients; r++)
            assert_int_equal(s->clients[i].codes[r], s->plan->abandons ? 0 : 250);
}

size_t scene_staged(const struct scene *s)
{
    size_t count = 0;
    for (size_t box = 0; box < SCENE_BOXES; box++) {
        g_autofree char *dir = box_path(s, box, "tmp");
        g_auto(GStrv) names = disk_sim_names(dir);
        count += names != NULL ? g_strv_length(names) : 0;
    }
    return count;
}
