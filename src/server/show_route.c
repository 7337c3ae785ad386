#include "server/show_route.h"

#include <errno.h>
#include <string.h>

#include "delivery/maildir.h"
#include "delivery/route.h"
#include "worker/verdict.h"

static void print_step(void *owner, unsigned depth, const char *step, const char *result)
{
    (void)fprintf(owner, "%*s%-12s%s\n", 2 * ((int)depth + 1), "", step, result);
}

static void print_reply(FILE *to, enum smtp_outcome outcome)
{
    char reply[SMTP_REPLY_MAX];
    smtp_outcome_format(outcome, NULL, reply, sizeof reply);
    (void)fprintf(to, "%s\n", g_strchomp(reply));
}

static void print_mailbox(FILE *to, const struct mailbox *m)
{
    (void)fprintf(to, "-> %s/%s", m->domain->options.maildirs, m->name);
    if (m->folder != NULL)
        (void)fprintf(to, "/%s", m->folder);
    if (m->quota > 0)
        (void)fprintf(to, ", quota %" G_GUINT64_FORMAT " octets", m->quota);
    (void)fprintf(to, "%s\n", m->create ? ", which is made then" : "");
}

/* Of its mailboxes. */
static int check_room(const struct route *route, const struct mailbox **ret_full)
{
    int r = 0;
    for (guint i = 0; r == 0 && i < route->mailboxes->len; i++) {
        *ret_full = g_ptr_array_index(route->mailboxes, i);
        r = maildir_has_room(*ret_full, 0);
    }
    return r;
}

/* `postmaster` alone is an address, too (RFC 5321 4.5.1). */
static int parse(const char *text, struct smtp_address *ret_address)
{
    if (g_ascii_strcasecmp(text, "postmaster") != 0)
        return smtp_address_parse(slice_str(text), ret_address);
    *ret_address = (struct smtp_address){ .local_len = sizeof "postmaster" - 1, .local = "postmaster" };
    return 0;
}

int show_route(const struct settings *s, const char *address, FILE *to)
{
    struct smtp_address parsed;
    if (parse(address, &parsed) < 0)
        return -EBADMSG;
    (void)fprintf(to, "%s\n", address);
    struct route_start start;
    if (!router_start(s->router, &parsed, &start)) {
        print_step(to, 0, "domain", "none of ours");
        print_reply(to, SMTP_NO_SUCH_DOMAIN);
        return false;
    }
    auto_val(route) route = { 0 };
    const struct route_observer observer = { print_step, to };
    const struct mailbox *full = NULL;
    int r = route_find(s->router, &start, &observer, &route);
    if (r == 0) {
        for (guint i = 0; i < route.mailboxes->len; i++)
            print_mailbox(to, g_ptr_array_index(route.mailboxes, i));
        r = check_room(&route, &full);
    }
    if (route.why != NULL)
        (void)fprintf(to, "%s\n", route.why);
    print_reply(to, verdict_of_lookup(r, full));
    return r == 0;
}
