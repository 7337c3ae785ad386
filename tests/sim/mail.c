#include "mail.h"

#include <string.h>

#include "base/auto.h"
#include "base/slice.h"
#include "leftovers.h"
#include "sim.h"
#include "stored.h"

/* All promises of the same content for the same mailbox: nobody could tell their files from each other. */
struct message {
    const char *box;
    GBytes *content;
    const char *sender;
    enum sim_act act;
    GPtrArray *promises; /* struct promise, borrowed */
    GPtrArray *files;    /* struct file, borrowed: all that ever were */
    unsigned forgiven;   /* that were promised, and are excused to be lost */
};

/* A name that was once seen in new/ or cur/. */
struct file {
    char *path;
    struct message *message;
    bool is_there;
    bool was_withdrawn; /* its removal was tried */
};

struct mail {
    const GPtrArray *promises;
    guint known;          /* of the promises: in a message */
    GHashTable *messages; /* struct message: a set, for finding one */
    GPtrArray *all;       /* the same, in the order of their promises */
    GPtrArray *files;     /* struct file */
    GHashTable *by_path;  /* of the files */
    GPtrArray *unsettled; /* struct message with promises that are open */
    GPtrArray *changed;   /* char *: paths in new/ or cur/ that the last call was about */
    struct leftovers *leftovers;
    char *unmade;            /* a directory that the last call was to remove; or NULL */
    bool spoilt[SIM_BOXES];  /* not durable, and it could not be removed */
    bool fragile[SIM_BOXES]; /* not durable when its maker was killed */
    uint64_t losses, failures_before;
    uint64_t looks;
};

static const char *const visible_dirs[] = { "new", "cur" };

/* ---- messages ---- */

static guint hash_message(gconstpointer message)
{
    const struct message *m = message;
    return g_bytes_hash(m->content) ^ g_str_hash(m->box) ^ (guint)m->act ^ g_str_hash(m->sender);
}

static gboolean equal_messages(gconstpointer a, gconstpointer b)
{
    const struct message *left = a, *right = b;
    return left->box == right->box && left->sender == right->sender && left->act == right->act &&
           g_bytes_equal(left->content, right->content);
}

static void message_free(void *message)
{
    struct message *m = message;
    g_bytes_unref(m->content);
    g_ptr_array_unref(m->promises);
    g_ptr_array_unref(m->files);
    g_free(m);
}

static void add_promise(struct mail *m, struct promise *p)
{
    struct message probe = { .box = p->box, .content = p->content, .sender = p->sender, .act = p->act };
    struct message *message = g_hash_table_lookup(m->messages, &probe);
    if (message == NULL) {
        message = g_memdup2(&probe, sizeof probe);
        message->content = g_bytes_ref(p->content);
        message->promises = g_ptr_array_new();
        message->files = g_ptr_array_new();
        g_hash_table_add(m->messages, message);
        g_ptr_array_add(m->all, message);
    }
    g_ptr_array_add(message->promises, p);
    if (!g_ptr_array_find(m->unsettled, message, NULL))
        g_ptr_array_add(m->unsettled, message);
}

static void learn(struct mail *m)
{
    for (; m->known < m->promises->len; m->known++)
        add_promise(m, g_ptr_array_index(m->promises, m->known));
}

static unsigned count_fates(const struct message *message, enum promise_fate fate)
{
    unsigned count = 0;
    for (guint i = 0; i < message->promises->len; i++)
        count += ((struct promise *)g_ptr_array_index(message->promises, i))->fate == fate;
    return count;
}

static bool is_stored(enum sim_act act)
{
    return act == SIM_DELIVER || act == SIM_EDIT;
}

static const char *subject_of(const struct message *message)
{
    size_t len;
    const char *data = g_bytes_get_data(message->content, &len);
    static char text[80];
    (void)g_snprintf(text, sizeof text, "%.*s", (int)MIN(len, sizeof text - 1), data != NULL ? data : "");
    return g_strcanon(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-=. ", '_');
}

static bool is_spoilt(const struct mail *m, const char *box)
{
    for (size_t i = 0; i < SIM_BOXES; i++)
        if (sim_boxes[i] == box)
            return m->spoilt[i] || (m->fragile[i] && m->losses + disk_sim_failures() > m->failures_before);
    return false;
}

/* What was promised against what is there, at this instant. */
static void check_message(const struct mail *m, struct message *message)
{
    unsigned kept = count_fates(message, PROMISE_KEPT), open = count_fates(message, PROMISE_OPEN);
    unsigned visible = 0, durable = 0;
    sim_check(kept == 0 || is_stored(message->act) || message->act == SIM_DISCARD,
              "250 for what a handler would not have: %s for %s", sim_act_name(message->act), message->box);
    for (guint i = 0; i < message->files->len; i++) {
        const struct file *f = g_ptr_array_index(message->files, i);
        if (!f->is_there || f->was_withdrawn)
            continue;
        visible++;
        durable += kept > 0 && disk_sim_is_durable(f->path);
    }
    if (!is_stored(message->act))
        kept = open = 0;
    if (durable < kept && is_spoilt(m, message->box))
        message->forgiven = MAX(message->forgiven, kept - durable);
    sim_check(durable + message->forgiven >= kept,
              "promised and not durable: %s for %s: %u of %u, %u visible", subject_of(message), message->box,
              durable, kept, visible);
    sim_check(visible <= kept + open, "there more often than promised: %s for %s: %u of %u",
              subject_of(message), message->box, visible, kept + open);
}

/* ---- files ---- */

static void file_free(void *file)
{
    struct file *f = file;
    g_free(f->path);
    g_free(f);
}

static struct message *find_message(const struct mail *m, const char *box, struct slice body,
                                    const char *sender, enum sim_act act)
{
    g_autoptr(GBytes) content = g_bytes_new_static(body.data, body.len);
    const struct message probe = { .box = box, .content = content, .sender = sender, .act = act };
    return g_hash_table_lookup(m->messages, &probe);
}

static struct message *recognize(const struct mail *m, const char *path, struct slice file)
{
    static const char edited[] = SIM_EDITED;
    enum { EDITED = sizeof edited - 1 };
    struct stored stored;
    const char *box = stored_box(path);
    if (!stored_read(file, box, &stored))
        return NULL;
    struct message *plain = find_message(m, box, stored.body, stored.sender, SIM_DELIVER);
    if (plain != NULL || stored.body.len < EDITED || memcmp(stored.body.data, edited, EDITED) != 0)
        return plain;
    return find_message(m, box, slice_skip(stored.body, EDITED), stored.sender, SIM_EDIT);
}

static void meet_file(struct mail *m, const char *path, struct message *message)
{
    struct file *f = g_hash_table_lookup(m->by_path, path);
    if (f == NULL) {
        f = g_new0(struct file, 1);
        f->path = g_strdup(path);
        f->message = message;
        g_ptr_array_add(m->files, f);
        g_ptr_array_add(message->files, f);
        g_hash_table_insert(m->by_path, f->path, f);
    }
    sim_check(f->message == message, "the content of a name changed: %s", path);
    f->is_there = true;
}

/* There may be nothing: the call failed, or took it away. Else the message that it is. */
static struct message *look(struct mail *m, const char *path)
{
    size_t len;
    g_autofree char *content = disk_sim_read_file(path, &len);
    struct file *known = g_hash_table_lookup(m->by_path, path);
    m->looks++;
    if (content == NULL) {
        if (known != NULL)
            known->is_there = false;
        return NULL;
    }
    const struct slice file = slice_of(content, len);
    struct message *message = recognize(m, path, file);
    sim_check(message != NULL, "partial, or nobody's: %s has %zu octets", path, len);
    stored_check_sizes(path, file);
    sim_check(disk_sim_is_synced(path), "seen before its content is durable: %s", path);
    meet_file(m, path, message);
    return message;
}

/* "/mail/BOX", or a part of it. */
static void look_at_unmade(struct mail *m)
{
    g_autofree char *path = g_steal_pointer(&m->unmade);
    g_auto(GStrv) names = disk_sim_names(path);
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (size_t i = 0; i < SIM_BOXES && g_strv_length(parts) > 2; i++)
        if (strcmp(parts[2], sim_boxes[i]) == 0 && (names != NULL || parts[3] == NULL))
            m->spoilt[i] = m->fragile[i] = names != NULL;
}

static void look_at_changed(struct mail *m)
{
    if (m->unmade != NULL)
        look_at_unmade(m);
    if (m->changed->len == 0)
        return;
    learn(m);
    for (guint i = 0; i < m->changed->len; i++) {
        struct message *message = look(m, g_ptr_array_index(m->changed, i));
        if (message != NULL)
            check_message(m, message);
    }
    g_ptr_array_set_size(m->changed, 0);
}

/* ---- what happens ---- */

static void note_removal(struct mail *m, const char *path)
{
    struct file *f = g_hash_table_lookup(m->by_path, path);
    if (f != NULL)
        f->was_withdrawn = true;
    else if (stored_box_in(path, "tmp") != NULL)
        leftovers_on_removal(m->leftovers, path);
}

void mail_on_call(struct mail *m, const struct disk_sim_call *call)
{
    look_at_changed(m);
    switch (call->kind) {
    case DISK_SIM_UNLINK:
        note_removal(m, call->path);
        break;
    case DISK_SIM_RMDIR:
        m->unmade = g_strdup(call->path);
        return;
    case DISK_SIM_RENAME:
    case DISK_SIM_REPLACE:
        if (stored_box(call->path) != NULL)
            note_removal(m, call->path);
        break;
    case DISK_SIM_CREATE:
    case DISK_SIM_LINK:
        break;
    default:
        return;
    }
    if (stored_box(call->path) != NULL)
        g_ptr_array_add(m->changed, g_strdup(call->path));
    if (call->to != NULL && stored_box(call->to) != NULL)
        g_ptr_array_add(m->changed, g_strdup(call->to));
}

void mail_on_event(struct mail *m)
{
    look_at_changed(m);
    learn(m);
    for (guint i = 0; i < m->unsettled->len;) {
        struct message *message = g_ptr_array_index(m->unsettled, i);
        unsigned open = count_fates(message, PROMISE_OPEN);
        if (open < message->promises->len)
            check_message(m, message);
        if (open == 0)
            g_ptr_array_remove_index_fast(m->unsettled, i);
        else
            i++;
    }
}

/* ---- ends ---- */

static void look_into(struct mail *m, const char *box, const char *sub)
{
    g_autofree char *dir = g_strdup_printf("/mail/%s/%s", box, sub);
    g_auto(GStrv) names = disk_sim_names(dir);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", dir, names[i]);
        (void)look(m, path); /* the messages are checked once all files are known */
    }
}

/* Every file is read again: a crash may have changed any. */
static void look_at_all(struct mail *m)
{
    look_at_changed(m);
    learn(m);
    for (guint i = 0; i < m->files->len; i++)
        ((struct file *)g_ptr_array_index(m->files, i))->is_there = false;
    for (size_t b = 0; b < SIM_BOXES; b++)
        for (size_t i = 0; i < G_N_ELEMENTS(visible_dirs); i++)
            look_into(m, sim_boxes[b], visible_dirs[i]);
    for (guint i = 0; i < m->all->len; i++)
        check_message(m, g_ptr_array_index(m->all, i));
}

void mail_on_drained(struct mail *m)
{
    look_at_all(m);
    leftovers_on_drained(m->leftovers);
}

void mail_on_loss(struct mail *m)
{
    m->losses++;
}

/* Half made, or just not durable yet. */
static bool is_fragile(const char *box)
{
    g_autofree char *top = g_strdup_printf("/mail/%s", box), *new = g_strdup_printf("/mail/%s/new", box);
    g_auto(GStrv) parts = disk_sim_names(top);
    return parts != NULL && (!disk_sim_is_durable(top) || !disk_sim_is_durable(new));
}

void mail_on_crash(struct mail *m, int64_t wall_us)
{
    look_at_all(m);
    m->failures_before = disk_sim_failures();
    m->losses = 0;
    for (size_t b = 0; b < SIM_BOXES; b++) {
        m->fragile[b] = is_fragile(sim_boxes[b]);
        m->spoilt[b] = m->spoilt[b] && m->fragile[b]; /* what survived the power is durable */
    }
    leftovers_on_crash(m->leftovers, wall_us);
}

void mail_on_swept(const struct mail *m, int64_t before_wall_us)
{
    leftovers_on_swept(m->leftovers, before_wall_us);
}

/* ---- the checker ---- */

struct mail *mail_new(const GPtrArray *promises)
{
    struct mail *m = g_new0(struct mail, 1);
    m->promises = promises;
    m->messages = g_hash_table_new(hash_message, equal_messages);
    m->all = g_ptr_array_new_with_free_func(message_free);
    m->files = g_ptr_array_new_with_free_func(file_free);
    m->by_path = g_hash_table_new(g_str_hash, g_str_equal);
    m->unsettled = g_ptr_array_new();
    m->changed = g_ptr_array_new_with_free_func(g_free);
    m->leftovers = leftovers_new();
    return m;
}

void mail_free(struct mail *m)
{
    if (m == NULL)
        return;
    g_free(m->unmade);
    g_hash_table_destroy(m->by_path);
    leftovers_free(m->leftovers);
    g_ptr_array_unref(m->changed);
    g_ptr_array_unref(m->unsettled);
    g_ptr_array_unref(m->files);
    g_hash_table_destroy(m->messages);
    g_ptr_array_unref(m->all);
    g_free(m);
}

uint64_t mail_looks(const struct mail *m)
{
    return m->looks;
}
