#include "host/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "host/channel.h"
#include "host/children.h"
#include "host/delivery.h"
#include "host/limits.h"
#include "host/load.h"
#include "host/sandbox.h"

struct runner {
    struct stage *stage;
    struct channel channel;
    struct limits limits;
    struct handlers handlers;
    struct delivery delivery;
    int children;
};

/* Why the wire can be read no further. At its end all is in order. */
static int end_of_wire(struct runner *r, int problem)
{
    atomic_store(&r->stage->in_order, problem == 0);
    return problem == 0 ? EX_OK : problem == -EBADMSG ? EX_PROTOCOL : EX_IOERR;
}

/* ---- before the first message ---- */

/* What needs more than the sandbox leaves comes first; then, with all limits on, user code. */
static int start(struct runner *r, const struct wire_config *config, int scratch, char **ret_problem)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* old kernels: orphans are the guard's at the end */
    r->children = children_open();
    g_mime_init();
    int problem = message_init(&r->delivery.message, scratch);
    if (problem < 0) {
        *ret_problem = g_strdup_printf("a memory file: %s", g_strerror(-problem));
        return problem;
    }
    problem = limits_enter(&r->limits, config, ret_problem);
    if (problem == 0)
        problem = sandbox_enter(config, ret_problem);
    if (problem == 0)
        problem = handlers_load(&r->handlers, config, ret_problem);
    return problem;
}

/* Its texts are the options of handlers, which may use them as long as they run. */
static int configure(struct runner *r, int scratch)
{
    auto_val(wire_frame) frame = { 0 };
    auto_fd int fd = -1;
    int got = channel_read(&r->channel, &frame, &fd);
    if (got <= 0)
        return end_of_wire(r, got);
    if (frame.type != WIRE_CONFIG)
        return end_of_wire(r, -EBADMSG);
    (void)channel_keep(&r->channel);
    const struct wire_config config = frame.config;
    frame.memory = NULL;
    delivery_init(&r->delivery, &r->handlers);
    g_autofree char *problem = NULL;
    bool is_ready = start(r, &config, scratch, &problem) == 0;
    (void)children_end(r->children); /* what init started in threads is found behind the first message */
    stage_enter(r->stage, WIRE_WAITING, -1);
    struct wire_frame ready = { .type = WIRE_READY };
    ready.ready.problem = is_ready ? NULL : problem;
    int said = channel_write(&r->channel, &ready);
    if (said < 0 || !is_ready)
        return end_of_wire(r, said) == EX_OK ? EX_CONFIG : EX_IOERR;
    return EX_OK;
}

/* ---- messages ---- */

/* A message that is sent to a host which ends behind its verdict is not read, and is tried again elsewhere.
 */

static int tell(struct runner *r, struct wire_verdict *verdict)
{
    struct wire_frame frame = { .type = WIRE_VERDICT, .verdict = *verdict };
    int problem = channel_write(&r->channel, &frame);
    if (problem != -EMSGSIZE)
        return problem;
    host_log(&r->channel, -1, POSTERN_ERROR, "the verdict, with the header fields, is too long");
    delivery_fail(&r->delivery, verdict);
    frame.verdict = *verdict;
    return channel_write(&r->channel, &frame);
}

static int handle(struct runner *r, const struct wire_message *message, int take_fd)
{
    stage_enter(r->stage, WIRE_PARSING, -1);
    limits_renew(&r->limits);
    struct wire_verdict verdict;
    int problem = delivery_run(&r->delivery, message, take_fd, &verdict);
    bool is_clean = true;
    if (problem == 0) {
        is_clean = children_end(r->children);
        stage_enter(r->stage, WIRE_WAITING, -1); /* before the worker may send the next one */
        if (!is_clean)
            host_log(&r->channel, -1, POSTERN_WARNING, "a thread has left child processes: this host ends");
        problem = tell(r, &verdict);
    }
    delivery_end(&r->delivery);
    return problem == 0 && !is_clean ? -ECHILD : problem;
}

/* 1: and so on; 0: the end of the wire. */
static int next(struct runner *r)
{
    auto_val(wire_frame) frame = { 0 };
    auto_fd int fd = -1;
    int got = channel_read(&r->channel, &frame, &fd);
    if (got <= 0)
        return got;
    if (frame.type != WIRE_MESSAGE)
        return -EBADMSG;
    int problem = handle(r, &frame.message, steal_fd(&fd));
    return problem < 0 ? problem : 1;
}

int runner_run(struct stage *stage, int wire, int scratch)
{
    struct runner *r = g_new0(struct runner, 1); /* until the process ends: handlers hold pointers into it */
    r->stage = stage;
    channel_init(&r->channel, wire);
    r->handlers.channel = &r->channel;
    r->handlers.stage = stage;
    int status = configure(r, scratch);
    int went = 1;
    while (status == EX_OK && went == 1)
        went = next(r);
    if (went < 1)
        status = end_of_wire(r, went);
    if (atomic_load(&stage->in_order))
        handlers_shutdown(&r->handlers);
    return status;
}
