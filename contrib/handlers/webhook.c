/*
 * webhook - tells a web service of each message, and does what it answers.
 *
 *     [handler webhook]
 *     load = /usr/lib/postern/handlers/webhook.so
 *     network = yes
 *     option.url = https://hooks.example.org/mail
 *     option.authorization = Bearer 0123456789
 *     option.inline = 64K
 *     option.timeout = 10
 *
 * It posts one JSON object: "envelope" (id, session, listener, protocol, client, helo, user, from, size,
 * arrived, recipients with address and mailboxes), "headers" (an array of [name, text] in their order, the
 * Content- fields behind all others), "subject", and "parts" (name, type, depth, size). A message of up to
 * option.inline octets (0, the default: none) comes with it as "message", in base64, as it came.
 *
 * 2xx: deliver. 4xx: reject, with the first line of the answer as the text of the reply. Anything else, also
 * no answer within option.timeout seconds: defer.
 */
#include <curl/curl.h>
#include <errno.h>
#include <json-glib/json-glib.h>
#include <postern/handler.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 300, TIMEOUT_DEFAULT = 10, TIMEOUT_MAX = 3600, INLINE_MAX = 64 * 1024 * 1024 };

struct hook {
    CURL *curl;
    struct curl_slist *headers;
    guint64 inline_limit;
};

struct answer {
    char text[ANSWER_MAX + 1];
    size_t len;
};

/* ---- setting up ---- */

static bool number(const char *text, guint64 max, guint64 *value)
{
    char *end = NULL;
    if (text == NULL)
        return true;
    if (!g_ascii_isdigit(*text))
        return false;
    errno = 0;
    guint64 n = g_ascii_strtoull(text, &end, 10);
    guint64 unit = *end == 'K' ? 1024 : *end == 'M' ? 1024 * 1024 : 1;
    end += unit > 1;
    if (*end != '\0' || errno != 0 || n > max / unit)
        return false;
    *value = n * unit;
    return true;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *owner)
{
    struct answer *a = owner;
    size_t room = ANSWER_MAX - a->len, len = size * count < room ? size * count : room;
    memcpy(a->text + a->len, bytes, len);
    a->len += len;
    return size * count; /* the rest is of no interest */
}

/* CURLOPT_URL takes any text, and is looked at when it is used. */
static bool is_url(const char *text)
{
    CURLU *url = curl_url();
    char *scheme = NULL;
    bool is_url = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  (g_ascii_strcasecmp(scheme, "https") == 0 || g_ascii_strcasecmp(scheme, "http") == 0);
    curl_free(scheme);
    curl_url_cleanup(url);
    return is_url;
}

static int init(postern_setup *setup)
{
    const char *url = postern_setup_option(setup, "url");
    const char *authorization = postern_setup_option(setup, "authorization");
    guint64 timeout = TIMEOUT_DEFAULT;
    struct hook *h = g_new0(struct hook, 1);
    postern_set_data(setup, h);
    if (url == NULL)
        return postern_fail(setup, "option.url is missing: where to post");
    if (!is_url(url))
        return postern_fail(setup, "option.url: expected a URL such as https://hooks.example.org/mail");
    if (!number(postern_setup_option(setup, "inline"), INLINE_MAX, &h->inline_limit))
        return postern_fail(setup, "option.inline: expected a size of up to 64M such as 64K");
    if (!number(postern_setup_option(setup, "timeout"), TIMEOUT_MAX, &timeout) || timeout == 0)
        return postern_fail(setup, "option.timeout: expected seconds, from 1 to 3600");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (h->curl = curl_easy_init()) == NULL)
        return postern_fail(setup, "libcurl cannot be used");
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (authorization != NULL) {
        g_autofree char *line = g_strconcat("Authorization: ", authorization, NULL);
        h->headers = curl_slist_append(h->headers, line);
    }
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT, (long)timeout);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take_answer);
    bool is_set = curl_easy_setopt(h->curl, CURLOPT_URL, url) == CURLE_OK;
    return is_set ? 0 : postern_fail(setup, "libcurl cannot be used");
}

static void shut_down(void *data)
{
    struct hook *h = data;
    if (h == NULL)
        return;
    curl_slist_free_all(h->headers);
    curl_easy_cleanup(h->curl);
    curl_global_cleanup();
    g_free(h);
}

/* ---- what is told ---- */

/* JSON is UTF-8, and what a client says need not be. */
static void member(JsonBuilder *b, const char *name, const char *value)
{
    json_builder_set_member_name(b, name);
    if (value == NULL) {
        json_builder_add_null_value(b);
        return;
    }
    g_autofree char *text = g_utf8_make_valid(value, -1);
    json_builder_add_string_value(b, text);
}

static void member_number(JsonBuilder *b, const char *name, int64_t value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_int_value(b, value);
}

static void add_recipients(JsonBuilder *b, const postern_envelope *v)
{
    json_builder_set_member_name(b, "recipients");
    json_builder_begin_array(b);
    for (size_t i = 0; i < v->recipient_count; i++) {
        json_builder_begin_object(b);
        member(b, "address", v->recipients[i].address);
        json_builder_set_member_name(b, "mailboxes");
        json_builder_begin_array(b);
        for (const char *const *m = v->recipients[i].mailboxes; *m != NULL; m++)
            json_builder_add_string_value(b, *m);
        json_builder_end_array(b);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void add_envelope(JsonBuilder *b, const postern_envelope *v)
{
    json_builder_set_member_name(b, "envelope");
    json_builder_begin_object(b);
    member(b, "id", v->id);
    member(b, "session", v->session);
    member(b, "listener", v->listener);
    member(b, "protocol", v->protocol);
    member(b, "client", v->client);
    member(b, "helo", v->helo);
    member(b, "user", v->user);
    member(b, "from", v->reverse_path);
    member_number(b, "size", (int64_t)v->size);
    member_number(b, "arrived", v->arrived_us / 1000000);
    add_recipients(b, v);
    json_builder_end_object(b);
}

/* GMime's own text lacks some of what senders write; but postern's is of the first field of a name only. */
static char *text_of(postern_delivery *delivery, GMimeObject *object, GMimeHeader *header)
{
    const char *name = g_mime_header_get_name(header);
    GMimeHeaderList *list = g_mime_object_get_header_list(object);
    bool is_first = g_mime_header_list_get_header(list, name) == header;
    char *text = is_first ? postern_header_text(delivery, object, name) : NULL;
    return text != NULL ? text : g_strdup(g_mime_header_get_value(header));
}

static void add_fields(JsonBuilder *b, postern_delivery *delivery, GMimeObject *object)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(object);
    for (int i = 0; i < g_mime_header_list_get_count(list); i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        g_autofree char *name = g_utf8_make_valid(g_mime_header_get_name(header), -1);
        g_autofree char *text = text_of(delivery, object, header);
        g_autofree char *value = g_utf8_make_valid(text != NULL ? text : "", -1);
        json_builder_begin_array(b);
        json_builder_add_string_value(b, name);
        json_builder_add_string_value(b, value);
        json_builder_end_array(b);
    }
}

static void add_headers(JsonBuilder *b, postern_delivery *delivery, GMimeMessage *message)
{
    GMimeObject *content = g_mime_message_get_mime_part(message);
    json_builder_set_member_name(b, "headers");
    json_builder_begin_array(b);
    add_fields(b, delivery, GMIME_OBJECT(message));
    if (content != NULL) /* which GMime gives the fields that tell of it */
        add_fields(b, delivery, content);
    json_builder_end_array(b);
    g_autofree char *subject = postern_header_text(delivery, GMIME_OBJECT(message), "Subject");
    member(b, "subject", subject);
}

static void add_parts(JsonBuilder *b, postern_delivery *delivery, GMimeMessage *message)
{
    postern_parts *parts = postern_parts_new(delivery, message);
    json_builder_set_member_name(b, "parts");
    json_builder_begin_array(b);
    for (postern_part part; postern_parts_next(parts, &part);) {
        json_builder_begin_object(b);
        member(b, "name", part.name);
        member(b, "type", part.type);
        member_number(b, "depth", part.depth);
        member_number(b, "size", postern_part_size(delivery, &part));
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    postern_parts_free(parts);
}

static void add_message(JsonBuilder *b, const struct hook *h, postern_delivery *delivery,
                        const postern_envelope *v)
{
    uint64_t offset;
    int raw = v->size <= h->inline_limit ? postern_raw(delivery, &offset) : -1;
    if (raw < 0)
        return;
    g_autofree guchar *octets = g_malloc(v->size + 1);
    ssize_t len = pread(raw, octets, v->size, (off_t)offset);
    if (len != (ssize_t)v->size)
        return;
    g_autofree char *text = g_base64_encode(octets, v->size);
    member(b, "message", text);
}

static char *tell(const struct hook *h, postern_delivery *delivery, const postern_envelope *envelope,
                  GMimeMessage *message)
{
    g_autoptr(JsonBuilder) b = json_builder_new();
    json_builder_begin_object(b);
    add_envelope(b, envelope);
    add_headers(b, delivery, message);
    add_parts(b, delivery, message);
    add_message(b, h, delivery, envelope);
    json_builder_end_object(b);
    g_autoptr(JsonNode) root = json_builder_get_root(b);
    return json_to_string(root, FALSE);
}

/* ---- the message ---- */

static postern_verdict by_status(postern_delivery *delivery, long status, const char *text)
{
    if (status >= 200 && status < 300)
        return POSTERN_DELIVER;
    if (status >= 400 && status < 500)
        return postern_reject(delivery, 550, "5.7.1", *text != '\0' ? text : "message refused");
    g_autofree char *line = g_strdup_printf("the web service answered %ld", status);
    postern_log(delivery, POSTERN_WARNING, line);
    return postern_defer(delivery, 451, "4.3.0", "try again later");
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    struct hook *h = postern_data(delivery);
    g_autofree char *json = tell(h, delivery, envelope, message);
    struct answer answer = { .len = 0 };
    long status = 0;
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(json));
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, json);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(h->curl);
    if (code != CURLE_OK) {
        g_autofree char *line = g_strconcat("the web service: ", curl_easy_strerror(code), NULL);
        postern_log(delivery, POSTERN_WARNING, line);
        return postern_defer(delivery, 451, "4.3.0", "try again later");
    }
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    answer.text[strcspn(answer.text, "\r\n")] = '\0';
    return by_status(delivery, status, answer.text);
}

POSTERN_HANDLER(.name = "webhook", .init = init, .on_message = on_message, .shutdown = shut_down)
