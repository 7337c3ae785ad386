/*
 * tests/fault/scene_internal.h - what the parts of a scene know of each other: its actors are in scene.c, its
 * handlers in scene_handlers.c, and what it left is looked at in scene_check.c.
 */
#pragma once

#include "scene.h"

/* To g_free. */
char *scene_box_path(const struct scene *s, size_t box, const char *sub);
char *scene_box_address(const struct scene *s, size_t box);

bool scene_reaches(const struct scene *s, size_t recipient, size_t box);

/* Before the worker is there. Where the plan has no handlers, nothing. */
void scene_add_handlers(struct scene *s);
#define SCENE_EDITED "X-Edited: yes\n" /* what they put in front of each message */
