/*
 * delivery/quota.h - how much a mailbox holds, and whether more fits, by the Maildir++ file maildirsize,
 * which other programs keep, too. Every call may block: for jobs, from any thread and any process side by
 * side. `maildir` is an open descriptor of the maildir's top directory (disk_open_beneath), which the caller
 * keeps; `limit` is in octets and not 0.
 *
 * What the file says is believed, unless it is missing or no such file, or it says that the mailbox is full
 * while nobody has touched it for a while. Then the mailbox is counted anew, as Dovecot counts it. A file
 * that has become long or has another limit is written anew with its own sum, unless it has been left alone
 * for a while: a count does not see what others have reserved and not published yet. There is no lock, as
 * Maildir++ has none: what another one adds in the very moment in which the file is replaced (a read and a
 * rename) is lost until the next count.
 *
 * The file is not synced: what a power loss takes from it, the next count finds.
 * Failure: -errno; -EDQUOT is the mailbox's, or the disk's. Never -ENOENT, which elsewhere says that there is
 * no such mailbox.
 */
#pragma once

#include <stdint.h>

struct quota_use {
    uint64_t octets, messages;
};

int quota_read(int maildir, uint64_t limit, struct quota_use *ret_use);

/* Whether a message fits that is said to have so many octets (0: not known) and has not come yet: 0 or
 * -EDQUOT. Nothing is kept free for it. */
int quota_check(int maildir, uint64_t limit, uint64_t declared);

/*
 * Before a message is published: from then on it counts. 0 or -EDQUOT. Those who reserve side by side never
 * exceed the limit together; where two would, both may be refused.
 */
int quota_reserve(int maildir, uint64_t limit, uint64_t octets);
void quota_release(int maildir, uint64_t octets); /* the message will not be there after all */
