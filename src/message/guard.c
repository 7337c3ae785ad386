#include "message/guard.h"

#include <glib.h>

#include "message/mime_type.h"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(guard_limits, field), __VA_ARGS__                                            \
    }

static const char parts_name[] = "mime-parts", depth_name[] = "mime-depth",
                  header_octets_name[] = "mime-header-size", header_fields_name[] = "mime-header-fields",
                  list_items_name[] = "mime-addresses", between_name[] = "mime-between";

const struct option_row guard_limit_rows[] = {
    ROW(parts, .name = parts_name, .kind = OPTION_COUNT, .fallback = "10000", .min = 10, .max = 1000000,
        .sentence = "The most parts of a message for handlers, those of messages within it included. This "
                    "and the following keys count where there are handlers: what exceeds them is refused, "
                    "before a parser sees it."),
    ROW(depth, .name = depth_name, .kind = OPTION_COUNT, .fallback = "100", .min = 5, .max = 500,
        .sentence = "How deep parts and messages may lie within each other."),
    ROW(header_octets, .name = header_octets_name, .kind = OPTION_SIZE, .fallback = "4M", .min = 64 * 1024,
        .max = UINT64_C(1) << 30,
        .sentence = "The largest size of all header sections together, those of the parts included. "
                    "A handler's parser can need eighty times as much memory."),
    ROW(header_fields, .name = header_fields_name, .kind = OPTION_COUNT, .fallback = "50000", .min = 100,
        .max = 10000000, .sentence = "The most fields of all header sections together."),
    ROW(list_items, .name = list_items_name, .kind = OPTION_COUNT, .fallback = "20000", .min = 100,
        .max = 10000000,
        .sentence = "The most addresses in all header sections together; parameters of Content-Type and "
                    "Content-Disposition count as well."),
    ROW(between, .name = between_name, .kind = OPTION_SIZE, .fallback = "4M", .min = 64 * 1024,
        .max = UINT64_C(1) << 30,
        .sentence = "The most text in front of, between and behind the parts of multiparts, which "
                    "a handler's parser keeps in memory."),
};
const size_t guard_limit_row_count = G_N_ELEMENTS(guard_limit_rows);

enum {
    LINE_START_MAX =
        MIME_BOUNDARY_MAX + 16, /* of a line that may be a boundary: "--", "--" and some blanks */
    NAME_MAX_KNOWN = 32,        /* longer than all names that matter */
    TYPE_MAX = 8 * 1024,
    ENCODING_MAX = 64,
    /* GMime looks for boundaries in the middle of a line that it has read in pieces, but not earlier. */
    LONG_LINE = 128,
    BLANKS_AT_CUT = 3,     /* and takes a boundary for one when its piece ends behind so many blanks */
    GROUPS_MAX = 500,      /* in one field: GMime calls itself for each */
    WORK_MAX = 1000000000, /* steps of GMime, in the worst case: a second or two */
    LEVEL_WORK = 16,       /* to compare a line with one boundary */
};

/* A multipart that is open, and what ends it and its parts. */
struct level {
    uint64_t depth;
    bool is_digest;
    size_t len;
    char text[MIME_BOUNDARY_MAX];
};

enum field_kind {
    FIELD_NAME, /* not at the colon yet */
    FIELD_OTHER,
    FIELD_ADDRESSES,
    FIELD_PARAMETERS,
    FIELD_TYPE, /* has parameters, too */
    FIELD_ENCODING,
};

struct field {
    enum field_kind kind;
    bool name_ended; /* a blank was behind it */
    bool has_name;   /* and a colon behind that */
    size_t name_len;
    char name[NAME_MAX_KNOWN];
    uint64_t octets, items, groups; /* of its value */
};

struct section {
    bool in_digest;
    bool has_field, after_junk, is_unsure; /* see end_first_line() */
    bool has_type, type_is_cut, type_ended;
    bool has_encoding; /* of several the first counts, but of types the last */
    GString *type;
    size_t encoding_len;
    uint8_t encoding[ENCODING_MAX];
};

struct guard {
    struct guard_limits limits;
    bool is_verbatim;
    const char *exceeded;
    uint64_t parts, depth, header_octets, header_fields, list_items, between, work;
    GArray *levels; /* struct level, the innermost last */
    bool in_header;
    bool in_between; /* GMime keeps the text */
    struct section section;
    struct field field;
    /* the line so far */
    size_t column;
    bool has_only_cr;
    bool is_first_line; /* of a field */
    bool rest_is_blank; /* what is not in `start` */
    size_t start_len;
    uint8_t start[LINE_START_MAX]; /* of a line that begins with '-' */
    size_t hidden_len;
    uint8_t hidden[2 * LINE_START_MAX]; /* what may be a boundary in the middle of it */
};

static void exceed(struct guard *g, const char *limit)
{
    if (g->exceeded == NULL)
        g->exceeded = limit;
}

static void count(struct guard *g, uint64_t *counter, uint64_t more, uint64_t limit, const char *name)
{
    *counter += more;
    if (*counter > limit)
        exceed(g, name);
}

static void work(struct guard *g, uint64_t steps)
{
    count(g, &g->work, steps, WORK_MAX, "mime-work");
}

static struct level *level_at(const struct guard *g, guint index)
{
    return &g_array_index(g->levels, struct level, index);
}

/* ---- a header field ---- */

static const struct {
    const char *name;
    enum field_kind kind;
} known_fields[] = {
    { "To", FIELD_ADDRESSES },
    { "From", FIELD_ADDRESSES },
    { "Cc", FIELD_ADDRESSES },
    { "Bcc", FIELD_ADDRESSES },
    { "Sender", FIELD_ADDRESSES },
    { "Reply-To", FIELD_ADDRESSES },
    { "Content-Type", FIELD_TYPE },
    { "Content-Transfer-Encoding", FIELD_ENCODING },
    { "Content-Disposition", FIELD_PARAMETERS },
    { "Resent-To", FIELD_ADDRESSES },
    { "Resent-From", FIELD_ADDRESSES },
    { "Resent-Cc", FIELD_ADDRESSES },
    { "Resent-Bcc", FIELD_ADDRESSES },
    { "Resent-Sender", FIELD_ADDRESSES },
    { "Resent-Reply-To", FIELD_ADDRESSES },
    { "Disposition-Notification-To", FIELD_ADDRESSES },
};

static enum field_kind field_kind_of(const struct guard *g)
{
    struct slice name = slice_of(g->field.name, g->field.name_len);
    for (size_t i = 0; i < G_N_ELEMENTS(known_fields); i++)
        if (slice_equal_nocase(name, known_fields[i].name))
            return known_fields[i].kind == FIELD_ENCODING && g->section.has_encoding ? FIELD_OTHER
                                                                                     : known_fields[i].kind;
    return FIELD_OTHER;
}

static void start_value(struct guard *g)
{
    struct section *s = &g->section;
    g->field.kind = field_kind_of(g);
    g->field.has_name = true;
    if (g->field.kind == FIELD_TYPE) {
        g_string_truncate(s->type, 0);
        s->has_type = true;
        s->type_is_cut = s->type_ended = false;
    } else if (g->field.kind == FIELD_ENCODING) {
        s->has_encoding = true;
    }
}

/* Returns what is left of the line behind the colon. Blanks may be behind a name, but not within it. */
static struct slice take_name(struct guard *g, struct slice text)
{
    struct field *f = &g->field;
    size_t i = 0;
    for (; i < text.len && f->kind == FIELD_NAME; i++) {
        uint8_t octet = text.data[i];
        if (octet == ':')
            start_value(g);
        else if (octet == ' ' || octet == '\t')
            f->name_ended = true;
        else if (f->name_ended || octet < ' ' || octet == 0x7f || f->name_len == sizeof f->name)
            f->kind = FIELD_OTHER;
        else
            f->name[f->name_len++] = (char)octet;
    }
    return slice_skip(text, i);
}

static void keep_type(struct section *s, struct slice text)
{
    if (s->type_ended)
        return; /* behind a NUL GMime reads nothing */
    struct slice part = slice_first(text, slice_find(text, 0, '\0'));
    s->type_ended = part.len < text.len;
    struct slice kept = slice_first(part, TYPE_MAX - s->type->len);
    s->type_is_cut |= kept.len < part.len;
    g_string_append_len(s->type, (const char *)kept.data, (gssize)kept.len);
}

static void keep_encoding(struct section *s, struct slice text)
{
    if (s->encoding_len == 0)
        while (text.len > 0 && mime_is_space(*text.data))
            text = slice_skip(text, 1);
    text = slice_first(text, sizeof s->encoding - s->encoding_len);
    memcpy(s->encoding + s->encoding_len, text.data, text.len);
    s->encoding_len += text.len;
}

/*
 * What separates the items of a list. GMime starts anew behind each, and in some lists then reads on to the
 * field's end in vain: `a a,a a,a a` and `x=(;x=(;` take it the product of both in steps.
 */
static void count_items(struct guard *g, struct slice text)
{
    struct field *f = &g->field;
    uint64_t items = 0, groups = 0;
    for (size_t i = 0; i < text.len; i++) {
        items += text.data[i] == ',' || text.data[i] == ';';
        groups += text.data[i] == ':';
    }
    f->octets += text.len;
    f->items += items;
    if (f->kind == FIELD_ADDRESSES) {
        f->items += groups;
        count(g, &f->groups, groups, GROUPS_MAX, "mime-groups");
        items += groups;
    }
    count(g, &g->list_items, items, g->limits.list_items, list_items_name);
    if (f->items * f->octets > WORK_MAX - MIN(g->work, WORK_MAX))
        exceed(g, "mime-work");
}

static void take_value(struct guard *g, struct slice text)
{
    switch (g->field.kind) {
    case FIELD_NAME:
    case FIELD_OTHER:
        break;
    case FIELD_TYPE:
        keep_type(&g->section, text);
        count_items(g, text);
        break;
    case FIELD_ENCODING:
        keep_encoding(&g->section, text);
        break;
    case FIELD_ADDRESSES:
    case FIELD_PARAMETERS:
        count_items(g, text);
        break;
    }
}

static void end_field(struct guard *g)
{
    work(g, g->field.items * g->field.octets);
    g->field = (struct field){ .kind = FIELD_OTHER };
}

static void start_field(struct guard *g)
{
    end_field(g);
    g->field.kind = FIELD_NAME;
}

/*
 * Lines that are no fields are passed over. But in front of the first field, GMime keeps what its buffer held
 * of such a line, and then takes it for the start of the next field, which so is lost.
 */
static void end_first_line(struct guard *g)
{
    struct section *s = &g->section;
    const struct field *f = &g->field;
    if (f->kind == FIELD_NAME)
        g->field.kind = FIELD_OTHER; /* no colon */
    count(g, &g->header_fields, 1, g->limits.header_fields, header_fields_name);
    if (!f->has_name)
        s->after_junk = !s->has_field;
    else if (!s->after_junk)
        s->has_field = true;
    else
        s->is_unsure |= f->kind == FIELD_TYPE || f->kind == FIELD_ENCODING;
    if (f->has_name)
        s->after_junk = false;
}

/* ---- a header section ---- */

static void start_section(struct guard *g, bool in_digest)
{
    struct section *s = &g->section;
    *s = (struct section){ .in_digest = in_digest, .after_junk = s->after_junk, .type = s->type };
    g_string_truncate(s->type, 0);
    g->field = (struct field){ .kind = FIELD_OTHER };
    g->in_header = true;
    g->in_between = false;
    count(g, &g->parts, 1, g->limits.parts, parts_name);
}

static void deepen(struct guard *g)
{
    count(g, &g->depth, 1, g->limits.depth, depth_name);
}

static void open_multipart(struct guard *g, const struct mime_type *t)
{
    deepen(g);
    g->in_between = true;
    if (!t->has_boundary)
        return;
    struct level level = { .depth = g->depth, .is_digest = t->is_digest, .len = t->len };
    memcpy(level.text, t->text, t->len);
    g_array_append_val(g->levels, level);
}

/* Whether GMime has the field, too, and all of it that matters is here. */
static bool is_sure(const struct section *s, const struct mime_type *t)
{
    switch (t->kind) {
    case MIME_LEAF:
        return !s->is_unsure || !s->in_digest;
    case MIME_MESSAGE:
        return !s->is_unsure;
    case MIME_UNREADABLE:
    case MIME_MULTIPART:
        return !s->is_unsure && !s->type_is_cut;
    case MIME_UNSURE:
        break;
    }
    return false;
}

static enum mime_kind end_section(struct guard *g)
{
    const struct section *s = &g->section;
    struct mime_type t = { .kind = MIME_UNREADABLE };
    end_field(g);
    if (s->has_type)
        mime_type_read(slice_of(s->type->str, s->type->len), &t);
    if (!is_sure(s, &t))
        exceed(g, "mime-type");
    if (t.kind == MIME_UNREADABLE)
        t.kind = s->in_digest ? MIME_MESSAGE : MIME_LEAF; /* RFC 2046 5.1.5 */
    if (t.kind == MIME_MESSAGE && mime_is_encoded(slice_of(s->encoding, s->encoding_len)))
        t.kind = MIME_LEAF;
    if (t.kind == MIME_MULTIPART)
        open_multipart(g, &t);
    return t.kind;
}

static void end_header(struct guard *g)
{
    enum mime_kind kind = end_section(g);
    g->in_header = false;
    g->section.after_junk = false; /* an empty line takes it away, a boundary does not */
    if (kind == MIME_MESSAGE) {
        deepen(g);
        start_section(g, false);
    }
}

/* ---- boundaries ---- */

static size_t blanks_at(struct slice text)
{
    size_t len = 0;
    while (len < text.len && mime_is_space(text.data[len]))
        len++;
    return len;
}

enum fit {
    FIT_NONE,
    FIT_HIDDEN, /* a boundary to GMime if it reads the line in pieces and one ends there */
    FIT_PART,   /* a boundary: a part begins */
    FIT_END,    /* the multipart's end */
};

/* `rest` is what stands behind a boundary; is_whole: to the end of the line, where blanks do not count. */
static enum fit fit_rest(struct slice rest, bool is_whole, enum fit fit)
{
    size_t blanks = blanks_at(rest);
    if (is_whole && blanks == rest.len)
        return fit;
    return blanks >= BLANKS_AT_CUT ? FIT_HIDDEN : FIT_NONE;
}

/* `text` begins with "--". */
static enum fit fit_level(const struct level *l, struct slice text, bool is_whole)
{
    if (text.len < l->len + 2 || memcmp(text.data + 2, l->text, l->len) != 0)
        return FIT_NONE;
    struct slice rest = slice_skip(text, l->len + 2);
    enum fit end = rest.len >= 2 && memcmp(rest.data, "--", 2) == 0
                       ? fit_rest(slice_skip(rest, 2), is_whole, FIT_END)
                       : FIT_NONE;
    return end != FIT_NONE ? end : fit_rest(rest, is_whole, FIT_PART);
}

/* The innermost level that the text fits. */
static enum fit find_level(struct guard *g, struct slice text, bool is_whole, guint *ret_index)
{
    work(g, g->levels->len * LEVEL_WORK);
    for (guint i = g->levels->len; i > 0; i--) {
        enum fit fit = fit_level(level_at(g, i - 1), text, is_whole);
        if (fit == FIT_NONE)
            continue;
        *ret_index = i - 1;
        return fit;
    }
    return FIT_NONE;
}

static void enter_part(struct guard *g, guint index)
{
    const struct level *l = level_at(g, index);
    g->depth = l->depth;
    g_array_set_size(g->levels, index + 1);
    start_section(g, l->is_digest);
}

static void leave_multipart(struct guard *g, guint index)
{
    g->depth = level_at(g, index)->depth - 1;
    g_array_set_size(g->levels, index);
    g->in_header = false;
    g->in_between = true;
}

/*
 * In a header section, GMime overlooks a boundary of which its buffer held only a part, unless it is certain
 * that no field name ends there: so when it has a CR, or is very long.
 */
static bool is_surely_seen(const struct guard *g)
{
    struct slice line = slice_of(g->start, g->start_len);
    size_t cr = slice_find(line, 0, '\r');
    return line.len < sizeof g->start && (cr == line.len || (cr == line.len - 1 && !g->is_verbatim));
}

/* A line that began with "--" has ended. Returns whether it was a boundary. */
static bool take_boundary(struct guard *g)
{
    guint index;
    struct slice line = slice_of(g->start, g->start_len);
    enum fit fit = find_level(g, line, g->rest_is_blank, &index);
    if (g->in_header && (fit == FIT_PART || fit == FIT_END)) {
        /* The section has no other end. If it was a multipart's, the boundary may be of that one. */
        if (!is_surely_seen(g))
            exceed(g, "mime-boundary");
        (void)end_section(g);
        fit = find_level(g, line, g->rest_is_blank, &index);
    }
    if (fit == FIT_HIDDEN)
        exceed(g, "mime-boundary");
    else if (fit == FIT_PART)
        enter_part(g, index);
    else if (fit == FIT_END)
        leave_multipart(g, index);
    return fit != FIT_NONE;
}

/* ---- what hides within a line ---- */

/*
 * GMime takes up a line that its buffer cut as if it were a new one, and finds boundaries in it. No honest
 * message has one there; and whether GMime finds it, only its buffer knows.
 */
static void judge_hidden(struct guard *g, size_t starts, bool is_whole)
{
    guint index;
    for (size_t i = 0; i < starts && g->exceeded == NULL; i++)
        if (g->hidden[i] == '-' && i + 1 < g->hidden_len && g->hidden[i + 1] == '-' &&
            find_level(g, slice_of(g->hidden + i, g->hidden_len - i), is_whole, &index) != FIT_NONE)
            exceed(g, "mime-boundary");
}

static void drop_hidden(struct guard *g, size_t octets)
{
    struct slice rest = slice_skip(slice_of(g->hidden, g->hidden_len), octets);
    rest = slice_skip(rest, slice_find(rest, 0, '-'));
    memmove(g->hidden, rest.data, rest.len);
    g->hidden_len = rest.len;
}

/* The next hyphen that another follows, or that is the last octet. */
static struct slice from_hyphens(struct slice text)
{
    while (text.len > 0) {
        text = slice_skip(text, slice_find(text, 0, '-'));
        if (text.len < 2 || text.data[1] == '-')
            break;
        text = slice_skip(text, 2);
    }
    return text;
}

static void search_hidden(struct guard *g, struct slice text)
{
    while (text.len > 0) {
        if (g->hidden_len == 0)
            text = from_hyphens(text);
        struct slice more = slice_first(text, sizeof g->hidden - g->hidden_len);
        memcpy(g->hidden + g->hidden_len, more.data, more.len);
        g->hidden_len += more.len;
        text = slice_skip(text, more.len);
        if (g->hidden_len == sizeof g->hidden) {
            judge_hidden(g, LINE_START_MAX, false);
            drop_hidden(g, LINE_START_MAX);
        }
    }
}

/* ---- lines ---- */

static void keep_start(struct guard *g, struct slice text)
{
    if (g->column == 0) {
        g->start_len = 0;
        g->rest_is_blank = true;
        if (text.len == 0 || *text.data != '-')
            return;
    } else if (g->start_len == 0) {
        return;
    }
    struct slice more = slice_first(text, sizeof g->start - g->start_len);
    memcpy(g->start + g->start_len, more.data, more.len);
    g->start_len += more.len;
    struct slice rest = slice_skip(text, more.len);
    g->rest_is_blank &= blanks_at(rest) == rest.len;
}

static bool begins_with_hyphens(const struct guard *g)
{
    return g->start_len >= 2 && g->start[0] == '-' && g->start[1] == '-';
}

static void search_line(struct guard *g, struct slice text, size_t from)
{
    if (g->levels->len > 0)
        search_hidden(g, g->column < from ? slice_skip(text, from - g->column) : text);
}

static void end_line(struct guard *g)
{
    judge_hidden(g, g->hidden_len, true);
    g->hidden_len = 0;
    g->column = 0;
    g->start_len = 0;
}

/* A CR in front of LF does not count, unless it reaches the parser; one CR there does not count for GMime. */
static bool is_empty_line(const struct guard *g, size_t len)
{
    return g->has_only_cr && len <= (g->is_verbatim ? 1 : 2);
}

static void start_header_line(struct guard *g, struct slice text)
{
    g->has_only_cr = true;
    g->is_first_line = text.len > 0 && ((*text.data != ' ' && *text.data != '\t') || !g->field.has_name);
    if (g->is_first_line)
        start_field(g);
}

static bool has_only_cr(struct slice text)
{
    return text.len == 0 || (text.len <= 2 && text.data[0] == '\r' && text.data[text.len - 1] == '\r');
}

/* Of a line in a header section. */
static void take_header_text(struct guard *g, struct slice text, bool is_end)
{
    count(g, &g->header_octets, text.len + is_end, g->limits.header_octets, header_octets_name);
    if (g->column == 0)
        start_header_line(g, text);
    g->has_only_cr &= has_only_cr(text);
    size_t len = g->column + text.len;
    if (is_end && is_empty_line(g, len)) {
        end_header(g);
        g->column = 0;
        return;
    }
    keep_start(g, text);
    search_line(g, text, 1);
    if (is_end && begins_with_hyphens(g) && take_boundary(g)) {
        end_line(g);
        return;
    }
    take_value(g, g->field.kind == FIELD_NAME ? take_name(g, text) : text);
    g->column = len;
    if (!is_end)
        return;
    if (g->is_first_line)
        end_first_line(g);
    take_value(g, slice_str("\n"));
    end_line(g);
}

/* Of a line in a part, or between parts. */
static void take_content_text(struct guard *g, struct slice text, bool is_end)
{
    if (g->in_between)
        count(g, &g->between, text.len + is_end, g->limits.between, between_name);
    keep_start(g, text);
    if (g->column + text.len > LONG_LINE)
        search_line(g, text, LONG_LINE);
    g->column += text.len;
    if (!is_end)
        return;
    if (begins_with_hyphens(g))
        (void)take_boundary(g);
    end_line(g);
}

/*
 * Nearly all of a large message is lines of a part that cannot be a boundary and are not long; they are not
 * looked at. Returns what is left from the first other line on.
 */
static struct slice skip_plain_lines(struct slice piece)
{
    while (piece.len > 0 && *piece.data != '-') {
        const uint8_t *lf = memchr(piece.data, '\n', MIN(piece.len, LONG_LINE));
        if (lf == NULL)
            break;
        piece = slice_skip(piece, (size_t)(lf - piece.data) + 1);
    }
    return piece;
}

void guard_take(struct guard *g, struct slice piece)
{
    while (piece.len > 0 && g->exceeded == NULL) {
        if (g->column == 0 && !g->in_header && !g->in_between)
            piece = skip_plain_lines(piece);
        struct slice text = slice_first(piece, slice_find(piece, 0, '\n'));
        bool is_end = text.len < piece.len;
        piece = slice_skip(piece, text.len + is_end);
        if (g->in_header)
            take_header_text(g, text, is_end);
        else
            take_content_text(g, text, is_end);
    }
}

const char *guard_exceeded(const struct guard *g)
{
    return g->exceeded;
}

uint64_t guard_parts(const struct guard *g)
{
    return g->parts;
}

struct guard *guard_new(const struct guard_limits *limits, bool is_verbatim)
{
    struct guard *g = g_new0(struct guard, 1);
    g->limits = *limits;
    g->is_verbatim = is_verbatim;
    g->levels = g_array_new(FALSE, FALSE, sizeof(struct level));
    g->section.type = g_string_new(NULL);
    start_section(g, false);
    return g;
}

void guard_free(struct guard *g)
{
    if (g == NULL)
        return;
    g_array_unref(g->levels);
    (void)g_string_free(g->section.type, TRUE);
    g_free(g);
}
