# The program in which handlers run. It alone is linked with GMime, and of ours only with the wire and what lies beneath it.
noinst_LIBRARIES += src/host/libhost.a
src_host_libhost_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS) $(GMIME_CFLAGS) $(SECCOMP_CFLAGS)
src_host_libhost_a_SOURCES = \
	src/host/channel.c src/host/channel.h \
	src/host/children.c src/host/children.h \
	src/host/content.c src/host/content.h \
	src/host/decoded.c src/host/decoded.h \
	src/host/delivery.c src/host/delivery.h \
	src/host/edits.c src/host/edits.h \
	src/host/field.c src/host/field.h \
	src/host/functions.c src/host/functions.h \
	src/host/header_text.c src/host/header_text.h \
	src/host/limits.c src/host/limits.h \
	src/host/load.c src/host/load.h \
	src/host/message.c src/host/message.h \
	src/host/parameter.c src/host/parameter.h \
	src/host/parts.c src/host/parts.h \
	src/host/runner.c src/host/runner.h \
	src/host/sandbox.c src/host/sandbox.h \
	src/host/sandbox_calls.c src/host/sandbox_calls.h \
	src/host/text.c src/host/text.h \
	src/host/stage.h

LINK_host = src/host/libhost.a src/handlers/libhandlers.a $(LINK_base) $(GMIME_LIBS) $(SECCOMP_LIBS) -ldl

pkglibexec_PROGRAMS += src/postern-host
src_postern_host_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS) $(SECCOMP_CFLAGS)
src_postern_host_SOURCES = src/host/main.c
src_postern_host_LDADD = $(LINK_host)
