/*
 * PROXY headers (net/proxy.h): an answer, once given, is not changed by what follows, however much of it is
 * there; a header that is taken says the same when it is written and read again, in either version.
 */
#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "net/proxy.h"

struct answer {
    int result;
    size_t taken;
    struct net_proxy proxy;
};

static struct answer parse(struct slice in)
{
    uint8_t *copy = fuzz_copy(in);
    struct answer a = { 0 };
    a.result = net_proxy_parse(slice_of(copy, in.len), &a.proxy, &a.taken);
    free(copy);
    return a;
}

static void check_same_proxy(const struct net_proxy *a, const struct net_proxy *b)
{
    pst_assert(a->is_local == b->is_local);
    pst_assert(a->is_local || net_address_equal(&a->source, &b->source));
    pst_assert(a->is_local || net_address_equal(&a->destination, &b->destination));
}

static void check_same(const struct answer *a, const struct answer *b)
{
    pst_assert(a->result == b->result && a->taken == b->taken);
    if (a->result == 1)
        check_same_proxy(&a->proxy, &b->proxy);
}

/* ---- written again ---- */

static uint16_t port_of(const struct net_address *a)
{
    return a->storage.ss_family == AF_INET ? ((const struct sockaddr_in *)&a->storage)->sin_port
                                           : ((const struct sockaddr_in6 *)&a->storage)->sin6_port;
}

static const void *host_of(const struct net_address *a)
{
    return a->storage.ss_family == AF_INET
               ? (const void *)&((const struct sockaddr_in *)&a->storage)->sin_addr
               : (const void *)&((const struct sockaddr_in6 *)&a->storage)->sin6_addr;
}

static void check_version_1(const struct net_proxy *p)
{
    int family = p->source.storage.ss_family;
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
    g_autofree char *line =
        g_strdup_printf("PROXY TCP%c %s %s %u %u\r\n", family == AF_INET ? '4' : '6',
                        inet_ntop(family, host_of(&p->source), source, sizeof source),
                        inet_ntop(family, host_of(&p->destination), destination, sizeof destination),
                        ntohs(port_of(&p->source)), ntohs(port_of(&p->destination)));
    struct answer again = parse(slice_str(line));
    pst_assert(again.result == 1 && again.taken == strlen(line));
    check_same_proxy(p, &again.proxy);
}

static void check_version_2(const struct net_proxy *p)
{
    bool four = p->source.storage.ss_family == AF_INET;
    guint host_len = four ? 4 : 16;
    uint16_t ports[] = { port_of(&p->source), port_of(&p->destination) };
    g_autoptr(GByteArray) header = g_byte_array_new();
    g_byte_array_append(header, (const guint8 *)"\r\n\r\n\0\r\nQUIT\n\x21", 13);
    g_byte_array_append(header, (const guint8[]){ four ? 0x11 : 0x21, 0, (guint8)(2 * host_len + 4) }, 3);
    g_byte_array_append(header, host_of(&p->source), host_len);
    g_byte_array_append(header, host_of(&p->destination), host_len);
    g_byte_array_append(header, (const guint8 *)ports, sizeof ports);
    struct answer again = parse(slice_of(header->data, header->len));
    pst_assert(again.result == 1 && again.taken == header->len);
    check_same_proxy(p, &again.proxy);
}

static void check_taken(const struct answer *a)
{
    pst_assert(a->taken <= NET_PROXY_MAX);
    if (a->proxy.is_local)
        return;
    int family = a->proxy.source.storage.ss_family;
    pst_assert(a->proxy.destination.storage.ss_family == family);
    char text[NET_ADDRESS_TEXT];
    pst_assert(strlen(net_address_format(&a->proxy.source, text)) < sizeof text);
    pst_assert(strlen(net_address_host(&a->proxy.destination, text)) < sizeof text);
    if (family == AF_UNIX)
        return;
    check_version_1(&a->proxy);
    check_version_2(&a->proxy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&in);
    struct answer all = parse(in);
    pst_assert(all.result == 1 || all.taken == 0);
    pst_assert(all.result != 0 || in.len < NET_PROXY_MAX);
    if (all.result == 1)
        check_taken(&all);
    for (size_t come = 0, len; (len = fuzz_cut(&cuts, in.len - come)) > 0;) {
        come += len;
        struct answer some = parse(slice_first(in, come));
        pst_assert(come >= all.taken ? all.result != 1 || some.result == 1 : some.result == 0);
        if (some.result != 0) {
            check_same(&some, &all);
            break;
        }
    }
    return 0;
}
