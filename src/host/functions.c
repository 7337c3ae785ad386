#include "host/functions.h"

#include <errno.h>
#include <string.h>

#include "handlers/verdict.h"
#include "host/header_text.h"
#include "host/parts.h"

enum {
    TEXT_MAX = 400, /* octets of a reply's text: RFC 5321, 4.5.3.1.5 has 512 for the line */
    FOLDER_MAX = 200,
};

static struct setup *setup_of(postern_setup *face)
{
    return (struct setup *)face;
}

static struct delivery *delivery_of(postern_delivery *face)
{
    return (struct delivery *)face;
}

/* What a handler asked for cannot be: it goes on, so somebody should read of it. */
static int told(struct delivery *d, const char *function, int r, const char *why)
{
    if (r >= 0)
        return r;
    g_autofree char *text = r == -EINVAL ? g_strdup_printf("%s: %s", function, why)
                                         : g_strdup_printf("%s: %s: %s", function, why, g_strerror(-r));
    host_log(d->channel, (int32_t)d->handler->index, POSTERN_ERROR, text);
    return r;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (!g_ascii_isprint(*text))
            return false;
    return true;
}

/* ---- init ---- */

static const char *setup_option(postern_setup *face, const char *name)
{
    return handler_option(setup_of(face)->handler, name);
}

static void setup_set_data(postern_setup *face, void *data)
{
    setup_of(face)->handler->data = data;
}

static void setup_log(postern_setup *face, postern_level level, const char *text)
{
    const struct setup *setup = setup_of(face);
    host_log(setup->channel, (int32_t)setup->handler->index, level, text);
}

static int setup_fail(postern_setup *face, const char *reason)
{
    struct setup *setup = setup_of(face);
    g_free(setup->failure);
    setup->failure = g_strdup(reason != NULL ? reason : "init failed");
    return -1;
}

/* ---- what it may ask ---- */

static const char *option(postern_delivery *face, const char *name)
{
    return handler_option(delivery_of(face)->handler, name);
}

static void *data(postern_delivery *face)
{
    return delivery_of(face)->handler->data;
}

static void write_log(postern_delivery *face, postern_level level, const char *text)
{
    const struct delivery *d = delivery_of(face);
    host_log(d->channel, (int32_t)d->handler->index, level, text);
}

static int raw(postern_delivery *face, uint64_t *ret_offset)
{
    struct delivery *d = delivery_of(face);
    return told(d, "raw", message_raw(&d->message, ret_offset), "the message cannot be read");
}

/* ---- verdicts ---- */

/* "5.N.N" (RFC 3463, 2): a class, and two numbers of one to three digits. */
static bool is_enhanced(const char *text, char class)
{
    if (text == NULL || text[0] != class)
        return false;
    text++;
    for (int part = 0; part < 2; part++) {
        size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;
        if (digits < 1 || digits > 3)
            return false;
        text += 1 + digits;
    }
    return *text == '\0';
}

/* The handler's own reply, as far as it can be one. */
static void take_reply(struct delivery *d, struct wire_fate *fate, int code, const char *enhanced,
                       const char *text)
{
    const char *function = fate->decision == WIRE_REJECT ? "reject" : "defer";
    int class = fate->decision == WIRE_REJECT ? 5 : 4;
    if (code / 100 == class && is_enhanced(enhanced, (char)('0' + class))) {
        fate->code = (uint32_t)code;
        fate->enhanced = enhanced;
    } else {
        (void)told(d, function, -EINVAL,
                   "the codes must be such as 550 and 5.7.1, or 451 and 4.7.1 to defer");
    }
    if (text != NULL && *text != '\0' && strlen(text) <= TEXT_MAX && is_plain(text))
        fate->text = text;
    else
        (void)told(d, function, -EINVAL, "the text must be one line of printable ASCII");
}

static int set_verdict(postern_delivery *face, size_t recipient, postern_verdict verdict, int code,
                       const char *enhanced, const char *text)
{
    struct delivery *d = delivery_of(face);
    const char *why = "that is no verdict";
    if (verdict > POSTERN_DISCARD)
        return told(d, "set_verdict", -EINVAL, why);
    struct wire_fate fate = delivery_fate(verdict);
    if (verdict == POSTERN_REJECT || verdict == POSTERN_DEFER)
        take_reply(d, &fate, code, enhanced, text);
    int r = delivery_set_verdict(d, recipient, &fate, &why);
    return told(d, "set_verdict", r, why);
}

/* ---- edits of the message ---- */

static int add_header(postern_delivery *face, const char *name, const char *value)
{
    struct delivery *d = delivery_of(face);
    const char *why = NULL;
    int r = message_add_header(&d->message, name, value, &why);
    return told(d, "add_header", r, why);
}

static int remove_header(postern_delivery *face, const char *name)
{
    struct delivery *d = delivery_of(face);
    const char *why = NULL;
    int r = message_remove_header(&d->message, name, &why);
    return told(d, "remove_header", r, why);
}

static int replace_header(postern_delivery *face, const char *name, const char *value)
{
    struct delivery *d = delivery_of(face);
    const char *why = NULL;
    int r = message_replace_header(&d->message, name, value, &why);
    return told(d, "replace_header", r, why);
}

static int replace_message(postern_delivery *face, GMimeMessage *message)
{
    struct delivery *d = delivery_of(face);
    const char *why = NULL;
    int r = message_replace(&d->message, message, &why);
    return told(d, "replace_message", r, why);
}

static int replace_raw(postern_delivery *face, int fd)
{
    struct delivery *d = delivery_of(face);
    const char *why = NULL;
    int r = message_replace_raw(&d->message, fd, &why);
    return told(d, "replace_raw", r, why);
}

/* ---- edits of where it goes ---- */

/* "Lists/Announce": a dot would be another border between folders on the disk (Maildir++). */
static bool is_folder(const char *folder)
{
    if (folder == NULL || strlen(folder) > FOLDER_MAX || !g_utf8_validate(folder, -1, NULL))
        return false;
    g_auto(GStrv) names = g_strsplit(folder, "/", -1);
    for (char **name = names; *name != NULL; name++)
        if (**name == '\0')
            return false;
    for (const char *at = folder; *at != '\0'; at++)
        if (*at == '.' || g_ascii_iscntrl(*at))
            return false;
    return *folder != '\0';
}

static int set_folder(postern_delivery *face, size_t recipient, const char *folder)
{
    struct delivery *d = delivery_of(face);
    const char *why = "a folder is such as Lists or Lists/Announce, without dots";
    int r = is_folder(folder) ? delivery_set_folder(d, recipient, folder, &why) : -EINVAL;
    return told(d, "set_folder", r, why);
}

static int set_flags(postern_delivery *face, size_t recipient, const char *flags)
{
    static const char letters[] = "DFPRST";
    struct delivery *d = delivery_of(face);
    const char *why = "flags are letters of DFPRST";
    if (flags == NULL || flags[strspn(flags, letters)] != '\0')
        return told(d, "set_flags", -EINVAL, why);
    char sorted[sizeof letters]; /* as they are in a file's name: each once, and in ASCII order */
    size_t len = 0;
    for (const char *letter = letters; *letter != '\0'; letter++)
        if (strchr(flags, *letter) != NULL)
            sorted[len++] = *letter;
    sorted[len] = '\0';
    int r = delivery_set_flags(d, recipient, sorted, &why);
    return told(d, "set_flags", r, why);
}

/* The worker reads it as RCPT's; here only what can be no address. */
static bool may_be_address(const char *address)
{
    if (address == NULL || strlen(address) > HANDLER_ADDRESS_MAX || !g_utf8_validate(address, -1, NULL))
        return false;
    for (const char *at = address; *at != '\0'; at++)
        if (g_ascii_iscntrl(*at))
            return false;
    return strchr(address, '@') != NULL;
}

static int redirect(postern_delivery *face, size_t recipient, const char *address)
{
    struct delivery *d = delivery_of(face);
    const char *why = "an address is such as alice@example.org";
    int r = may_be_address(address) ? delivery_redirect(d, recipient, address, &why) : -EINVAL;
    return told(d, "redirect", r, why);
}

/* ---- parts ---- */

static postern_parts *parts_new(GMimeMessage *message)
{
    return host_parts_new(message, &host_functions);
}

const postern_functions host_functions = {
    .size = sizeof(postern_functions),
    .abi = POSTERN_HANDLER_ABI,
    .setup_option = setup_option,
    .setup_set_data = setup_set_data,
    .setup_log = setup_log,
    .setup_fail = setup_fail,
    .option = option,
    .data = data,
    .log = write_log,
    .set_verdict = set_verdict,
    .add_header = add_header,
    .remove_header = remove_header,
    .replace_header = replace_header,
    .set_folder = set_folder,
    .set_flags = set_flags,
    .redirect = redirect,
    .replace_message = replace_message,
    .replace_raw = replace_raw,
    .raw = raw,
    .header_text = host_header_text,
    .parts_new = parts_new,
    .parts_next = host_parts_next,
    .parts_free = host_parts_free,
    .part_open = host_part_open,
    .part_size = host_part_size,
};
