#include "worker/verdict.h"

#include <errno.h>
#include <stddef.h>

static enum smtp_outcome over_quota(const struct domain *domain)
{
    return domain != NULL && domain->options.refuse_over_quota ? SMTP_MAILBOX_FULL_REFUSED
                                                               : SMTP_MAILBOX_FULL;
}

enum smtp_outcome verdict_of_lookup(int result, const struct mailbox *full)
{
    switch (result) {
    case 0:
        return SMTP_RECIPIENT_OK;
    case -ENOENT:
        return SMTP_NO_SUCH_MAILBOX;
    case -EDQUOT:
        return over_quota(full != NULL ? full->domain : NULL);
    case -EHOSTDOWN:
        return SMTP_LOOKUP_FAILED;
    case -ELOOP:
        return SMTP_ALIAS_LOOP;
    default:
        return SMTP_LOCAL_ERROR;
    }
}

enum smtp_outcome verdict_of_delivery(int result, const struct domain *domain)
{
    switch (result) {
    case 0:
        return SMTP_DELIVERED;
    case -ENOSPC:
    case -EMFILE: /* RFC 5321 4.2.3: "insufficient system storage", which the log tells apart */
        return SMTP_DISK_FULL;
    case -EDQUOT:
        return over_quota(domain);
    case -EMULTIHOP:
        return SMTP_MAIL_LOOP;
    default:
        return SMTP_LOCAL_ERROR;
    }
}

enum smtp_outcome verdict_of_auth(enum auth_kind kind)
{
    switch (kind) {
    case AUTH_CHALLENGE:
        return SMTP_AUTH_CHALLENGE;
    case AUTH_DONE:
        return SMTP_AUTHENTICATED;
    case AUTH_FAILED:
        return SMTP_AUTH_FAILED;
    case AUTH_MALFORMED:
        return SMTP_AUTH_MALFORMED;
    case AUTH_UNKNOWN_MECHANISM:
        return SMTP_AUTH_UNKNOWN_MECHANISM;
    default:
        return SMTP_AUTH_UNAVAILABLE;
    }
}
