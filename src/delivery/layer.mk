noinst_LIBRARIES += src/delivery/libdelivery.a
src_delivery_libdelivery_a_SOURCES = \
	src/delivery/commit.c src/delivery/commit.h \
	src/delivery/copies.c src/delivery/copies.h \
	src/delivery/delivery.c src/delivery/delivery.h \
	src/delivery/known.c src/delivery/known.h \
	src/delivery/maildir.c src/delivery/maildir.h \
	src/delivery/open_maildirs.c src/delivery/open_maildirs.h \
	src/delivery/maildirsize.c src/delivery/maildirsize.h \
	src/delivery/quota.c src/delivery/quota.h \
	src/delivery/router.c src/delivery/router.h \
	src/delivery/sweep.c src/delivery/sweep.h

LINK_delivery = src/delivery/libdelivery.a $(LINK_message) $(LINK_reactor)
LINK_delivery_sim = src/delivery/libdelivery.a $(LINK_message_sim) $(LINK_reactor_sim)
