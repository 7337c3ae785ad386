#include "handlers/verdict.h"

#include <string.h>

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

/* What may be UTF-8, and goes to others who look at it closely. */
static bool is_name(const char *text, size_t most)
{
    size_t len = strlen(text);
    if (len == 0 || len > most || !g_utf8_validate(text, (gssize)len, NULL))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return true;
}

/* RFC 3463 2: class "." subject "." detail, of up to three digits. */
static bool is_enhanced(const char *text, char class)
{
    if (text[0] != class)
        return false;
    text++;
    for (unsigned i = 0; i < 2; i++) {
        if (*text++ != '.')
            return false;
        size_t digits = strspn(text, "0123456789");
        if (digits < 1 || digits > 3)
            return false;
        text += digits;
    }
    return *text == '\0';
}

static bool is_reply(const struct wire_fate *f)
{
    unsigned class = f->decision == WIRE_REJECT ? 5 : 4;
    return f->code / 100 == class && is_enhanced(f->enhanced, (char)('0' + class)) && is_printable(f->text) &&
           strlen("550 ") + strlen(f->enhanced) + strlen(" ") + strlen(f->text) + strlen("\r\n") <=
               HANDLER_REPLY_MAX;
}

static bool are_flags(const char *flags)
{
    for (const char *at = flags; *at != '\0'; at++)
        if (strchr("DFPRST", *at) == NULL || strchr(at + 1, *at) != NULL)
            return false;
    return true;
}

static const char *fate_problem(const struct wire_fate *f, uint32_t handlers)
{
    if (f->handler < -1 || (f->handler >= 0 && (uint32_t)f->handler >= handlers))
        return "no such handler";
    if ((f->decision == WIRE_REJECT || f->decision == WIRE_DEFER) && !is_reply(f))
        return "no such reply";
    if (f->folder != NULL && !is_name(f->folder, HANDLER_FOLDER_MAX))
        return "no such folder";
    if (f->flags != NULL && !are_flags(f->flags))
        return "no such flags";
    if (f->redirects.count > HANDLER_REDIRECTS_MAX)
        return "too many redirects";
    for (uint32_t i = 0; i < f->redirects.count; i++)
        if (!is_name(f->redirects.texts[i], HANDLER_ADDRESS_MAX))
            return "no such address";
    return NULL;
}

const char *handler_verdict_problem(const struct wire_verdict *v, const struct handler_bounds *bounds)
{
    if (v->fate_count != bounds->recipients)
        return "not as many fates as recipients";
    if (v->replaced_size != (v->replaced ? bounds->scratch_size : 0))
        return "not the size of the scratch file";
    if (v->skip > (v->replaced ? v->replaced_size : bounds->message_size))
        return "more is left out than is there";
    if (v->front.len > 0 && v->front.data[v->front.len - 1] != '\n')
        return "half a line in front";
    for (uint32_t i = 0; i < v->fate_count; i++) {
        const char *problem = fate_problem(&v->fates[i], bounds->handlers);
        if (problem != NULL)
            return problem;
    }
    return NULL;
}
