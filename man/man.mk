# What postern.conf(5) says about sections, keys and counters comes from the rows that the program reads them with.
noinst_PROGRAMS = man/print-options
man_print_options_SOURCES = man/print-options.c
man_print_options_LDADD = $(LINK_server)

dist_man_MANS += man/postern-handler.3 man/postern-passwords.5 man/postern-testing.7 man/postern.8 man/postern-tables.5
nodist_man_MANS = man/postern.conf.5
EXTRA_DIST += man/postern.conf.5.in
CLEANFILES += man/postern.conf.5

# The [r] is for configure, which would put the folder in here as well.
man/postern.conf.5: man/postern.conf.5.in man/print-options$(EXEEXT)
	$(AM_V_GEN)man/print-options$(EXEEXT) >$@.keys && man/print-options$(EXEEXT) counters >$@.counters && \
	$(SED) -e '/^@KEYS@$$/r $@.keys' -e '/^@KEYS@$$/d' -e '/^@COUNTERS@$$/r $@.counters' -e '/^@COUNTERS@$$/d' \
		-e 's|@sysconfdi[r]@|$(sysconfdir)|g' \
		$(top_srcdir)/man/postern.conf.5.in >$@.tmp && \
	rm -f $@.keys $@.counters && mv -f $@.tmp $@
