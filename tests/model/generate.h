/*
 * tests/model/generate.h - clients of every kind from a seed: acts that make sense where the dialogue stands,
 * and acts that do not. It asks the model where the dialogue stands, for a client knows too. Ownership: the
 * caller frees it. Nothing fails.
 */
#pragma once

#include "base/random.h"
#include "model.h"

struct generator {
    struct pst_random random;
    const struct rules *rules;
    enum model_place place; /* where the dialogue stands */
    bool secure, offers_auth;
    GString *scratch;
};

void generator_init(struct generator *g, const struct rules *r, uint64_t seed);
void generator_clear(struct generator *g);

void act_init(struct act *act);
void act_clear(struct act *act);

/* The next act. In MODEL_MESSAGE it is ACT_MESSAGE, ACT_SILENCE or ACT_HANG_UP, which end it. */
void generator_next(struct generator *g, const struct model *m, struct act *ret_act);
