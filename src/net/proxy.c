#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/number.h"

/* `host` and `port` are in network order. */
static struct net_address internet(sa_family_t family, const uint8_t *host, const uint8_t *port)
{
    struct net_address a = { 0 };
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&a.storage;
        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, host, sizeof in->sin_addr);
        memcpy(&in->sin_port, port, sizeof in->sin_port);
        a.len = sizeof *in;
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.storage;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_addr, host, sizeof in6->sin6_addr);
        memcpy(&in6->sin6_port, port, sizeof in6->sin6_port);
        a.len = sizeof *in6;
    }
    return a;
}

/* True while `in` begins like `start`, as far as both go. */
static bool begins_like(struct slice in, struct slice start)
{
    size_t len = MIN(in.len, start.len);
    return slice_equal(slice_first(in, len), slice_first(start, len));
}

/* ---- version 1, section 2.1: a line of text ---- */

static const struct v1_kind {
    const char *start;
    const char *alphabet; /* of what follows; NULL: anything, which we are to ignore */
    size_t max;           /* the whole line, with CR LF */
    sa_family_t family;
} v1_kinds[] = {
    { "PROXY TCP4", "0123456789. ", 56, AF_INET },
    /* At most 104 octets, but inet_ntop writes what is mapped with dots. */
    { "PROXY TCP6", "0123456789abcdefABCDEF:. ", NET_PROXY_V1_MAX, AF_INET6 },
    { "PROXY UNKNOWN", NULL, NET_PROXY_V1_MAX, AF_UNSPEC },
};

/* Takes a field and the one space behind it. */
static struct slice v1_field(struct slice *line)
{
    struct slice field = slice_first(*line, slice_find(*line, 0, ' '));
    *line = slice_skip(*line, field.len + 1);
    return field;
}

static bool v1_host(struct slice text, sa_family_t family, uint8_t ret_host[sizeof(struct in6_addr)])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len); /* without NUL, which is not in the alphabet */
    copy[text.len] = '\0';
    return inet_pton(family, copy, ret_host) == 1;
}

static bool v1_port(struct slice text, uint8_t ret_port[sizeof(in_port_t)])
{
    uint64_t number;
    if (pst_parse_u64(text, UINT16_MAX, &number) < 0)
        return false;
    if (text.len > 1 && text.data[0] == '0')
        return false; /* "Heading zeroes are not permitted" */
    ret_port[0] = (uint8_t)(number >> 8);
    ret_port[1] = (uint8_t)number;
    return true;
}

/* "SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT" */
static int v1_addresses(struct slice line, sa_family_t family, struct net_proxy *ret_proxy)
{
    uint8_t source[sizeof(struct in6_addr)], destination[sizeof(struct in6_addr)];
    uint8_t source_port[sizeof(in_port_t)], destination_port[sizeof(in_port_t)];
    if (!v1_host(v1_field(&line), family, source) || !v1_host(v1_field(&line), family, destination) ||
        !v1_port(v1_field(&line), source_port) || !v1_port(line, destination_port))
        return -EBADMSG;
    *ret_proxy = (struct net_proxy){ .source = internet(family, source, source_port),
                                     .destination = internet(family, destination, destination_port) };
    return 0;
}

/* Where the line's CR is, or in.len when it is not here yet. `from` is behind what the kind begins with. */
static int v1_find_end(struct slice in, size_t from, const struct v1_kind *kind, size_t *ret_end)
{
    size_t at = from;
    for (; at < in.len && in.data[at] != '\r'; at++) {
        if (at + strlen("\r\n") >= kind->max)
            return -E2BIG;
        uint8_t octet = in.data[at];
        bool good = kind->alphabet == NULL ? octet != '\n'
                                           : memchr(kind->alphabet, octet, strlen(kind->alphabet)) != NULL;
        if (!good)
            return -EBADMSG;
    }
    /* "The receiver must not tolerate a single CR or LF character to end the line" */
    if (at + 1 < in.len && in.data[at + 1] != '\n')
        return -EBADMSG;
    *ret_end = at;
    return 0;
}

static const struct v1_kind *v1_find_kind(struct slice in)
{
    for (size_t i = 0; i < G_N_ELEMENTS(v1_kinds); i++)
        if (begins_like(in, slice_str(v1_kinds[i].start)))
            return &v1_kinds[i];
    return NULL;
}

static int v1_parse(struct slice in, struct net_proxy *ret_proxy, size_t *ret_taken)
{
    const struct v1_kind *kind = v1_find_kind(in);
    if (kind == NULL)
        return -EBADMSG;
    size_t start = strlen(kind->start), end;
    if (in.len <= start)
        return 0;
    bool is_bare = kind->family == AF_UNSPEC && in.data[start] == '\r'; /* without addresses */
    if (in.data[start] != ' ' && !is_bare)
        return -EBADMSG;
    int r = v1_find_end(in, start, kind, &end);
    if (r < 0)
        return r;
    if (end + strlen("\r\n") > in.len)
        return 0; /* "must wait for the CRLF sequence before starting to decode the addresses" */
    if (kind->family == AF_UNSPEC)
        *ret_proxy = (struct net_proxy){ .is_local = true };
    else
        r = v1_addresses(slice_skip(slice_first(in, end), start + 1), kind->family, ret_proxy);
    if (r < 0)
        return r;
    *ret_taken = end + strlen("\r\n");
    return 1;
}

/* ---- version 2, section 2.2: binary ---- */

static const uint8_t v2_signature[] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

enum { V2_COMMAND_AT = 12, V2_KIND_AT = 13, V2_LEN_AT = 14, V2_PATH_LEN = 108 };

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 }; /* with the version */

/*
 * Address family and transport, of streams; for datagrams no proxy can mean us. Where both are unspecified,
 * it is up to us: taken, like UNKNOWN in version 1. A family without a transport, or the other way round, is
 * none that the specification expects.
 */
static const struct v2_kind {
    uint8_t octet;
    sa_family_t family;
    size_t host_len;
    size_t len; /* of both addresses */
} v2_kinds[] = {
    { 0x00, AF_UNSPEC, 0, 0 },
    { 0x11, AF_INET, 4, 2 * (4 + 2) },
    { 0x21, AF_INET6, 16, 2 * (16 + 2) },
    { 0x31, AF_UNIX, V2_PATH_LEN, 2 * V2_PATH_LEN },
};

static const struct v2_kind *v2_find_kind(uint8_t command, uint8_t octet)
{
    if (command == V2_LOCAL)
        return &v2_kinds[0]; /* "discard the protocol block including the family which is ignored" */
    for (size_t i = 0; i < G_N_ELEMENTS(v2_kinds); i++)
        if (v2_kinds[i].octet == octet)
            return &v2_kinds[i];
    return NULL;
}

static size_t v2_u16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* A path ends at NUL or fills its field; that of a client is mostly empty. */
static struct net_address v2_path(const uint8_t *path)
{
    struct net_address a = { 0 };
    struct sockaddr_un *to = (struct sockaddr_un *)&a.storage;
    _Static_assert(sizeof to->sun_path == V2_PATH_LEN, "the specification has Linux' length");
    to->sun_family = AF_UNIX;
    size_t len = strnlen((const char *)path, V2_PATH_LEN);
    memcpy(to->sun_path, path, len);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return a;
}

static struct net_proxy v2_addresses(const uint8_t *at, const struct v2_kind *kind)
{
    const uint8_t *ports = at + 2 * kind->host_len;
    switch (kind->family) {
    case AF_UNSPEC:
        return (struct net_proxy){ .is_local = true };
    case AF_UNIX:
        return (struct net_proxy){ .source = v2_path(at), .destination = v2_path(at + kind->host_len) };
    default:
        return (struct net_proxy){
            .source = internet(kind->family, at, ports),
            .destination = internet(kind->family, at + kind->host_len, ports + sizeof(in_port_t)),
        };
    }
}

/* Whatever they say: type, length, value. A checksum among them (2.2.3) is for receivers that support it. */
static bool v2_tlvs_are_whole(struct slice tlvs)
{
    enum { HEAD = 3 };
    while (tlvs.len > 0) {
        if (tlvs.len < HEAD || tlvs.len - HEAD < v2_u16(tlvs.data + 1))
            return false;
        tlvs = slice_skip(tlvs, HEAD + v2_u16(tlvs.data + 1));
    }
    return true;
}

/* What the first octets, as many as are here, say about the whole header. 1: they are all here. */
static int v2_head(struct slice in, const struct v2_kind **ret_kind, size_t *ret_len)
{
    if (!begins_like(in, slice_of(v2_signature, sizeof v2_signature)))
        return -EBADMSG;
    if (in.len <= V2_COMMAND_AT)
        return 0;
    uint8_t command = in.data[V2_COMMAND_AT];
    if (command != V2_LOCAL && command != V2_PROXY)
        return -EBADMSG;
    if (in.len <= V2_KIND_AT)
        return 0;
    const struct v2_kind *kind = v2_find_kind(command, in.data[V2_KIND_AT]);
    if (kind == NULL)
        return -EBADMSG;
    if (in.len < NET_PROXY_V2_HEAD)
        return 0;
    size_t len = v2_u16(in.data + V2_LEN_AT);
    if (len < kind->len)
        return -EBADMSG;
    if (len > NET_PROXY_MAX - NET_PROXY_V2_HEAD)
        return -E2BIG;
    *ret_kind = kind;
    *ret_len = len;
    return 1;
}

static int v2_parse(struct slice in, struct net_proxy *ret_proxy, size_t *ret_taken)
{
    const struct v2_kind *kind;
    size_t len;
    int r = v2_head(in, &kind, &len);
    if (r <= 0)
        return r;
    struct slice block = slice_first(slice_skip(in, NET_PROXY_V2_HEAD), len);
    if (block.len < len)
        return 0;
    /* Where nobody knows how long the addresses are, it cannot be told where TLVs begin. */
    if (kind->family != AF_UNSPEC && !v2_tlvs_are_whole(slice_skip(block, kind->len)))
        return -EBADMSG;
    *ret_proxy = v2_addresses(block.data, kind);
    *ret_taken = NET_PROXY_V2_HEAD + len;
    return 1;
}

int net_proxy_parse(struct slice in, struct net_proxy *ret_proxy, size_t *ret_taken)
{
    if (in.len == 0)
        return 0;
    return in.data[0] == v2_signature[0] ? v2_parse(in, ret_proxy, ret_taken)
                                         : v1_parse(in, ret_proxy, ret_taken);
}
