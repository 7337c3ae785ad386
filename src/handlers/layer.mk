noinst_LIBRARIES += src/handlers/libhandlers.a
src_handlers_libhandlers_a_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBEXECDIR='"$(pkglibexecdir)"'
src_handlers_libhandlers_a_SOURCES = \
	src/handlers/handlers.c src/handlers/handlers.h \
	src/handlers/lone_host.c src/handlers/lone_host.h \
	src/handlers/probe.c src/handlers/probe.h \
	src/handlers/host.c src/handlers/host.h src/handlers/host_internal.h \
	src/handlers/host_death.c src/handlers/host_says.c \
	src/handlers/pool.c src/handlers/pool.h \
	src/handlers/verdict.c src/handlers/verdict.h \
	src/handlers/wire.c src/handlers/wire.h

LINK_handlers = src/handlers/libhandlers.a $(LINK_message) $(LINK_reactor)
LINK_handlers_sim = src/handlers/libhandlers.a $(LINK_message_sim) $(LINK_reactor_sim)
