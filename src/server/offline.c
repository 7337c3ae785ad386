#include "server/offline.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/route.h"
#include "handlers/verdict.h"
#include "message/guard.h"

const char *const offline_result_names[] = { "deliver", "reject", "defer", "discard", "failure", NULL };

/* ---- recipients ---- */

static void recipient_free(void *recipient)
{
    struct wire_recipient *r = recipient;
    for (uint32_t i = 0; i < r->mailboxes.count; i++)
        g_free((char *)r->mailboxes.texts[i]);
    g_free(r->mailboxes.texts);
    g_free(r);
}

static void add_mailbox(struct wire_recipient *r, const char *address)
{
    r->mailboxes.texts = g_renew(const char *, r->mailboxes.texts, r->mailboxes.count + 1);
    r->mailboxes.texts[r->mailboxes.count++] = g_strdup(address);
}

/* NULL: it is in no domain of the configuration. */
static const struct domain *start_route(const struct settings *s, const char *address,
                                        struct route_start *ret_start)
{
    struct smtp_address parsed;
    bool is_ours =
        smtp_address_parse(slice_str(address), &parsed) == 0 && router_start(s->router, &parsed, ret_start);
    return is_ours ? ret_start->domain : NULL;
}

static bool is_taken(const struct settings *s, const char *address)
{
    struct route_start start;
    auto_val(route) route = { 0 };
    return start_route(s, address, &start) != NULL && route_find(s->router, &start, NULL, &route) == 0;
}

/* Where it leads to. With no domain at all, to the mailbox of its own name. */
static struct wire_recipient *find_recipient(const struct settings *s, const char *address,
                                             const struct offline_log *log)
{
    struct wire_recipient *r = g_new0(struct wire_recipient, 1);
    r->address = address;
    if (config_next(s->config, "domain", NULL) == NULL) {
        add_mailbox(r, address);
        return r;
    }
    struct route_start start;
    auto_val(route) route = { 0 };
    if (start_route(s, address, &start) == NULL || route_find(s->router, &start, NULL, &route) < 0) {
        g_autofree char *text = g_strdup_printf("the server would not take mail for %s", address);
        log->tell(log->owner, "postern", "warning", text);
        return r;
    }
    for (guint i = 0; i < route.mailboxes->len; i++) {
        struct smtp_address mailbox;
        char text[SMTP_ADDRESS_TEXT];
        mailbox_address(g_ptr_array_index(route.mailboxes, i), &mailbox);
        add_mailbox(r, smtp_address_format(&mailbox, text));
    }
    return r;
}

/* ---- turns ---- */

static bool is_in_scope(const struct settings *s, const struct handler_scope *scope, const char *address)
{
    struct route_start start;
    const struct domain *domain = scope->domains != NULL ? start_route(s, address, &start) : NULL;
    return scope->domains == NULL || (domain != NULL && handler_scope_has_domain(scope, domain->name));
}

/* Which recipients a handler decides about. False: of none. */
static bool take_turn(const struct offline_question *q, uint32_t handler, struct wire_turn *ret_turn)
{
    const struct handler_scope *scope = &q->settings->handlers.scopes[handler];
    uint32_t all = g_strv_length(q->to), count = 0;
    if (!handler_scope_has_listener(scope, q->listener))
        return false;
    uint32_t *recipients = g_new(uint32_t, all);
    for (uint32_t i = 0; i < all; i++)
        if (is_in_scope(q->settings, scope, q->to[i]))
            recipients[count++] = i;
    if (count == 0 || count == all)
        g_clear_pointer(&recipients, g_free); /* those of all are not told */
    *ret_turn = (struct wire_turn){ .handler = handler,
                                    .recipients = recipients,
                                    .recipient_count = recipients != NULL ? count : 0 };
    return count > 0;
}

static void clear_turn(void *turn)
{
    g_free(((struct wire_turn *)turn)->recipients);
}

static GArray *take_turns(const struct offline_question *q)
{
    GArray *turns = g_array_new(FALSE, FALSE, sizeof(struct wire_turn));
    g_array_set_clear_func(turns, clear_turn);
    for (uint32_t i = 0; i < q->settings->handlers.config.handler_count; i++) {
        struct wire_turn turn;
        if (take_turn(q, i, &turn))
            g_array_append_val(turns, turn);
    }
    return turns;
}

/* ---- the host ---- */

static bool is_sound(const struct offline_question *q, const struct offline_answer *a)
{
    struct stat scratch;
    if (fstat(a->host.scratch, &scratch) < 0)
        return false;
    const struct handler_bounds bounds = { .recipients = a->recipients->len,
                                           .handlers = q->settings->handlers.config.handler_count,
                                           .message_size = q->size,
                                           .scratch_size = (uint64_t)scratch.st_size };
    return handler_verdict_problem(&a->frame.verdict, &bounds) == NULL;
}

static void tell_log(const struct offline_question *q, const struct wire_log *line,
                     const struct offline_log *log)
{
    static const char *const levels[] = { "debug", "info", "warning", "error" };
    const struct wire_config *config = &q->settings->handlers.config;
    bool is_known = line->handler >= 0 && (uint32_t)line->handler < config->handler_count;
    log->tell(log->owner, is_known ? config->handlers[line->handler].name : "host",
              levels[MIN(line->level, G_N_ELEMENTS(levels) - 1)], line->text);
}

/* Until a frame of that type comes, which then lies in the answer. */
static int wait_for(const struct offline_question *q, enum wire_type type, const struct offline_log *log,
                    struct offline_answer *a)
{
    for (;;) {
        wire_frame_clear(&a->frame);
        int r = lone_host_hear(&a->host, &a->frame);
        if (r < 0 || a->frame.type == type)
            return r;
        if (a->frame.type != WIRE_LOG)
            return -EBADMSG;
        tell_log(q, &a->frame.log, log);
    }
}

/* As long as the server's, and as unlike. */
static char *new_id(void)
{
    return g_strdup_printf("%08x%04x", g_random_int(), g_random_int() & 0xffff);
}

static int say_message(const struct offline_question *q, struct offline_answer *a, GArray *turns)
{
    g_autofree char *id = new_id();
    g_autofree struct wire_recipient *recipients = g_new0(struct wire_recipient, a->recipients->len);
    bool is_ascii = g_str_is_ascii(q->from);
    for (guint i = 0; i < a->recipients->len; i++) {
        recipients[i] = *(struct wire_recipient *)g_ptr_array_index(a->recipients, i);
        is_ascii = is_ascii && g_str_is_ascii(recipients[i].address);
    }
    struct wire_frame frame = { .type = WIRE_MESSAGE };
    frame.message = (struct wire_message){
        .session = id,
        .id = id,
        .listener = q->listener,
        .protocol = q->protocol,
        .client = q->client,
        .helo = q->helo,
        .reverse_path = q->from,
        .body = "8BITMIME",
        .utf8 = !is_ascii,
        .arrived_us = g_get_real_time(),
        .recipients = recipients,
        .recipient_count = a->recipients->len,
        .turns = (struct wire_turn *)(void *)turns->data,
        .turn_count = turns->len,
        .size = q->size,
    };
    return lone_host_say(&a->host, &frame, q->message);
}

/* As the server does, before any parser sees it: NULL, or the limit that the message exceeds. */
static const char *exceeded_limit(const struct offline_question *q)
{
    auto_ptr(guard) guard = guard_new(&q->settings->worker.guard, false);
    uint8_t octets[65536];
    ssize_t n = 0;
    for (uint64_t at = 0; at < q->size; at += (uint64_t)n) {
        n = pread(q->message, octets, sizeof octets, (off_t)at);
        if (n <= 0)
            break; /* what cannot be read, the host will tell of */
        guard_take(guard, slice_of(octets, (size_t)n));
    }
    return guard_exceeded(guard);
}

static int run_host(const struct offline_question *q, GArray *turns, const struct offline_log *log,
                    struct offline_answer *a)
{
    int r = lone_host_start(&a->host, &q->settings->handlers);
    if (r == 0)
        r = wait_for(q, WIRE_READY, log, a);
    if (r < 0)
        return r;
    a->failure = g_strdup(a->frame.ready.problem);
    if (a->failure != NULL)
        return 0;
    r = say_message(q, a, turns);
    if (r == 0)
        r = wait_for(q, WIRE_VERDICT, log, a);
    if (r == 0 && !is_sound(q, a))
        r = -EBADMSG;
    return r;
}

/* ---- what it comes to ---- */

/* As the server does, which follows redirects once somebody is to get the message: NULL, or the first one
 * that leads nowhere. Without a domain all lead somewhere. */
static const char *lost_redirect(const struct settings *s, const struct wire_verdict *v)
{
    bool is_known = config_next(s->config, "domain", NULL) != NULL;
    for (uint32_t i = 0; is_known && i < v->fate_count; i++) {
        const struct wire_text_list *to = &v->fates[i].redirects;
        for (uint32_t k = 0; v->fates[i].decision == WIRE_DELIVER && k < to->count; k++)
            if (!is_taken(s, to->texts[k]))
                return to->texts[k];
    }
    return NULL;
}

static void take_lost_redirect(const char *address, struct offline_answer *a)
{
    a->result = OFFLINE_FAILURE;
    a->failure = g_strdup_printf("a redirect to %s, which the server would not take mail for", address);
    a->reply = g_strdup("451 4.3.0");
}

static enum offline_result result_of(const struct wire_verdict *v)
{
    static const enum offline_result results[] = { [WIRE_DELIVER] = OFFLINE_DELIVER,
                                                   [WIRE_REJECT] = OFFLINE_REJECT,
                                                   [WIRE_DEFER] = OFFLINE_DEFER,
                                                   [WIRE_DISCARD] = OFFLINE_DISCARD };
    static const int ranks[] = {
        [OFFLINE_DISCARD] = 0, [OFFLINE_DELIVER] = 1, [OFFLINE_REJECT] = 2, [OFFLINE_DEFER] = 3
    };
    enum offline_result result = OFFLINE_DISCARD;
    for (uint32_t i = 0; i < v->fate_count; i++) {
        enum offline_result of_this = results[v->fates[i].decision];
        if (ranks[of_this] > ranks[result])
            result = of_this;
    }
    return result;
}

static void take_refusal(const char *limit, struct offline_answer *a)
{
    a->result = OFFLINE_FAILURE;
    a->failure = g_strdup_printf("the message exceeds the limit %s, and no handler sees it", limit);
    a->reply = g_strdup("554 5.6.0");
}

static void take_failure(const struct offline_question *q, int error, struct offline_answer *a)
{
    a->result = OFFLINE_FAILURE;
    if (a->failure == NULL)
        a->failure = lone_host_why(&a->host, error);
    bool is_message = error == -ENODATA && a->host.is_told && a->host.obituary.stage == WIRE_PARSING;
    if (is_message)
        a->reply = g_strdup("554 5.6.0");
    else if (!q->settings->handlers.deliver_on_failure)
        a->reply = g_strdup("451 4.3.0");
}

/* No handler is for this message: it is delivered as it is. */
static void take_nothing(struct offline_answer *a)
{
    a->frame.memory = g_ptr_array_new_with_free_func(g_free);
    a->verdict.fate_count = a->recipients->len;
    a->verdict.fates = g_new0(struct wire_fate, a->recipients->len);
    g_ptr_array_add(a->frame.memory, a->verdict.fates);
    for (uint32_t i = 0; i < a->verdict.fate_count; i++)
        a->verdict.fates[i] = (struct wire_fate){ .handler = -1, .enhanced = "", .text = "" };
}

void offline_ask(const struct offline_question *q, const struct offline_log *log,
                 struct offline_answer *ret_answer)
{
    struct offline_answer *a = ret_answer;
    *a = (struct offline_answer){ .host = LONE_HOST_NONE };
    a->recipients = g_ptr_array_new_with_free_func(recipient_free);
    for (char **address = q->to; *address != NULL; address++)
        g_ptr_array_add(a->recipients, find_recipient(q->settings, *address, log));
    g_autoptr(GArray) turns = take_turns(q);
    if (turns->len == 0) {
        take_nothing(a);
        return;
    }
    const char *limit = exceeded_limit(q);
    if (limit != NULL) {
        take_refusal(limit, a);
        return;
    }
    int r = run_host(q, turns, log, a);
    if (r < 0 || a->failure != NULL) {
        take_failure(q, r, a);
        return;
    }
    a->verdict = a->frame.verdict;
    for (uint32_t i = 0; i < a->verdict.fate_count; i++)
        a->verdict.fates[i].code = handler_reply_code(a->verdict.fates[i].code);
    a->result = result_of(&a->verdict);
    const char *lost = a->result == OFFLINE_DELIVER ? lost_redirect(q->settings, &a->verdict) : NULL;
    if (lost != NULL)
        take_lost_redirect(lost, a);
    int end = lone_host_end(&a->host);
    if (end < 0) {
        g_autofree char *why = lone_host_why(&a->host, end);
        log->tell(log->owner, "postern", "warning", why);
    }
}

void offline_answer_clear(struct offline_answer *a)
{
    wire_frame_clear(&a->frame);
    lone_host_clear(&a->host);
    g_clear_pointer(&a->recipients, g_ptr_array_unref);
    g_clear_pointer(&a->failure, g_free);
    g_clear_pointer(&a->reply, g_free);
}
