#include "server/metrics.h"

#include <errno.h>

static int parse_address(const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* what is expected says it all */
    struct net_address address;
    int r = net_address_parse(text, &address);
    if (r < 0)
        return r;
    g_free(*(struct net_address **)field);
    *(struct net_address **)field = g_memdup2(&address, sizeof address);
    return 0;
}

static void clear_address(void *field)
{
    g_clear_pointer((struct net_address **)field, g_free);
}

static const struct option_row metrics_rows[] = {
    { .name = "address",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(metrics_section, address),
      .parse = parse_address,
      .clear = clear_address,
      .expected = "an address such as 127.0.0.1:9125, [::1]:9125 or unix:/run/postern/metrics.sock",
      .sentence = "Where Prometheus can ask for figures, by HTTP at /metrics. Whoever can connect there can "
                  "read them. Without this key, nobody can ask." },
};
static const size_t metrics_row_count = G_N_ELEMENTS(metrics_rows);
const struct config_table metrics_tables[] = { { metrics_rows, &metrics_row_count, 0 } };

struct settings_listener *metrics_take(const struct settings *s, struct diag *problems)
{
    const struct config_section *section = config_next(s->config, "metrics", NULL);
    const struct metrics_section *values = config_section_values(section);
    if (values->address == NULL)
        return NULL;
    char text[NET_ADDRESS_TEXT];
    net_address_format(values->address, text);
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct worker_listener *l = &s->listeners[i].listener;
        if (net_address_equal(&l->address, values->address) && !g_str_has_suffix(text, ":0"))
            diag_add(problems, config_key_origin(section, "address"),
                     "address = %s: [listen %s] listens there already; expected another address", text,
                     l->name);
    }
    struct settings_listener *place = g_new0(struct settings_listener, 1);
    place->listener.name = "metrics";
    place->listener.address = *values->address;
    place->listener.fd = -1;
    place->socket_mode = 0660;
    return place;
}
