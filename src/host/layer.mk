# The program in which handlers run. It alone is linked with GMime, and of ours only with the wire and what lies beneath it.
noinst_LIBRARIES += src/host/libhost.a
src_host_libhost_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS) $(GMIME_CFLAGS) $(SECCOMP_CFLAGS)
src_host_libhost_a_SOURCES = \
	src/host/header_text.c src/host/header_text.h \
	src/host/parameter.c src/host/parameter.h \
	src/host/parts.c src/host/parts.h \
	src/host/sandbox.c src/host/sandbox.h \
	src/host/sandbox_calls.c src/host/sandbox_calls.h \
	src/host/text.c src/host/text.h

LINK_host = src/host/libhost.a src/handlers/libhandlers.a $(LINK_base) $(GMIME_LIBS) $(SECCOMP_LIBS) -ldl

pkglibexec_PROGRAMS += src/postern-host
src_postern_host_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS) $(SECCOMP_CFLAGS)
src_postern_host_SOURCES = src/host/main.c
src_postern_host_LDADD = $(LINK_host)
