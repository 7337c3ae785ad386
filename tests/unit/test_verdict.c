/* What a client is told of what a look-up or a delivery came to. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "worker/verdict.h"

static const struct domain patient = { .options = { .refuse_over_quota = false } };
static const struct domain strict = { .options = { .refuse_over_quota = true } };
static const struct mailbox full = { .domain = &patient }, full_for_good = { .domain = &strict };

static const struct lookup_row {
    const char *name;
    int result;
    const struct mailbox *full;
    int code;
    const char *text; /* the start of it */
} lookup_rows[] = {
    { "RCPT: found", 0, NULL, 250, "250 2.1.5 " },
    { "RCPT: nowhere", -ENOENT, NULL, 550, "550 5.1.1 " },
    { "RCPT: full", -EDQUOT, &full, 452, "452 4.2.2 " },
    { "RCPT: full, which the domain refuses", -EDQUOT, &full_for_good, 552, "552 5.2.2 " },
    { "RCPT: full, by the disk's own quota", -EDQUOT, NULL, 452, "452 4.2.2 " },
    { "RCPT: a table that cannot be asked", -EHOSTDOWN, NULL, 451, "451 4.4.3 " },
    { "RCPT: aliases that go round", -ELOOP, NULL, 451, "451 4.4.6 " },
    { "RCPT: an alias that leads nowhere", -ENOLINK, NULL, 451, "451 4.3.0 " },
    { "RCPT: an alias that leads to too many", -E2BIG, NULL, 451, "451 4.3.0 " },
    { "RCPT: no maildir", -ENODEV, NULL, 451, "451 4.3.0 " },
    { "RCPT: a disk that fails", -EIO, NULL, 451, "451 4.3.0 " },
    { "RCPT: a way out of the domain", -EXDEV, NULL, 451, "451 4.3.0 " },
    { "RCPT: a disk that is full says nothing of the mailbox", -ENOSPC, NULL, 451, "451 4.3.0 " },
    { "RCPT: no descriptors", -EMFILE, NULL, 451, "451 4.3.0 " },
};

static void assert_outcome(enum smtp_outcome outcome, int code, const char *text)
{
    char reply[SMTP_REPLY_MAX];
    assert_int_equal(smtp_outcome_code(outcome), code);
    smtp_outcome_format(outcome, "id", reply, sizeof reply);
    assert_true(g_str_has_prefix(reply, text));
}

static void check_lookup(void **state)
{
    const struct lookup_row *row = *state;
    assert_outcome(verdict_of_lookup(row->result, row->full), row->code, row->text);
}

static const struct delivery_row {
    const char *name;
    int result;
    const struct domain *domain;
    int code;
    const char *text;
} delivery_rows[] = {
    { "copy: delivered", 0, &patient, 250, "250 2.0.0 " },
    { "copy: the disk is full", -ENOSPC, &patient, 452, "452 4.3.1 " },
    { "copy: the mailbox is full", -EDQUOT, &patient, 452, "452 4.2.2 " },
    { "copy: the mailbox is full, which the domain refuses", -EDQUOT, &strict, 552, "552 5.2.2 " },
    { "copy: it was there before", -EMULTIHOP, &patient, 554, "554 5.4.6 " },
    { "copy: the maildir is gone", -ENOENT, &patient, 451, "451 4.3.0 " },
    { "copy: no descriptors", -EMFILE, &patient, 452, "452 4.3.1 " },
    { "copy: a disk that fails", -EIO, &strict, 451, "451 4.3.0 " },
    { "copy: a disk that is read-only", -EROFS, &patient, 451, "451 4.3.0 " },
    { "copy: not permitted", -EACCES, &patient, 451, "451 4.3.0 " },
};

static void check_delivery(void **state)
{
    const struct delivery_row *row = *state;
    assert_outcome(verdict_of_delivery(row->result, row->domain), row->code, row->text);
}

/* Only what can never work may bounce: all others are for the sender to try again. */
static void what_is_unexpected_is_tried_again(void **state)
{
    (void)state;
    for (int error = 1; error < 200; error++) {
        int code = smtp_outcome_code(verdict_of_lookup(-error, NULL));
        assert_int_equal(code / 100, error == ENOENT ? 5 : 4);
        code = smtp_outcome_code(verdict_of_delivery(-error, &patient));
        assert_int_equal(code / 100, error == EMULTIHOP ? 5 : 4);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("verdict");
    suite_add_rows(s, lookup_rows, check_lookup);
    suite_add_rows(s, delivery_rows, check_delivery);
    suite_add(s, "what is unexpected is tried again", what_is_unexpected_is_tried_again, NULL);
    return suite_run(s, argc, argv);
}
