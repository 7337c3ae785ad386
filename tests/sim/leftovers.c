#include "leftovers.h"

#include <glib.h>
#include <string.h>

#include "disk/disk_sim.h"
#include "sim.h"

struct leftover {
    char *path;
    int64_t since_wall_us;
    size_t len;
};

struct leftovers {
    GHashTable *tried; /* char *: paths whose removal was tried: a set */
    GPtrArray *list;   /* struct leftover: what crashes left */
};

static void leftover_free(void *leftover)
{
    struct leftover *l = leftover;
    g_free(l->path);
    g_free(l);
}

struct leftovers *leftovers_new(void)
{
    struct leftovers *l = g_new(struct leftovers, 1);
    *l = (struct leftovers){ g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                             g_ptr_array_new_with_free_func(leftover_free) };
    return l;
}

void leftovers_free(struct leftovers *l)
{
    if (l == NULL)
        return;
    g_hash_table_destroy(l->tried);
    g_ptr_array_unref(l->list);
    g_free(l);
}

static const struct leftover *find(const struct leftovers *l, const char *path)
{
    for (guint i = 0; i < l->list->len; i++) {
        const struct leftover *one = g_ptr_array_index(l->list, i);
        if (strcmp(one->path, path) == 0)
            return one;
    }
    return NULL;
}

/* All that lies there now, as paths. */
static GPtrArray *staged(void)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    for (size_t b = 0; b < SIM_BOXES; b++) {
        g_autofree char *dir = g_strdup_printf("/mail/%s/tmp", sim_boxes[b]);
        g_auto(GStrv) names = disk_sim_names(dir);
        for (size_t i = 0; names != NULL && names[i] != NULL; i++)
            g_ptr_array_add(paths, g_build_filename(dir, names[i], NULL));
    }
    return paths;
}

void leftovers_on_removal(struct leftovers *l, const char *path)
{
    g_hash_table_add(l->tried, g_strdup(path));
}

void leftovers_on_drained(const struct leftovers *l)
{
    g_autoptr(GPtrArray) paths = staged();
    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        sim_check(find(l, path) != NULL || g_hash_table_contains(l->tried, path), "left in tmp/: %s", path);
    }
}

void leftovers_on_crash(struct leftovers *l, int64_t wall_us)
{
    g_autoptr(GPtrArray) paths = staged();
    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        if (find(l, path) != NULL)
            continue;
        struct leftover *one = g_new(struct leftover, 1);
        *one = (struct leftover){ .path = g_strdup(path), .since_wall_us = wall_us };
        g_free(disk_sim_read_file(path, &one->len));
        g_ptr_array_add(l->list, one);
    }
}

/* A crash may have left the counted sizes of a mailbox both names, that in tmp/ and its own, by which they
 * are written to until they are counted anew. */
static bool was_written_to(const struct leftover *l, size_t len)
{
    return strstr(l->path, "/tmp/maildirsize") != NULL && len != l->len;
}

void leftovers_on_swept(const struct leftovers *l, int64_t before_wall_us)
{
    for (guint i = 0; i < l->list->len; i++) {
        const struct leftover *one = g_ptr_array_index(l->list, i);
        size_t len = 0;
        g_autofree char *content = disk_sim_read_file(one->path, &len);
        sim_check(content == NULL || one->since_wall_us >= before_wall_us || was_written_to(one, len),
                  "not swept: %s", one->path);
    }
}
