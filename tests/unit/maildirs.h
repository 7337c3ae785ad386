/*
 * tests/unit/maildirs.h - a directory of maildirs to deliver into, and to look into, on whichever twin of the
 * disk is linked. Only making it and taking it away differ (maildirs_real.c, maildirs_sim.c); all else goes
 * through disk.h. Whatever cannot be done fails the test.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The path of an empty directory (the simulated disk is reset for it), to be given to maildirs_free. */
char *maildirs_new(void);
void maildirs_free(char *take_root);
size_t maildirs_open_descriptors(void); /* of the process, or of the simulated disk */

/* NAME may also be that of a folder: "alice/.lists". */
void maildirs_add(const char *root, const char *name);                       /* with tmp/, new/ and cur/ */
void maildirs_add_part(const char *root, const char *name, const char *sub); /* "." for none */
void maildirs_link(const char *root, const char *name, const char *target);

/* The names in NAME/SUB, as g_free'd strings; empty also when there is no such directory. */
GPtrArray *maildirs_names(const char *root, const char *name, const char *sub);
size_t maildirs_count(const char *root, const char *name, const char *sub);
/* What is in a file in NAME/SUB; NULL if it is not there. */
GString *maildirs_read(const char *root, const char *name, const char *sub, const char *file);
