#include "steps.h"

#include "base/assert.h"
#include "slow_data.h"

enum command {
    COMMAND_CONNECT,
    COMMAND_MAIL,
    COMMAND_RCPT,
    COMMAND_DATA,
    COMMAND_BDAT,
    COMMAND_RESET,
    COMMAND_OTHER
};

struct steps {
    bool lmtp;
    uint64_t command_length;
    GByteArray *taken; /* and not understood yet */
    GArray *replies;   /* unsigned: codes that were not asked for yet */
    enum { AT_COMMAND, AT_DATA, AT_CHUNK } place;
    enum command command; /* the last one */
    bool challenged;      /* the next line is a response, whatever it looks like */
    unsigned due;         /* replies that it is owed */
    uint64_t accepted;    /* recipients, for which LMTP owes a reply each */
    GString *line;        /* as much of a command as came */
    struct slow_data data;
    uint64_t chunk_left;
    bool last;        /* of the chunks */
    GString *message; /* of DATA; of all chunks that were taken, and the latest */
    size_t good;      /* octets of it, without the latest chunk */
};

struct steps *steps_new(bool lmtp, uint64_t command_length)
{
    struct steps *s = g_new0(struct steps, 1);
    s->lmtp = lmtp;
    s->command_length = command_length;
    s->taken = g_byte_array_new();
    s->replies = g_array_new(FALSE, FALSE, sizeof(unsigned));
    s->line = g_string_new(NULL);
    s->message = g_string_new(NULL);
    s->due = 1; /* the greeting */
    return s;
}

void steps_free(struct steps *s)
{
    g_byte_array_free(s->taken, TRUE);
    g_array_free(s->replies, TRUE);
    g_string_free(s->line, TRUE);
    g_string_free(s->message, TRUE);
    g_free(s);
}

/* ---- commands ---- */

static enum command parse_verb(const char *verb)
{
    static const struct {
        const char *verb;
        enum command command;
    } rows[] = {
        { "MAIL", COMMAND_MAIL },  { "RCPT", COMMAND_RCPT },  { "DATA", COMMAND_DATA },
        { "BDAT", COMMAND_BDAT },  { "RSET", COMMAND_RESET }, { "HELO", COMMAND_RESET },
        { "EHLO", COMMAND_RESET }, { "LHLO", COMMAND_RESET },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (g_ascii_strcasecmp(verb, rows[i].verb) == 0)
            return rows[i].command;
    return COMMAND_OTHER;
}

/* "SIZE" or "SIZE LAST"; what is neither has no octets behind it that one could count. */
static bool parse_chunk(struct steps *s, const char *argument)
{
    char *end;
    errno = 0;
    guint64 size = g_ascii_strtoull(argument, &end, 10);
    s->last = g_ascii_strcasecmp(end, " LAST") == 0;
    if (!g_ascii_isdigit(argument[0]) || errno != 0 || (*end != '\0' && !s->last))
        return false;
    s->chunk_left = size;
    return true;
}

static bool is_readable(const GString *line, uint64_t max)
{
    for (gsize i = 0; i < line->len; i++)
        if (g_ascii_iscntrl(line->str[i]) && line->str[i] != '\t')
            return false;
    return line->len + 2 <= max;
}

static void end_chunk(struct steps *s)
{
    s->place = AT_COMMAND;
    s->due = s->last && s->lmtp && s->accepted > 0 ? (unsigned)s->accepted : 1;
}

static void on_command(struct steps *s)
{
    bool response = s->challenged;
    s->due = 1;
    s->command = COMMAND_OTHER;
    s->challenged = false;
    if (response || !is_readable(s->line, s->command_length))
        return;
    g_strstrip(s->line->str); /* blanks and tabs are all that it can find in there */
    char *blank = strchr(s->line->str, ' ');
    if (blank != NULL)
        *blank = '\0';
    s->command = parse_verb(s->line->str);
    if (s->command != COMMAND_BDAT || !parse_chunk(s, blank != NULL ? g_strstrip(blank + 1) : ""))
        return;
    s->due = 0;
    s->good = s->message->len;
    s->place = AT_CHUNK;
    if (s->chunk_left == 0)
        end_chunk(s);
}

/* ---- bytes ---- */

static void put_octet(struct steps *s, uint8_t octet)
{
    if (s->place == AT_DATA) {
        if (slow_data_put(&s->data, (char)octet)) {
            s->place = AT_COMMAND;
            s->due = s->lmtp ? (unsigned)s->accepted : 1;
        }
    } else if (s->place == AT_CHUNK) {
        g_string_append_c(s->message, (char)octet);
        if (--s->chunk_left == 0)
            end_chunk(s);
    } else {
        g_string_append_c(s->line, (char)octet);
        if (s->line->len < 2 || memcmp(s->line->str + s->line->len - 2, "\r\n", 2) != 0)
            return;
        g_string_truncate(s->line, s->line->len - 2);
        on_command(s);
        g_string_truncate(s->line, 0);
    }
}

/* ---- replies ---- */

static void end_transaction(struct steps *s)
{
    s->accepted = 0;
    s->good = 0;
    g_string_truncate(s->message, 0);
}

/* The last reply to a command or a message. */
static void on_answered(struct steps *s, unsigned code)
{
    bool good = code / 100 == 2;
    switch (s->command) {
    case COMMAND_MAIL:
    case COMMAND_RESET:
        if (good)
            end_transaction(s);
        break;
    case COMMAND_RCPT:
        s->accepted += good;
        break;
    case COMMAND_DATA:
        if (code != 354)
            break;
        s->place = AT_DATA;
        s->data = (struct slow_data){ .body = s->message };
        break;
    case COMMAND_BDAT:
        if (!good)
            g_string_truncate(s->message, s->good);
        break;
    case COMMAND_OTHER:
        s->challenged = code == 334;
        break;
    case COMMAND_CONNECT:
        break;
    }
}

static void take_reply(struct steps *s)
{
    unsigned code = g_array_index(s->replies, unsigned, 0);
    g_array_remove_index(s->replies, 0);
    if (--s->due > 0)
        return;
    bool of_message = (s->command == COMMAND_DATA && s->data.place == SLOW_ENDED) ||
                      (s->command == COMMAND_BDAT && s->last);
    if (of_message) {
        end_transaction(s);
        s->data = (struct slow_data){ 0 };
    } else {
        on_answered(s, code);
    }
}

/* As far as it goes: what comes behind a command means nothing before its reply is there. */
static void advance(struct steps *s)
{
    size_t at = 0;
    while (s->due > 0 ? s->replies->len > 0 : at < s->taken->len)
        if (s->due > 0)
            take_reply(s);
        else
            put_octet(s, s->taken->data[at++]);
    g_byte_array_remove_range(s->taken, 0, (guint)at);
}

void steps_take(struct steps *s, struct slice bytes)
{
    if (bytes.len > 0)
        g_byte_array_append(s->taken, bytes.data, (guint)bytes.len);
    advance(s);
}

void steps_reply(struct steps *s, unsigned code)
{
    g_array_append_val(s->replies, code);
    advance(s);
}

bool steps_are_even(const struct steps *s)
{
    return s->due == 0 && s->replies->len == 0 && s->taken->len == 0;
}

unsigned steps_unasked(const struct steps *s)
{
    return s->replies->len;
}

struct slice steps_message(const struct steps *s)
{
    return slice_of(s->message->str, s->message->len);
}

bool steps_message_is_bad(const struct steps *s)
{
    return s->data.bare_cr_lf; /* in chunks it may */
}
