/* MAIL (RFC 5321 4.1.1.2), with SIZE (RFC 1870) and BODY (RFC 6152). */
#include <errno.h>

#include "smtp/session_internal.h"

struct mail_parameters {
    bool has_size, has_body, eightbit;
    uint64_t size;
};

/* SMTP_SENDER_OK, or why not. */
static enum smtp_outcome take_size(struct mail_parameters *p, struct slice value, uint64_t limit)
{
    int r = pst_parse_u64(value, limit, &p->size);
    if (value.len > 20) /* size-value = 1*20DIGIT */
        return SMTP_PARAMETER_SYNTAX;
    return r == -ERANGE ? SMTP_TOO_BIG : r < 0 ? SMTP_PARAMETER_SYNTAX : SMTP_SENDER_OK;
}

static enum smtp_outcome take_body(struct mail_parameters *p, struct slice value)
{
    p->eightbit = slice_equal_nocase(value, "8BITMIME");
    return p->eightbit || slice_equal_nocase(value, "7BIT") ? SMTP_SENDER_OK : SMTP_PARAMETER_SYNTAX;
}

static enum smtp_outcome take_parameter(struct mail_parameters *p, const struct smtp_parameter *one,
                                        uint64_t limit)
{
    if (slice_equal_nocase(one->keyword, "SIZE") && !p->has_size) {
        p->has_size = true;
        return take_size(p, one->value, limit);
    }
    if (slice_equal_nocase(one->keyword, "BODY") && !p->has_body) {
        p->has_body = true;
        return take_body(p, one->value);
    }
    return SMTP_PARAMETER_UNKNOWN;
}

static enum smtp_outcome take_parameters(struct mail_parameters *p, struct slice rest, uint64_t limit)
{
    struct smtp_parameter one;
    int r;
    while ((r = smtp_parameter_next(&rest, &one)) > 0) {
        enum smtp_outcome outcome = take_parameter(p, &one, limit);
        if (outcome != SMTP_SENDER_OK)
            return outcome;
    }
    return r < 0 ? SMTP_PARAMETER_SYNTAX : SMTP_SENDER_OK;
}

void smtp_start_mail(struct smtp_session *s, const struct smtp_command *command)
{
    struct slice path;
    if (!smtp_path_argument(command->argument, "FROM:", &path)) {
        smtp_refuse(s, SMTP_MAIL_SYNTAX, command->argument);
        return;
    }
    struct smtp_address address;
    size_t len;
    int r = smtp_path_parse(path, &address, &len);
    bool domainless = r == 0 && address.domain_len == 0 && address.local_len > 0;
    if (r < 0 || domainless || !smtp_address_is_ascii(&address)) {
        smtp_refuse(s, r == -E2BIG ? SMTP_PATH_TOO_LONG : SMTP_BAD_SENDER, command->argument);
        return;
    }
    struct mail_parameters parameters = { 0 };
    enum smtp_outcome outcome =
        take_parameters(&parameters, slice_skip(path, len), s->service->limits.message_size);
    if (outcome != SMTP_SENDER_OK) {
        smtp_refuse(s, outcome, command->argument);
        return;
    }
    smtp_enter(s, SMTP_PHASE_MAIL);
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_MAIL);
    slot->bytes = path;
    slot->declared_size = parameters.size;
    slot->eightbit = parameters.eightbit;
    smtp_reply(s, SMTP_SENDER_OK);
}
