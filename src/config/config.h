/*
 * config/config.h - INI text and option rows in; a configuration, or all of its problems, out.
 * The user of a configuration declares kinds of sections; the rows of base/option.h say what keys they have.
 * Each section fills a struct of the user's, defaults first. What is wrong becomes a problem with file and
 * line in a `struct diag`, and reading goes on: one run tells all. When it has told a problem, values may be
 * missing and must not be used but to look for more.
 *
 *     config_read_file(c, "postern.conf");
 *     config_set(c, "server", NULL, "workers", "4", (struct origin){ "--workers 4" });
 *     config_finish(c);
 *     for (const struct config_section *s = NULL; (s = config_next(c, "listen", s)) != NULL;) ...
 *
 * Ownership: the configuration owns its sections, their values and the names in origins, and borrows kinds
 * and diag.
 */
#pragma once

#include "base/auto.h"
#include "base/diag.h"
#include "base/option.h"

/* Rows that describe the struct at `offset` of the section's: several owners' rows can make up one section.
 */
struct config_table {
    const struct option_row *rows;
    const size_t *count;
    size_t offset;
};

/* Two kinds may have one name, [tls] and [tls NAME], and keys of their own. */
struct config_kind {
    const char *name;
    const char *named; /* [listen NAME], any number of them: what NAME is called in messages and the manual;
                          NULL: [log], just one */
    const struct config_table *tables;
    size_t table_count;
    size_t size;          /* of the struct that a section fills */
    const char *sentence; /* for the manual */
};

struct config;
struct config_section;

struct config *config_new(const struct config_kind *kinds, size_t count, struct diag *problems);
void config_free(struct config *c); /* NULL is welcome */
AUTO_PTR_DEFINE(config);

int config_read_file(struct config *c,
                     const char *path); /* -errno when it cannot be read, which is a problem told */
void config_read_text(struct config *c, const char *label, struct slice text);

/* As from the command line: begins the section when it is not there, and overrides what was read. `name`:
 * NULL for [log]. */
void config_set(struct config *c, const char *kind, const char *name, const char *key, const char *value,
                struct origin at);

/* After all was read: looks for required keys that nobody gave. */
void config_finish(struct config *c);

/* The sections of that kind's name in the order of their appearance, beginning with `after` NULL. [log] is
 * always there, and comes before any [log NAME]. */
const struct config_section *config_next(const struct config *c, const char *kind,
                                         const struct config_section *after);
/* NULL when there is none of that name. */
const struct config_section *config_find(const struct config *c, const char *kind, const char *name);

struct origin config_origin(
    const struct config *c); /* the text that was read first, as a whole; if none was, the command line */
const char *config_section_name(const struct config_section *s); /* NULL for [log] */
const void *config_section_values(const struct config_section *s);
struct origin config_section_origin(
    const struct config_section *s); /* its header; for [log] that nobody wrote: the file */
/* Where the value was given, right or wrong; the section's header if nowhere. */
struct origin config_key_origin(const struct config_section *s, const char *key);

bool config_key_is_given(const struct config_section *s, const char *key); /* right or wrong */

/* Whether sections of that kind have such a key. */
bool config_knows_key(const struct config *c, const char *kind, const char *key);
