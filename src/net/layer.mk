noinst_LIBRARIES += src/net/libnet.a
src_net_libnet_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
src_net_libnet_a_SOURCES = \
	src/net/address.c src/net/address.h \
	src/net/network.c src/net/network.h \
	src/net/proxy.c src/net/proxy.h \
	src/net/tls_context.c src/net/tls_context.h \
	src/net/tls_openssl.c src/net/tls_openssl.h \
	src/net/tls_pair.c src/net/tls_pair.h \
	src/net/tls_session.c src/net/tls_session.h \
	src/net/tls_store.c src/net/tls_store.h src/net/tls_internal.h \
	src/net/tls_tickets.c src/net/tls_tickets.h \
	src/net/tls_x509.c src/net/tls_x509.h

LINK_net = src/net/libnet.a $(LINK_reactor) $(OPENSSL_LIBS)
LINK_net_sim = src/net/libnet.a $(LINK_reactor_sim) $(OPENSSL_LIBS)
