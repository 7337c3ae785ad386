# Handlers for use and for reading. A shared object is a program to automake, whose flags say otherwise.
handlersdir = $(pkglibdir)/handlers
HANDLER_INCLUDES = -D_GNU_SOURCE -I$(top_srcdir)/src/include -I$(top_builddir)/src/include
HANDLER_FLAGS = $(WARN_CFLAGS) -fPIC -fstack-protector-strong $(GMIME_CFLAGS)
SHARED_OBJECT = -shared -Wl,-z,relro,-z,now

handlers_PROGRAMS = \
	contrib/handlers/attachments.so \
	contrib/handlers/example.so \
	contrib/handlers/exec.so
contrib_handlers_attachments_so_SOURCES = contrib/handlers/attachments.c
contrib_handlers_attachments_so_CPPFLAGS = $(HANDLER_INCLUDES)
contrib_handlers_attachments_so_CFLAGS = $(HANDLER_FLAGS)
contrib_handlers_attachments_so_LDFLAGS = $(SHARED_OBJECT)
contrib_handlers_attachments_so_LDADD = $(GMIME_LIBS)
contrib_handlers_example_so_SOURCES = contrib/handlers/example.c
contrib_handlers_example_so_CPPFLAGS = $(HANDLER_INCLUDES)
contrib_handlers_example_so_CFLAGS = $(HANDLER_FLAGS)
contrib_handlers_example_so_LDFLAGS = $(SHARED_OBJECT)
contrib_handlers_example_so_LDADD = $(GMIME_LIBS)
contrib_handlers_exec_so_SOURCES = contrib/handlers/exec.c
contrib_handlers_exec_so_CPPFLAGS = $(HANDLER_INCLUDES)
contrib_handlers_exec_so_CFLAGS = $(HANDLER_FLAGS)
contrib_handlers_exec_so_LDFLAGS = $(SHARED_OBJECT)
contrib_handlers_exec_so_LDADD = $(GMIME_LIBS)

if HAVE_WEBHOOK
handlers_PROGRAMS += contrib/handlers/webhook.so
contrib_handlers_webhook_so_SOURCES = contrib/handlers/webhook.c
contrib_handlers_webhook_so_CPPFLAGS = $(HANDLER_INCLUDES)
contrib_handlers_webhook_so_CFLAGS = $(HANDLER_FLAGS) $(WEBHOOK_CFLAGS)
contrib_handlers_webhook_so_LDFLAGS = $(SHARED_OBJECT)
contrib_handlers_webhook_so_LDADD = $(GMIME_LIBS) $(WEBHOOK_LIBS)
endif

# For those who build handlers elsewhere. All in it is told by way of its prefix, so that a tree that was moved is one line away.
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = contrib/postern.pc
EXTRA_DIST += contrib/postern.pc.in
CLEANFILES += contrib/postern.pc

contrib/postern.pc: contrib/postern.pc.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib && \
	$(SED) -e 's|[@]prefix[@]|$(prefix)|g' -e 's|[@]includedir[@]|$(includedir)|g' -e 's|[@]handlersdir[@]|$(handlersdir)|g' \
		-e 's|[@]VERSION[@]|$(VERSION)|g' -e '/^prefix=/!s|=$(prefix)/|=$${prefix}/|' $(top_srcdir)/contrib/postern.pc.in >$@.tmp && mv -f $@.tmp $@

# To read, and to begin with.
handlersourcesdir = $(docdir)/examples/handlers
dist_handlersources_DATA = contrib/handlers/attachments.c contrib/handlers/example.c contrib/handlers/exec.c contrib/handlers/webhook.c
handlertemplatedir = $(docdir)/examples/handler-template
dist_handlertemplate_DATA = \
	contrib/handler-template/Makefile contrib/handler-template/README.md contrib/handler-template/handler.c
