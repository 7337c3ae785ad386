# The seam to the event loop: one header, two implementations, chosen by which library is linked.
noinst_LIBRARIES += src/reactor/libreactor.a
src_reactor_libreactor_a_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS)
src_reactor_libreactor_a_SOURCES = \
	src/reactor/reactor.h \
	src/reactor/reactor_uv.c src/reactor/reactor_uv.h \
	src/reactor/stream_uv.c \
	src/reactor/listener_uv.c \
	src/reactor/child_uv.c \
	src/reactor/birth_uv.c src/reactor/birth_uv.h

check_LIBRARIES += src/reactor/libreactor_sim.a
src_reactor_libreactor_sim_a_SOURCES = \
	src/reactor/reactor.h \
	src/reactor/reactor_sim.c src/reactor/reactor_sim.h \
	src/reactor/sim_loop.h \
	src/reactor/sim_octets.h \
	src/reactor/sim_queue.c src/reactor/sim_queue.h \
	src/reactor/stream_sim.c \
	src/reactor/listener_sim.c \
	src/reactor/child_sim.c

LINK_reactor = src/reactor/libreactor.a $(LINK_base) $(UV_LIBS)
LINK_reactor_sim = src/reactor/libreactor_sim.a $(LINK_base)
