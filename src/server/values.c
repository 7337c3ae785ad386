#include "server/values.h"

#include <errno.h>
#include <glib.h>
#include <sys/types.h>

#include "base/number.h"
#include "net/address.h"
#include "net/network.h"
#include "server/log_sink.h"
#include "worker/greeting.h"

int value_addresses(const char *text, void *field, char **ret_problem)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(struct net_address));
    for (char **word = words; *word != NULL; word++) {
        struct net_address address;
        if (net_address_parse(g_strstrip(*word), &address) < 0) {
            *ret_problem = g_strdup_printf("\"%s\" is no address", *word);
            return -EINVAL;
        }
        g_array_append_val(list, address);
    }
    if (list->len == 0)
        return -EINVAL;
    value_addresses_clear(field);
    *(GArray **)field = g_steal_pointer(&list);
    return 0;
}

void value_addresses_clear(void *field)
{
    g_clear_pointer((GArray **)field, g_array_unref);
}

int value_networks(const char *text, void *field, char **ret_problem)
{
    if (*text == '\0')
        return -EINVAL; /* what is expected says it all */
    struct net_networks *list;
    int r = net_networks_parse(text, &list, ret_problem);
    if (r < 0)
        return r;
    value_networks_clear(field);
    *(struct net_networks **)field = list;
    return 0;
}

void value_networks_clear(void *field)
{
    g_clear_pointer((struct net_networks **)field, net_networks_free);
}

int value_words(const char *text, void *field, char **ret_problem)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    for (char **word = words; *word != NULL; word++) {
        if (*g_strstrip(*word) == '\0') {
            if (word != words || word[1] != NULL)
                *ret_problem = g_strdup("one of them is empty");
            return -EINVAL;
        }
    }
    if (*words == NULL)
        return -EINVAL; /* what is expected says it all */
    value_words_clear(field);
    *(char ***)field = g_steal_pointer(&words);
    return 0;
}

int value_paths(const char *text, void *field, char **ret_problem)
{
    g_auto(GStrv) paths = NULL;
    int r = value_words(text, &paths, ret_problem);
    if (r < 0)
        return r;
    for (char **path = paths; *path != NULL; path++) {
        if (!g_path_is_absolute(*path)) {
            *ret_problem = g_strdup_printf("\"%s\" is not absolute", *path);
            return -EINVAL;
        }
    }
    value_words_clear(field);
    *(char ***)field = g_steal_pointer(&paths);
    return 0;
}

void value_words_clear(void *field)
{
    g_clear_pointer((char ***)field, g_strfreev);
}

char *value_path(const char *path, struct origin at)
{
    if (g_path_is_absolute(path))
        return g_strdup(path);
    while (g_str_has_prefix(path, "./"))
        path += 2;
    g_autofree char *working = g_get_current_dir();
    g_autofree char *folder = at.line > 0 ? g_path_get_dirname(at.file) : g_strdup(".");
    if (strcmp(folder, ".") == 0)
        return g_build_filename(working, path, NULL);
    return g_path_is_absolute(folder) ? g_build_filename(folder, path, NULL)
                                      : g_build_filename(working, folder, path, NULL);
}

int value_log_target(const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* what is expected says it all */
    static const char file[] = "file:";
    struct log_target target = { 0 };
    if (strcmp(text, "stderr") == 0) {
        target.kind = LOG_TO_STDERR;
    } else if (strcmp(text, "syslog") == 0) {
        target.kind = LOG_TO_SYSLOG;
    } else if (g_str_has_prefix(text, file) && text[strlen(file)] != '\0') {
        target.kind = LOG_TO_FILE;
        target.path = g_strdup(text + strlen(file));
    } else {
        return -EINVAL;
    }
    value_log_target_clear(field);
    *(struct log_target *)field = target;
    return 0;
}

void value_log_target_clear(void *field)
{
    struct log_target *target = field;
    g_clear_pointer(&target->path, g_free);
}

int value_workers(const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* what is expected says it all */
    uint64_t count = 0;
    if (strcmp(text, "auto") != 0 &&
        (pst_parse_u64(slice_str(text), VALUE_WORKERS_MAX, &count) < 0 || count == 0))
        return -EINVAL;
    *(uint64_t *)field = count;
    return 0;
}

int value_greeting_delay(const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* what is expected says it all */
    msec_t delay = GREETING_DELAY_AUTO;
    if (strcmp(text, "auto") != 0 && pst_parse_duration(slice_str(text), GREETING_DELAY_MAX, &delay) < 0)
        return -EINVAL;
    *(msec_t *)field = delay;
    return 0;
}

int value_mode(const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* what is expected says it all */
    size_t len = strlen(text);
    bool good = len >= 3 && len <= 4 && strspn(text, "01234567") == len && (len == 3 || text[0] == '0');
    if (!good)
        return -EINVAL;
    mode_t mode = 0;
    for (const char *digit = text; *digit != '\0'; digit++)
        mode = mode << 3 | (mode_t)(*digit - '0');
    *(mode_t *)field = mode;
    return 0;
}
