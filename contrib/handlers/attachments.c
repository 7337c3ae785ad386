/*
 * attachments - keeps what is attached to messages, each content once.
 *
 *     [handler attachments]
 *     load = /usr/lib/postern/handlers/attachments.so
 *     writable-paths = /srv/attachments
 *     option.directory = /srv/attachments
 *     option.minimum = 1
 *
 * Each leaf part that has a file name, or that is attached by its Content-Disposition, is decoded and stored
 * as objects/HASH, HASH being its SHA-256 in hexadecimal. What a message had attached stands in
 * manifests/ID.ini, a group for each: hash, name, type, size. Both are durable before the message is
 * delivered; when that fails, the sender is told to come again. Parts of fewer than option.minimum octets are
 * left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <postern/handler.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    int objects, manifests;
    guint64 minimum;
    unsigned count; /* of temporary names */
};

enum { BUFFER = 64 * 1024, NAME_SIZE = 128 };

/* ---- setting up ---- */

static int open_directory(int parent, const char *name)
{
    if (mkdirat(parent, name, 0750) < 0 && errno != EEXIST)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int init(postern_setup *setup)
{
    const char *directory = postern_setup_option(setup, "directory");
    const char *minimum = postern_setup_option(setup, "minimum");
    if (directory == NULL)
        return postern_fail(setup, "option.directory is missing: where to keep attachments");
    struct folder *f = g_new0(struct folder, 1);
    if (minimum != NULL && !g_ascii_string_to_unsigned(minimum, 10, 0, G_MAXINT64, &f->minimum, NULL))
        return postern_fail(setup, "option.minimum: expected a number of octets");
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->objects = parent < 0 ? -1 : open_directory(parent, "objects");
    f->manifests = parent < 0 ? -1 : open_directory(parent, "manifests");
    if (parent >= 0)
        close(parent);
    postern_set_data(setup, f);
    if (f->objects < 0 || f->manifests < 0)
        return postern_fail(setup, "option.directory: cannot be written to; is it one of writable-paths?");
    return 0;
}

static void shut_down(void *data)
{
    struct folder *f = data;
    if (f == NULL)
        return;
    close(f->objects);
    close(f->manifests);
    g_free(f);
}

/* ---- durable files ---- */

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        len -= (size_t)written;
    }
    return true;
}

static int create_temporary(struct folder *f, int directory, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, ".new.%d.%u", (int)getpid(), f->count++);
    (void)unlinkat(directory, name, 0); /* a process of this number that died left it */
    return openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
}

/* The file under its final name, for good; or nothing. */
static bool keep(int directory, int fd, const char *temporary, const char *name)
{
    bool kept =
        fsync(fd) == 0 && renameat(directory, temporary, directory, name) == 0 && fsync(directory) == 0;
    if (!kept)
        (void)unlinkat(directory, temporary, 0);
    return kept;
}

/* ---- one attachment ---- */

static bool is_attached(const postern_part *part)
{
    if (part->name != NULL)
        return true;
    const char *disposition = g_mime_object_get_disposition(part->object);
    return disposition != NULL && g_ascii_strcasecmp(disposition, GMIME_DISPOSITION_ATTACHMENT) == 0;
}

/* All of the stream into the file, and what it is. */
static bool copy(GMimeStream *from, int to, GChecksum *hash, guint64 *ret_size)
{
    g_autofree char *buffer = g_malloc(BUFFER);
    for (guint64 size = 0;;) {
        ssize_t got = g_mime_stream_read(from, buffer, BUFFER);
        if (got <= 0) {
            *ret_size = size;
            return got == 0 && g_mime_stream_eos(from);
        }
        g_checksum_update(hash, (const guchar *)buffer, got);
        size += (guint64)got;
        if (!write_all(to, buffer, (size_t)got))
            return false;
    }
}

static void note(GKeyFile *manifest, unsigned number, const postern_part *part, const char *hash,
                 guint64 size)
{
    char group[32];
    (void)snprintf(group, sizeof group, "attachment %u", number);
    g_key_file_set_string(manifest, group, "hash", hash);
    g_key_file_set_string(manifest, group, "name", part->name != NULL ? part->name : "");
    g_key_file_set_string(manifest, group, "type", part->type);
    g_key_file_set_uint64(manifest, group, "size", size);
}

static bool store_into(struct folder *f, postern_delivery *delivery, const postern_part *part, int fd,
                       const char *temporary, GKeyFile *manifest, unsigned *number)
{
    GMimeStream *content = postern_part_open(delivery, part);
    g_autoptr(GChecksum) hash = g_checksum_new(G_CHECKSUM_SHA256);
    guint64 size = 0;
    bool good = content == NULL || copy(content, fd, hash, &size);
    if (content != NULL)
        g_object_unref(content);
    if (!good || size < f->minimum) {
        (void)unlinkat(f->objects, temporary, 0);
        return good;
    }
    note(manifest, (*number)++, part, g_checksum_get_string(hash), size);
    return keep(f->objects, fd, temporary, g_checksum_get_string(hash));
}

static bool store(struct folder *f, postern_delivery *delivery, const postern_part *part, GKeyFile *manifest,
                  unsigned *number)
{
    char temporary[NAME_SIZE];
    int fd = create_temporary(f, f->objects, temporary);
    if (fd < 0)
        return false;
    bool good = store_into(f, delivery, part, fd, temporary, manifest, number);
    close(fd);
    return good;
}

static bool store_all(struct folder *f, postern_delivery *delivery, GMimeMessage *message, GKeyFile *manifest,
                      unsigned *number)
{
    postern_parts *parts = postern_parts_new(delivery, message);
    bool good = true;
    for (postern_part part; good && postern_parts_next(parts, &part);)
        if (is_attached(&part))
            good = store(f, delivery, &part, manifest, number);
    postern_parts_free(parts);
    return good;
}

/* ---- the message ---- */

static bool store_manifest(struct folder *f, const postern_envelope *envelope, GKeyFile *manifest)
{
    g_key_file_set_string(manifest, "message", "id", envelope->id);
    g_key_file_set_string(manifest, "message", "from", envelope->reverse_path);
    g_autofree char *text = g_key_file_to_data(manifest, NULL, NULL);
    g_autofree char *name = g_strconcat(envelope->id, ".ini", NULL);
    char temporary[NAME_SIZE];
    int fd = create_temporary(f, f->manifests, temporary);
    bool good = fd >= 0 && write_all(fd, text, strlen(text)) && keep(f->manifests, fd, temporary, name);
    if (fd >= 0)
        close(fd);
    return good;
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    struct folder *f = postern_data(delivery);
    g_autoptr(GKeyFile) manifest = g_key_file_new();
    unsigned number = 0;
    if (!store_all(f, delivery, message, manifest, &number) ||
        (number > 0 && !store_manifest(f, envelope, manifest))) {
        g_autofree char *line = g_strdup_printf("attachments cannot be stored: %s", g_strerror(errno));
        postern_log(delivery, POSTERN_ERROR, line);
        return postern_defer(delivery, 452, "4.3.1", "attachments cannot be stored, try again later");
    }
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "attachments", .init = init, .on_message = on_message, .shutdown = shut_down)
