/*
 * tests/dialogue/dialogue.c - plays the scripts of this folder, as TAP.
 *
 *     dialogue [SCRIPT...]                     all or some on the protocol core, each in three ways
 *     dialogue --cut random --seed 7 SCRIPT    in one way
 *     dialogue --smtp 127.0.0.1:2525 --lmtp unix:/run/lmtp --maildirs DIR SCRIPT...
 *                                              on a running daemon; what uses TLS in three ways, too
 *     dialogue --certificate DIR               makes the certificate.pem and key.pem of such a daemon
 *     dialogue --needs SCRIPT...               what a daemon must be like to play them, in lines of
 *                                              PATH TAB core|daemon|both TAB LIMITS
 */
#include <stdio.h>
#include <stdlib.h>

#include "certificates.h"
#include "play.h"
#include "play_core.h"
#include "play_socket.h"
#include "script.h"

struct options {
    char *cut, *label, *rerun, *certificate;
    gint64 seed;
    gboolean needs;
    struct socket_place place;
    char **paths;
};

struct tap {
    unsigned count, failed;
};

static void comment(const char *label, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        printf("# %s%s\n", label, *line);
}

static void report_failure(const struct script *s, const struct failure *failure)
{
    if (failure->line > 0)
        printf("# %s:%u: %s\n", s->path, failure->line,
               (const char *)g_ptr_array_index(s->lines, failure->line - 1));
    else
        printf("# %s: at the end of the script\n", s->path);
    comment("got: ", failure->got);
}

/* One script, one way. Takes the player, which is NULL with `problem` when there is none. */
static void run(struct tap *tap, const struct script *s, const char *way, struct player *take_player,
                char *take_problem, const char *rerun)
{
    auto_ptr(player) player = take_player;
    struct failure failure = { .got = take_problem };
    printf("# playing %s %s, %s\n", s->id, s->name, way); /* so that one sees which one crashed */
    (void)fflush(stdout);
    bool passed = player != NULL && play(player, &failure);
    printf("%s %u - %s %s, %s: %s\n", passed ? "ok" : "not ok", ++tap->count, s->id, s->name, way, s->reason);
    if (!passed) {
        tap->failed++;
        report_failure(s, &failure);
        printf("# to run just it: %s\n", rerun);
    }
    g_free(failure.got);
    (void)fflush(stdout);
}

static void run_core(struct tap *tap, const struct script *s, const struct options *o, const char *program)
{
    for (int cut = 0; cut < CORE_CUTS; cut++) {
        if (o->cut != NULL && strcmp(o->cut, core_cut_names[cut]) != 0)
            continue;
        uint64_t seed = (uint64_t)o->seed;
        g_autofree char *rerun = g_strdup_printf("%s --cut %s --seed %" G_GUINT64_FORMAT " %s", program,
                                                 core_cut_names[cut], seed, s->path);
        g_autofree char *way = g_strdup_printf("core, %s", core_cut_names[cut]);
        run(tap, s, way, player_core_new(s, (enum core_cut)cut, seed), NULL, rerun);
    }
}

static void run_daemon(struct tap *tap, const struct script *s, const struct options *o)
{
    int cuts = s->client.tls != SMTP_TLS_NONE ? RECORD_CUTS : RECORD_WHOLE + 1;
    for (int cut = 0; cut < cuts; cut++) {
        if (o->cut != NULL && strcmp(o->cut, record_cut_names[cut]) != 0)
            continue;
        char *problem = NULL;
        struct player *player = player_socket_new(s, &o->place, (enum record_cut)cut, &problem);
        g_autofree char *rerun =
            g_strdup_printf("%s --cut %s %s", o->rerun != NULL ? o->rerun : "the same with only",
                            record_cut_names[cut], s->path);
        g_autofree char *way =
            g_strdup_printf("%s%s%s", o->label != NULL ? o->label : "daemon", cuts > 1 ? ", TLS " : "",
                            cuts > 1 ? record_cut_names[cut] : "");
        run(tap, s, way, player, problem, rerun);
    }
}

/* ---- which scripts ---- */

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All scripts of the source tree; NULL when there are none. */
static char **find_scripts(void)
{
    const char *srcdir = getenv("srcdir");
    g_autofree char *folder = g_build_filename(srcdir != NULL ? srcdir : ".", "tests", "dialogue", NULL);
    GDir *dir = g_dir_open(folder, 0, NULL);
    if (dir == NULL)
        return NULL;
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        if (g_str_has_suffix(name, ".smtp"))
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    g_dir_close(dir);
    g_ptr_array_sort(paths, compare_paths);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_steal(paths, NULL);
}

/* The scripts that can be read; the others are told in `diag`, as is a number that two of them have. */
static GPtrArray *load_scripts(char **paths, struct diag *diag)
{
    GPtrArray *scripts = g_ptr_array_new_with_free_func((GDestroyNotify)script_free);
    g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
    for (char **path = paths; path != NULL && *path != NULL; path++) {
        struct script *s = NULL;
        if (script_load(*path, diag, &s) < 0)
            continue;
        g_ptr_array_add(scripts, s);
        const struct script *other = g_hash_table_lookup(ids, s->id);
        if (other != NULL)
            diag_add(diag, (struct origin){ s->path, 1 }, "%s is the number of %s already", s->id,
                     other->path);
        else
            g_hash_table_insert(ids, s->id, s);
    }
    if (scripts->len == 0)
        diag_add(diag, (struct origin){ "dialogue", 0 }, "there are no scripts");
    return scripts;
}

static void print_needs(GPtrArray *scripts)
{
    for (guint i = 0; i < scripts->len; i++) {
        const struct script *s = g_ptr_array_index(scripts, i);
        printf("%s\t%s\t%s\n", s->path,
               s->only_daemon ? "daemon"
               : s->only_core ? "core"
                              : "both",
               s->limits_text);
    }
}

static int play_all(GPtrArray *scripts, const struct options *o, const char *program)
{
    struct tap tap = { 0 };
    bool daemon = o->place.maildirs != NULL;
    if (!daemon)
        printf("# seed %" G_GINT64_FORMAT "\n", o->seed);
    for (guint i = 0; i < scripts->len; i++) {
        const struct script *s = g_ptr_array_index(scripts, i);
        if (daemon && !s->only_core)
            run_daemon(&tap, s, o);
        else if (!daemon && !s->only_daemon)
            run_core(&tap, s, o, program);
    }
    printf("1..%u\n", tap.count);
    return tap.failed > 0 || tap.count == 0;
}

static void make_certificate(const char *folder)
{
    struct certificate *c = certificate_new(
        &(struct certificate_wish){ .common_name = "mx.example.org", .names = "DNS:mx.example.org" });
    g_autofree char *pem = certificate_pem(c);
    g_autofree char *key = certificate_key_pem(c, NULL);
    g_free(certificate_file(folder, "certificate.pem", pem, 0644));
    g_free(certificate_file(folder, "key.pem", key, 0600));
    certificate_free(c);
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    const GOptionEntry entries[] = {
        { "cut", 0, 0, G_OPTION_ARG_STRING, &o->cut,
          "On the core: only whole, bytes or random; on a daemon, what is inside TLS: whole, lines or bytes",
          "HOW" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &o->seed, "Of what is random", "N" },
        { "smtp", 0, 0, G_OPTION_ARG_STRING, &o->place.smtp, "Where the daemon speaks SMTP", "PLACE" },
        { "lmtp", 0, 0, G_OPTION_ARG_STRING, &o->place.lmtp, "Where it speaks LMTP", "PLACE" },
        { "maildirs", 0, 0, G_OPTION_ARG_FILENAME, &o->place.maildirs, "The folder of its domain example.org",
          "DIR" },
        { "label", 0, 0, G_OPTION_ARG_STRING, &o->label, "What to call the daemon in names of cases",
          "TEXT" },
        { "rerun", 0, 0, G_OPTION_ARG_STRING, &o->rerun, "What to put in front of a script to run just it",
          "COMMAND" },
        { "certificate", 0, 0, G_OPTION_ARG_FILENAME, &o->certificate,
          "Only make a certificate and its key for a daemon, in this folder", "DIR" },
        { "needs", 0, 0, G_OPTION_ARG_NONE, &o->needs, "Only tell what a daemon must be like", NULL },
        { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->paths, NULL, NULL },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[SCRIPT...]");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    bool right = g_option_context_parse(context, &argc, &argv, &error);
    if (!right)
        (void)fprintf(stderr, "%s\n", error->message);
    return right;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = g_get_real_time() };
    if (!parse_options(argc, argv, &o))
        return 2;
    if (o.certificate != NULL) {
        make_certificate(o.certificate);
        g_free(o.certificate);
        return 0;
    }
    if (o.paths == NULL)
        o.paths = find_scripts();
    auto_val(diag) diag = { 0 };
    g_autoptr(GPtrArray) scripts = load_scripts(o.paths, &diag);
    diag_print(&diag, stderr);
    if (diag_count(&diag) > 0) {
        printf("Bail out! The scripts are wrong\n");
        return 2;
    }
    int status = 0;
    if (o.needs)
        print_needs(scripts);
    else
        status = play_all(scripts, &o, argv[0]);
    g_strfreev(o.paths);
    g_free(o.cut);
    g_free(o.place.smtp);
    g_free(o.place.lmtp);
    g_free(o.place.maildirs);
    g_free(o.label);
    g_free(o.rerun);
    return status;
}
