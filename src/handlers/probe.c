#include "handlers/probe.h"

#include <errno.h>

#include "handlers/lone_host.h"

/* What handlers log meanwhile they will log again. NULL: it is ready; else why it is not, to be g_freed. */
static char *wait_until_ready(struct lone_host *h)
{
    for (;;) {
        auto_val(wire_frame) frame = { 0 };
        int r = lone_host_hear(h, &frame);
        if (r < 0)
            return lone_host_why(h, r);
        if (frame.type == WIRE_READY)
            return g_strdup(frame.ready.problem);
        if (frame.type != WIRE_LOG)
            return lone_host_why(h, -EBADMSG);
    }
}

static char *probe(const struct handler_settings *settings)
{
    auto_val(lone_host) host = LONE_HOST_NONE;
    int r = lone_host_start(&host, settings);
    char *problem = r < 0 ? lone_host_why(&host, r) : wait_until_ready(&host);
    if (problem == NULL)
        (void)lone_host_end(&host); /* one that fails at its end has served until then */
    return problem;
}

/* The host tells of the first handler that fails: so each is asked alone. */
void probe_handlers(const struct handler_settings *settings, probe_tell tell, void *owner)
{
    if (settings->config.handler_count == 0)
        return;
    g_autofree char *problem = probe(settings);
    if (problem == NULL)
        return;
    if (settings->config.handler_count == 1) {
        tell(owner, 0, problem);
        return;
    }
    bool is_told = false;
    for (uint32_t i = 0; i < settings->config.handler_count; i++) {
        struct handler_settings alone = *settings;
        alone.config.handlers = &settings->config.handlers[i];
        alone.config.handler_count = 1;
        g_autofree char *of_this = probe(&alone);
        if (of_this != NULL)
            tell(owner, (int)i, of_this);
        is_told |= of_this != NULL;
    }
    if (!is_told)
        tell(owner, -1, problem);
}
