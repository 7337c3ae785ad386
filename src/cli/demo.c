#include "cli/demo.h"

#include <errno.h>

static const char text[] = "[server]\n"
                           "hostname = localhost\n"
                           "\n"
                           "[listen demo]\n"
                           "address = 127.0.0.1:2525\n"
                           "protocol = smtp\n"
                           "\n"
                           "[domain example.org]\n"
                           "; maildirs is the directory that the command line names\n";

static int make_mailbox(const char *dir, const char *mailbox)
{
    static const char *const parts[] = { "cur", "new", "tmp" };
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *path = g_build_filename(dir, mailbox, parts[i], NULL);
        if (g_mkdir_with_parents(path, 0700) < 0)
            return -errno;
    }
    return 0;
}

void demo_apply(struct config *c, const char *dir, struct diag *problems)
{
    static const char *const mailboxes[] = { "alice", "bob", "postmaster" };
    g_autofree char *option = g_strdup_printf("--demo %s", dir);
    struct origin at = { .file = option };
    for (size_t i = 0; i < G_N_ELEMENTS(mailboxes); i++) {
        int r = make_mailbox(dir, mailboxes[i]);
        if (r < 0)
            diag_add(problems, at, "the mailbox %s cannot be made: %s", mailboxes[i], g_strerror(-r));
    }
    config_read_text(c, "demo configuration", slice_str(text));
    config_set(c, "domain", "example.org", "maildirs", dir, at);
}
