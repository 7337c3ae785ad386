noinst_LIBRARIES += src/cli/libcli.a
src_cli_libcli_a_SOURCES = \
	src/cli/check.c \
	src/cli/command.c src/cli/command.h \
	src/cli/demo.c src/cli/demo.h \
	src/cli/given.c src/cli/given.h \
	src/cli/handle.c \
	src/cli/help.c \
	src/cli/passwd.c \
	src/cli/route.c \
	src/cli/serve.c \
	src/cli/tlsa.c \
	src/cli/try.c \
	src/cli/version.c

LINK_cli = src/cli/libcli.a $(LINK_server)

bin_PROGRAMS += src/postern
src_postern_SOURCES = src/cli/main.c
src_postern_LDADD = $(LINK_cli)
