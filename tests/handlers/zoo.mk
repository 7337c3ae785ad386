# Handlers that misbehave, for the tests of those who must live with them. Handlers are not hardened or sanitized with the
# daemon: they are anybody's, and theirs crash in earnest.
ZOO = \
	tests/handlers/judge.so \
	tests/handlers/zoo.so \
	tests/handlers/crash_at_load.so \
	tests/handlers/exit_at_load.so \
	tests/handlers/hang_at_load.so
check_DATA = $(ZOO)
CLEANFILES += $(ZOO)
EXTRA_DIST += tests/handlers/zoo/zoo.c tests/handlers/zoo/at_load.c tests/handlers/judge.c

zoo_sources = $(top_srcdir)/tests/handlers/zoo
zoo_link = $(MKDIR_P) tests/handlers && $(CC) $(AM_CPPFLAGS) $(CPPFLAGS) $(WARN_CFLAGS) $(GMIME_CFLAGS) -O1 -g -fPIC -shared -pthread
zoo_needs = $(top_srcdir)/src/include/postern/handler.h Makefile
zoo_at_load = $(zoo_link) $(zoo_sources)/at_load.c $(GMIME_LIBS)

tests/handlers/zoo.so: $(zoo_sources)/zoo.c $(zoo_needs)
	$(AM_V_CCLD)$(zoo_link) -o $@ $(zoo_sources)/zoo.c $(GMIME_LIBS)

tests/handlers/crash_at_load.so: $(zoo_sources)/at_load.c $(zoo_needs)
	$(AM_V_CCLD)$(zoo_at_load) -o $@ '-DAT_LOAD=abort()'

tests/handlers/exit_at_load.so: $(zoo_sources)/at_load.c $(zoo_needs)
	$(AM_V_CCLD)$(zoo_at_load) -o $@ '-DAT_LOAD=exit(0)'

tests/handlers/hang_at_load.so: $(zoo_sources)/at_load.c $(zoo_needs)
	$(AM_V_CCLD)$(zoo_at_load) -o $@ '-DAT_LOAD=(void)sleep(120)'

# One that behaves, in every way that its options ask for.
tests/handlers/judge.so: $(top_srcdir)/tests/handlers/judge.c $(zoo_needs)
	$(AM_V_CCLD)$(zoo_link) -o $@ $(top_srcdir)/tests/handlers/judge.c $(GMIME_LIBS)
