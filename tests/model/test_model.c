/*
 * Clients by the thousand, each from a seed, against the session and against a model of it: every reply, in
 * order, and what is stored for whom. MODEL_COMMANDS=N sends that many commands, MODEL_SEED=S begins with
 * that session's seed; a failing session prints both, and its dialogue.
 */
#include "suite.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "../dialogue/bytes.h"
#include "generate.h"
#include "owner.h"

enum { COMMANDS = WITH_SANITIZERS ? 100000 : 1000000 };
enum { COMMANDS_A_CASE = 100000, SEEDS_A_CASE = 1000000, COMMANDS_FOR_ALL_OUTCOMES = 100000 };

struct totals {
    uint64_t commands, sessions, replies, octets_stored;
};

/* One client's connection. */
struct dialogue {
    uint64_t seed;
    struct generator generator;
    struct model *model;
    struct owner *owner;
    struct act act;
    GString *wire; /* of acts that are sent together */
    guint matched; /* expectations */
    gsize read;    /* octets of what the owner said */
    bool told;     /* it is printed as it goes */
    char *problem;
};

/* ---- replies ---- */

/* The length of the reply at `from`; 0 when it is none (RFC 5321 4.2). */
static gsize reply_length(const GString *said, gsize from)
{
    const char *code = said->str + from;
    for (gsize at = from;;) {
        const char *line = said->str + at;
        const char *end = strstr(line, "\r\n");
        if (end == NULL || end - line < 4 || end - line > 510 || strncmp(line, code, 3) != 0)
            return 0;
        for (const char *c = line; c < end; c++)
            if (*c < ' ' || *c > '~')
                return 0;
        at += (gsize)(end - line) + 2;
        if (line[3] == ' ')
            return at - from;
        if (line[3] != '-')
            return 0;
    }
}

/* "250-" and "250 " are no part of what is compared. */
static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a + 4, *(char *const *)b + 4);
}

/* What stands below the first line, without codes, in alphabetical order. */
static char *sorted_extensions(const char *reply, gsize len)
{
    g_autofree char *text = g_strndup(reply, len - 2);
    g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);
    guint count = g_strv_length(lines);
    qsort(lines + 1, count - 1, sizeof *lines, compare_lines);
    GString *sorted = g_string_new(NULL);
    for (guint i = 1; i < count; i++)
        g_string_append_printf(sorted, "%s\r\n", lines[i] + 4);
    return g_string_free(sorted, FALSE);
}

static bool is_expected(const struct expectation *e, const char *reply, gsize len)
{
    if (e->extensions != NULL) {
        g_autofree char *got = sorted_extensions(reply, len);
        return g_str_has_prefix(reply, "250-mx.example.org\r\n") && g_str_equal(got, e->extensions);
    }
    for (size_t i = 0; i < REPLY_CHOICES && e->any[i] != NULL; i++)
        if (g_str_has_prefix(reply, e->any[i]) && reply[strlen(e->any[i])] == ' ')
            return true;
    return false;
}

static void differ(struct dialogue *d, char *take_problem)
{
    if (d->problem == NULL)
        d->problem = take_problem;
    else
        g_free(take_problem);
}

static void differ_from(struct dialogue *d, const struct expectation *e, const char *got)
{
    g_autofree char *want = g_strjoinv(" or ", (char **)e->any);
    differ(d, g_strdup_printf("act %u: %s instead of %s%s", e->act, got, want,
                              e->extensions != NULL ? " with the extensions" : ""));
}

static void tell(const struct dialogue *d, char who, unsigned act, const char *bytes, gsize len)
{
    if (!d->told)
        return;
    enum { SHOWN = 400 };
    g_autofree char *text = bytes_quote(slice_of(bytes, MIN(len, SHOWN)));
    printf("# %c %u: %s%s\n", who, act, text, len > SHOWN ? " and more" : "");
}

static void match_one(struct dialogue *d, const struct expectation *e)
{
    const GString *said = owner_said(d->owner);
    gsize len = d->read < said->len ? reply_length(said, d->read) : 0;
    if (len == 0) {
        differ_from(d, e, "no reply, or none that is well formed");
        tell(d, 'S', e->act, said->str + d->read, said->len - d->read);
        return;
    }
    tell(d, 'S', e->act, said->str + d->read, len);
    if (!is_expected(e, said->str + d->read, len))
        differ_from(d, e, "this reply");
    d->read += len;
    d->matched++;
}

/* All that had to be said by now was said, and no more. */
static void match(struct dialogue *d)
{
    while (d->matched < d->model->expected->len && d->problem == NULL)
        match_one(d, &g_array_index(d->model->expected, struct expectation, d->matched));
    if (d->problem == NULL && d->read < owner_said(d->owner)->len) {
        differ(d, g_strdup_printf("act %u: a reply too many", d->model->acts - 1));
        tell(d, 'S', d->model->acts - 1, owner_said(d->owner)->str + d->read,
             owner_said(d->owner)->len - d->read);
    }
    if (d->problem == NULL && owner_broken(d->owner) != NULL)
        differ(d, g_strdup_printf("act %u: %s", d->model->acts - 1, owner_broken(d->owner)));
}

/* ---- a dialogue ---- */

static void flush(struct dialogue *d)
{
    owner_send(d->owner, d->wire);
    g_string_truncate(d->wire, 0);
    match(d);
}

static void send_act(struct dialogue *d)
{
    const struct act *act = &d->act;
    tell(d, 'C', d->model->acts - 1, act->wire->str, act->wire->len);
    if (act->kind == ACT_CONNECT) {
        owner_connect(d->owner, act->early);
        match(d);
        return;
    }
    g_string_append_len(d->wire, act->wire->str, (gssize)act->wire->len);
    if (act->kind != ACT_SILENCE && act->kind != ACT_DRIP && act->kind != ACT_HANG_UP &&
        act->kind != ACT_HANDSHAKE)
        return;
    owner_send(d->owner, d->wire);
    g_string_truncate(d->wire, 0);
    if (act->kind == ACT_SILENCE && !owner_has_ended(d->owner))
        owner_wait(d->owner);
    else if (act->kind == ACT_DRIP)
        owner_drip(d->owner);
    else if (act->kind == ACT_HANDSHAKE)
        owner_secure(d->owner);
    match(d);
}

static bool is_over(const struct dialogue *d)
{
    return d->model->place == MODEL_OVER || d->problem != NULL;
}

/* So many acts at once, and behind the last one of all perhaps some that nobody reads. */
static void send_group(struct dialogue *d, uint64_t acts)
{
    for (; acts > 0 && !is_over(d); acts--) {
        generator_next(&d->generator, d->model, &d->act);
        model_act(d->model, &d->act);
        send_act(d);
    }
    if (d->act.kind == ACT_QUIT && is_over(d))
        g_string_append(d->wire, "MAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\n");
    if (d->problem == NULL)
        flush(d);
}

static void compare_ends(struct dialogue *d)
{
    if (d->problem != NULL)
        return;
    bool gone = d->act.kind == ACT_HANG_UP;
    if (d->model->place == MODEL_OVER && !gone && !owner_has_ended(d->owner))
        differ(d, g_strdup("the session did not end"));
    if (d->model->place != MODEL_OVER && owner_has_ended(d->owner))
        differ(d, g_strdup("the session ended"));
    if (!g_string_equal(owner_stored(d->owner), d->model->stored)) {
        tell(d, 'S', 0, owner_stored(d->owner)->str, owner_stored(d->owner)->len);
        tell(d, 'M', 0, d->model->stored->str, d->model->stored->len);
        differ(d, g_strdup("what is stored (S) is not what should be (M)"));
    }
}

/* NULL, or what went wrong (g_free). */
static char *run_dialogue(uint64_t seed, bool told, struct outcomes_seen *seen, struct totals *totals)
{
    const struct rules *r = &rules[seed % rules_count];
    struct pst_random random;
    pst_random_seed(&random, ~seed);
    struct dialogue d = { .seed = seed,
                          .told = told,
                          .wire = g_string_new(NULL),
                          .model = model_new(r),
                          .owner = owner_new(r, seed, seen) };
    generator_init(&d.generator, r, seed);
    act_init(&d.act);
    bool pipelines = pst_random_below(&random, 4) != 0;
    for (uint64_t groups = 1 + pst_random_below(&random, 60); groups > 0 && !is_over(&d); groups--)
        send_group(&d, pipelines ? 1 + pst_random_below(&random, 30) : 1);
    compare_ends(&d);
    totals->sessions++;
    totals->commands += d.model->commands;
    totals->replies += d.matched;
    totals->octets_stored += d.model->stored->len;
    act_clear(&d.act);
    generator_clear(&d.generator);
    owner_free(d.owner);
    model_free(d.model);
    g_string_free(d.wire, TRUE);
    return d.problem;
}

/* ---- cases ---- */

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : fallback;
}

static void run_or_fail(uint64_t seed, struct outcomes_seen *seen, struct totals *totals)
{
    g_autofree char *problem = run_dialogue(seed, false, seen, totals);
    if (problem == NULL)
        return;
    g_free(run_dialogue(seed, true, seen, totals)); /* the same once more, aloud */
    printf("# %s, seed %" G_GUINT64_FORMAT ": %s\n", rules[seed % rules_count].name, seed, problem);
    fail_msg("replay: MODEL_SEED=%" G_GUINT64_FORMAT " MODEL_COMMANDS=1 tests/model/test_model", seed);
}

struct range {
    uint64_t seed, commands;
};

static void run_range(void **state)
{
    const struct range *range = *state;
    struct outcomes_seen seen = { 0 };
    struct totals totals = { 0 };
    for (uint64_t seed = range->seed; totals.commands < range->commands; seed++)
        run_or_fail(seed, &seen, &totals);
    printf("# %" G_GUINT64_FORMAT " commands in %" G_GUINT64_FORMAT " sessions, %" G_GUINT64_FORMAT
           " replies, %" G_GUINT64_FORMAT " octets stored\n",
           totals.commands, totals.sessions, totals.replies, totals.octets_stored);
}

/* What no client can bring about. */
static const enum smtp_outcome not_by_clients[] = {
    SMTP_SHUTTING_DOWN,                            /* the server's doing */
    SMTP_TOO_MANY_CONNECTIONS,                     /* told before there is a session */
    SMTP_WOULD_BE_DELIVERED,                       /* only by `postern try` */
    SMTP_HANDLER_REJECTED,                         /* a handler's doing */
    SMTP_HANDLER_DEFERRED,     SMTP_BAD_STRUCTURE, /* where handlers are */
};

static bool wants(enum smtp_outcome outcome)
{
    for (size_t i = 0; i < G_N_ELEMENTS(not_by_clients); i++)
        if (outcome == not_by_clients[i])
            return false;
    return true;
}

/* A generator that does not get everywhere would prove little. */
static void every_outcome_is_told(void **state)
{
    (void)state;
    struct outcomes_seen seen = { 0 };
    struct totals totals = { 0 };
    for (uint64_t seed = 1; totals.commands < COMMANDS_FOR_ALL_OUTCOMES; seed++)
        run_or_fail(seed, &seen, &totals);
    unsigned missing = 0;
    for (int outcome = 0; outcome < SMTP_OUTCOMES; outcome++) {
        if (seen.at[outcome] == wants((enum smtp_outcome)outcome))
            continue;
        printf("# %s: %s\n", seen.at[outcome] ? "told although no client can bring it about" : "never told",
               smtp_outcome_name((enum smtp_outcome)outcome));
        missing++;
    }
    assert_int_equal(missing, 0);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("model");
    uint64_t seed = number_from("MODEL_SEED", 1), commands = number_from("MODEL_COMMANDS", COMMANDS);
    g_autoptr(GPtrArray) ranges = g_ptr_array_new_with_free_func(g_free);
    printf("# %" G_GUINT64_FORMAT " commands from seed %" G_GUINT64_FORMAT "%s\n", commands, seed,
           WITH_SANITIZERS ? " (fewer, for there is a sanitizer)" : "");
    for (uint64_t done = 0; done < commands; done += COMMANDS_A_CASE) {
        struct range range = { seed + done / COMMANDS_A_CASE * SEEDS_A_CASE,
                               MIN(COMMANDS_A_CASE, commands - done) };
        g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT " commands from seed %" G_GUINT64_FORMAT,
                                                range.commands, range.seed);
        g_ptr_array_add(ranges, g_memdup2(&range, sizeof range));
        suite_add(s, name, run_range, g_ptr_array_index(ranges, ranges->len - 1));
    }
    if (getenv("MODEL_COMMANDS") == NULL)
        suite_add(s, "every outcome that a client can bring about is told", every_outcome_is_told, NULL);
    return suite_run(s, argc, argv);
}
