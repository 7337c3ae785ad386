#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void sim_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    (void)fflush(stdout);
    (void)fprintf(stderr, "FAILED: %s\n", text);
    abort();
}

/* ---- who gets mail ---- */

const char *const sim_boxes[SIM_BOXES] = { "alice", "bob", "pel\xc3\xa9" };

const char *sim_box(const char *name)
{
    for (size_t i = 0; i < SIM_BOXES; i++)
        if (strcmp(sim_boxes[i], name) == 0)
            return sim_boxes[i];
    return NULL;
}

/* ---- what handlers do ---- */

static const char *const act_names[SIM_ACTS] = {
    [SIM_DELIVER] = "deliver", [SIM_EDIT] = "edit",
    [SIM_REJECT] = "reject",   [SIM_DEFER] = "defer",
    [SIM_DISCARD] = "discard", [SIM_HANG] = "hang",
    [SIM_DIE] = "die",         [SIM_LIE] = "lie",
    [SIM_LATE] = "late",       [SIM_DIE_PARSING] = "die-parsing",
};

const char *sim_act_name(enum sim_act act)
{
    return act_names[act];
}

/* The line ends in LF in a file, in CR LF on the wire and in what is BINARYMIME. */
enum sim_act sim_act_of(const uint8_t *content, size_t len)
{
    static const char field[] = "X-Act: ";
    enum { FIELD = sizeof field - 1 };
    if (len <= FIELD || memcmp(content, field, FIELD) != 0)
        return SIM_DELIVER;
    const uint8_t *name = content + FIELD, *end = memchr(name, '\n', len - FIELD);
    if (end == NULL)
        return SIM_DELIVER;
    size_t name_len = (size_t)(end - name);
    if (name_len > 0 && name[name_len - 1] == '\r')
        name_len--;
    for (enum sim_act act = 0; act < SIM_ACTS; act++)
        if (strlen(act_names[act]) == name_len && memcmp(act_names[act], name, name_len) == 0)
            return act;
    return SIM_DELIVER;
}

/* ---- promises ---- */

struct promise *promise_new(const char *box, GBytes *content, const char *sender, bool has_handlers,
                            unsigned life)
{
    size_t len;
    const uint8_t *data = g_bytes_get_data(content, &len);
    struct promise *p = g_new(struct promise, 1);
    *p = (struct promise){ .box = box,
                           .content = g_bytes_ref(content),
                           .sender = g_intern_string(sender),
                           .act = has_handlers ? sim_act_of(data, len) : SIM_DELIVER,
                           .life = life };
    return p;
}

void promise_free(void *promise)
{
    struct promise *p = promise;
    g_bytes_unref(p->content);
    g_free(p);
}
