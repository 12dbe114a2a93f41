/* Parts, meshes, solids and sites for the recipes of the catalogue. */
#include "world/maker.h"

#include <string.h>

int material_make(Material *m, Arena *arena, Random *r, Pattern pattern, int size, V3 base, V3 accent,
                  float repeat_u, float repeat_v, float shine, float sharp) {
  *m = (Material){.repeat_u = repeat_u, .repeat_v = repeat_v, .shine = shine, .sharp = sharp};
  return (m->texture = texture_make(arena, r, pattern, size, base, accent)) != NULL;
}

Part *make_part(Maker *k, Pattern pattern, int size, V3 base, V3 accent, float ru, float rv, float shine,
                float sharp) {
  Part *p = &k->t->part[k->t->parts++];
  k->failed |=
      !material_make(&p->material, k->arena, k->r, pattern, size, base, accent, ru, rv, shine, sharp);
  return p;
}

/* One more part with the last part's material. */
Part *make_again(Maker *k) {
  Part *p = &k->t->part[k->t->parts++];
  p->material = p[-1].material;
  return p;
}

void make_revolve(Maker *k, Part *p, const float (*profile)[2], int n) {
  k->failed |= !mesh_revolve(&p->mesh, k->arena, profile, n, 28);
}

void make_move(Part *p, const Pose *to) {
  for (int i = 0; i < p->mesh.vertices; i++) {
    p->mesh.p[i] = pose_point(to, p->mesh.p[i]);
    p->mesh.n[i] = pose_vector(to, p->mesh.n[i]);
  }
}

void make_box(Maker *k, Part *p, V3 centre, V3 h, float round) {
  if (!mesh_box(&p->mesh, k->arena, h, round)) {
    k->failed = 1;
    return;
  }
  Pose to = pose_identity();
  to.o = centre;
  make_move(p, &to);
}

/* A round bar with swelling radii along straight segments. */
void make_bar(Maker *k, Part *p, const V3 *at, const float *a, const float *b, int n) {
  k->failed |= !mesh_tube(&p->mesh, k->arena, at, a, b, n, v3(1, 0, 0.02f), 14);
}

/* Keeps the profile for the fingers. */
void make_solid_revolved(Maker *k, const float (*profile)[2], int n) {
  float(*copy)[2] = arena_take(k->arena, (size_t)n * sizeof *copy);
  if (!copy) {
    k->failed = 1;
    return;
  }
  memcpy(copy, profile, (size_t)n * sizeof *copy);
  k->t->solid[k->t->solids++] = (Solid){.kind = SOLID_REVOLVED, .profile = (const float(*)[2])copy, .n = n};
}
void make_solid(Maker *k, SolidKind kind, V3 a, V3 b, float ra, float rb) {
  k->t->solid[k->t->solids++] = (Solid){.kind = kind, .a = a, .b = b, .ra = ra, .rb = rb};
}
void make_site(Maker *k, GraspKind kind, V3 at, V3 axis, V3 reach, float size) {
  k->t->site[k->t->sites++] = (Site){kind, at, axis, reach, size};
}
