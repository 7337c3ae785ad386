/*
 * What goes on in the parent while a child is on its way. `stand_back` is this file's, and holds the child up
 * between the last system call for its descriptors and its program, in memory that it shares with us.
 */
#include <errno.h>
#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/stand_back.h"
#include "reactor/reactor.h"
#include "suite.h"

enum { PATIENCE_MS = 10000, POLL_MS = 1 };

static struct {
    atomic_bool is_there, may_go_on, gave_up;
} held;

void stand_back(uint64_t spare_processors)
{
    (void)spare_processors;
    atomic_store(&held.is_there, true);
    const struct timespec moment = { .tv_nsec = POLL_MS * 1000000 };
    for (int i = 0; i < PATIENCE_MS && !atomic_load(&held.may_go_on); i++)
        (void)nanosleep(&moment, NULL);
    atomic_store(&held.gave_up, !atomic_load(&held.may_go_on));
}

struct world {
    struct reactor *r;
    struct timer *timer;
    struct child *child;
    int status;                             /* of the child; -1: it runs */
    void (*meanwhile)(struct world *world); /* once the child is held up */
    int ours, theirs;                       /* a connection */
};

static void on_exit_of_child(void *owner, int status, int signal)
{
    struct world *w = owner;
    assert_int_equal(signal, 0);
    w->status = status;
    child_close(w->child);
    timer_close(w->timer);
}

static void on_timer(void *owner)
{
    struct world *w = owner;
    if (!atomic_load(&held.is_there)) {
        timer_start(w->timer, reactor_now(w->r) + POLL_MS);
        return;
    }
    w->meanwhile(w);
    atomic_store(&held.may_go_on, true);
}

/* Runs the loop until a child has come and gone. */
static void bear(struct world *w)
{
    atomic_store(&held.is_there, false);
    atomic_store(&held.may_go_on, false);
    atomic_store(&held.gave_up, false);
    w->status = -1;
    assert_int_equal(reactor_new(1, &w->r), 0);
    w->timer = timer_new(w->r, on_timer, w);
    timer_start(w->timer, reactor_now(w->r) + POLL_MS);
    const struct child_options options = { .file = "/bin/true",
                                           .argv = (const char *const[]){ "true", NULL },
                                           .stands_back = true };
    assert_int_equal(child_spawn(w->r, &options, on_exit_of_child, w, &w->child), 0);
    reactor_run(w->r);
    assert_int_equal(reactor_free(w->r), 0);
    assert_int_equal(w->status, 0);
}

static void do_nothing(struct world *w)
{
    (void)w;
}

static void check_loop_goes_on(void **state)
{
    (void)state;
    struct world w = { .meanwhile = do_nothing };
    bear(&w);
    assert_false(atomic_load(&held.gave_up));
}

static void hang_up(struct world *w)
{
    char octet;
    assert_int_equal(recv(w->theirs, &octet, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(w->ours), 0);
    assert_int_equal(recv(w->theirs, &octet, 1, MSG_DONTWAIT), 0); /* at once: nobody else has that end */
}

static void check_connections_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    auto_fd int theirs = ends[1];
    struct world w = { .meanwhile = hang_up, .ours = ends[0], .theirs = theirs };
    bear(&w);
    assert_false(atomic_load(&held.gave_up));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("child_birth");
    suite_add(s, "the loop goes on while a child is made", check_loop_goes_on, NULL);
    suite_add(s, "a child on its way holds no connection open", check_connections_end, NULL);
    return suite_run(s, argc, argv);
}
