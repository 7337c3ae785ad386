noinst_LIBRARIES += src/auth/libauth.a
src_auth_libauth_a_CFLAGS = $(AM_CFLAGS) $(GSASL_CFLAGS) $(CRYPT_CFLAGS)
src_auth_libauth_a_SOURCES = \
	src/auth/auth.c src/auth/auth.h \
	src/auth/credentials.c src/auth/credentials.h \
	src/auth/dovecot.c src/auth/dovecot.h \
	src/auth/dovecot_line.c src/auth/dovecot_line.h \
	src/auth/failures.c src/auth/failures.h \
	src/auth/mechanism.c src/auth/mechanism.h \
	src/auth/network.c src/auth/network.h \
	src/auth/password.c src/auth/password.h \
	src/auth/sasl.c src/auth/sasl.h \
	src/auth/settings.c \
	src/auth/turns.c src/auth/turns.h \
	src/auth/user.c src/auth/user.h

LINK_auth = src/auth/libauth.a $(LINK_disk) $(LINK_reactor) $(GSASL_LIBS) $(CRYPT_LIBS)
LINK_auth_sim = src/auth/libauth.a $(LINK_disk_sim) $(LINK_reactor_sim) $(GSASL_LIBS) $(CRYPT_LIBS)
