# The systemd unit needs to know where the program and its configuration are.
systemdsystemunit_DATA = contrib/systemd/postern.service
EXTRA_DIST += contrib/systemd/postern.service.in contrib/check contrib/coverage contrib/coverage.py contrib/quickstart contrib/debian.sh \
	contrib/fail2ban/filter.d/postern.conf contrib/fail2ban/jail.d/postern.conf
CLEANFILES += contrib/systemd/postern.service

contrib/systemd/postern.service: contrib/systemd/postern.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib/systemd && \
	$(SED) -e 's|[@]bindir[@]|$(bindir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
		$(top_srcdir)/contrib/systemd/postern.service.in >$@.tmp && mv -f $@.tmp $@

include contrib/handlers/handlers.mk
