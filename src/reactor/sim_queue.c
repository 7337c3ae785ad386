#include "reactor/sim_queue.h"

#include "base/assert.h"

static struct sim_event *at(const struct sim_queue *q, guint place)
{
    return g_ptr_array_index(q->heap, place);
}

static void put(struct sim_queue *q, struct sim_event *e, guint place)
{
    g_ptr_array_index(q->heap, place) = e;
    e->place = place;
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

/* To where it belongs from `place` on, which is free. */
static void rise(struct sim_queue *q, struct sim_event *e, guint place)
{
    for (; place > 1 && is_before(e, at(q, place / 2)); place /= 2)
        put(q, at(q, place / 2), place);
    put(q, e, place);
}

static void sink(struct sim_queue *q, struct sim_event *e, guint place)
{
    const guint last = q->heap->len - 1;
    for (guint next; (next = 2 * place) <= last; place = next) {
        next += next < last && is_before(at(q, next + 1), at(q, next));
        if (is_before(e, at(q, next)))
            break;
        put(q, at(q, next), place);
    }
    put(q, e, place);
}

void sim_queue_init(struct sim_queue *q)
{
    q->heap = g_ptr_array_new();
    g_ptr_array_add(q->heap, NULL);
    q->next_order = 0;
}

void sim_queue_clear(struct sim_queue *q)
{
    g_ptr_array_unref(q->heap);
}

struct sim_event *sim_queue_first(const struct sim_queue *q)
{
    return q->heap->len > 1 ? at(q, 1) : NULL;
}

void sim_queue_add(struct sim_queue *q, struct sim_event *e, int64_t at_us)
{
    pst_assert(e->place == 0);
    e->at_us = at_us;
    e->order = q->next_order++;
    g_ptr_array_add(q->heap, e);
    rise(q, e, q->heap->len - 1);
}

void sim_queue_remove(struct sim_queue *q, struct sim_event *e)
{
    const guint place = e->place;
    pst_assert(place > 0 && at(q, place) == e);
    e->place = 0;
    struct sim_event *last = g_ptr_array_steal_index_fast(q->heap, q->heap->len - 1);
    if (last == e)
        return;
    if (place > 1 && is_before(last, at(q, place / 2)))
        rise(q, last, place);
    else
        sink(q, last, place);
}
