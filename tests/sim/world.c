#include "world.h"

#include <string.h>

#include "delivery/table.h"
#include "disk/disk_sim.h"
#include "life.h"
#include "sim.h"

static const char *const maildir_dirs[] = { "tmp", "new", "cur" };

/* A missing one is made when somebody gets mail there. */
static void make_box(const struct plan *plan, size_t box)
{
    g_autofree char *top = g_strdup_printf("/mail/%s", sim_boxes[box]);
    if (plan->create != 0 && box == 1)
        return;
    disk_sim_mkdir_all(top);
    if (plan->disks == PLAN_DISK_EACH)
        disk_sim_mount(top, box != 2); /* the last one's is synced file by file */
    for (size_t i = 0; i < G_N_ELEMENTS(maildir_dirs); i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", top, maildir_dirs[i]);
        disk_sim_mkdir_all(path);
    }
}

static void make_disk(const struct plan *plan)
{
    disk_sim_reset(plan_seed(plan, "disk", 0));
    disk_sim_mount("/mail", plan->disks != PLAN_DISK_BY_FILE);
    for (size_t box = 0; box < SIM_BOXES; box++)
        make_box(plan, box);
    g_autofree char *aliases = g_strdup_printf(SIM_TEAM ": %s, %s\n", sim_boxes[0], sim_boxes[1]);
    disk_sim_write_file("/aliases", slice_str(aliases));
    GString *boxes = g_string_new(NULL);
    for (size_t box = 0; box < SIM_BOXES; box++)
        g_string_append_printf(boxes, "%s: %s\n", sim_boxes[box], sim_boxes[box]);
    disk_sim_write_file("/mailboxes", slice_of(boxes->str, boxes->len));
    g_string_free(boxes, TRUE);
}

static struct table *open_table(const char *path, bool follows)
{
    const struct table_rules rules = { .follows = follows };
    struct diag problems = { NULL };
    struct table *table = table_open(path, &rules, (struct origin){ "world", 1 }, &problems);
    sim_check(table != NULL, "no table: %s", path);
    return table;
}

/* Where maildirs are made, it is the table that says which mailboxes there are. */
static struct router *make_router(const struct plan *plan, struct table *aliases, struct table *mailboxes)
{
    struct router *router = router_new();
    const struct domain_options options = { .maildirs = "/mail",
                                            .aliases = aliases,
                                            .mailboxes = plan->create != 0 ? mailboxes : NULL,
                                            .subaddress = "",
                                            .quota = plan->quota,
                                            .create = plan->create != 0 };
    int r = router_add_domain(router, SIM_DOMAIN, &options);
    sim_check(r == 0, "no domain: %s", g_strerror(-r));
    return router;
}

static void count(struct life_world *w)
{
    struct figures *f = w->figures;
    f->worlds++;
    f->promises += w->promises->len;
    for (guint i = 0; i < w->promises->len; i++) {
        const struct promise *p = g_ptr_array_index(w->promises, i);
        f->kept += p->fate == PROMISE_KEPT;
        f->refused += p->fate == PROMISE_REFUSED;
    }
    f->calls += disk_sim_calls();
    f->failures += disk_sim_failures();
    f->looks += mail_looks(w->mail);
}

void world_run(const struct plan *plan, struct trace_log *trace, struct figures *figures)
{
    struct life_world w = { .plan = plan,
                            .trace = trace,
                            .figures = figures,
                            .promises = g_ptr_array_new_with_free_func(promise_free) };
    auto_ptr(net_networks) proxies = NULL;
    make_disk(plan);
    auto_ptr(table) aliases = open_table("/aliases", true);
    auto_ptr(table) mailboxes = open_table("/mailboxes", false);
    auto_ptr(router) router = make_router(plan, aliases, mailboxes);
    w.router = router;
    if (plan->proxied != 0 && net_networks_parse("0.0.0.0/0, unix", &proxies, NULL) == 0)
        w.proxies = proxies;
    w.mail = mail_new(w.promises);
    unsigned lives = (unsigned)CLAMP(plan->lives, 1, PLAN_LIVES);
    for (unsigned i = 0; i < lives; i++) {
        life_run(&w, i);
        w.now += (msec_t)plan->life[i].gap_s * 1000;
    }
    count(&w);
    mail_free(w.mail);
    g_ptr_array_unref(w.promises);
    disk_sim_reset(0);
}
