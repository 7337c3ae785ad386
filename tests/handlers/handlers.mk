# postern-host as a worker sees it: handlers of all kinds in it, and a worker's end of the wire in Python.
HOST_HANDLERS = \
	tests/handlers/act.so \
	tests/handlers/newer.so \
	tests/handlers/no_function.so \
	tests/handlers/no_symbol.so \
	tests/handlers/not_made.so \
	tests/handlers/undefined.so \
	tests/handlers/wrong_abi.so
HOST_PY_TESTS = \
	tests/handlers/test_edits.py \
	tests/handlers/test_host.py \
	tests/handlers/test_verdicts.py
TESTS += $(HOST_PY_TESTS)
dist_check_SCRIPTS += $(HOST_PY_TESTS)
EXTRA_DIST += tests/handlers/host.py tests/handlers/wire.py $(HOST_HANDLERS:.so=.c)
check_DATA += $(HOST_HANDLERS)
CLEANFILES += $(HOST_HANDLERS)

# Handlers are anybody's: neither hardened nor sanitized with the daemon, so that they crash in earnest.
SUFFIXES = .so
.c.so:
	$(AM_V_CCLD)$(MKDIR_P) $(@D) && $(CC) $(AM_CPPFLAGS) $(CPPFLAGS) $(WARN_CFLAGS) $(GMIME_CFLAGS) -g -O1 -fPIC -shared -o $@ $<
$(HOST_HANDLERS): $(top_srcdir)/src/include/postern/handler.h
