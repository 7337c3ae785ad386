/*
 * delivery/router.h - from an address to a mailbox. A domain is a directory of maildirs: the mailbox alice@
 * is its maildir alice/. The table of domains is filled before it is used and constant from then on, so that
 * jobs may read it from any thread. Ownership: the router owns its domains; a mailbox is a value on the heap
 * that borrows its domain.
 */
#pragma once

#include "base/auto.h"
#include "base/slice.h"
#include "smtp/address.h"

struct router;
struct domain;

enum { FOLDER_MAX = 255 };

struct mailbox {
    const struct domain *domain;
    char *name;   /* of the maildir in the domain's directory; passed the closed grammar of mailbox names */
    char *folder; /* the Maildir++ folder in it (".lists"; up to FOLDER_MAX octets), or NULL: the inbox */
    uint64_t
        file_system; /* that the maildir lies in, if it can be synced as a whole (disk_can_sync_all); or 0 */
    uint64_t quota;  /* octets that fit into the maildir with all its folders; 0: no limit */
    bool create;     /* the maildir is made when it is missing */
};

struct router *router_new(void);
void router_free(struct router *r);

/*
 * -EEXIST when it is there already, -EBADMSG or -E2BIG when it is none. All spellings of a name are one:
 * case, A-labels and U-labels (smtp_domain_canonical). The first domain is also that of a bare <postmaster>.
 */
int router_add_domain(struct router *r, const char *name, const char *maildirs);

/* NULL when the address lies in no domain of ours. Never touches the disk: for the loop. */
const struct domain *router_domain(const struct router *r, const struct smtp_address *address);
/* In no order. */
void router_for_each_domain(const struct router *r, void (*each)(void *owner, const struct domain *domain),
                            void *owner);
const char *domain_maildirs(const struct domain *d);

/*
 * The mailbox of a local part. Asks the disk: for jobs. -ENOENT when there is none (also when the local part
 * cannot be a mailbox's name), another -errno when that could not be found out.
 */
int domain_find_mailbox(const struct domain *d, const struct smtp_address *address,
                        struct mailbox **ret_mailbox);

/*
 * The closed grammar through which every byte must pass on its way into a path: the characters of a
 * dot-string (RFC 5321 4.1.2) but "/", and letters, marks and decimal digits of all scripts in UTF-8; lower
 * case, composed (NFC), neither a dot nor a mark in front, at most 200 octets after all that. A name is its
 * own name. 0, or -ENOENT and nothing written.
 */
enum { MAILBOX_NAME_MAX = 200 };
int mailbox_name(struct slice local_part, char ret_name[MAILBOX_NAME_MAX + 1]);

/*
 * For a hash table whose keys are mailboxes: the same one is the same name in the same domain, whatever the
 * folder. A message gets into a mailbox once, however many ways lead there.
 */
unsigned mailbox_hash(const void *mailbox);
int mailbox_equal(const void *left, const void *right);

void mailbox_free(struct mailbox *m);
AUTO_PTR_DEFINE(mailbox);
AUTO_PTR_DEFINE(router);
