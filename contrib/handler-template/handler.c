/* What it does, in a sentence, and its options: option.greeting is what is put into X-Greeting. */
#include <postern/handler.h>

static int init(postern_setup *setup)
{
    if (postern_setup_option(setup, "greeting") == NULL)
        return postern_fail(setup, "option.greeting is missing: what to put into X-Greeting");
    return 0;
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)message;
    postern_log(delivery, POSTERN_INFO, envelope->reverse_path);
    if (postern_add_header(delivery, "X-Greeting", postern_option(delivery, "greeting")) < 0)
        return postern_defer(delivery, 451, "4.3.0", "try again later");
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "template", .init = init, .on_message = on_message)
