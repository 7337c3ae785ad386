#include "reactor_diary.h"

void diary_begin(struct diary *d)
{
    world_begin(&d->w);
    d->text = g_string_new("");
}

void diary_end(struct diary *d, const char *want)
{
    world_end(&d->w);
    assert_string_equal(d->text->str, want);
    g_string_free(d->text, TRUE);
}

void entry_on_fire(void *entry)
{
    struct entry *e = entry;
    assert_false(e->d->w.inside);
    assert_true(reactor_now(e->d->w.r) >= e->not_before);
    g_string_append_c(e->d->text, e->letter);
    if (e->then != NULL)
        e->then(e);
    else
        timer_close(g_steal_pointer(&e->t));
}

struct entry entry_of(struct diary *d, char letter)
{
    return (struct entry){ .d = d, .letter = letter };
}

void entry_start(struct entry *e, msec_t deadline)
{
    if (e->t == NULL)
        e->t = timer_new(e->d->w.r, entry_on_fire, e);
    e->not_before = deadline;
    INSIDE(&e->d->w, timer_start(e->t, deadline));
}
