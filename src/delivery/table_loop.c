#include "delivery/table_content_internal.h"

/*
 * A search in depth, without recursion, since a file may make the way as long as it likes. Each entry is
 * entered once and each value followed once. A target that is on the way already closes a circle.
 */

enum { UNSEEN, ON_THE_WAY, DONE };

enum { SHOWN_MAX = 8 }; /* entries of a circle that are told by name */

struct step {
    struct table_entry *entry;
    const char *next; /* of its values; empty: it has no more */
};

static void enter(GArray *way, struct table_entry *e)
{
    const struct step step = { e, table_entry_values(e) };
    e->search = ON_THE_WAY;
    g_array_append_val(way, step);
}

static struct table_entry *target_of(const struct table_reading *r, const char *value)
{
    char name[MAILBOX_NAME_MAX + 1];
    return table_local_name(slice_str(value), name) ? table_content_entry(r->content, name) : NULL;
}

static const struct table_entry *entry_at(const GArray *way, guint i)
{
    return g_array_index(way, struct step, i).entry;
}

/* The circle is the end of the way, from `e` on. */
static void tell_circle(struct table_reading *r, const GArray *way, const struct table_entry *e)
{
    if (r->told >= TABLE_PROBLEMS_MAX) { /* walking along circles that nobody reads would take too long */
        table_reading_problem(r, e->line, "");
        return;
    }
    guint first = way->len - 1;
    while (entry_at(way, first) != e)
        first--;
    g_autoptr(GString) text = g_string_new("these names lead in a circle: ");
    g_string_append(text, e->text);
    for (guint i = first + 1; i < way->len && i < first + SHOWN_MAX; i++)
        g_string_append_printf(text, ", %s (line %u)", entry_at(way, i)->text, entry_at(way, i)->line);
    if (way->len - first > SHOWN_MAX)
        g_string_append_printf(text, ", %u more", way->len - first - SHOWN_MAX);
    g_string_append_printf(text, ", %s; expected each to end at mailboxes", e->text);
    table_reading_problem(r, e->line, text->str);
}

static void follow(struct table_reading *r, GArray *way, const char *value)
{
    const struct table_entry *from = entry_at(way, way->len - 1);
    struct table_entry *to = target_of(r, value);
    if (to == NULL || to == from) /* a name among its own targets is the mailbox of that name */
        return;
    if (to->search == UNSEEN)
        enter(way, to);
    else if (to->search == ON_THE_WAY)
        tell_circle(r, way, to);
}

static void search_from(struct table_reading *r, GArray *way, struct table_entry *e)
{
    enter(way, e);
    while (way->len > 0) {
        struct step *last = &g_array_index(way, struct step, way->len - 1);
        const char *value = last->next;
        if (*value == '\0') {
            last->entry->search = DONE;
            g_array_set_size(way, way->len - 1);
            continue;
        }
        last->next += strlen(value) + 1;
        follow(r, way, value); /* after which `last` may be elsewhere */
    }
}

void table_loops_find(struct table_reading *r)
{
    g_autoptr(GArray) way = g_array_new(FALSE, FALSE, sizeof(struct step));
    for (guint i = 0; i < r->entries->len; i++) {
        struct table_entry *e = g_ptr_array_index(r->entries, i);
        if (e->search == UNSEEN)
            search_from(r, way, e);
    }
}
