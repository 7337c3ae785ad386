/* Who is next: each client in turn, and each of a client's own in the order in which they came. */
#include "suite.h"

#include <glib.h>

#include "auth/turns.h"

enum { MOST = 16 };

/*
 * Words: "a1" joins, a client of that letter; "-a1" leaves; "?" has whoever is next, and is left out of what
 * is wanted when there is nobody. At the end all that wait have their turns.
 */
static const struct row {
    const char *name, *words, *want;
} rows[] = {
    { "nobody waits", "?", "" },
    { "one", "a1", "a1" },
    { "one client's, in order", "a1 a2 a3", "a1 a2 a3" },
    { "clients, in order", "a1 b1 c1", "a1 b1 c1" },
    { "one client has many, another one", "a1 a2 a3 a4 b1", "a1 b1 a2 a3 a4" },
    { "clients in turn", "a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3" },
    { "who comes later comes before the second of others", "a1 a2 a3 ? b1", "a1 a2 b1 a3" },
    { "who has had its turn is behind those who have not", "a1 b1 b2 ? a2", "a1 b1 a2 b2" },
    { "who has had all its turns begins anew", "a1 b1 ? ? a2 b2", "a1 b1 a2 b2" },
    { "one leaves", "a1 a2 b1 -a1", "a2 b1" },
    { "the last of a client leaves", "a1 b1 b2 -a1", "b1 b2" },
    { "one in the middle leaves", "a1 a2 a3 b1 -a2", "a1 b1 a3" },
    { "who does not wait leaves", "-a1 a2 ? -a2", "a2" },
    { "who has left comes again", "a1 b1 -a1 a1", "b1 a1" },
    { "without an address, all are one client", "n1 n2 a1", "n1 a1 n2" },
};

static const char *address_of(const char *word)
{
    static const char *const addresses[] = { "192.0.2.1", "2001:db8::1", "2001:db8:0:1::1" };
    return *word == 'n' ? NULL : addresses[*word - 'a'];
}

static void have_next(struct turns *t, GString *had)
{
    const char *who = turns_next(t);
    if (who != NULL)
        g_string_append_printf(had, "%s%s", had->len > 0 ? " " : "", who);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct turn of[256][10] = { 0 }; /* by letter and digit */
    struct turns *t = turns_new();
    g_autoptr(GString) had = g_string_new(NULL);
    g_auto(GStrv) words = g_strsplit(row->words, " ", MOST);
    for (char **word = words; *word != NULL; word++) {
        char *name = *word + (**word == '-');
        struct turn *turn = &of[(unsigned char)name[0]][name[1] != '\0' ? name[1] - '0' : 0];
        if (**word == '?')
            have_next(t, had);
        else if (**word == '-')
            turns_leave(t, turn);
        else
            turns_join(t, turn, address_of(name), name);
        assert_int_equal(turn_is_waiting(turn), g_ascii_isalpha(**word));
    }
    for (int i = 0; i < MOST; i++)
        have_next(t, had);
    assert_string_equal(had->str, row->want);
    turns_free(t);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_turns");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
