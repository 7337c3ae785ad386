# The program in which handlers run. It alone is linked with GMime, and of ours only with the wire and what lies beneath it.
pkglibexec_PROGRAMS += src/postern-host
src_postern_host_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS) $(SECCOMP_CFLAGS)
src_postern_host_SOURCES = \
	src/host/main.c
src_postern_host_LDADD = src/handlers/libhandlers.a $(LINK_base) $(GMIME_LIBS) $(SECCOMP_LIBS) -ldl
