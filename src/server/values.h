/*
 * server/values.h - the values in postern.conf that are more than a number, a word or a text: `parse` and
 * `clear` functions for option rows (base/option.h). They replace what the field held; on failure it stays,
 * and *ret_problem may say what is wrong besides not being what the row expects.
 */
#pragma once

#include "base/diag.h"

/* "0.0.0.0:25, [::]:25": the field is a GArray * of struct net_address, never empty. */
int value_addresses(const char *text, void *field, char **ret_problem);
void value_addresses_clear(void *field);

/* "127.0.0.0/8, ::1, unix": the field is a struct net_networks *, NULL until set. */
int value_networks(const char *text, void *field, char **ret_problem);
void value_networks_clear(void *field);

/* "a, b": the field is a char **, NULL until set, then never empty, and ends in NULL. */
int value_words(const char *text, void *field, char **ret_problem);
/* The same, of absolute paths. */
int value_paths(const char *text, void *field, char **ret_problem);
void value_words_clear(void *field);

/* A path as it was written there, made absolute: a relative one begins where that file lies, or for the
 * command line in the working directory. g_free it. */
char *value_path(const char *path, struct origin at);

/* "stderr", "syslog", "file:PATH": the field is a struct log_target. */
int value_log_target(const char *text, void *field, char **ret_problem);
void value_log_target_clear(void *field);

/* "auto" or a number: the field is a uint64_t, 0 for auto. */
enum { VALUE_WORKERS_MAX = 256 };
int value_workers(const char *text, void *field, char **ret_problem);

/* "auto" or a duration: the field is a msec_t, GREETING_DELAY_AUTO for auto. */
int value_greeting_delay(const char *text, void *field, char **ret_problem);

/* "0660": the field is a mode_t. */
int value_mode(const char *text, void *field, char **ret_problem);
