#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "config/ini.h"
#include "config/nearest.h"

/* Far more than anybody writes; it keeps a device or a mail spool named by mistake from filling the memory.
 */
enum { FILE_SIZE_MAX = 1024 * 1024 };

struct config_section {
    const struct config_kind *kind;
    char *name;
    struct origin origin;
    void *values;
    GHashTable *given; /* key -> struct origin *, of the value that was given last, right or wrong */
};

struct config {
    const struct config_kind *kinds;
    size_t kind_count;
    struct diag *problems;
    GPtrArray *sections; /* struct config_section *, in the order of their appearance */
    GPtrArray *files;    /* char *, the names that origins borrow */
    const char *label;   /* of the text that was read first; not NULL once it is finished */
    /* while a text is read */
    struct config_section *current; /* NULL: before the first header, or behind one that was wrong */
    bool header_seen;
};

/* ---- sections ---- */

static struct config_section *section_new(const struct config_kind *kind, const char *name, struct origin at)
{
    struct config_section *s = g_new0(struct config_section, 1);
    s->kind = kind;
    s->name = g_strdup(name);
    s->origin = at;
    s->values = g_malloc0(kind->size);
    s->given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (size_t i = 0; i < kind->table_count; i++) {
        const struct config_table *t = &kind->tables[i];
        option_set_defaults(t->rows, *t->count, (char *)s->values + t->offset);
    }
    return s;
}

static void section_free(void *section)
{
    struct config_section *s = section;
    for (size_t i = 0; i < s->kind->table_count; i++) {
        const struct config_table *t = &s->kind->tables[i];
        option_clear(t->rows, *t->count, (char *)s->values + t->offset);
    }
    g_hash_table_unref(s->given);
    g_free(s->values);
    g_free(s->name);
    g_free(s);
}

/* "[log]", "[listen inbound]"; g_free it. */
static char *section_title(const struct config_section *s)
{
    return s->name != NULL ? g_strdup_printf("[%s %s]", s->kind->name, s->name)
                           : g_strdup_printf("[%s]", s->kind->name);
}

/* "[log]", "[listen NAME]"; g_free it. */
static char *kind_title(const struct config_kind *kind)
{
    return kind->named != NULL ? g_strdup_printf("[%s %s]", kind->name, kind->named)
                               : g_strdup_printf("[%s]", kind->name);
}

static const struct config_kind *find_kind(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->kind_count; i++)
        if (strcmp(c->kinds[i].name, name) == 0)
            return &c->kinds[i];
    return NULL;
}

/* Of two kinds with one name, the one that has names or the one that has none. */
static const struct config_kind *find_kind_for(const struct config *c, const char *kind, const char *name)
{
    for (size_t i = 0; i < c->kind_count; i++)
        if (strcmp(c->kinds[i].name, kind) == 0 && (c->kinds[i].named != NULL) == (name != NULL))
            return &c->kinds[i];
    return find_kind(c, kind);
}

static struct config_section *find_section(const struct config *c, const struct config_kind *kind,
                                           const char *name)
{
    for (unsigned i = 0; i < c->sections->len; i++) {
        struct config_section *s = g_ptr_array_index(c->sections, i);
        if (s->kind == kind && g_strcmp0(s->name, name) == 0)
            return s;
    }
    return NULL;
}

static void tell_unknown_kind(struct config *c, const char *word, const char *name, struct origin at)
{
    g_autofree char *header = name != NULL ? g_strdup_printf("%s %s", word, name) : g_strdup(word);
    g_autoptr(GString) known = g_string_new(NULL);
    g_autofree char *proposal = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < c->kind_count; i++) {
        g_autofree char *title = kind_title(&c->kinds[i]);
        g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", title);
        if (nearest_improves(word, c->kinds[i].name, &best)) {
            g_free(proposal);
            proposal = g_steal_pointer(&title);
        }
    }
    if (proposal != NULL)
        diag_add(c->problems, at, "unknown section [%s]; did you mean %s? (known: %s)", header, proposal,
                 known->str);
    else
        diag_add(c->problems, at, "unknown section [%s]; expected one of %s", header, known->str);
}

/* The section, begun if it is not there; NULL, and a problem told, when there cannot be one. */
static struct config_section *open_section(struct config *c, const char *kind_name, const char *name,
                                           struct origin at)
{
    const struct config_kind *kind = find_kind_for(c, kind_name, name);
    if (kind == NULL) {
        tell_unknown_kind(c, kind_name, name, at);
        return NULL;
    }
    if ((kind->named != NULL) != (name != NULL) || (name != NULL && strpbrk(name, " \t[]") != NULL)) {
        g_autofree char *title = kind_title(kind);
        diag_add(c->problems, at, "[%s%s%s] is no section; expected %s", kind_name, name != NULL ? " " : "",
                 name != NULL ? name : "", title);
        return NULL;
    }
    struct config_section *s = find_section(c, kind, name);
    if (s == NULL) {
        s = section_new(kind, name, at);
        g_ptr_array_add(c->sections, s);
    }
    return s;
}

/* ---- keys ---- */

static const struct option_row *find_row(const struct config_kind *kind, const char *key, size_t *ret_offset)
{
    for (size_t i = 0; i < kind->table_count; i++) {
        const struct config_table *t = &kind->tables[i];
        const struct option_row *row = option_find(t->rows, *t->count, key);
        if (row != NULL) {
            *ret_offset = t->offset;
            return row;
        }
    }
    return NULL;
}

static bool knows_key(const struct config_kind *kind, const char *key)
{
    size_t offset;
    return find_row(kind, key, &offset) != NULL;
}

/* Another section that does know the key: it was not misspelt, but put in the wrong place. */
static const struct config_kind *find_kind_of_key(const struct config *c, const char *key)
{
    for (size_t i = 0; i < c->kind_count; i++)
        if (knows_key(&c->kinds[i], key))
            return &c->kinds[i];
    return NULL;
}

/* Whether the key may be a misspelt one of the row's: of "option.*", what stands before the first dot counts.
 */
static bool row_improves(const char *key, const struct option_row *row, size_t *best)
{
    if (row->parse_rest == NULL)
        return nearest_improves(key, row->name, best);
    g_autofree char *word = g_strndup(key, strcspn(key, "."));
    g_autofree char *known = g_strndup(row->name, option_stem(row) - 1);
    return nearest_improves(word, known, best);
}

static void tell_unknown_key(struct config *c, const struct config_section *s, const char *key,
                             struct origin at)
{
    g_autofree char *title = section_title(s);
    g_autoptr(GString) known = g_string_new(NULL);
    const char *proposal = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->kind->table_count; i++) {
        const struct config_table *t = &s->kind->tables[i];
        for (size_t j = 0; j < *t->count; j++) {
            g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", t->rows[j].name);
            if (row_improves(key, &t->rows[j], &best))
                proposal = t->rows[j].name;
        }
    }
    const struct config_kind *elsewhere = find_kind_of_key(c, key);
    if (elsewhere != NULL) {
        g_autofree char *place = kind_title(elsewhere);
        diag_add(c->problems, at, "unknown key %s in %s; it belongs in %s (known here: %s)", key, title,
                 place, known->str);
    } else if (proposal != NULL) {
        diag_add(c->problems, at, "unknown key %s in %s; did you mean %s? (known: %s)", key, title, proposal,
                 known->str);
    } else {
        diag_add(c->problems, at, "unknown key %s in %s; expected one of %s", key, title, known->str);
    }
}

/* A key that the section knows. */
static void set_value(struct config *c, struct config_section *s, const char *key, const char *value,
                      struct origin at)
{
    size_t offset = 0;
    const struct option_row *row = find_row(s->kind, key, &offset);
    struct origin *given = g_new(struct origin, 1);
    *given = at;
    g_hash_table_insert(s->given, g_strdup(key), given);
    g_autofree char *problem = NULL;
    if (option_set_key(row, (char *)s->values + offset, key, value, &problem) >= 0)
        return;
    if (*value == '\0')
        diag_add(c->problems, at, "%s has no value; %s", key, problem);
    else
        diag_add(c->problems, at, "%s = %s: %s", key, value, problem);
}

static const char *keep_name(struct config *c, const char *name)
{
    char *copy = g_strdup(name);
    g_ptr_array_add(c->files, copy);
    return copy;
}

void config_set(struct config *c, const char *kind, const char *name, const char *key, const char *value,
                struct origin at)
{
    at.file = keep_name(c, at.file);
    struct config_section *s = open_section(c, kind, name, at);
    if (s == NULL)
        return;
    if (knows_key(s->kind, key))
        set_value(c, s, key, value, at);
    else
        tell_unknown_key(c, s, key, at);
}

/* ---- text ---- */

struct reading {
    struct config *config;
    const char *label;
};

static void on_section(void *owner, unsigned line, const char *header)
{
    struct reading *reading = owner;
    struct config *c = reading->config;
    struct origin at = { reading->label, line };
    c->current = NULL;
    c->header_seen = true;
    if (header == NULL)
        return;
    size_t kind_len = strcspn(header, " \t");
    g_autofree char *kind = g_strndup(header, kind_len);
    const char *name = header + kind_len + strspn(header + kind_len, " \t");
    c->current = open_section(c, kind, *name != '\0' ? name : NULL, at);
    if (c->current == NULL)
        return;
    struct origin *first = &c->current->origin;
    if (first->file != at.file || first->line == 0) {
        *first = at; /* one that is always there, and is written only now */
    } else if (first->line != line) {
        g_autofree char *title = section_title(c->current);
        diag_add(c->problems, at, "%s is there already, in line %u; expected it once", title, first->line);
    }
}

static void on_key(void *owner, unsigned line, const char *key, const char *value)
{
    struct reading *reading = owner;
    struct config *c = reading->config;
    struct origin at = { reading->label, line };
    struct config_section *s = c->current;
    if (s == NULL) {
        if (!c->header_seen)
            diag_add(c->problems, at,
                     "%s stands in front of the first section; expected a [section] before it", key);
        return; /* the header above it was the problem */
    }
    if (!knows_key(s->kind, key)) {
        tell_unknown_key(c, s, key, at);
        return;
    }
    const struct origin *given = g_hash_table_lookup(s->given, key);
    if (given != NULL && given->file == at.file) {
        g_autofree char *title = section_title(s);
        diag_add(c->problems, at, "%s was given in line %u already; expected it once in %s", key, given->line,
                 title);
        return;
    }
    set_value(c, s, key, value, at);
}

void config_read_text(struct config *c, const char *label, struct slice text)
{
    static const struct ini_events events = { .on_section = on_section, .on_key = on_key };
    struct reading reading = { .config = c, .label = keep_name(c, label) };
    if (c->label == NULL)
        c->label = reading.label;
    c->current = NULL;
    c->header_seen = false;
    ini_read(reading.label, text, c->problems, &events, &reading);
}

static int read_whole(const char *path, GByteArray *to)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    for (;;) {
        uint8_t block[4096];
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            g_byte_array_append(to, block, (guint)n);
        if (to->len > FILE_SIZE_MAX)
            return -EFBIG;
    }
}

int config_read_file(struct config *c, const char *path)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    int r = read_whole(path, text);
    if (r < 0) {
        diag_add(c->problems, (struct origin){ path, 0 }, "cannot be read: %s", g_strerror(-r));
        return r;
    }
    config_read_text(c, path, slice_of(text->data, text->len));
    return 0;
}

/* ---- the whole ---- */

struct config *config_new(const struct config_kind *kinds, size_t count, struct diag *problems)
{
    struct config *c = g_new0(struct config, 1);
    c->kinds = kinds;
    c->kind_count = count;
    c->problems = problems;
    c->sections = g_ptr_array_new_with_free_func(section_free);
    c->files = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < count; i++)
        if (kinds[i].named == NULL)
            g_ptr_array_add(c->sections, section_new(&kinds[i], NULL, (struct origin){ NULL, 0 }));
    return c;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    g_ptr_array_unref(c->sections);
    g_ptr_array_unref(c->files);
    g_free(c);
}

static void tell_missing_keys(struct config *c, struct config_section *s)
{
    for (size_t i = 0; i < s->kind->table_count; i++) {
        const struct config_table *t = &s->kind->tables[i];
        for (size_t j = 0; j < *t->count; j++) {
            const struct option_row *row = &t->rows[j];
            if (!row->required || g_hash_table_contains(s->given, row->name))
                continue;
            g_autofree char *title = section_title(s);
            g_autofree char *expected = option_expectation(row);
            diag_add(c->problems, s->origin, "%s has no %s; expected %s", title, row->name, expected);
        }
    }
}

void config_finish(struct config *c)
{
    if (c->label == NULL)
        c->label = keep_name(c, "command line");
    for (unsigned i = 0; i < c->sections->len; i++) {
        struct config_section *s = g_ptr_array_index(c->sections, i);
        if (s->origin.file == NULL)
            s->origin.file = c->label;
        tell_missing_keys(c, s);
    }
}

const struct config_section *config_next(const struct config *c, const char *kind,
                                         const struct config_section *after)
{
    pst_assert(find_kind(c, kind) != NULL);
    bool begun = after == NULL;
    for (unsigned i = 0; i < c->sections->len; i++) {
        const struct config_section *s = g_ptr_array_index(c->sections, i);
        if (begun && strcmp(s->kind->name, kind) == 0)
            return s;
        begun = begun || s == after;
    }
    return NULL;
}

const struct config_section *config_find(const struct config *c, const char *kind, const char *name)
{
    const struct config_kind *wanted = find_kind_for(c, kind, name);
    return wanted != NULL ? find_section(c, wanted, name) : NULL;
}

struct origin config_origin(const struct config *c)
{
    return (struct origin){ c->label, 0 };
}

const char *config_section_name(const struct config_section *s)
{
    return s->name;
}

const void *config_section_values(const struct config_section *s)
{
    return s->values;
}

struct origin config_section_origin(const struct config_section *s)
{
    return s->origin;
}

struct origin config_key_origin(const struct config_section *s, const char *key)
{
    pst_assert(knows_key(s->kind, key));
    const struct origin *given = g_hash_table_lookup(s->given, key);
    return given != NULL ? *given : s->origin;
}

bool config_key_is_given(const struct config_section *s, const char *key)
{
    return g_hash_table_contains(s->given, key);
}

bool config_knows_key(const struct config *c, const char *kind, const char *key)
{
    for (size_t i = 0; i < c->kind_count; i++)
        if (strcmp(c->kinds[i].name, kind) == 0 && knows_key(&c->kinds[i], key))
            return true;
    return false;
}
