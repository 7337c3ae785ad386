#include "server/offline_report.h"

#include <errno.h>
#include <string.h>

/* ---- the message as it was, and as it would be stored ---- */

/* Octets that lie behind each other. */
struct content {
    struct slice front, rest;
};

static int map(int fd, GMappedFile **ret_file)
{
    g_autoptr(GError) error = NULL;
    *ret_file = g_mapped_file_new_from_fd(fd, FALSE, &error);
    return *ret_file != NULL ? 0 : -EIO;
}

static struct slice octets_of(const GMappedFile *file)
{
    return slice_of((const uint8_t *)g_mapped_file_get_contents((GMappedFile *)file),
                    g_mapped_file_get_length((GMappedFile *)file));
}

static int map_stored(const struct offline_question *q, const struct offline_answer *a,
                      GMappedFile **ret_file, struct content *ret_content)
{
    const struct wire_verdict *v = &a->verdict;
    int r = map(v->replaced ? a->host.scratch : q->message, ret_file);
    if (r < 0)
        return r;
    uint64_t size = v->replaced ? v->replaced_size : q->size;
    struct slice all = octets_of(*ret_file);
    if (size > all.len)
        return -EIO; /* it became shorter since it was looked at */
    *ret_content = (struct content){ v->front, slice_skip(slice_first(all, size), v->skip) };
    return 0;
}

int offline_write_message(const struct offline_question *q, const struct offline_answer *a, FILE *to)
{
    g_autoptr(GMappedFile) file = NULL;
    struct content content;
    int r = map_stored(q, a, &file, &content);
    if (r < 0)
        return r;
    (void)fwrite(content.front.data, 1, content.front.len, to);
    (void)fwrite(content.rest.data, 1, content.rest.len, to);
    return fflush(to) == 0 && !ferror(to) ? 0 : -EIO;
}

/* ---- header fields ---- */

/* Those of the octets, each with its continuation lines; they are borrowed. True: there are no more. */
static bool add_fields(struct slice octets, GArray *fields)
{
    while (octets.len > 0 && octets.data[0] != '\n') {
        size_t len = 0;
        do {
            const uint8_t *end = memchr(octets.data + len, '\n', octets.len - len);
            len = end != NULL ? (size_t)(end - octets.data) + 1 : octets.len;
        } while (len < octets.len && (octets.data[len] == ' ' || octets.data[len] == '\t'));
        struct slice field = slice_first(octets, len);
        octets = slice_skip(octets, len);
        if (field.data[len - 1] == '\n')
            field.len--;
        g_array_append_val(fields, field);
    }
    return octets.len > 0;
}

static GArray *fields_of(const struct content *c)
{
    GArray *fields = g_array_new(FALSE, FALSE, sizeof(struct slice));
    if (!add_fields(c->front, fields))
        (void)add_fields(c->rest, fields);
    return fields;
}

/* How often each field is there, by its octets. */
static GHashTable *count_fields(const GArray *fields)
{
    GHashTable *counts =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    for (guint i = 0; i < fields->len; i++) {
        struct slice field = g_array_index(fields, struct slice, i);
        GBytes *key = g_bytes_new_static(field.data, field.len);
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, key));
        g_hash_table_replace(counts, key, GUINT_TO_POINTER(count + 1));
    }
    return counts;
}

/* Those of `fields` that `others` do not have, in their order. */
static GArray *fields_beyond(const GArray *fields, const GArray *others)
{
    GArray *beyond = g_array_new(FALSE, FALSE, sizeof(struct slice));
    g_autoptr(GHashTable) counts = count_fields(others);
    for (guint i = 0; i < fields->len; i++) {
        struct slice field = g_array_index(fields, struct slice, i);
        GBytes *key = g_bytes_new_static(field.data, field.len);
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, key));
        if (count == 0)
            g_array_append_val(beyond, field);
        g_hash_table_replace(counts, key, GUINT_TO_POINTER(count > 0 ? count - 1 : 0));
    }
    return beyond;
}

/* What handlers did to the header section; it borrows from the files. */
struct edits {
    GMappedFile *before_file, *after_file;
    GArray *removed, *added; /* struct slice */
    uint64_t size;           /* of the message then */
};

static void edits_clear(struct edits *e)
{
    g_clear_pointer(&e->before_file, g_mapped_file_unref);
    g_clear_pointer(&e->after_file, g_mapped_file_unref);
    g_clear_pointer(&e->removed, g_array_unref);
    g_clear_pointer(&e->added, g_array_unref);
}
AUTO_VAL_DEFINE(edits);

static int find_edits(const struct offline_question *q, const struct offline_answer *a, struct edits *e)
{
    struct content before = { .front = slice_of(NULL, 0) }, after;
    int r = map(q->message, &e->before_file);
    if (r == 0)
        r = map_stored(q, a, &e->after_file, &after);
    if (r < 0)
        return r;
    before.rest = octets_of(e->before_file);
    g_autoptr(GArray) old = fields_of(&before), new = fields_of(&after);
    e->removed = fields_beyond(old, new);
    e->added = fields_beyond(new, old);
    e->size = after.front.len + after.rest.len;
    return 0;
}

/* ---- for people ---- */

/* UTF-8 without what a terminal obeys; g_free it. */
static char *printable(struct slice text)
{
    g_autofree char *valid = g_utf8_make_valid((const char *)text.data, (gssize)text.len);
    GString *clean = g_string_new(NULL);
    for (const char *c = valid; *c != '\0'; c = g_utf8_next_char(c)) {
        gunichar letter = g_utf8_get_char(c);
        if (letter != '\t' && !g_unichar_isprint(letter))
            g_string_append_printf(clean, "\\u%04x", letter);
        else
            g_string_append_unichar(clean, letter);
    }
    return g_string_free(clean, FALSE);
}

static void print(FILE *to, const char *before, struct slice text)
{
    g_autofree char *clean = printable(text);
    (void)fprintf(to, "%s%s", before, clean);
}

static void print_fields(FILE *to, const char *sign, const GArray *fields)
{
    for (guint i = 0; i < fields->len; i++) {
        struct slice field = g_array_index(fields, struct slice, i);
        while (field.len > 0) {
            const uint8_t *end = memchr(field.data, '\n', field.len);
            size_t len = end != NULL ? (size_t)(end - field.data) : field.len;
            print(to, sign, slice_first(field, len));
            (void)fprintf(to, "\n");
            field = slice_skip(field, end != NULL ? len + 1 : len);
        }
    }
}

static void print_list(FILE *to, const char *before, const struct wire_text_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        print(to, i == 0 ? before : ", ", slice_str(list->texts[i]));
}

static const char *handler_name(const struct offline_question *q, const struct wire_fate *f)
{
    return f->handler < 0 ? NULL : q->settings->handlers.config.handlers[f->handler].name;
}

static void print_fate(const struct offline_question *q, const struct wire_recipient *r,
                       const struct wire_fate *f, FILE *to)
{
    bool is_kept = f->decision == WIRE_DELIVER;
    print(to, "", slice_str(r->address));
    (void)fprintf(to, ": %s", offline_result_names[f->decision]); /* whose order is the same */
    if (f->code != 0) {
        (void)fprintf(to, " %u", (unsigned)f->code);
        print(to, " ", slice_str(f->enhanced));
        print(to, " ", slice_str(f->text));
    }
    if (is_kept && f->redirects.count > 0)
        print_list(to, " to ", &f->redirects);
    else if (is_kept)
        print_list(to, " to ", &r->mailboxes);
    if (is_kept && f->folder != NULL)
        print(to, ", folder ", slice_str(f->folder));
    if (is_kept && f->flags != NULL)
        print(to, ", flags ", slice_str(f->flags));
    if (!is_kept && handler_name(q, f) != NULL)
        print(to, " (by ", slice_str(handler_name(q, f)));
    (void)fprintf(to, !is_kept && handler_name(q, f) != NULL ? ")\n" : "\n");
}

static void print_failure(const struct offline_answer *a, FILE *to)
{
    print(to, "failure: ", slice_str(a->failure));
    if (a->reply != NULL)
        (void)fprintf(to, "\nthe server would answer %s\n", a->reply);
    else
        (void)fprintf(to, "\nthe server would deliver the message as it is\n");
}

int offline_report_text(const struct offline_question *q, const struct offline_answer *a, FILE *to)
{
    auto_val(edits) edits = { 0 };
    int r = a->result == OFFLINE_FAILURE ? 0 : find_edits(q, a, &edits);
    if (r < 0)
        return r;
    if (a->result == OFFLINE_FAILURE) {
        print_failure(a, to);
        return fflush(to) == 0 ? 0 : -EIO;
    }
    for (guint i = 0; i < a->recipients->len; i++)
        print_fate(q, g_ptr_array_index(a->recipients, i), &a->verdict.fates[i], to);
    if (a->verdict.replaced)
        (void)fprintf(to, "the message is replaced by one of %" G_GUINT64_FORMAT " octets\n", edits.size);
    print_fields(to, "- ", edits.removed);
    print_fields(to, "+ ", edits.added);
    return fflush(to) == 0 ? 0 : -EIO;
}

/* ---- for programs ---- */

/* RFC 8259 7. What is no UTF-8 becomes U+FFFD. */
static void append_string(GString *out, struct slice text)
{
    g_autofree char *valid = g_utf8_make_valid((const char *)text.data, (gssize)text.len);
    g_string_append_c(out, '"');
    for (const char *c = valid; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            g_string_append_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            g_string_append_printf(out, "\\u%04x", (unsigned)*c);
        else
            g_string_append_c(out, *c);
    }
    g_string_append_c(out, '"');
}

static void append_key(GString *out, const char *key)
{
    char last = out->str[out->len - 1];
    g_string_append_printf(out, "%s\"%s\":", last == '{' ? "" : ",", key);
}

static void append_text(GString *out, const char *key, const char *text)
{
    append_key(out, key);
    if (text != NULL)
        append_string(out, slice_str(text));
    else
        g_string_append(out, "null");
}

static void append_texts(GString *out, const char *key, const struct wire_text_list *list)
{
    append_key(out, key);
    g_string_append_c(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        g_string_append(out, i > 0 ? "," : "");
        append_string(out, slice_str(list->texts[i]));
    }
    g_string_append_c(out, ']');
}

static void append_fields(GString *out, const char *key, const GArray *fields)
{
    append_key(out, key);
    g_string_append_c(out, '[');
    for (guint i = 0; i < fields->len; i++) {
        g_string_append(out, i > 0 ? "," : "");
        append_string(out, g_array_index(fields, struct slice, i));
    }
    g_string_append_c(out, ']');
}

static void append_fate(const struct offline_question *q, const struct wire_recipient *r,
                        const struct wire_fate *f, GString *out)
{
    g_string_append_c(out, '{');
    append_text(out, "address", r->address);
    append_text(out, "verdict", offline_result_names[f->decision]);
    append_text(out, "handler", handler_name(q, f));
    append_key(out, "code");
    if (f->code != 0)
        g_string_append_printf(out, "%u", (unsigned)f->code);
    else
        g_string_append(out, "null");
    append_text(out, "enhanced", f->code != 0 ? f->enhanced : NULL);
    append_text(out, "text", f->code != 0 ? f->text : NULL);
    append_texts(out, "mailboxes", &r->mailboxes);
    append_texts(out, "redirects", &f->redirects);
    append_text(out, "folder", f->folder);
    append_text(out, "flags", f->flags);
    g_string_append_c(out, '}');
}

static void append_answer(const struct offline_question *q, const struct offline_answer *a,
                          const struct edits *edits, GString *out)
{
    append_key(out, "recipients");
    g_string_append_c(out, '[');
    for (guint i = 0; i < a->recipients->len; i++) {
        g_string_append(out, i > 0 ? "," : "");
        append_fate(q, g_ptr_array_index(a->recipients, i), &a->verdict.fates[i], out);
    }
    g_string_append_c(out, ']');
    append_key(out, "replaced");
    g_string_append(out, a->verdict.replaced ? "true" : "false");
    append_fields(out, "removed", edits->removed);
    append_fields(out, "added", edits->added);
    append_key(out, "size");
    g_string_append_printf(out, "%" G_GUINT64_FORMAT, edits->size);
}

int offline_report_json(const struct offline_question *q, const struct offline_answer *a, FILE *to)
{
    auto_val(edits) edits = { 0 };
    int r = a->result == OFFLINE_FAILURE ? 0 : find_edits(q, a, &edits);
    if (r < 0)
        return r;
    g_autoptr(GString) out = g_string_new("{");
    append_text(out, "verdict", offline_result_names[a->result]);
    if (a->result == OFFLINE_FAILURE) {
        append_text(out, "failure", a->failure);
        append_text(out, "reply", a->reply);
    } else {
        append_answer(q, a, &edits, out);
    }
    g_string_append(out, "}\n");
    (void)fwrite(out->str, 1, out->len, to);
    return fflush(to) == 0 && !ferror(to) ? 0 : -EIO;
}
