/* The stage: view, room, light and film of a scene. */
#ifndef WORLD_SETTING_H
#define WORLD_SETTING_H

#include "world/thing.h"

/* Where the camera stands at the clip's middle; 1 when the view is the actor's own (arms from below). */
int setting_view(Scene *s, Random *r);
int setting_room(Scene *s, Random *r); /* 0 with a message when memory is short */
void setting_light(Scene *s, Random *r);
void setting_camera(Scene *s, Random *r); /* how it moves, and its film */

#endif
