/*
 * host/stage.h - what the runner is doing, in a page that it shares with its guard, which tells of it when
 * the runner has died. User code could write there, too; it would only change what the log says of itself.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "handlers/wire.h"

struct stage {
    _Atomic uint32_t stage;  /* enum wire_stage */
    _Atomic int32_t handler; /* or -1 */
    atomic_bool in_order;    /* the runner ends because the wire did, or because it could not start */
};

static inline void stage_enter(struct stage *s, enum wire_stage stage, int32_t handler)
{
    atomic_store_explicit(&s->handler, handler, memory_order_relaxed);
    atomic_store_explicit(&s->stage, stage, memory_order_relaxed);
}
