/* A tensor's number is its place among the problem's, from 1; those that exist between operations alone begin at
 * INNER. */
#include "cuda/graph_build.h"

#ifdef CUDNN_BUILT
#include <stdio.h>

enum { INNER = 100 };

/* ---- descriptors ---- */

void graph_check(Planned *g, cudnnStatus_t status, const char *what) {
  if (g->status || !status) return;
  char said[200] = "";
  g->status = status;
  g->lib->last_error(said, sizeof said);
  snprintf(g->words, sizeof g->words, "%s: %s", what, said);
}

Node graph_make(Planned *g, cudnnBackendDescriptorType_t type) {
  Node n = NULL;
  if (g->status) return NULL;
  graph_check(g, g->nodes + 1 < NODES ? g->lib->make(type, &n) : CUDNN_STATUS_INTERNAL_ERROR, "a descriptor");
  return g->status ? NULL : (g->node[g->nodes++] = n);
}

void graph_set(Planned *g, Node n, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
               int64_t count, const void *value) {
  if (!g->status) graph_check(g, g->lib->set(n, name, type, count, value), "an attribute");
}

void graph_set_node(Planned *g, Node n, cudnnBackendAttributeName_t name, Node value) {
  graph_set(g, n, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_pair(Planned *g, Node n, cudnnBackendAttributeName_t name, long h, long w) {
  graph_set(g, n, name, CUDNN_TYPE_INT64, 2, (int64_t[]){h, w});
}

Node graph_finalize(Planned *g, Node n, const char *what) {
  if (!g->status) graph_check(g, g->lib->finalize(n), what);
  return n;
}

static void add_operation(Planned *g, Node n, const char *what) {
  if (g->operations == OPERATIONS) graph_check(g, CUDNN_STATUS_INTERNAL_ERROR, "too many operations");
  if (!g->status) g->operation[g->operations++] = graph_finalize(g, n, what);
}

/* ---- tensors: sizes in cuDNN's order, memory channels-last ---- */

static cudnnDataType_t type_of(Dtype d) {
  return d == BF16 ? CUDNN_DATA_BFLOAT16 : d == F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

/* Where a tensor is: in memory, by number; nowhere, between two operations; or a float of the host's. */
typedef enum Role { MEMORY, BETWEEN, NUMBER } Role;

static Node tensor(Planned *g, Role role, int64_t uid, cudnnDataType_t type, long n, long c, long h, long w) {
  Node t = graph_make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  int64_t alignment = 16;
  bool yes = true;
  graph_set(g, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  graph_set(g, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, (int64_t[]){n, c, h, w});
  graph_set(g, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, (int64_t[]){h * w * c, 1, w * c, c});
  graph_set(g, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
  graph_set(g, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  if (role == BETWEEN) graph_set(g, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
  if (role == NUMBER) graph_set(g, t, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
  return graph_finalize(g, t, "a tensor");
}

static Node place(Planned *g, int which, Dtype dtype, long n, long c, long h, long w) {
  g->present[which] = true;
  return tensor(g, MEMORY, which + 1, type_of(dtype), n, c, h, w);
}

static Node place_result(Planned *g, const Problem *p, int which) {
  const ConvShape *s = &p->shape;
  return place(g, which, p->dtype, s->n, s->co, s->ho, s->wo);
}

static Node place_channels(Planned *g, const Problem *p, int which) {
  return place(g, which, F32, 1, p->shape.co, 1, 1);
}

static Node inner(Planned *g, cudnnDataType_t type, const ConvShape *s) {
  return tensor(g, BETWEEN, INNER + g->inner++, type, s->n, s->co, s->ho, s->wo);
}

/* Results between operations are float32: they live in registers. */
static Node inner_result(Planned *g, const ConvShape *s) { return inner(g, CUDNN_DATA_FLOAT, s); }

/* ---- operations ---- */

/* Zeros behind the image: as many as before it where that gives as many results, else as few as do. */
static long after(long size, long before, long reach, long stride, long results) {
  long least = (results - 1) * stride + reach - size - before;
  return least <= before && before < least + stride ? before : least > 0 ? least : 0;
}

static Node convolution(Planned *g, const ConvShape *s) {
  Node c = graph_make(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int64_t dimensions = 2;
  graph_set(g, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  graph_set(g, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  graph_set(g, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dimensions);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, s->top, s->left);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
           after(s->h, s->top, conv_reach_h(s), s->stride_h, s->ho),
           after(s->w, s->left, conv_reach_w(s), s->stride_w, s->wo));
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, s->stride_h, s->stride_w);
  set_pair(g, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, s->dilation_h, s->dilation_w);
  return graph_finalize(g, c, "a convolution");
}

static void convolve(Planned *g, const Problem *p, Node x, Node w, Node y) {
  static const struct {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
  } names[] = {
#define PASS(OPERATION, NAME, X, W, Y)                                                                       \
  {CUDNN_BACKEND_OPERATION_CONVOLUTION_##OPERATION##_DESCRIPTOR,                                             \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##X,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##W,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##Y,                                                            \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC,                                                      \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA,                                                          \
   CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA}
      [CONV_FORWARD] = PASS(FORWARD, FORWARD, X, W, Y),
      [CONV_DATA] = PASS(BACKWARD_DATA, BWD_DATA, DX, W, DY),
      [CONV_WEIGHT] = PASS(BACKWARD_FILTER, BWD_FILTER, X, DW, DY),
      [CONV_STATISTICS] = PASS(FORWARD, FORWARD, X, W, Y)
#undef PASS
  };
  Node c = convolution(g, &p->shape), n = graph_make(g, names[p->pass].operation);
  float alpha = 1, beta = p->add;
  graph_set_node(g, n, names[p->pass].convolution, c);
  graph_set_node(g, n, names[p->pass].x, x);
  graph_set_node(g, n, names[p->pass].w, w);
  graph_set_node(g, n, names[p->pass].y, y);
  graph_set(g, n, names[p->pass].alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
  graph_set(g, n, names[p->pass].beta, CUDNN_TYPE_FLOAT, 1, &beta);
  add_operation(g, n, "the convolution");
}

/* y = mode(x, b), or mode(x) without b. Of ReLU's gradient x is the gradient that comes in, b what ReLU saw. */
static Node pointwise(Planned *g, cudnnPointwiseMode_t mode, double most, Node x, Node b, Node y) {
  Node p = graph_make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  Node n = graph_make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  bool back = mode == CUDNN_POINTWISE_RELU_BWD;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnNanPropagation_t keep = CUDNN_PROPAGATE_NAN;
  graph_set(g, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  graph_set(g, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  if (mode == CUDNN_POINTWISE_RELU_FWD)
    graph_set(g, p, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &keep);
  if (most > 0) graph_set(g, p, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, &most);
  graph_finalize(g, p, "a pointwise function");
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  graph_set_node(g, n, back ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                 x);
  if (b)
    graph_set_node(g, n, back ? CUDNN_ATTR_OPERATION_POINTWISE_XDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                   b);
  graph_set_node(g, n, back ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
                 y);
  add_operation(g, n, "a pointwise operation");
  return y;
}

/* Sums of x's channels, and of their squares, over all pixels. */
static void add_up(Planned *g, const Problem *p, Node x) {
  Node n = graph_make(g, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  graph_set(g, n, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
  graph_set(g, n, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, place_channels(g, p, CONV_SUMS));
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, place_channels(g, p, CONV_SQUARES));
  add_operation(g, n, "statistics");
}

static void build_convolution(Planned *g, const Problem *p) {
  const ConvShape *s = &p->shape;
  int left = p->scale + p->shift + p->residual + (p->act != ACT_NONE); /* operations that follow */
  bool forward = p->pass == CONV_FORWARD || p->pass == CONV_STATISTICS;
#define RESULT() (--left ? inner_result(g, s) : place_result(g, p, CONV_Y))
  Node x = place(g, CONV_X, p->dtype, s->n, s->ci, s->h, s->w);
  Node w = place(g, CONV_W, p->dtype, s->co, s->ci / s->groups, s->kh, s->kw);
  Node y = !forward ? place(g, CONV_Y, p->dtype, s->n, s->co, s->ho, s->wo)
           : left   ? inner_result(g, s)
                    : place_result(g, p, CONV_Y);
  convolve(g, p, x, w, y);
  if (p->pass == CONV_STATISTICS) add_up(g, p, y);
  if (p->scale) y = pointwise(g, CUDNN_POINTWISE_MUL, 0, y, place_channels(g, p, CONV_SCALE), RESULT());
  if (p->shift) y = pointwise(g, CUDNN_POINTWISE_ADD, 0, y, place_channels(g, p, CONV_SHIFT), RESULT());
  if (p->residual) y = pointwise(g, CUDNN_POINTWISE_ADD, 0, y, place_result(g, p, CONV_RESIDUAL), RESULT());
  if (p->act == ACT_SILU)
    pointwise(g, CUDNN_POINTWISE_SWISH_FWD, 0, y, NULL, RESULT());
  else if (p->act != ACT_NONE)
    pointwise(g, CUDNN_POINTWISE_RELU_FWD, p->act == ACT_RELU6 ? 6 : 0, y, NULL, RESULT());
#undef RESULT
}

/* ---- norms ---- */

static Node place_map(Planned *g, const Problem *p, int which) {
  const ConvShape *s = &p->shape;
  return place(g, which, p->dtype, s->n, s->co, s->ho, s->wo);
}

static Node place_mask(Planned *g, const ConvShape *s) {
  g->present[NORM_MASK] = true;
  return tensor(g, MEMORY, NORM_MASK + 1, CUDNN_DATA_BOOLEAN, s->n, s->co, s->ho, s->wo);
}

static Node place_number(Planned *g, int which) {
  g->present[which] = true;
  return tensor(g, NUMBER, which + 1, CUDNN_DATA_FLOAT, 1, 1, 1, 1);
}

/* What a norm knows of each channel: of these all its operations have the same. */
typedef struct Known {
  Node weight, bias, mean, inverse;
} Known;

/* y = norm(x): in training by what it finds of x, which it writes, else by what there is. */
static void normalise(Planned *g, cudnnBackendNormFwdPhase_t phase, Node x, Known k, Node y) {
  Node n = graph_make(g, CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  graph_set(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
  graph_set(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, k.weight);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, k.bias);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, k.mean);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, k.inverse);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
  if (phase == CUDNN_NORM_FWD_TRAINING)
    graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, place_number(g, NORM_EPS));
  add_operation(g, n, "the norm");
}

static void build_norm(Planned *g, const Problem *p) {
  const ConvShape *s = &p->shape;
  Node x = place_map(g, p, NORM_X), y = NULL;
  Known k = {place_channels(g, p, NORM_WEIGHT), place_channels(g, p, NORM_BIAS),
             place_channels(g, p, NORM_MEAN), place_channels(g, p, NORM_INVERSE)};
  int left = p->residual + (p->act != ACT_NONE); /* operations that follow */
#define RESULT() (left-- ? inner_result(g, s) : place_map(g, p, NORM_Y))
  normalise(g, CUDNN_NORM_FWD_TRAINING, x, k, y = RESULT());
  if (p->residual) y = pointwise(g, CUDNN_POINTWISE_ADD, 0, y, place_map(g, p, NORM_RESIDUAL), RESULT());
  if (p->act != ACT_NONE) y = pointwise(g, CUDNN_POINTWISE_RELU_FWD, 0, y, NULL, RESULT());
#undef RESULT
  if (p->residual && p->act != ACT_NONE)
    pointwise(g, CUDNN_POINTWISE_CMP_GT, 0, y, place_number(g, NORM_ZERO), place_mask(g, s));
}

/* The gradient that the norm gets: dy through the activation. With a mask it is the residual's, too. */
static Node through_activation(Planned *g, const Problem *p, Node x, Known *k) {
  Node dy = place_map(g, p, NORM_DY);
  if (p->act == ACT_NONE) return dy;
  if (p->residual)
    return pointwise(g, CUDNN_POINTWISE_MUL, 0, dy, place_mask(g, &p->shape), place_map(g, p, NORM_DR));
  Node y = inner_result(g, &p->shape);
  k->bias = place_channels(g, p, NORM_BIAS);
  normalise(g, CUDNN_NORM_FWD_INFERENCE, x, *k, y);
  return pointwise(g, CUDNN_POINTWISE_RELU_BWD, 0, dy, y, inner(g, type_of(p->dtype), &p->shape));
}

static void build_norm_gradient(Planned *g, const Problem *p) {
  Node x = place_map(g, p, NORM_X);
  Known k = {place_channels(g, p, NORM_WEIGHT), NULL, place_channels(g, p, NORM_MEAN),
             place_channels(g, p, NORM_INVERSE)};
  Node dy = through_activation(g, p, x, &k);
  Node n = graph_make(g, CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  graph_set(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, x);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, k.weight);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, k.mean);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, k.inverse);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy);
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, place_map(g, p, NORM_DX));
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, place_channels(g, p, NORM_DWEIGHT));
  graph_set_node(g, n, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, place_channels(g, p, NORM_DBIAS));
  add_operation(g, n, "the norm's gradient");
}

void graph_build(Planned *g, const Problem *p) {
  if (p->pass == NORM_FORWARD)
    build_norm(g, p);
  else if (p->pass == NORM_BACKWARD)
    build_norm_gradient(g, p);
  else
    build_convolution(g, p);
}
#endif
