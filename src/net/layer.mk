noinst_LIBRARIES += src/net/libnet.a
src_net_libnet_a_SOURCES = \
	src/net/address.c src/net/address.h \
	src/net/network.c src/net/network.h \
	src/net/proxy.c src/net/proxy.h

LINK_net = src/net/libnet.a $(LINK_reactor)
LINK_net_sim = src/net/libnet.a $(LINK_reactor_sim)
