/* People: their hands, arms and clothes, and the choice of grasps that an arm can reach. */
#ifndef WORLD_PEOPLE_H
#define WORLD_PEOPLE_H

#include "world/thing.h"

/* Where a person is: shoulders' middle, the direction that they face (level), and their clothes. */
typedef struct Person {
  int number;
  V3 chest, facing;
  Material cloth;
  float cuff; /* distance from the wrist at which the sleeve begins */
  float loose;
  uint32_t folds;
} Person;

/* A person at `azimuth` (0: towards the viewer, growing to the right) around the focus; makes hand model
 * `number`. */
int person_make(Person *p, Scene *s, Random *r, int number, float azimuth);

/* A new actor: one arm of a person. NULL with a message when memory is short. */
Actor *person_arm(Scene *s, Random *r, const Person *p, int left);
/* The chest of a person who faces the viewer, where the neck is above the picture (there are no heads); may
 * shorten the table. 0 with a message when memory is short. */
int person_torso(Scene *s, Actor *a, const Person *p);

/* Chooses how `n` actors (1 or 2) hold a thing whose held spot is near `target` (or, `resting`, which stands
 * or lies on the table there), sets thing->base and the actors' grips. */
void people_hold(Scene *s, Random *r, Actor *const *actor, int n, int thing, V3 target, int resting);

/* An empty hand near `target`. */
void people_empty(Scene *s, Random *r, Actor *a, V3 target);

#endif
