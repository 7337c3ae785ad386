#include "delivery/table_content.h"

#include <errno.h>
#include <stddef.h>

#include "base/assert.h"
#include "delivery/router.h"
#include "delivery/table_internal.h"
#include "smtp/address.h"

enum {
    BLOCK_MIN = 1024, /* octets of memory that entries are put into */
    BLOCK_MAX = 1024 * 1024,
    SHOWN = 200, /* octets of what is wrong, in a problem */
};
#define SHOW(text) (int)MIN((text).len, SHOWN), (const char *)(text).data

/* As it lies in memory, among the others and at any address. */
struct __attribute__((packed)) entry {
    uint32_t line, number;
    char text[]; /* its name and its values, each ending in NUL, and an empty one */
};

struct table_content {
    gatomicrefcount references;
    char *file;
    GStringChunk *entries; /* struct entry, one behind the other */
    GPtrArray *in_order;   /* they */
    GHashTable *names;     /* a set of their names, which lie in `entries` */
};

static struct table_content *content_new(const char *file, size_t text_len)
{
    struct table_content *c = g_new0(struct table_content, 1);
    g_atomic_ref_count_init(&c->references);
    c->entries = g_string_chunk_new(CLAMP(text_len, BLOCK_MIN, BLOCK_MAX));
    c->file = g_strdup(file);
    c->in_order = g_ptr_array_new();
    c->names = g_hash_table_new(g_str_hash, g_str_equal);
    return c;
}

struct table_content *table_content_ref(struct table_content *c)
{
    g_atomic_ref_count_inc(&c->references);
    return c;
}

void table_content_unref(struct table_content *c)
{
    if (c == NULL || !g_atomic_ref_count_dec(&c->references))
        return;
    g_hash_table_unref(c->names);
    g_ptr_array_unref(c->in_order);
    g_free(c->file);
    g_string_chunk_free(c->entries);
    g_free(c);
}

const char *table_content_file(const struct table_content *c)
{
    return c->file;
}

static const struct entry *find(const struct table_content *c, const char *name)
{
    const char *found = g_hash_table_lookup(c->names, name);
    return found != NULL ? (const void *)(found - offsetof(struct entry, text)) : NULL;
}

static const char *values_of(const struct entry *e)
{
    return e->text + strlen(e->text) + 1;
}

const char *table_content_find(const struct table_content *c, const char *name)
{
    const struct entry *e = find(c, name);
    return e != NULL ? values_of(e) : NULL;
}

uint32_t table_content_count(const struct table_content *c)
{
    return c->in_order->len;
}

struct table_entry table_content_entry(const struct table_content *c, uint32_t number)
{
    pst_assert(number < c->in_order->len);
    const struct entry *e = g_ptr_array_index(c->in_order, number);
    return (struct table_entry){ .name = e->text, .values = values_of(e), .line = e->line };
}

bool table_content_number(const struct table_content *c, const char *name, uint32_t *ret_number)
{
    const struct entry *e = find(c, name);
    if (e != NULL)
        *ret_number = e->number;
    return e != NULL;
}

/* ---- reading: line by line; what is wrong is told, and the next line is looked at ---- */

struct reader {
    struct table_content *content;
    const struct table_rules *rules;
    struct diag *problems;
    unsigned line;  /* the one that is being read */
    unsigned told;  /* problems, those included that were too many */
    GString *entry; /* the one that is being read, as it will lie in memory */
    size_t values;  /* of it */
    enum {
        NONE,   /* there was no name yet */
        KEPT,   /* it will be */
        DROPPED /* its name cannot be; only its values are looked at */
    } state;
};

static void problem_at(struct reader *r, unsigned line, const char *text)
{
    if (r->told++ < TABLE_PROBLEMS_MAX)
        diag_add(r->problems, (struct origin){ r->content->file, line }, "%s", text);
}

static void problem(struct reader *r, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void problem(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    problem_at(r, r->line, text);
}

static const char *form(const struct reader *r)
{
    return r->rules->follows ? "NAME: TARGET, TARGET" : "NAME: VALUE";
}

/* The parser of addresses undoes quotes, if there is a domain. */
static bool unquoted_name(struct slice text, char ret_name[MAILBOX_NAME_MAX + 1])
{
    g_autofree char *address = g_strdup_printf("%.*s@x", (int)text.len, (const char *)text.data);
    struct smtp_address a;
    return smtp_address_parse(slice_str(address), &a) == 0 &&
           mailbox_name(slice_of(a.local, a.local_len), ret_name) == 0;
}

static bool local_name(struct slice text, char ret_name[MAILBOX_NAME_MAX + 1])
{
    bool quoted = text.len > 0 && text.data[0] == '"';
    return quoted ? unquoted_name(text, ret_name) : mailbox_name(text, ret_name) == 0;
}

/* Where the name ends that a line begins with: at its colon. text.len: it has none. */
static size_t find_colon(struct slice line)
{
    size_t at = 0;
    if (line.data[0] == '"')
        for (at = 1; at < line.len && line.data[at] != '"'; at++)
            at += line.data[at] == '\\';
    return slice_find(line, at, ':');
}

static bool take_name(struct reader *r, struct slice text, char ret_name[MAILBOX_NAME_MAX + 1])
{
    if (local_name(text, ret_name)) {
        const struct entry *first = find(r->content, ret_name);
        if (first == NULL)
            return true;
        problem(r, "%s: it is there already, in line %u; expected each name once", ret_name, first->line);
    } else if (memchr(text.data, '@', text.len) != NULL) {
        problem(r, "%.*s: expected a name without a domain; the domain's section says which file is its",
                SHOW(text));
    } else {
        problem(r, "%.*s: expected a name that a mailbox can have", SHOW(text));
    }
    return false;
}

static void begin_entry(struct reader *r, const char *name)
{
    const struct entry head = { .line = r->line, .number = r->content->in_order->len };
    g_string_truncate(r->entry, 0);
    g_string_append_len(r->entry, (const char *)&head, offsetof(struct entry, text));
    g_string_append_len(r->entry, name, (gssize)strlen(name) + 1);
    r->values = 0;
}

static void end_entry(struct reader *r)
{
    if (r->state != KEPT)
        return;
    const struct entry *e = (const void *)r->entry->str;
    if (r->values == 0) {
        g_autofree char *text = g_strdup_printf("%s: nothing is behind it; expected %s", e->text, form(r));
        problem_at(r, e->line, text);
        return;
    }
    g_string_append_c(r->entry, '\0');
    char *kept = g_string_chunk_insert_len(r->content->entries, r->entry->str, (gssize)r->entry->len);
    char *name = kept + offsetof(struct entry, text);
    g_hash_table_add(r->content->names, name);
    g_ptr_array_add(r->content->in_order, kept);
}

/* What others do with aliases, and we do not; or NULL. */
static const char *foreign_target(const char *value)
{
    if (*value == '"')
        value++;
    if (*value == '|')
        return "postern runs no commands, a handler does";
    if (*value == '/')
        return "postern writes to no files but those of maildirs";
    if (g_ascii_strncasecmp(value, ":include:", strlen(":include:")) == 0)
        return "postern reads no lists from elsewhere";
    return NULL;
}

static bool has_comment(const char *value)
{
    return *value == '#' || strstr(value, " #") != NULL || strstr(value, "\t#") != NULL;
}

static void check_value(struct reader *r, const char *value)
{
    const struct table_rules *rules = r->rules;
    g_autofree char *expected = NULL;
    const char *foreign = rules->follows ? foreign_target(value) : NULL;
    if (foreign == NULL && (rules->accepts == NULL || rules->accepts(rules->owner, value, &expected)))
        return;
    if (foreign != NULL)
        problem(r, "%.*s: %s; expected a mailbox or an address", SHOWN, value, foreign);
    else if (has_comment(value))
        problem(r, "%.*s: expected a comment in a line of its own", SHOWN, value);
    else
        problem(r, "%.*s: expected %s", SHOWN, value, expected != NULL ? expected : "another value");
}

static void take_values(struct reader *r, struct slice list)
{
    struct slice value;
    int found;
    while ((found = table_next_value(&list, &value)) > 0) {
        size_t at = r->entry->len;
        g_string_append_len(r->entry, (const char *)value.data, (gssize)value.len);
        g_string_append_c(r->entry, '\0');
        check_value(r, r->entry->str + at);
        r->values++;
    }
    if (found == 0)
        return;
    problem(r, "%.*s: expected one more double quote", SHOW(value));
    r->values++;
}

static void take_first_line(struct reader *r, struct slice line)
{
    char name[MAILBOX_NAME_MAX + 1] = "";
    end_entry(r);
    r->state = DROPPED;
    size_t colon = find_colon(line);
    if (colon == line.len) {
        problem(r, "%.*s: expected %s", SHOW(line), form(r));
        return;
    }
    if (take_name(r, table_trim(slice_first(line, colon)), name))
        r->state = KEPT;
    begin_entry(r, name);
    take_values(r, slice_skip(line, colon + 1));
}

static void take_line(struct reader *r, struct slice line)
{
    struct slice text = table_trim(line);
    if (text.len == 0 || text.data[0] == '#')
        return;
    if (memchr(text.data, '\0', text.len) != NULL)
        problem(r, "there is a NUL in it; expected text");
    else if (text.data == line.data)
        take_first_line(r, text);
    else if (r->state == NONE)
        problem(r, "%.*s: there is no name above that this could belong to; expected %s", SHOW(text),
                form(r));
    else
        take_values(r, text);
}

static void take_text(struct reader *r, struct slice text)
{
    while (text.len > 0) {
        size_t end = slice_find(text, 0, '\n');
        r->line++;
        take_line(r, slice_first(text, end));
        text = slice_skip(text, end + 1);
    }
    end_entry(r);
}

struct table_content *table_content_load(struct slice text, const char *file, const struct table_rules *rules,
                                         struct diag *problems)
{
    struct table_content *content = content_new(file, text.len);
    struct reader r = {
        .content = content, .rules = rules, .problems = problems, .entry = g_string_new(NULL)
    };
    take_text(&r, text);
    g_string_free(r.entry, TRUE);
    if (r.told == 0)
        return content;
    if (r.told > TABLE_PROBLEMS_MAX)
        diag_add(problems, (struct origin){ file, 0 }, "and %u more problems", r.told - TABLE_PROBLEMS_MAX);
    table_content_unref(content);
    return NULL;
}
