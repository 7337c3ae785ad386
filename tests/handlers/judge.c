/*
 * A handler that does what its options say, so that tests see what becomes of each thing that one can do:
 * `verdict`, `second` (of the second recipient), `add`, `replace` (NAME: VALUE), `remove` (NAME), `folder`,
 * `flags` and `redirect` (of the first recipient), `message` (its octets), `log`, `envelope` (which it logs),
 * `fail` (in init).
 */
#include <postern/handler.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int init(postern_setup *setup)
{
    const char *reason = postern_setup_option(setup, "fail");
    return reason != NULL ? postern_fail(setup, reason) : 0;
}

static void edit_field(postern_delivery *delivery, const char *option,
                       int (*edit)(postern_delivery *, const char *, const char *))
{
    const char *field = postern_option(delivery, option);
    if (field == NULL)
        return;
    g_auto(GStrv) parts = g_strsplit(field, ": ", 2);
    (void)edit(delivery, parts[0], parts[1]);
}

static void replace(postern_delivery *delivery, const char *octets)
{
    int fd = memfd_create("judge", MFD_CLOEXEC);
    if (fd < 0 || write(fd, octets, strlen(octets)) < 0 || postern_replace_raw(delivery, fd) < 0)
        postern_log(delivery, POSTERN_ERROR, "the message was not replaced");
    if (fd >= 0)
        (void)close(fd);
}

static void tell_envelope(postern_delivery *delivery, const postern_envelope *e)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "%s %s %s %s <%s> %d", e->listener, e->protocol, e->client, e->helo,
                    e->reverse_path, (int)e->size);
    for (size_t i = 0; i < e->recipient_count; i++) {
        g_autofree char *mailboxes = g_strjoinv(",", (char **)e->recipients[i].mailboxes);
        g_string_append_printf(text, " <%s>=%s", e->recipients[i].address, mailboxes);
    }
    postern_log(delivery, POSTERN_INFO, text->str);
}

static void edit(postern_delivery *delivery)
{
    const char *message = postern_option(delivery, "message"), *removed = postern_option(delivery, "remove"),
               *folder = postern_option(delivery, "folder"), *flags = postern_option(delivery, "flags"),
               *redirect = postern_option(delivery, "redirect");
    if (message != NULL)
        replace(delivery, message);
    if (removed != NULL)
        (void)postern_remove_header(delivery, removed);
    edit_field(delivery, "replace", postern_replace_header);
    edit_field(delivery, "add", postern_add_header);
    if (folder != NULL)
        (void)postern_set_folder(delivery, 0, folder);
    if (flags != NULL)
        (void)postern_set_flags(delivery, 0, flags);
    if (redirect != NULL)
        (void)postern_redirect(delivery, 0, redirect);
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)message;
    const char *verdict = postern_option(delivery, "verdict"), *log = postern_option(delivery, "log");
    if (log != NULL)
        postern_log(delivery, POSTERN_WARNING, log);
    if (postern_option(delivery, "envelope") != NULL)
        tell_envelope(delivery, envelope);
    edit(delivery);
    if (g_strcmp0(postern_option(delivery, "second"), "reject") == 0)
        (void)postern_reject_recipient(delivery, 1, 550, "5.1.1", "nobody, \"really\"");
    if (g_strcmp0(postern_option(delivery, "second"), "discard") == 0)
        (void)postern_discard_recipient(delivery, 1);
    if (g_strcmp0(verdict, "reject") == 0)
        return postern_reject(delivery, 554, "5.7.0", "not like this");
    if (g_strcmp0(verdict, "defer") == 0)
        return postern_defer(delivery, 452, "4.3.1", "not now");
    return g_strcmp0(verdict, "discard") == 0 ? POSTERN_DISCARD : POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "judge", .init = init, .on_message = on_message)
