#include "host/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "host/functions.h"

/* What the first version had; a handler with less is none. */
enum {
    HANDLER_LEAST = offsetof(postern_handler, shutdown) + sizeof(void *),
    FUNCTIONS_LEAST = offsetof(postern_functions, part_size) + sizeof(void *),
    ENVELOPE_LEAST = offsetof(postern_envelope, recipients) + sizeof(void *),
};

const char *handler_option(const struct handler *handler, const char *name)
{
    const struct wire_handler *config = handler->config;
    for (uint32_t i = 0; name != NULL && i < config->option_count; i++)
        if (strcmp(config->options[i].name, name) == 0)
            return config->options[i].value;
    return NULL;
}

void host_log(struct channel *channel, int32_t handler, postern_level level, const char *text)
{
    g_autofree char *cut = NULL;
    if (text == NULL)
        text = "";
    if (strlen(text) > WIRE_LOG_TEXT_MAX) {
        const char *end = g_utf8_find_prev_char(text, text + WIRE_LOG_TEXT_MAX + 1);
        cut = g_strndup(text, end != NULL ? (size_t)(end - text) : WIRE_LOG_TEXT_MAX);
        text = cut;
    }
    struct wire_frame frame = { .type = WIRE_LOG };
    bool is_level = level <= POSTERN_ERROR;
    frame.log =
        (struct wire_log){ .handler = handler, .level = is_level ? level : POSTERN_INFO, .text = text };
    (void)channel_write(channel, &frame);
}

/* ---- what is in the file ---- */

G_GNUC_PRINTF(2, 3) static int refuse(char **ret_problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *ret_problem = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return -ENOEXEC;
}

/*
 * Sizes tell versions of one ABI apart: an older handler has shorter structs, which is well. One that was
 * built for a newer postern may call functions that are not there.
 */
static int check(const postern_handler *entry, char **ret_problem)
{
    if (entry->abi != POSTERN_HANDLER_ABI)
        return refuse(ret_problem, "was built for version %u of the handlers' ABI, and this is version %u",
                      entry->abi, POSTERN_HANDLER_ABI);
    if (entry->size < HANDLER_LEAST || entry->functions_size < FUNCTIONS_LEAST ||
        entry->envelope_size < ENVELOPE_LEAST)
        return refuse(ret_problem, "was not made with POSTERN_HANDLER: its sizes are wrong");
    if (entry->size > sizeof(postern_handler) || entry->functions_size > sizeof(postern_functions) ||
        entry->envelope_size > sizeof(postern_envelope))
        return refuse(ret_problem, "was built for a newer postern");
    if (entry->on_message == NULL)
        return refuse(ret_problem, "has no on_message");
    return 0;
}

static int open_file(struct handler *handler, char **ret_problem)
{
    void *object = dlopen(handler->config->file, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL)
        return refuse(ret_problem, "%s", dlerror());
    const postern_handler *entry = dlsym(object, POSTERN_HANDLER_SYMBOL);
    g_autofree char *reason = NULL;
    if (entry == NULL)
        return refuse(ret_problem,
                      "%s: has no symbol " POSTERN_HANDLER_SYMBOL " (POSTERN_HANDLER defines it)",
                      handler->config->file);
    if (check(entry, &reason) < 0)
        return refuse(ret_problem, "%s: %s", handler->config->file, reason);
    memcpy(&handler->entry, entry, entry->size);
    return 0;
}

/* ---- init and shutdown ---- */

static int initialize(struct handlers *h, struct handler *handler, char **ret_problem)
{
    if (handler->entry.init == NULL)
        return 0;
    struct setup setup = { .face.functions = &host_functions, .handler = handler, .channel = h->channel };
    int r = handler->entry.init(&setup.face);
    g_autofree char *reason = setup.failure;
    if (reason != NULL)
        return refuse(ret_problem, "%s", reason);
    return r == 0 ? 0 : refuse(ret_problem, "init returned %d", r);
}

int handlers_load(struct handlers *h, const struct wire_config *config, char **ret_problem)
{
    h->all = g_new0(struct handler, config->handler_count);
    for (uint32_t i = 0; i < config->handler_count; i++) {
        stage_enter(h->stage, WIRE_LOADING, (int32_t)i);
        struct handler *handler = &h->all[i];
        *handler = (struct handler){ .index = i, .config = &config->handlers[i] };
        g_autofree char *reason = NULL;
        if (open_file(handler, &reason) < 0 || initialize(h, handler, &reason) < 0)
            return refuse(ret_problem, "handler %s: %s", handler->config->name, reason);
        h->count++;
    }
    return 0;
}

void handlers_shutdown(struct handlers *h)
{
    while (h->count > 0) {
        struct handler *handler = &h->all[--h->count];
        stage_enter(h->stage, WIRE_ENDING, (int32_t)handler->index);
        if (handler->entry.shutdown != NULL)
            handler->entry.shutdown(handler->data);
    }
}
