#include "delivery/quota.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/auto.h"
#include "base/number.h"
#include "delivery/maildirsize.h"
#include "disk/disk.h"

enum {
    /*
     * Without a change for so long, nobody has something reserved that is not published yet: a count is
     * right. And that long a fresh count is believed when the mailbox is full (Maildir++ says 15 minutes).
     */
    QUIET_S = 60,
    FRESH_S = 15 * 60,
    TRIES = 5,          /* how often another one may be quicker than we */
    NAMES_MAX = 100,    /* new files that are being written side by side */
    TEXT_MAX = 8 * 1024 /* more than MAILDIRSIZE_MAX by what many may append in the same moment */
};

/* ---- the file ---- */

/* The file as it was found. */
struct sheet {
    enum { SHEET_MISSING, SHEET_UNREADABLE, SHEET_GOOD } state;
    struct maildirsize said; /* SHEET_GOOD */
    size_t len;
    uint8_t text[TEXT_MAX];
};

/* In one call, so that it is the file at one moment: less than was asked for is all there is. */
static int read_text(int file, struct sheet *ret_sheet)
{
    struct sheet *s = ret_sheet;
    int64_t got = disk_read(file, 0, s->text, sizeof s->text);
    if (got < 0)
        return (int)got;
    s->len = (size_t)got;
    bool whole = s->len < sizeof s->text;
    bool good = whole && maildirsize_parse(slice_of(s->text, s->len), &s->said) == 0;
    s->state = good ? SHEET_GOOD : SHEET_UNREADABLE;
    return 0;
}

/* A link or a FIFO is no such file, and will be replaced; a directory cannot be. */
static int sheet_read(int maildir, struct sheet *ret_sheet)
{
    auto_disk int file = disk_open_file(maildir, MAILDIRSIZE_NAME);
    if (file >= 0)
        return read_text(file, ret_sheet);
    ret_sheet->len = 0;
    ret_sheet->state = file == -ENOENT ? SHEET_MISSING : SHEET_UNREADABLE;
    return file == -ENOENT || file == -ELOOP || file == -EINVAL ? 0 : file;
}

static bool sheet_equal(const struct sheet *a, const struct sheet *b)
{
    return a->state == b->state && slice_equal(slice_of(a->text, a->len), slice_of(b->text, b->len));
}

/* What was written before it failed is unknown. Half a line would become one with the next, so that the file
 * has to go, and the next one counts. */
static int add_change(int maildir, int file, bool back, uint64_t octets)
{
    char text[MAILDIRSIZE_CHANGE_SIZE];
    struct slice line = slice_of(text, maildirsize_format_change(back, octets, text));
    int r = disk_append(file, &line, 1);
    if (r < 0)
        (void)disk_unlink(maildir, MAILDIRSIZE_NAME);
    return r;
}

/* ---- counting ---- */

struct count {
    struct quota_use use;
    int maildir;
    int dir; /* that is being counted */
};

/* The size that a reader of maildirs takes from a name, instead of asking for that of the file. */
static bool size_in_name(const char *name, uint64_t *ret_size)
{
    const char *field = strstr(name, ",S=");
    if (field == NULL)
        return false;
    const char *number = field + strlen(",S=");
    size_t len = strspn(number, "0123456789");
    bool ends = number[len] == '\0' || number[len] == ':' || number[len] == ',';
    return ends && pst_parse_u64(slice_of(number, len), INT64_MAX, ret_size) == 0;
}

/* Sizes in names are the user's word: their sum may be anything, but stays a number that fits into the file.
 */
static void add_message(struct quota_use *use, uint64_t octets)
{
    use->octets += MIN(octets, INT64_MAX - use->octets);
    use->messages++;
}

/* What goes away in the meantime is no error. */
static int count_message(void *owner, const char *name)
{
    struct count *c = owner;
    struct disk_stat st;
    uint64_t size;
    if (g_str_has_prefix(name, "..")) /* Dovecot takes these for the directory's own */
        return 0;
    if (size_in_name(name, &size)) {
        add_message(&c->use, size);
        return 0;
    }
    int r = disk_stat(c->dir, name, &st);
    if (r == 0 && st.type == DISK_FILE)
        add_message(&c->use, st.size);
    return r == -ENOENT ? 0 : r;
}

/* A link that leads out of the maildir leads to what is not in it. */
static bool is_no_part_of_it(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -EXDEV || error == -ELOOP;
}

static int count_directory(struct count *c, const char *path)
{
    auto_disk int dir = disk_open_beneath(c->maildir, path);
    if (dir < 0)
        return is_no_part_of_it(dir) ? 0 : dir;
    c->dir = dir;
    return disk_list(dir, count_message, c);
}

static int count_folder(void *owner, const char *name)
{
    struct count *c = owner;
    if (name[0] != '.' || name[1] == '.')
        return 0;
    g_autofree char *new = g_strconcat(name, "/new", NULL);
    g_autofree char *cur = g_strconcat(name, "/cur", NULL);
    int r = count_directory(c, new);
    return r < 0 ? r : count_directory(c, cur);
}

/* new/ before cur/: what a reader moves meanwhile is rather counted twice than not at all. */
static int count(int maildir, struct quota_use *ret_use)
{
    struct count c = { .maildir = maildir };
    int r = count_directory(&c, "new");
    if (r == 0)
        r = count_directory(&c, "cur");
    if (r == 0)
        r = disk_list(maildir, count_folder, &c);
    if (r == 0)
        *ret_use = c.use;
    return r;
}

/* ---- writing it anew ---- */

/* A new file in tmp/: which of the names is free tells who writes one at the same time. */
static int create_in_tmp(int tmp, char **ret_name)
{
    int file = -EEXIST;
    for (unsigned i = 0; i < NAMES_MAX && file == -EEXIST; i++) {
        g_autofree char *name = g_strdup_printf(MAILDIRSIZE_NAME ".%u", i);
        file = disk_create(tmp, name);
        if (file >= 0)
            *ret_name = g_steal_pointer(&name);
    }
    return file;
}

/* -EAGAIN when the file is not any more what `seen` was made from. */
static int move_into_place(int maildir, int tmp, const char *name, const struct sheet *seen)
{
    if (seen->state == SHEET_MISSING) {
        int r = disk_rename(tmp, name, maildir, MAILDIRSIZE_NAME);
        return r == -EEXIST ? -EAGAIN : r;
    }
    struct sheet now;
    int r = sheet_read(maildir, &now);
    if (r == 0)
        r = sheet_equal(&now, seen) ? disk_replace(tmp, name, maildir, MAILDIRSIZE_NAME) : -EAGAIN;
    return r;
}

static int write_anew(int maildir, uint64_t limit, const struct quota_use *use, const struct sheet *seen)
{
    char text[MAILDIRSIZE_TEXT_SIZE];
    const struct maildirsize m = { .limit = limit, .octets = use->octets, .messages = use->messages };
    struct slice content = slice_of(text, maildirsize_format(&m, text));
    auto_disk int tmp = disk_open_beneath(maildir, "tmp");
    if (tmp < 0)
        return tmp;
    g_autofree char *name = NULL;
    auto_disk int file = create_in_tmp(tmp, &name);
    if (file < 0)
        return file;
    int r = disk_append(file, &content, 1);
    if (r == 0)
        r = move_into_place(maildir, tmp, name, seen);
    if (r < 0)
        (void)disk_unlink(tmp, name); /* what stays in tmp/ is swept some day */
    return r;
}

/* ---- what to make of it ---- */

static bool fits(const struct quota_use *use, uint64_t limit, uint64_t more)
{
    return use->octets <= limit && more <= limit - use->octets;
}

static bool is_worn(const struct sheet *s, uint64_t limit)
{
    return s->said.limit != limit || s->len + MAILDIRSIZE_CHANGE_SIZE > MAILDIRSIZE_MAX;
}

enum remedy { BELIEVE, SUM_UP, COUNT };

/*
 * Dovecot counts at once when a full mailbox's file has more than one line: it writes a line only for what is
 * there already. We reserve first, and so have to wait until that is through. A time in the future is one by
 * another clock: it is as good as one that long ago.
 */
static int judge(int maildir, const struct sheet *s, uint64_t limit, uint64_t more, enum remedy *ret_remedy)
{
    struct disk_stat st;
    const struct quota_use use = { .octets = s->said.octets };
    bool worn = is_worn(s, limit);
    if (!worn && fits(&use, limit, more)) {
        *ret_remedy = BELIEVE;
        return 0;
    }
    int r = disk_stat(maildir, MAILDIRSIZE_NAME, &st);
    if (r < 0)
        return r == -ENOENT ? -EAGAIN : r;
    bool is_count = !worn && s->said.changes == 1;
    int64_t age_us = llabs(disk_now_us() - st.modified_us);
    if (age_us >= (is_count ? FRESH_S : QUIET_S) * INT64_C(1000000))
        *ret_remedy = COUNT;
    else
        *ret_remedy = worn ? SUM_UP : BELIEVE;
    return 0;
}

/* Once: -EAGAIN when another one was quicker. */
static int try_to_know(int maildir, uint64_t limit, uint64_t more, struct quota_use *ret_use)
{
    struct sheet s;
    enum remedy remedy = COUNT;
    int r = sheet_read(maildir, &s);
    if (r == 0 && s.state == SHEET_GOOD)
        r = judge(maildir, &s, limit, more, &remedy);
    if (r < 0)
        return r;
    struct quota_use use;
    if (remedy == COUNT)
        r = count(maildir, &use);
    else
        use = (struct quota_use){ .octets = s.said.octets, .messages = s.said.messages };
    if (r == 0 && remedy != BELIEVE)
        r = write_anew(maildir, limit, &use, &s);
    if (r == 0)
        *ret_use = use;
    return r;
}

/* What is used, by a file that is there and takes a further line, when nothing comes in between. `more` is
 * what will be asked for: if it does not fit, it is worth a closer look. */
static int know(int maildir, uint64_t limit, uint64_t more, struct quota_use *ret_use)
{
    int r = -EAGAIN;
    for (int i = 0; i < TRIES && r == -EAGAIN; i++)
        r = try_to_know(maildir, limit, more, ret_use);
    return r;
}

/* Missing is the mailbox, or a part of it: the operator's to mend. */
static int never_enoent(int r)
{
    return r == -ENOENT ? -ENODEV : r;
}

int quota_read(int maildir, uint64_t limit, struct quota_use *ret_use)
{
    pst_assert(limit > 0);
    return never_enoent(know(maildir, limit, 0, ret_use));
}

static int check(int maildir, uint64_t limit, uint64_t octets)
{
    struct quota_use use;
    pst_assert(limit > 0);
    if (octets > limit)
        return -EDQUOT; /* whatever there is already */
    int r = know(maildir, limit, octets, &use);
    if (r < 0)
        return r;
    return fits(&use, limit, octets) ? 0 : -EDQUOT;
}

int quota_check(int maildir, uint64_t limit, uint64_t declared)
{
    return never_enoent(check(maildir, limit, MAX(declared, 1)));
}

/*
 * The line comes first, and then the look at what all have written: of two who do that at the same time, at
 * least one sees the other. -EAGAIN when the file went away, or is none any more.
 */
static int try_to_reserve(int maildir, uint64_t limit, uint64_t octets)
{
    struct sheet s;
    auto_disk int file = disk_open_append(maildir, MAILDIRSIZE_NAME);
    if (file < 0)
        return file == -ENOENT ? -EAGAIN : file;
    int r = add_change(maildir, file, false, octets);
    if (r < 0)
        return r;
    r = read_text(file, &s);
    if (r == 0 && s.state == SHEET_GOOD && s.said.octets <= limit)
        return 0;
    (void)add_change(maildir, file, true, octets); /* if it fails, the file is gone, and counted anew */
    if (r == 0)
        r = s.state == SHEET_GOOD ? -EDQUOT : -EAGAIN;
    return r;
}

int quota_reserve(int maildir, uint64_t limit, uint64_t octets)
{
    int r = -EAGAIN;
    for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
        r = check(maildir, limit, octets);
        if (r == 0)
            r = try_to_reserve(maildir, limit, octets);
    }
    return never_enoent(r);
}

void quota_release(int maildir, uint64_t octets)
{
    auto_disk int file = disk_open_append(maildir, MAILDIRSIZE_NAME);
    if (file >= 0)
        (void)add_change(maildir, file, true, octets); /* if it fails, the file is gone, and counted anew */
}
