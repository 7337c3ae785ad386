#include "delivery/table.h"

#include <errno.h>

#include "base/assert.h"
#include "base/slice.h"
#include "delivery/table_content.h"
#include "delivery/table_internal.h"
#include "disk/disk.h"

enum {
    FILE_MAX = 1 << 30, /* octets */
    READS_MAX = 5,      /* how often a file is read that changes meanwhile */
};

struct file_table {
    struct table base;
    char *path;
    struct table_rules rules;

    GMutex lock; /* of: */
    struct table_content *content;

    /* Of who looks at it: */
    struct disk_stat seen; /* the version that was looked at last, good or bad; all zero: none */
    int error;             /* or what came of looking, which was told */
    struct table_content *waiting;
    bool is_broken, is_refused; /* that version */
};

static struct file_table *file_of(struct table *t)
{
    return (struct file_table *)t;
}

static bool same_version(const struct disk_stat *a, const struct disk_stat *b)
{
    return a->device == b->device && a->id == b->id && a->size == b->size &&
           a->modified_us == b->modified_us && a->changed_us == b->changed_us;
}

/* ---- reading ---- */

struct text {
    uint8_t *data;
    size_t len;
};

static void text_clear(struct text *t)
{
    g_free(t->data);
}
AUTO_VAL_DEFINE(text);

/* Less than `len` octets when the file ends before. */
static int read_up_to(int fd, size_t len, struct text *ret_text)
{
    auto_val(text) text = { .data = g_try_malloc(len + 1) };
    if (text.data == NULL)
        return -ENOMEM;
    for (;;) {
        int64_t got = text.len < len ? disk_read(fd, text.len, text.data + text.len, len - text.len) : 0;
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        text.len += (size_t)got;
    }
    *ret_text = text;
    text.data = NULL;
    return 0;
}

/*
 * All of one version of the file: none that was there in part before a change and in part after it. `version`
 * is that which was found, and becomes that which was read. -EAGAIN when it changes all the time.
 */
static int read_version(int fd, struct disk_stat *version, struct text *ret_text)
{
    for (int i = 0; i < READS_MAX; i++) {
        auto_val(text) text = { NULL };
        struct disk_stat before = *version;
        int r = before.size <= FILE_MAX ? read_up_to(fd, (size_t)before.size, &text) : -EFBIG;
        if (r == 0)
            r = disk_stat_open(fd, version);
        if (r < 0)
            return r;
        if (same_version(&before, version) && text.len == before.size) {
            *ret_text = text;
            text.data = NULL;
            return 0;
        }
    }
    return -EAGAIN;
}

static struct table_content *load(const struct file_table *f, struct text text, struct diag *problems)
{
    return table_content_load(slice_of(text.data, text.len), f->path, &f->rules, problems);
}

/* ---- the table ---- */

static const char *explain(int error)
{
    switch (error) {
    case -EISDIR:
    case -EINVAL:
        return "it is no regular file";
    case -EAGAIN:
        return "it changes while it is read";
    default:
        return g_strerror(-error);
    }
}

static void file_free(struct table *t)
{
    struct file_table *f = file_of(t);
    table_content_unref(f->content);
    table_content_unref(f->waiting);
    g_mutex_clear(&f->lock);
    g_free(f->path);
    g_free(f);
}

static struct table *file_open(const char *path, const struct table_rules *rules, struct origin at,
                               struct diag *problems)
{
    struct file_table *f = g_new0(struct file_table, 1);
    auto_ptr(table) t = &f->base;
    f->base.kind = &table_file_kind;
    f->path = g_strdup(path);
    f->rules = *rules;
    g_mutex_init(&f->lock);
    auto_val(text) text = { NULL };
    auto_disk int fd = disk_open_path(path);
    int r = fd < 0 ? fd : disk_stat_open(fd, &f->seen);
    if (r == 0)
        r = read_version(fd, &f->seen, &text);
    if (r < 0) {
        diag_add(problems, at, "%s: %s; expected a file of lines NAME: VALUE", path, explain(r));
        return NULL;
    }
    /* It may change once more without showing it: then the first refresh reads it again. */
    if (!f->seen.settled)
        f->seen = (struct disk_stat){ 0 };
    f->content = load(f, text, problems);
    return f->content != NULL ? g_steal_pointer(&t) : NULL;
}

static struct table_content *file_content(struct table *t, bool waiting)
{
    struct file_table *f = file_of(t);
    if (waiting && f->waiting != NULL)
        return table_content_ref(f->waiting);
    g_mutex_lock(&f->lock);
    struct table_content *content = table_content_ref(f->content);
    g_mutex_unlock(&f->lock);
    return content;
}

static int file_find(struct table *t, const char *name, const char *domain, GPtrArray *values, char **ret_why)
{
    (void)domain, (void)ret_why;
    struct table_content *content = file_content(t, false);
    const char *value = table_content_find(content, name);
    for (; value != NULL && *value != '\0'; value += strlen(value) + 1)
        g_ptr_array_add(values, g_strdup(value));
    table_content_unref(content);
    return 0;
}

/* ---- another version ---- */

static void use(struct file_table *f, struct table_content *take_content)
{
    g_mutex_lock(&f->lock);
    struct table_content *old = f->content;
    f->content = take_content;
    g_mutex_unlock(&f->lock);
    table_content_unref(old); /* who asks at the moment still has it */
}

/* 1: there is a version that was not looked at yet; 0: there is none, or not for us to see yet. */
static int look(struct file_table *f, struct text *ret_text)
{
    struct disk_stat st;
    auto_disk int fd = disk_open_path(f->path);
    if (fd < 0)
        return fd;
    int r = disk_stat_open(fd, &st);
    /* One that was changed just now may be half written, and may change once more without showing it. */
    if (r < 0 || same_version(&st, &f->seen) || !st.settled)
        return r;
    r = read_version(fd, &st, ret_text);
    if (r == -EAGAIN || (r == 0 && !st.settled))
        return 0;
    if (r < 0)
        return r;
    f->seen = st;
    return 1;
}

static int file_look(struct table *t, struct diag *problems)
{
    struct file_table *f = file_of(t);
    auto_val(text) text = { NULL };
    int r = look(f, &text);
    bool is_told = r == f->error;
    f->error = MIN(r, 0);
    if (r == 0 || is_told)
        return 0;
    if (r < 0) {
        diag_add(problems, (struct origin){ f->path, 0 }, "%s; what it held before stays in use", explain(r));
        return r;
    }
    f->is_refused = false;
    f->waiting = load(f, text, problems);
    f->is_broken = f->waiting == NULL;
    return f->waiting != NULL ? 1 : -EBADMSG;
}

static void file_end_look(struct table *t, bool is_used)
{
    struct file_table *f = file_of(t);
    struct table_content *content = g_steal_pointer(&f->waiting);
    pst_assert(content != NULL);
    f->is_refused = !is_used;
    if (is_used)
        use(f, content);
    else
        table_content_unref(content);
}

static bool file_reconsider(struct table *t)
{
    struct file_table *f = file_of(t);
    bool was_refused = f->is_refused;
    if (was_refused)
        f->seen = (struct disk_stat){ 0 };
    f->is_refused = false;
    return was_refused;
}

static void file_tell_again(struct table *t)
{
    struct file_table *f = file_of(t);
    f->error = 0;
    if (f->is_broken || f->is_refused)
        f->seen = (struct disk_stat){ 0 };
    f->is_broken = f->is_refused = false;
}

const struct table_kind table_file_kind = {
    .in_memory = true,
    .open = file_open,
    .free = file_free,
    .find = file_find,
    .look = file_look,
    .end_look = file_end_look,
    .reconsider = file_reconsider,
    .tell_again = file_tell_again,
    .content = file_content,
};
