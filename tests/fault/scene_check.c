#include "scene_internal.h"

#include "suite.h"

#include <string.h>

/* ---- what it left ---- */

static uint64_t number_behind(const char *name, const char *field)
{
    const char *at = strstr(name, field);
    assert_non_null(at);
    return g_ascii_strtoull(at + strlen(field), NULL, 10);
}

/* The sizes that its name tells; readers count a line's end as two octets. */
static void check_sizes(const char *name, const char *content, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += content[i] == '\n';
    assert_int_equal(number_behind(name, ",S="), len);
    assert_int_equal(number_behind(name, ",W="), len + lines);
}

/* Whose whole message that is. */
static size_t sender_of(const struct scene *s, size_t box, const char *content, size_t len)
{
    g_autofree char *address = scene_box_address(s, box);
    g_autofree char *delivered_to =
        s->plan->shares_file ? g_strdup("") : g_strdup_printf("Delivered-To: %s\n", address);
    g_autofree char *head = g_strconcat("Return-Path: <sender@example.com>\n", delivered_to, NULL);
    assert_true(g_str_has_prefix(content, head));
    assert_non_null(strstr(content, "\nReceived: "));
    assert_int_equal(strlen(content), len); /* no octets that were not written */
    for (size_t i = 0; i < s->client_count; i++) {
        const GString *stored = s->clients[i].stored;
        if (len >= stored->len && memcmp(content + len - stored->len, stored->str, stored->len) == 0)
            return i;
    }
    fail_msg("not a whole message in box%zu/new: %zu octets", box, len);
    return 0;
}

static void look_into_box(const struct scene *s, size_t box, unsigned copies[SCENE_CLIENTS + 1])
{
    g_autofree char *dir = scene_box_path(s, box, "new");
    g_auto(GStrv) names = disk_sim_names(dir);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        size_t len;
        g_autofree char *path = g_build_filename(dir, names[i], NULL);
        g_autofree char *content = disk_sim_read_file(path, &len);
        copies[sender_of(s, box, content, len)]++;
        check_sizes(names[i], content, len);
    }
}

static void check(const struct scene *s, bool refusals)
{
    for (size_t box = 0; box < SCENE_BOXES; box++) {
        unsigned copies[SCENE_CLIENTS + 1] = { 0 };
        look_into_box(s, box, copies);
        for (size_t i = 0; i < s->client_count; i++) {
            bool kept = false, reached = false;
            for (size_t r = 0; r < s->plan->recipients; r++) {
                reached = reached || scene_reaches(s, r, box);
                kept = kept || (scene_reaches(s, r, box) && s->clients[i].codes[r] == 250);
            }
            assert_in_range(copies[i], kept, refusals ? kept : reached);
        }
    }
}

void scene_check(const struct scene *s)
{
    check(s, false);
}

void scene_check_refusals(const struct scene *s)
{
    check(s, true);
    for (size_t i = 0; i < s->client_count; i++)
        for (size_t box = 0; box < s->plan->recipients; box++) {
            unsigned code = s->clients[i].codes[box];
            assert_true(code == 250 || code == 451 || code == 452 || (code == 0 && s->clients[i].abandons));
        }
}

/* What a maildirsize says; 0 when there is none, or it was written in part and will be counted anew. */
static int64_t told_octets(const char *path, bool *ret_is_whole)
{
    int64_t sum = 0;
    g_autofree char *text = disk_sim_read_file(path, NULL);
    *ret_is_whole =
        text != NULL && g_regex_match_simple("^\\d+S\n(-?\\d+ -?\\d+\n)+$", text, G_REGEX_DOLLAR_ENDONLY, 0);
    if (!*ret_is_whole)
        return 0;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 1; lines[i] != NULL; i++)
        sum += g_ascii_strtoll(lines[i], NULL, 10);
    return sum;
}

static int64_t octets_in(const struct scene *s, size_t box)
{
    int64_t sum = 0;
    g_autofree char *dir = scene_box_path(s, box, "new");
    g_auto(GStrv) names = disk_sim_names(dir);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        sum += (int64_t)number_behind(names[i], ",S=");
    return sum;
}

void scene_check_quotas(const struct scene *s)
{
    for (size_t box = 0; s->plan->has_quota && box < s->plan->recipients; box++) {
        bool is_whole;
        g_autofree char *path = g_strdup_printf("/mail/box%zu/maildirsize", box);
        int64_t told = told_octets(path, &is_whole);
        assert_true(!is_whole || told >= octets_in(s, box));
    }
}

void scene_check_success(const struct scene *s)
{
    for (size_t i = 0; i < s->client_count; i++)
        for (size_t r = 0; r < s->plan->recipients; r++)
            assert_int_equal(s->clients[i].codes[r], s->clients[i].abandons ? 0 : 250);
}

size_t scene_staged(const struct scene *s)
{
    size_t count = 0;
    for (size_t box = 0; box < SCENE_BOXES; box++) {
        g_autofree char *dir = scene_box_path(s, box, "tmp");
        g_auto(GStrv) names = disk_sim_names(dir);
        count += names != NULL ? g_strv_length(names) : 0;
    }
    return count;
}
