noinst_LIBRARIES += src/delivery/libdelivery.a
src_delivery_libdelivery_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
src_delivery_libdelivery_a_SOURCES = \
	src/delivery/block.c src/delivery/block.h \
	src/delivery/commit.c src/delivery/commit.h \
	src/delivery/copies.c src/delivery/copies.h \
	src/delivery/delivery.c src/delivery/delivery.h \
	src/delivery/known.c src/delivery/known.h \
	src/delivery/mailbox.c src/delivery/mailbox.h \
	src/delivery/maildir.c src/delivery/maildir.h \
	src/delivery/open_maildirs.c src/delivery/open_maildirs.h \
	src/delivery/maildirsize.c src/delivery/maildirsize.h \
	src/delivery/quota.c src/delivery/quota.h \
	src/delivery/route.c src/delivery/route.h \
	src/delivery/router.c src/delivery/router.h \
	src/delivery/sweep.c src/delivery/sweep.h \
	src/delivery/table.c src/delivery/table.h src/delivery/table_internal.h \
	src/delivery/table_content.c src/delivery/table_content.h \
	src/delivery/table_file.c \
	src/delivery/table_passwd.c \
	src/delivery/table_socket.c \
	src/delivery/table_sqlite.c \
	src/delivery/circles.c src/delivery/circles.h \
	src/delivery/tables.c src/delivery/tables.h

LINK_delivery = src/delivery/libdelivery.a $(LINK_message) $(LINK_reactor) $(SQLITE_LIBS)
LINK_delivery_sim = src/delivery/libdelivery.a $(LINK_message_sim) $(LINK_reactor_sim) $(SQLITE_LIBS)
