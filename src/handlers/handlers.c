#include "handlers/handlers.h"

#include <unistd.h>

static void clear_list(struct wire_text_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        g_free((char *)list->texts[i]);
    g_clear_pointer(&list->texts, g_free);
}

static void clear_handler(struct wire_handler *h)
{
    for (uint32_t i = 0; i < h->option_count; i++) {
        g_free((char *)h->options[i].name);
        g_free((char *)h->options[i].value);
    }
    g_free(h->options);
    g_free((char *)h->name);
    g_free((char *)h->file);
}

void handler_settings_clear(struct handler_settings *s)
{
    for (uint32_t i = 0; i < s->config.handler_count; i++) {
        clear_handler(&s->config.handlers[i]);
        g_strfreev(s->scopes[i].domains);
        g_strfreev(s->scopes[i].listeners);
    }
    clear_list(&s->config.paths);
    clear_list(&s->config.writable);
    g_free(s->config.handlers);
    g_free(s->scopes);
    g_free((char *)s->program);
    *s = (struct handler_settings){ 0 };
}

static bool has(char **names, const char *name)
{
    return names == NULL || g_strv_contains((const char *const *)names, name);
}

bool handler_scope_has_listener(const struct handler_scope *scope, const char *listener)
{
    return has(scope->listeners, listener);
}

bool handler_scope_has_domain(const struct handler_scope *scope, const char *domain)
{
    return has(scope->domains, domain);
}

char *handler_program(void)
{
    static const char name[] = "postern-host";
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self != NULL ? g_path_get_dirname(self) : g_strdup(PKGLIBEXECDIR);
    g_autofree char *beside = g_build_filename(folder, name, NULL);
    return access(beside, X_OK) == 0 ? g_steal_pointer(&beside) : g_build_filename(PKGLIBEXECDIR, name, NULL);
}
