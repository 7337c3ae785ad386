#include "scene_internal.h"

#include "suite.h"

#include "disk/disk.h"

enum { HANDLERS_TIMEOUT_MS = 1000 };

/* The message, as it is, into the host's scratch file. */
static int replace(const struct wire_message *m, int fd, int scratch)
{
    return m->in_frame ? disk_append(scratch, &m->octets, 1) : disk_append_copy(scratch, fd, m->offset);
}

static struct host_act edit(void *owner, unsigned number, const struct wire_message *m, int fd, int scratch)
{
    (void)number;
    const struct scene *s = owner;
    struct host_act act = host_act_usual;
    struct wire_frame f = host_verdict(m->recipient_count);
    f.verdict.front = slice_str(SCENE_EDITED);
    if (s->plan->handler == SCENE_REPLACES) {
        f.verdict.replaced = true;
        f.verdict.replaced_size = m->size;
        act.dies = replace(m, fd, scratch) < 0;
        act.cut = act.dies ? 0 : SIZE_MAX;
    }
    act.say = host_say(NULL, &f);
    g_free(f.verdict.fates);
    return act;
}

void scene_add_handlers(struct scene *s)
{
    if (s->plan->handler == SCENE_NO_HANDLER)
        return;
    s->handler = (struct wire_handler){ .name = "editor", .file = "/editor.so" };
    s->handlers = (struct handler_settings){ .program = HOST_PLAY_PROGRAM,
                                             .config = { .handlers = &s->handler, .handler_count = 1 },
                                             .scopes = &s->scope,
                                             .processes = 1,
                                             .timeout = HANDLERS_TIMEOUT_MS };
    s->play = (struct host_play){ .r = s->reactor, .on_message = edit, .owner = s };
    host_play_add(&s->play);
    s->settings.handlers = &s->handlers;
}
