/* The steps of maps (motion/map_kernels.h): what they read on the host goes to the device first. And the table of
 * all motion kernels. */
#include "cuda/motion.h"

#include "core/error.h"
#include "cuda/kernels/maps.h"

#include <stdlib.h>
#include <string.h>

/* A scene's flows and what else a step reads, sent to one block of the device, with room behind it. */
typedef struct Staged {
  MapScene scene;
  Device *device;
  void *block, *sent, *room;
  size_t bytes;
} Staged;

static size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

static int stage(Staged *g, const Scene *s, const void *sent, size_t bytes, size_t room) {
  const size_t flows = aligned((size_t)s->gaps * sizeof *s->flow), head = flows + aligned(bytes);
  Device *d = s->device;
  char *host = malloc(head);
  if (!host) return fail_memory("out of memory: what %d gaps need", s->gaps);
  memcpy(host, s->flow, (size_t)s->gaps * sizeof *s->flow);
  if (bytes) memcpy(host + flows, sent, bytes);
  char *block = d->take(d, head + room);
  int ok = block && d->copy(d, block, host, flows + bytes);
  free(host);
  if (!ok) return d->give(d, block, head + room), 0;
  *g = (Staged){
      .device = d, .block = block, .sent = block + flows, .room = block + head, .bytes = head + room};
  g->scene =
      (MapScene){s->width, s->height, s->content_width, s->content_height, s->gaps, s->hands, g->block};
  return 1;
}

static int done(Staged *g, int ok) {
  g->device->give(g->device, g->block, g->bytes);
  return ok;
}

static int sample(const Scene *s, long n, const double *xy, double *uv) {
  const size_t point = 2 * sizeof *xy, all = (size_t)(s->gaps * n) * point;
  Staged g;
  if (!n) return 1;
  return stage(&g, s, xy, (size_t)n * point, all) &&
         done(&g, maps_sample_on(motion_stream(s->device), &g.scene, n, g.sent, g.room) &&
                      s->device->copy(s->device, uv, g.room, all));
}

static int fill(const MapJob *job) {
  const Scene *s = job->scene;
  Staged g;
  return stage(&g, s, job->plane, (size_t)(s->gaps * job->planes) * sizeof *job->plane, 0) &&
         done(&g, maps_fill_on(motion_stream(s->device), &g.scene, g.sent, job->still, job->residuals,
                               job->scale, job->out));
}

static int closeness(const Scene *s, const Hulls *hulls, float *map) {
  Staged g;
  if (!stage(&g, s, hulls->corner, (size_t)hulls->first[s->hands] * 2 * sizeof *hulls->corner, 0)) return 0;
  Hulls there = *hulls;
  there.corner = g.sent;
  return done(&g, maps_closeness_on(motion_stream(s->device), &g.scene, &there, map));
}

static const MapKernels maps = {.sample = sample, .fill = fill, .closeness = closeness};

const MotionKernels cuda_motion = {.flow = &cuda_flow, .maps = &maps, .sharpen = &cuda_sharpen};
