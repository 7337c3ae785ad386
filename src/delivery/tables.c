#include "delivery/tables.h"

#include "delivery/circles.h"
#include "delivery/table.h"

static bool fit(const struct router *r, const GPtrArray *versions)
{
    auto_val(diag) found = { NULL };
    circles_find(r, versions, &found);
    return diag_count(&found) == 0;
}

static void use_all(GPtrArray *versions)
{
    for (guint i = 0; i < versions->len; i++)
        table_use(g_ptr_array_index(versions, i));
    g_ptr_array_set_size(versions, 0);
}

/* Beside what others hold. Whether any did. */
static bool use_one_that_fits(const struct router *r, GPtrArray *waiting)
{
    for (guint i = 0; i < waiting->len; i++) {
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        g_ptr_array_add(one, g_ptr_array_index(waiting, i));
        if (!fit(r, one))
            continue;
        use_all(one);
        g_ptr_array_remove_index(waiting, i);
        return true;
    }
    return false;
}

static void refuse_all(const struct router *r, GPtrArray *waiting, struct diag *problems)
{
    for (guint i = 0; i < waiting->len; i++) {
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        g_ptr_array_add(one, g_ptr_array_index(waiting, i));
        circles_find(r, one, problems);
        table_refuse(g_ptr_array_index(waiting, i));
    }
}

static void look(const GPtrArray *tables, GPtrArray *waiting, struct diag *problems)
{
    for (guint i = 0; i < tables->len; i++)
        if (table_look(g_ptr_array_index(tables, i), problems) > 0)
            g_ptr_array_add(waiting, g_ptr_array_index(tables, i));
}

/* What was refused may fit beside what is new. */
static void reconsider(const GPtrArray *tables, GPtrArray *waiting, struct diag *problems)
{
    for (guint i = 0; i < tables->len; i++) {
        struct table *t = g_ptr_array_index(tables, i);
        if (table_reconsider(t) && table_look(t, problems) > 0)
            g_ptr_array_add(waiting, t);
    }
}

bool tables_refresh(const struct router *r, const GPtrArray *tables, struct diag *problems)
{
    g_autoptr(GPtrArray) waiting = g_ptr_array_new();
    look(tables, waiting, problems);
    if (waiting->len == 0)
        return false;
    reconsider(tables, waiting, problems);
    guint count = waiting->len;
    if (fit(r, waiting))
        use_all(waiting);
    while (use_one_that_fits(r, waiting))
        continue;
    refuse_all(r, waiting, problems);
    return waiting->len < count;
}
