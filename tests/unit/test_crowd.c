/* Telling all of a crowd, which moves while it is told. Who gives way to whom is tests/sim/test_crowded.c's.
 */
#include "suite.h"

#include "worker/crowd.h"

enum { MEMBERS = 3 };

struct member {
    struct crowd *crowd;
    bool moves;
    enum crowd_rank to; /* CROWD_RANKS: it leaves */
    unsigned told;
    struct crowd_member place;
};

static void tell(void *who)
{
    struct member *m = who;
    assert_int_equal(m->told++, 0);
    if (!m->moves)
        return;
    if (m->to == CROWD_RANKS)
        crowd_leave(m->crowd, &m->place);
    else
        crowd_hear(m->crowd, &m->place, m->to, 1);
}

static const struct row {
    const char *name;
    enum crowd_rank from, to;
} rows[] = {
    { "they are heard of, in the rank where they are", CROWD_IDLE, CROWD_IDLE },
    { "they go to an earlier rank", CROWD_IDLE, CROWD_LEAVING },
    { "they go to a later rank", CROWD_IDLE, CROWD_OWED },
    { "they leave", CROWD_IDLE, CROWD_RANKS },
};

/* Whichever of them do that; the others do nothing. */
static void check_told_once(void **state)
{
    const struct row *row = *state;
    for (unsigned moving = 1; moving < 1U << MEMBERS; moving++) {
        struct crowd crowd;
        struct member members[MEMBERS];
        crowd_init(&crowd);
        for (unsigned i = 0; i < MEMBERS; i++) {
            members[i] = (struct member){ .crowd = &crowd, .moves = (moving & 1U << i) != 0, .to = row->to };
            crowd_join(&crowd, &members[i].place, &members[i], 0);
            crowd_hear(&crowd, &members[i].place, row->from, 0);
        }
        crowd_for_each(&crowd, tell);
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(members[i].told, 1);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("worker/crowd");
    suite_add_rows(s, rows, check_told_once);
    return suite_run(s, argc, argv);
}
