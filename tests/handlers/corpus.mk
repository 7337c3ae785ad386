# Messages of all kinds: what a host makes of them, against what Python's email package does.
check_PROGRAMS += tests/handlers/list-parts
tests_handlers_list_parts_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS)
tests_handlers_list_parts_SOURCES = tests/handlers/list-parts.c
tests_handlers_list_parts_LDADD = $(LINK_host)

TESTS += tests/handlers/test_corpus.py
dist_check_SCRIPTS += tests/handlers/test_corpus.py
EXTRA_DIST += tests/handlers/corpus
