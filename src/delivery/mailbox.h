/*
 * delivery/mailbox.h - a mailbox: a maildir in the directory of a domain, or a Maildir++ folder of it; and
 * the closed grammar of its names. Ownership: a value on the heap that borrows its domain.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/slice.h"
#include "smtp/address.h"

struct domain;

enum { FOLDER_MAX = 255 };

struct mailbox {
    const struct domain *domain;
    char *name;      /* of the maildir in the domain's directory; passed mailbox_name() */
    char *folder;    /* ".lists", a Maildir++ folder in it, of up to FOLDER_MAX octets; NULL: the inbox */
    char *subdomain; /* the domain of its address where that of the section is a pattern; or NULL */
    uint64_t file_system; /* that it lies in, if that can be synced as a whole (disk_can_sync_all); or 0 */
    uint64_t quota;       /* octets that fit into the maildir with all its folders; 0: no limit */
    bool create;          /* it is made when it is missing */
};

/*
 * The closed grammar through which every byte must pass on its way into a path: the characters of a
 * dot-string (RFC 5321 4.1.2) but "/", and letters, marks and decimal digits of all scripts in UTF-8; lower
 * case, composed (NFC), neither a dot nor a mark in front, at most 200 octets after all that. A name is its
 * own name. 0, or -ENOENT and nothing written.
 */
enum { MAILBOX_NAME_MAX = 200 };
int mailbox_name(struct slice local_part, char ret_name[MAILBOX_NAME_MAX + 1]);

/*
 * From a folder's name as people write it, "Lists/Announce", to that of its directory in the maildir,
 * ".Lists.Announce" (Maildir++; in UTF-8). "INBOX" is the mailbox itself: "". Closed as well: UTF-8 without
 * control characters, and no part of it empty, or with a dot. 0, or -EINVAL and nothing written.
 */
int mailbox_folder(const char *text, char ret_folder[FOLDER_MAX + 1]);

/* For a hash table whose keys are mailboxes: the same one is the same name in the same directory, whatever
 * the folder. */
unsigned mailbox_hash(const void *mailbox);
int mailbox_equal(const void *left, const void *right);

/* Its own: what Delivered-To says. */
void mailbox_address(const struct mailbox *m, struct smtp_address *ret_address);

struct mailbox *mailbox_copy(const struct mailbox *m);
void mailbox_free(struct mailbox *m); /* NULL is welcome */
AUTO_PTR_DEFINE(mailbox);
