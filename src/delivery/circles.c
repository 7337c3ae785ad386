#include "delivery/circles.h"

#include <errno.h>
#include <glib.h>

#include "delivery/route.h"
#include "delivery/table.h"
#include "delivery/table_content.h"
#include "disk/disk.h"

/*
 * A search in depth, without recursion, since files may make the way as long as they like. Each node is
 * entered once and each of its targets followed once. A target that is on the way already closes a circle. A
 * node is an alias in a domain, or a domain's catch-all: a file of several domains has a node for each of
 * them, but is only gone through for the first; in the others, what matters begins with a whole address, and
 * is the same.
 */

enum { SHOWN_MAX = 8 }; /* steps of a circle that are told */

/* What is known of a node: UNSEEN, ON_THE_WAY, or, on top of LEFT, how many aliases follow one another from
 * it on. Of too many, one more is as bad. */
enum { UNSEEN, ON_THE_WAY, LEFT, LENGTH_MAX = ROUTE_DEPTH + 2 };

#define CATCH_ALL UINT32_MAX /* the number of a domain's catch-all among its aliases */

struct place {
    const struct domain *domain;
    struct table_content *aliases;   /* NULL: none, or not in memory */
    struct table_content *mailboxes; /* the same */
    uint8_t *states;                 /* of its aliases; NULL: none was reached */
    uint8_t catch_all_state;
    const struct place *catch_all_place; /* where its catch-all leads to; NULL: it has none */
    char catch_all_name[MAILBOX_NAME_MAX + 1];
    int root; /* the directory of its maildirs, once it was asked for; -1: not */
    bool is_asked;
};

struct node {
    struct place *place; /* NULL: there is none, and the way ends */
    uint32_t number;
};

struct step {
    struct node node;
    const char *target; /* as it is written, by which it was reached; of the first, NULL */
    const char *next;   /* of its targets; NULL or empty: it has no more */
    unsigned length;    /* aliases that follow one another from it on, as far as is known */
};

struct search {
    const struct router *router;
    const GPtrArray *changed; /* or NULL */
    bool asks_disk;
    struct diag *problems, *notes;
    unsigned told, noted;
    GArray *places;        /* struct place, in the order of the configuration */
    GHashTable *by_domain; /* the indexes of places */
    GHashTable *covered;   /* a set of what same_search() tells of places whose aliases were gone through */
    GArray *way;           /* struct step */
    char *domain_text;     /* of the address that was looked at last, and its place: most have the same */
    struct place *domain_place;
};

/* ---- places ---- */

static bool is_changed(const struct search *s, const struct table *t)
{
    return s->changed != NULL && g_ptr_array_find((GPtrArray *)s->changed, t, NULL);
}

static void add_place(void *owner, const struct domain *domain)
{
    struct search *s = owner;
    const struct domain_options *o = &domain->options;
    struct place p = { .domain = domain, .root = -1 };
    if (o->aliases != NULL)
        p.aliases = table_content_of(o->aliases, is_changed(s, o->aliases));
    if (o->mailboxes != NULL)
        p.mailboxes = table_content_of(o->mailboxes, is_changed(s, o->mailboxes));
    g_array_append_val(s->places, p);
}

static void clear_place(void *at)
{
    struct place *p = at;
    table_content_unref(p->aliases);
    table_content_unref(p->mailboxes);
    g_free(p->states);
    if (p->root >= 0)
        disk_close(p->root);
}

static struct place *place_at(const struct search *s, guint i)
{
    return &g_array_index(s->places, struct place, i);
}

static struct place *place_of(const struct search *s, const struct domain *d)
{
    return place_at(s, GPOINTER_TO_UINT(g_hash_table_lookup(s->by_domain, d)));
}

/* ---- where an address leads ---- */

static bool parse_in(struct search *s, struct place *from, const char *text, struct place **ret_place,
                     char ret_name[MAILBOX_NAME_MAX + 1])
{
    struct smtp_address address;
    struct route_start start;
    if (smtp_address_parse(slice_str(text), &address) == 0) {
        if (!router_start(s->router, &address, &start))
            return false;
        *ret_place = place_of(s, start.domain);
        (void)g_strlcpy(ret_name, start.name, MAILBOX_NAME_MAX + 1);
        return true;
    }
    g_autofree char *whole =
        g_strconcat(text, "@localhost", NULL); /* the parser of addresses undoes quotes */
    if (smtp_address_parse(slice_str(whole), &address) < 0)
        return false;
    *ret_place = from;
    if (mailbox_name(slice_of(address.local, address.local_len), ret_name) < 0)
        *ret_name = '\0';
    return true;
}

/* What a file holds was parsed when it was read: without quotes, its parts are taken as they stand. */
static bool parse(struct search *s, struct place *from, const char *text, struct place **ret_place,
                  char ret_name[MAILBOX_NAME_MAX + 1])
{
    const char *at = strrchr(text, '@');
    bool is_known = at == NULL || (s->domain_text != NULL && strcmp(at, s->domain_text) == 0);
    if (*text == '"' || !is_known) {
        if (!parse_in(s, from, text, ret_place, ret_name))
            return false;
        if (*text != '"') {
            g_free(s->domain_text);
            s->domain_text = g_strdup(at);
            s->domain_place = *ret_place;
        }
        return true;
    }
    *ret_place = at == NULL ? from : s->domain_place;
    if (mailbox_name(at == NULL ? slice_str(text) : slice_of(text, (size_t)(at - text)), ret_name) < 0)
        *ret_name = '\0';
    return true;
}

enum answer { NO, YES, UNKNOWN };

static enum answer is_on_disk(struct place *p, const char *name)
{
    if (!p->is_asked)
        p->root = disk_open_root(p->domain->options.maildirs);
    p->is_asked = true;
    struct disk_stat st;
    int r = p->root >= 0 ? disk_stat(p->root, name, &st) : p->root;
    if (r == 0)
        return st.type == DISK_DIRECTORY || st.type == DISK_LINK ? YES : NO;
    return r == -ENOENT && p->root >= 0 ? NO : UNKNOWN;
}

/* Whether there is a mailbox of that name. */
static enum answer has_mailbox(const struct search *s, struct place *p, const char *name)
{
    uint32_t unused;
    if (p->mailboxes != NULL)
        return table_content_number(p->mailboxes, name, &unused) ? YES : NO;
    if (p->domain->options.mailboxes != NULL || !s->asks_disk)
        return UNKNOWN;
    return is_on_disk(p, name);
}

static bool has_alias(const struct place *p, const char *name, uint32_t *ret_number)
{
    return p->aliases != NULL && table_content_number(p->aliases, name, ret_number);
}

/* What stands in front of a subaddress; false when there is none. */
static bool find_base(const struct place *p, const char *name, char ret_base[MAILBOX_NAME_MAX + 1])
{
    size_t len = strcspn(name, p->domain->options.subaddress);
    if (len == 0 || name[len] == '\0')
        return false;
    (void)g_strlcpy(ret_base, name, len + 1);
    return true;
}

/* An alias of the name, or of what stands in front of a subaddress; or whether it has a mailbox. */
static enum answer find_by_name(const struct search *s, struct place *p, const char *name, bool asks_aliases,
                                uint32_t *ret_alias)
{
    *ret_alias = CATCH_ALL;
    if (asks_aliases && has_alias(p, name, ret_alias))
        return YES;
    enum answer whole = has_mailbox(s, p, name);
    char base[MAILBOX_NAME_MAX + 1];
    if (whole == YES || !find_base(p, name, base))
        return whole;
    if (asks_aliases && has_alias(p, base, ret_alias))
        return YES;
    enum answer part = has_mailbox(s, p, base);
    return whole == NO ? part : UNKNOWN;
}

static bool catches(const struct place *p, const char *name)
{
    bool is_its_target = p->catch_all_place == p && strcmp(p->catch_all_name, name) == 0;
    return p->catch_all_place != NULL && !is_its_target;
}

/* The same order as in route.c. `ret_is_nowhere`: it is nobody's. */
static struct node find_node(struct search *s, struct place *p, const char *name, bool asks_aliases,
                             bool *ret_is_nowhere)
{
    struct place *first = place_at(s, 0);
    for (;; p = first, asks_aliases = true) {
        uint32_t alias = CATCH_ALL;
        enum answer found = *name != '\0' ? find_by_name(s, p, name, asks_aliases, &alias) : NO;
        if (alias != CATCH_ALL)
            return (struct node){ p, alias };
        if (found != NO)
            break;
        if (catches(p, name))
            return (struct node){ p, CATCH_ALL };
        const struct domain_options *o = &p->domain->options;
        bool is_postmaster = strcmp(name, "postmaster") == 0;
        if ((o->create && o->mailboxes == NULL && *name != '\0') || (is_postmaster && p == first))
            break;
        *ret_is_nowhere = !is_postmaster;
        if (!is_postmaster)
            break;
    }
    return (struct node){ NULL, 0 };
}

static bool node_equal(struct node a, struct node b)
{
    return a.place == b.place && a.number == b.number;
}

/* A name among its own targets, or a subaddress of it, is the mailbox itself; also where the subaddress has
 * an alias of its own. */
static bool is_itself(struct node from, const struct place *p, const char *name)
{
    uint32_t alias;
    char base[MAILBOX_NAME_MAX + 1];
    if (p != from.place || from.number == CATCH_ALL)
        return false;
    return (has_alias(p, name, &alias) && alias == from.number) ||
           (find_base(p, name, base) && has_alias(p, base, &alias) && alias == from.number);
}

/* From a node by one of its targets. */
static struct node follow_target(struct search *s, struct node from, const char *target, bool *ret_is_nowhere)
{
    struct place *p = NULL;
    char name[MAILBOX_NAME_MAX + 1];
    *ret_is_nowhere = false;
    if (!parse(s, from.place, target, &p, name))
        return (struct node){ NULL, 0 };
    return find_node(s, p, name, !is_itself(from, p, name), ret_is_nowhere);
}

/* ---- telling ---- */

static struct step *step_at(const struct search *s, guint i)
{
    return &g_array_index(s->way, struct step, i);
}

static struct table_entry entry_of(struct node n)
{
    return table_content_entry(n.place->aliases, n.number);
}

static char *name_of(struct node n)
{
    return n.number == CATCH_ALL ? g_strconcat("catch-all of ", n.place->domain->name, NULL)
                                 : g_strdup(entry_of(n).name);
}

static struct origin origin_of(struct node n)
{
    if (n.number == CATCH_ALL)
        return n.place->domain->options.catch_all_at;
    return (struct origin){ table_content_file(n.place->aliases), entry_of(n).line };
}

static bool may_tell(struct search *s)
{
    return s->told++ < TABLE_PROBLEMS_MAX;
}

/* Of the steps from `first` on, which are a circle, the one to begin with: in the file that changed, or else
 * one that is an alias. */
static guint find_begin(const struct search *s, guint first)
{
    guint best = first;
    for (guint i = first; i < s->way->len; i++) {
        struct node n = step_at(s, i)->node;
        if (n.number == CATCH_ALL)
            continue;
        if (is_changed(s, n.place->domain->options.aliases))
            return i;
        if (step_at(s, best)->node.number == CATCH_ALL)
            best = i;
    }
    return best;
}

/* `closing` leads from the end of the way back to its step `first`. */
static void tell_circle(struct search *s, guint first, const char *closing)
{
    if (!may_tell(s)) /* walking along circles that nobody reads would take too long */
        return;
    guint count = s->way->len - first, begin = find_begin(s, first) - first;
    struct node start = step_at(s, first + begin)->node;
    g_autofree char *name = name_of(start);
    g_autoptr(GString) text = g_string_new(name);
    for (guint i = 0; i < MIN(count, SHOWN_MAX); i++) {
        guint from = (begin + i) % count, to = (from + 1) % count;
        g_string_append_printf(text, " -> %s%s",
                               step_at(s, first + from)->node.number == CATCH_ALL ? "(catch-all) " : "",
                               to == 0 ? closing : step_at(s, first + to)->target);
    }
    if (count > SHOWN_MAX)
        g_string_append_printf(text, " -> ... (%u more)", count - SHOWN_MAX);
    diag_add(s->problems, origin_of(start), "a circle: %s; expected each to end at mailboxes", text->str);
}

static void tell_depth(struct search *s, struct node n)
{
    g_autofree char *name = name_of(n);
    if (may_tell(s))
        diag_add(s->problems, origin_of(n),
                 "%s leads on over more than %d aliases of aliases; expected fewer", name, ROUTE_DEPTH);
}

static void note_nowhere(struct search *s, struct node from, const char *target)
{
    if (s->notes == NULL || s->noted++ >= TABLE_PROBLEMS_MAX)
        return;
    g_autofree char *name = name_of(from);
    bool has_home = from.number != CATCH_ALL && strcmp(name, "postmaster") == 0; /* see route.c */
    diag_add(s->notes, origin_of(from),
             "note: %s -> %s: there is no such mailbox; mail that would go there %s", name, target,
             has_home ? "goes to postmaster's own" : "waits with its senders");
}

/* ---- the search ---- */

static uint8_t *state_of(struct node n)
{
    struct place *p = n.place;
    if (n.number == CATCH_ALL)
        return &p->catch_all_state;
    if (p->states == NULL)
        p->states = g_new0(uint8_t, table_content_count(p->aliases));
    return &p->states[n.number];
}

static void enter(struct search *s, struct node n, const char *target)
{
    /* A catch-all has just one target; what is behind its NUL is not looked at. */
    const struct step step = {
        .node = n,
        .target = target,
        .next = n.number == CATCH_ALL ? n.place->domain->options.catch_all : entry_of(n).values,
        .length = 1,
    };
    *state_of(n) = ON_THE_WAY;
    g_array_append_val(s->way, step);
}

static void add_length(struct step *step, unsigned behind)
{
    step->length = MAX(step->length, MIN(behind + 1, LENGTH_MAX));
}

static void leave(struct search *s)
{
    struct step last = *step_at(s, s->way->len - 1);
    *state_of(last.node) = (uint8_t)(LEFT + last.length);
    if (last.length == ROUTE_DEPTH + 1)
        tell_depth(s, last.node); /* and none of those that lead there */
    g_array_set_size(s->way, s->way->len - 1);
    if (s->way->len > 0)
        add_length(step_at(s, s->way->len - 1), last.length);
}

static void close_circle(struct search *s, struct node n, const char *target)
{
    guint first = s->way->len - 1;
    while (first > 0 && s->told < TABLE_PROBLEMS_MAX && !node_equal(step_at(s, first)->node, n))
        first--;
    tell_circle(s, first, target);
}

static void follow(struct search *s, const char *target)
{
    bool is_nowhere;
    struct step *from = step_at(s, s->way->len - 1);
    struct node to = follow_target(s, from->node, target, &is_nowhere);
    if (is_nowhere)
        note_nowhere(s, from->node, target);
    if (to.place == NULL)
        return;
    unsigned state = *state_of(to);
    if (state == UNSEEN)
        enter(s, to, target);
    else if (state == ON_THE_WAY)
        close_circle(s, to, target);
    else
        add_length(from, state - LEFT);
}

/* The next target of the last step, or NULL. */
static const char *next_target(struct search *s)
{
    struct step *last = step_at(s, s->way->len - 1);
    const char *target = last->next;
    if (target == NULL || *target == '\0')
        return NULL;
    last->next = last->node.number == CATCH_ALL ? NULL : target + strlen(target) + 1;
    return target;
}

static void search_from(struct search *s, struct node n)
{
    if (*state_of(n) != UNSEEN)
        return;
    enter(s, n, NULL);
    while (s->way->len > 0) {
        const char *target = next_target(s);
        if (target != NULL)
            follow(s, target);
        else
            leave(s);
    }
}

/* The same for domains whose aliases lead to the same places. */
static char *same_search(const struct place *p)
{
    return g_strdup_printf("%p %s", (const void *)p->aliases, p->domain->options.subaddress);
}

static void search_place(struct search *s, guint i)
{
    struct place *p = place_at(s, i);
    if (p->aliases == NULL || !g_hash_table_add(s->covered, same_search(p)))
        return;
    uint32_t count = table_content_count(p->aliases);
    for (uint32_t number = 0; number < count; number++)
        search_from(s, (struct node){ p, number });
}

static void search_all(struct search *s)
{
    for (guint i = 0; i < s->places->len; i++)
        if (is_changed(s, place_at(s, i)->domain->options.aliases))
            search_place(s, i); /* so that it is told at its lines */
    for (guint i = 0; i < s->places->len; i++) {
        search_place(s, i);
        if (place_at(s, i)->catch_all_place != NULL)
            search_from(s, (struct node){ place_at(s, i), CATCH_ALL });
    }
}

static void search_init(struct search *s)
{
    s->places = g_array_new(FALSE, FALSE, sizeof(struct place));
    g_array_set_clear_func(s->places, clear_place);
    s->by_domain = g_hash_table_new(NULL, NULL);
    s->covered = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    s->way = g_array_new(FALSE, FALSE, sizeof(struct step));
    router_for_each_domain(s->router, add_place, s);
    for (guint i = 0; i < s->places->len; i++)
        g_hash_table_insert(s->by_domain, (void *)place_at(s, i)->domain, GUINT_TO_POINTER(i));
    for (guint i = 0; i < s->places->len; i++) {
        struct place *p = place_at(s, i), *to;
        const char *target = p->domain->options.catch_all;
        if (target != NULL && parse_in(s, p, target, &to, p->catch_all_name))
            p->catch_all_place = to;
    }
}

static void search_clear(struct search *s)
{
    g_array_unref(s->places);
    g_hash_table_unref(s->by_domain);
    g_hash_table_unref(s->covered);
    g_array_unref(s->way);
    g_free(s->domain_text);
}

static void find(struct search *s)
{
    search_init(s);
    search_all(s);
    search_clear(s);
}

static void tell_rest(struct diag *d, unsigned told, const char *what)
{
    if (told > TABLE_PROBLEMS_MAX)
        diag_add(d, (struct origin){ "aliases", 0 }, "and %u more %s", told - TABLE_PROBLEMS_MAX, what);
}

void circles_find(const struct router *r, const GPtrArray *changed, struct diag *problems)
{
    struct search s = { .router = r, .changed = changed, .problems = problems };
    find(&s);
    tell_rest(problems, s.told, "problems");
}

void circles_find_on_disk(const struct router *r, struct diag *problems, struct diag *notes)
{
    struct search s = { .router = r, .asks_disk = true, .problems = problems, .notes = notes };
    find(&s);
    tell_rest(problems, s.told, "problems");
    tell_rest(notes, s.noted, "notes");
}
