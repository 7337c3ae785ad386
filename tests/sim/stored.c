#include "stored.h"

#include <glib.h>
#include <string.h>

#include "disk/disk_sim.h"
#include "sim.h"

/* ---- where it lies ---- */

const char *stored_box_in(const char *path, const char *dir)
{
    static const char top[] = "/mail/";
    if (!g_str_has_prefix(path, top))
        return NULL;
    const char *name = path + strlen(top), *sub = strchr(name, '/');
    const char *end = sub != NULL ? strchr(sub + 1, '/') : NULL;
    if (end == NULL || (size_t)(end - sub - 1) != strlen(dir) || strncmp(sub + 1, dir, strlen(dir)) != 0)
        return NULL;
    g_autofree char *box = g_strndup(name, (gsize)(sub - name));
    return sim_box(box);
}

const char *stored_box(const char *path)
{
    const char *box = stored_box_in(path, "new");
    return box != NULL ? box : stored_box_in(path, "cur");
}

/* ---- its trace header ---- */

/* " +0000" is in front of it: the end of a date. */
static bool ends_date(const uint8_t *line_end, const uint8_t *first)
{
    const uint8_t *zone = line_end - strlen(" +0000");
    return zone > first && zone[0] == ' ' && (zone[1] == '+' || zone[1] == '-') && g_ascii_isdigit(zone[2]) &&
           g_ascii_isdigit(zone[3]) && g_ascii_isdigit(zone[4]) && g_ascii_isdigit(zone[5]);
}

static bool begins_with(struct slice s, const char *text)
{
    return s.len >= strlen(text) && memcmp(s.data, text, strlen(text)) == 0;
}

/* The first line, with its end, off `s`. */
static bool take_line(struct slice *s, struct slice *ret_line)
{
    const uint8_t *lf = s->len > 0 ? memchr(s->data, '\n', s->len) : NULL;
    if (lf == NULL)
        return false;
    *ret_line = slice_first(*s, (size_t)(lf - s->data) + 1);
    *s = slice_skip(*s, ret_line->len);
    return true;
}

/*
 * Return-Path, Delivered-To where mailboxes do not share the file, X-Original-To where an alias led here, and
 * Received, which ends with a date. What follows need not be a field: it may begin with a blank, as if it
 * were more of Received.
 */
bool stored_read(struct slice file, const char *box, struct stored *ret_stored)
{
    struct slice rest = file, line;
    if (!take_line(&rest, &line) || !begins_with(line, "Return-Path: <"))
        return false;
    struct slice path = slice_skip(line, strlen("Return-Path: "));
    g_autofree char *sender = g_strndup((const char *)path.data, path.len - 1);
    if (!take_line(&rest, &line))
        return false;
    if (begins_with(line, "Delivered-To: ")) {
        g_autofree char *field = g_strdup_printf("Delivered-To: %s@", box);
        if (!begins_with(line, field) || !take_line(&rest, &line))
            return false;
    }
    if (begins_with(line, "X-Original-To: " SIM_TEAM "@") && !take_line(&rest, &line))
        return false;
    if (!begins_with(line, "Received: "))
        return false;
    while (!ends_date(line.data + line.len - 1, file.data))
        if (!take_line(&rest, &line))
            return false;
    *ret_stored = (struct stored){ .body = rest, .sender = g_intern_string(sender) };
    return true;
}

/* ---- its size ---- */

static uint64_t number_behind(const char *path, const char *field)
{
    const char *at = strstr(path, field);
    sim_check(at != NULL, "a name without a size: %s", path);
    return g_ascii_strtoull(at + strlen(field), NULL, 10);
}

/* Readers count each LF as two octets, but where there is a CR before it. */
void stored_check_sizes(const char *path, struct slice file)
{
    uint64_t wire = file.len;
    for (size_t i = 0; i < file.len; i++)
        wire += file.data[i] == '\n' && (i == 0 || file.data[i - 1] != '\r');
    sim_check(number_behind(path, ",S=") == file.len, "not the size that its name tells: %s has %zu octets",
              path, file.len);
    sim_check(number_behind(path, ",W=") == wire,
              "not the size that its name tells: %s has %" G_GUINT64_FORMAT " on the wire", path, wire);
}

static uint64_t octets_in(const char *box, const char *dir)
{
    uint64_t octets = 0;
    g_autofree char *path = g_strdup_printf("/mail/%s/%s", box, dir);
    g_auto(GStrv) names = disk_sim_names(path);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        octets += number_behind(names[i], ",S=");
    return octets;
}

void stored_check_quota(const char *box, uint64_t quota)
{
    uint64_t octets = octets_in(box, "new") + octets_in(box, "cur");
    sim_check(octets <= quota, "more than the quota: %" G_GUINT64_FORMAT " for %s", octets, box);
    g_autofree char *path = g_strdup_printf("/mail/%s/maildirsize", box);
    g_autofree char *counted = disk_sim_read_file(path, NULL);
    if (counted == NULL)
        return;
    int64_t sum = 0;
    g_auto(GStrv) lines = g_strsplit(counted, "\n", -1);
    for (size_t i = 1; lines[i] != NULL; i++)
        sum += g_ascii_strtoll(lines[i], NULL, 10);
    sim_check(sum == (int64_t)octets,
              "counted wrong: %" G_GINT64_FORMAT " in place of %" G_GUINT64_FORMAT " for %s", sum, octets,
              box);
}
