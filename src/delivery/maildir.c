#include "delivery/maildir.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/number.h"
#include "delivery/quota.h"
#include "disk/disk.h"
#include "message/lines.h"

/*
 * A name has at most 255 octets, and readers append flags to it (":2,DFPRST" and more): a long host is cut.
 * What cannot be in a maildir's file name ("/", ":") or would look like one of its fields (",") is replaced
 * with all else that is unusual.
 */
enum {
    HOST_MAX = 64,
    FLAGS_SIZE = sizeof "DFPRST",
    FIELDS = sizeof ",S=18446744073709551615,W=18446744073709551615:2," - 1 + FLAGS_SIZE,
};

const char *maildir_unique(const struct maildir_stamp *stamp, size_t copy, char text[MAILDIR_UNIQUE_SIZE])
{
    char *to = pst_put_i64(text, stamp->wall_us / 1000000);
    to = pst_put_i64(stpcpy(to, ".M"), stamp->wall_us % 1000000);
    to = pst_put_u64(stpcpy(to, "P"), stamp->process);
    to = pst_put_u64(stpcpy(to, "Q"), copy);
    to = stpcpy(pst_put_hex(stpcpy(to, "R"), stamp->random, 16), ".");
    const char *host = *stamp->hostname != '\0' ? stamp->hostname : "localhost";
    for (size_t i = 0; i < HOST_MAX && host[i] != '\0'; i++)
        *to++ = g_ascii_isalnum(host[i]) || host[i] == '.' || host[i] == '-' ? host[i] : '_';
    *to = '\0';
    return text;
}

/* ---- the directories ---- */

/* The last gate before a path: whatever a router or a handler chose, a folder is one component and no "..".
 */
static bool is_folder(const char *name)
{
    return name[0] == '.' && name[1] != '\0' && strcmp(name, "..") != 0 && strchr(name, '/') == NULL;
}

/* No link, which would lead to another mailbox's, or from tmp/ to new/, where what is not whole is seen. */
static int open_part(int root, const struct mailbox *mailbox, const char *name)
{
    char path[MAILBOX_NAME_MAX + FOLDER_MAX + sizeof "//tmp"];
    const char *folder = mailbox->folder;
    if (folder != NULL && !is_folder(folder))
        return -EINVAL;
    int len = folder == NULL ? snprintf(path, sizeof path, "%s/%s", mailbox->name, name)
                             : snprintf(path, sizeof path, "%s/%s/%s", mailbox->name, folder, name);
    return (size_t)len < sizeof path ? disk_open_beneath(root, path) : -ENAMETOOLONG;
}

static int open_parts(int root, const struct mailbox *mailbox, struct maildir **ret_maildir)
{
    auto_disk int tmp = open_part(root, mailbox, "tmp");
    if (tmp < 0)
        return tmp;
    int new = open_part(root, mailbox, "new");
    if (new < 0)
        return new;
    struct maildir *m = g_new0(struct maildir, 1);
    *m = (struct maildir){ .mailbox = mailbox,
                           .tmp = steal_fd(&tmp),
                           .new = { .dir = new },
                           .cur = { .dir = -1 },
                           .top = -1,
                           .references = 1 };
    *ret_maildir = m;
    return 0;
}

int maildir_open(const struct mailbox *mailbox, struct maildir **ret_maildir)
{
    auto_disk int root = disk_open_root(mailbox->domain->options.maildirs);
    return root < 0 ? root : open_parts(root, mailbox, ret_maildir);
}

struct maildir *maildir_ref(struct maildir *m)
{
    m->references++;
    return m;
}

void maildir_unref(struct maildir *m)
{
    if (m == NULL || --m->references > 0)
        return;
    disk_close(m->tmp);
    disk_close(m->new.dir);
    if (m->cur.dir >= 0)
        disk_close(m->cur.dir);
    if (m->top >= 0)
        disk_close(m->top);
    g_free(m);
}

/* ---- a maildir that is missing ---- */

/*
 * It is complete once it has tmp/, which is made last, and not before all else is durable: whoever finds both
 * that and new/ may trust in them, also if their maker was killed a moment later.
 */
static const char *const directories[] = { "cur", "new" };

/* What is there already was half made before, or is being made by another now; or it is no directory at all,
 * which opening it tells. */
static int make_directory(int dir, const char *name)
{
    int r = disk_mkdir(dir, name);
    return r == -EEXIST ? 0 : r;
}

/*
 * What could not be made durable must not be found by the next message, which would take it for durable.
 * Names whose sync failed are not saved by one more: only making them anew helps, also those that others have
 * made. What something was put into stays.
 */
static void unmake(int root, const char *name, int top)
{
    for (size_t i = G_N_ELEMENTS(directories); i-- > 0;)
        (void)disk_rmdir(top, directories[i]);
    (void)disk_rmdir(root, name);
}

/* Half a maildir of somebody else's may have tmp/ and no new/: it must not look whole too soon. */
static int begin_anew(int top)
{
    struct disk_stat unused;
    int r = disk_stat(top, "new", &unused);
    if (r != -ENOENT)
        return r;
    r = disk_rmdir(top, "tmp");
    return r == -ENOTEMPTY || r == -ENOENT ? 0 : r;
}

static int make(int root, const char *name)
{
    int r = make_directory(root, name);
    if (r < 0)
        return r;
    auto_disk int top = disk_open_beneath(root, name);
    if (top < 0) {
        (void)disk_rmdir(root, name);
        return top;
    }
    r = begin_anew(top);
    for (size_t i = 0; i < G_N_ELEMENTS(directories) && r == 0; i++)
        r = make_directory(top, directories[i]);
    if (r == 0)
        r = disk_sync_dir(top);
    if (r == 0)
        r = disk_sync_dir(root);
    if (r < 0) {
        unmake(root, name, top);
        return r;
    }
    r = make_directory(top, "tmp");
    if (r == 0)
        r = disk_sync_dir(top);
    if (r < 0)
        (void)disk_rmdir(top, "tmp"); /* so that the next message makes it anew */
    return r;
}

int maildir_open_or_make(const struct mailbox *mailbox, struct maildir **ret_maildir)
{
    auto_disk int root = disk_open_root(mailbox->domain->options.maildirs);
    if (root < 0)
        return root;
    int r = open_parts(root, mailbox, ret_maildir);
    if (r != -ENOENT || !mailbox->create)
        return r;
    r = make(root, mailbox->name);
    return r < 0 ? r : open_parts(root, mailbox, ret_maildir);
}

/* The mailbox's own directory, be it by a link: its quota is that of all its folders. */
static int open_top(const struct mailbox *mailbox)
{
    char path[MAILBOX_NAME_MAX + sizeof "/."];
    if ((size_t)snprintf(path, sizeof path, "%s/.", mailbox->name) >= sizeof path)
        return -ENAMETOOLONG;
    auto_disk int root = disk_open_root(mailbox->domain->options.maildirs);
    return root < 0 ? root : disk_open_beneath(root, path);
}

int maildir_has_room(const struct mailbox *mailbox, uint64_t octets)
{
    if (mailbox->quota == 0)
        return 0;
    auto_disk int top = open_top(mailbox);
    int r = top < 0 ? top : quota_check(top, mailbox->quota, octets);
    /* Missing, or, where somebody died while he made it, half there, so that no count can be kept in it: it
     * will be made with the message. */
    if (mailbox->create && (r == -ENOENT || r == -ENODEV))
        return octets > mailbox->quota ? -EDQUOT : 0;
    return r == -ELOOP ? -ENODEV : r;
}

/* ---- folders ---- */

/* A link that leads out of the maildir leads to no folder of it. */
static bool is_no_folder(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -EXDEV || error == -ELOOP;
}

static int find_file_system(const struct mailbox *mailbox, uint64_t *ret_file_system)
{
    struct maildir *m;
    int r = maildir_open(mailbox, &m);
    if (r < 0)
        return r;
    r = disk_can_sync_all(m->new.dir, ret_file_system);
    maildir_unref(m);
    return r;
}

int maildir_choose_folder(struct mailbox *mailbox, const char *folder)
{
    struct mailbox chosen = *mailbox;
    bool is_there = true;
    if (*folder != '\0') {
        chosen.folder = (char *)folder;
        chosen.file_system = 0;
        int r = find_file_system(&chosen, &chosen.file_system);
        if (r < 0 && r != -EOPNOTSUPP && !is_no_folder(r))
            return r;
        is_there = r == 0 || r == -EOPNOTSUPP;
    }
    g_free(mailbox->folder);
    mailbox->folder = is_there && *folder != '\0' ? g_strdup(folder) : NULL;
    if (mailbox->folder != NULL)
        mailbox->file_system = chosen.file_system;
    return is_there;
}

/* ---- the copy ---- */

static int need_maildir(struct maildir_copy *c)
{
    return c->maildir != NULL ? 0 : maildir_open(c->mailbox, &c->maildir);
}

static int begin(struct maildir_copy *c, const struct mailbox *mailbox, struct maildir *maildir)
{
    pst_assert(c->state == MAILDIR_NOTHING && c->name == NULL && c->maildir == NULL);
    c->mailbox = mailbox;
    c->maildir = maildir != NULL ? maildir_ref(maildir) : NULL;
    return maildir != NULL ? 0 : maildir_open_or_make(mailbox, &c->maildir);
}

static void set_staged(struct maildir_copy *c, const char *unique)
{
    size_t len = strlen(unique);
    pst_assert(len < MAILDIR_UNIQUE_SIZE);
    c->name = g_malloc(len + FIELDS); /* what publishing appends fits, too */
    memcpy(c->name, unique, len + 1);
    c->state = MAILDIR_STAGED;
}

int maildir_copy_begin(struct maildir_copy *c, const struct mailbox *mailbox, struct maildir *maildir,
                       const char *unique)
{
    int r = begin(c, mailbox, maildir);
    if (r < 0)
        return r;
    int file = disk_create(c->maildir->tmp, unique);
    if (file < 0)
        return file;
    c->file = file;
    set_staged(c, unique);
    return 0;
}

int maildir_copy_link(struct maildir_copy *c, const struct mailbox *mailbox, struct maildir *maildir,
                      const char *unique, struct maildir_copy *from)
{
    pst_assert(from->state == MAILDIR_STAGED);
    int r = begin(c, mailbox, maildir);
    if (r == 0)
        r = need_maildir(from);
    if (r == 0)
        r = disk_link(from->maildir->tmp, from->name, c->maildir->tmp, unique);
    if (r < 0)
        return r;
    c->size = from->size;
    c->bare = from->bare;
    c->after_cr = from->after_cr;
    set_staged(c, unique);
    return 0;
}

int maildir_copy_append(struct maildir_copy *c, const struct slice *parts, size_t count)
{
    int r = disk_append(c->file, parts, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        c->size += parts[i].len;
        c->bare += line_ends_bare(parts[i], &c->after_cr);
    }
    return 0;
}

/*
 * In pieces that begin and end at multiples of this: each is a few large requests to the disk, and no page of
 * it is written to again. What then is left for the sync takes it a few milliseconds.
 */
enum { WRITE_OUT = 1024 * 1024 };

int maildir_copy_write_out(struct maildir_copy *c)
{
    uint64_t whole = c->size - c->size % WRITE_OUT, from = c->begun;
    c->begun = whole;
    return whole > from ? disk_write_out(c->file, from, whole) : 0;
}

/* ---- what is copied from another one ---- */

enum { LOOK = 16 * 1024 }; /* octets that are read at once */

/* The LFs in the first `len` octets that no CR precedes. */
static int64_t count_bare(const struct maildir_copy *c, uint64_t len, bool *ret_after_cr)
{
    uint8_t bytes[LOOK];
    uint64_t bare = 0;
    *ret_after_cr = false;
    for (uint64_t at = 0; at < len;) {
        int64_t got = disk_read(c->file, at, bytes, (size_t)MIN(len - at, sizeof bytes));
        if (got <= 0)
            return got < 0 ? got : -EIO;
        bare += line_ends_bare(slice_of(bytes, (size_t)got), ret_after_cr);
        at += (uint64_t)got;
    }
    return (int64_t)bare;
}

/* In its old place and its new one, the octet in front of it may be a CR or not: whether the first LF of it
 * counts is decided where it is appended. */
int maildir_copy_find_tail(const struct maildir_copy *c, uint64_t offset, struct maildir_tail *ret_tail)
{
    if (offset > c->size)
        return -EINVAL;
    bool after_cr;
    int64_t before = count_bare(c, offset, &after_cr);
    if (before < 0)
        return (int)before;
    uint8_t first = 0;
    int64_t got = offset < c->size ? disk_read(c->file, offset, &first, 1) : 0;
    if (got < 0)
        return (int)got;
    bool lf = first == '\n';
    *ret_tail = (struct maildir_tail){ .offset = offset,
                                       .bare = c->bare - (uint64_t)before + (lf && after_cr),
                                       .begins_with_lf = lf };
    return 0;
}

struct maildir_tail maildir_copy_tail_behind(const struct maildir_copy *c, struct slice head)
{
    bool after_cr = false;
    pst_assert(head.len <= c->size);
    uint64_t before = line_ends_bare(head, &after_cr);
    pst_assert(!after_cr);
    return (struct maildir_tail){ .offset = head.len, .bare = c->bare - before };
}

int maildir_copy_append_tail(struct maildir_copy *c, const struct maildir_copy *from,
                             const struct maildir_tail *tail)
{
    int r = disk_append_copy(c->file, from->file, tail->offset);
    if (r < 0)
        return r;
    c->size += from->size - tail->offset;
    c->bare += tail->bare - (tail->begins_with_lf && c->after_cr);
    if (tail->offset < from->size)
        c->after_cr = from->after_cr;
    return 0;
}

int maildir_copy_append_written(struct maildir_copy *c, const struct maildir_copy *from, uint64_t offset)
{
    uint8_t bytes[LOOK];
    for (uint64_t at = offset; at < from->size;) {
        int64_t got = disk_read(from->file, at, bytes, (size_t)MIN(from->size - at, sizeof bytes));
        const struct slice part = slice_of(bytes, got > 0 ? (size_t)got : 0);
        int r = got > 0 ? maildir_copy_append(c, &part, 1) : got < 0 ? (int)got : -EIO;
        if (r < 0)
            return r;
        at += part.len;
    }
    return 0;
}

int maildir_copy_open_reader(const struct maildir_copy *c)
{
    return disk_open_file(c->maildir->tmp, c->name);
}

int maildir_copy_check(const struct maildir_copy *c)
{
    return disk_check(c->file);
}

/* ---- durable and visible ---- */

static int need_top(struct maildir_copy *c)
{
    int r = need_maildir(c);
    if (r == 0 && c->maildir->top < 0)
        r = c->maildir->top = open_top(c->mailbox);
    return r < 0 ? r : 0;
}

int maildir_copy_reserve(struct maildir_copy *c)
{
    uint64_t limit = c->mailbox->quota;
    if (limit == 0)
        return 0;
    int r = need_top(c);
    if (r == 0)
        r = quota_reserve(c->maildir->top, limit, c->size);
    c->is_reserved = r == 0;
    return r;
}

/* When that fails, the quota counts too much until it is counted anew. */
static void release(struct maildir_copy *c)
{
    if (c->is_reserved && need_top(c) == 0)
        quota_release(c->maildir->top, c->size);
    c->is_reserved = false;
}

int maildir_copy_sync(struct maildir_copy *c)
{
    const int *whole = c->maildir != NULL ? c->maildir->synced_as_a_whole : NULL;
    return whole != NULL ? *whole : disk_sync(c->file);
}

static void close_file(struct maildir_copy *c)
{
    if (c->file >= 0)
        disk_close(c->file);
    c->file = -1;
}

static int open_cur(struct maildir *m)
{
    auto_disk int root = disk_open_root(m->mailbox->domain->options.maildirs);
    return root < 0 ? root : open_part(root, m->mailbox, "cur");
}

/* Where it is published, or will be. */
static int need_names(struct maildir_copy *c, struct maildir_names **ret_names)
{
    int r = need_maildir(c);
    if (r < 0)
        return r;
    struct maildir_names *names = c->in_cur ? &c->maildir->cur : &c->maildir->new;
    if (names->dir < 0 && (names->dir = open_cur(c->maildir)) < 0)
        return names->dir;
    *ret_names = names;
    return 0;
}

static void format_published_name(const struct maildir_copy *c, const char *flags, char *to)
{
    to = pst_put_u64(stpcpy(stpcpy(to, c->name), ",S="), c->size);
    to = pst_put_u64(stpcpy(to, ",W="), c->size + c->bare);
    (void)stpcpy(stpcpy(to, *flags != '\0' ? ":2," : ""), flags);
}

static int sync_names(struct maildir_copy *c, struct maildir_names *names)
{
    names->error = disk_sync_dir(names->dir);
    names->state = names->error < 0 ? MAILDIR_FAILED : MAILDIR_SYNCED;
    c->lost = MIN(c->lost, names->error);
    return names->error;
}

int maildir_copy_publish(struct maildir_copy *c, const char *flags)
{
    pst_assert(c->state == MAILDIR_STAGED && strlen(flags) < FLAGS_SIZE);
    struct maildir_names *names;
    c->in_cur = *flags != '\0';
    int r = need_names(c, &names);
    if (r < 0)
        return r;
    char name[MAILDIR_UNIQUE_SIZE + FIELDS];
    format_published_name(c, flags, name);
    names->state = MAILDIR_CHANGED;
    r = disk_rename(c->maildir->tmp, c->name, names->dir, name);
    if (r < 0) {
        /* Over a network the answer may be lost and not the deed; then it is undone, durably. A name that was
         * taken is somebody else's. */
        if (r != -EEXIST && disk_unlink(names->dir, name) >= 0)
            (void)sync_names(c, names);
        return r;
    }
    memcpy(c->name, name, strlen(name) + 1);
    c->state = MAILDIR_PUBLISHED;
    close_file(c); /* only its name is of interest now, which may have to wait for a batch's turn */
    return 0;
}

int maildir_copy_settle(struct maildir_copy *c)
{
    struct maildir_names *names;
    int r = need_maildir(c);
    if (r < 0)
        return r;
    r = need_names(c, &names);
    if (r < 0)
        return r;
    if (names->state == MAILDIR_CHANGED)
        return sync_names(c, names);
    return names->state == MAILDIR_FAILED ? names->error : 0;
}

void maildir_copy_withdraw(struct maildir_copy *c)
{
    pst_assert(c->state == MAILDIR_PUBLISHED);
    struct maildir_names *names;
    if (need_names(c, &names) >= 0 && disk_unlink(names->dir, c->name) >= 0) {
        c->state = MAILDIR_NOTHING;
        (void)disk_sync_dir(names->dir); /* the sender is told of a failure in any case */
        release(c);
    }
}

void maildir_copy_rest(struct maildir_copy *c)
{
    close_file(c);
    maildir_unref(g_steal_pointer(&c->maildir));
}

void maildir_copy_clear(struct maildir_copy *c)
{
    if (c->state == MAILDIR_STAGED && need_maildir(c) >= 0)
        (void)disk_unlink(c->maildir->tmp,
                          c->name); /* what stays in tmp/ was never seen, and readers clean there */
    if (c->state != MAILDIR_PUBLISHED)
        release(c);
    maildir_copy_rest(c);
    g_free(c->name);
    *c = (struct maildir_copy)MAILDIR_COPY_INIT;
}
