/* Masks as data sets store them: polygons, and runs of pixels down the columns (COCO's RLE). What a mask shows is
 * found in mask.h; here it is drawn. */
#ifndef IO_OUTLINE_H
#define IO_OUTLINE_H

#include "core/tensor.h"

/* Polygons: xy holds x, y of all points, counts the points of each; a pixel is set that an odd number of times lies
 * within. */
typedef struct Polygons {
  const double *xy;
  const long *counts;
  long count;
  double shift; /* where a pixel has its centre: 0 or, in coordinates of corners, 0.5 */
  bool border;  /* whole coordinates (fractions are cut off), and the pixels of the edges are set as well */
} Polygons;

/* uint8 H×W of 0 and 1. NULL with a message when memory is short. Points may lie anywhere. */
Tensor *mask_of_polygons(const Polygons *p, long height, long width);

/* uint8 H×W of runs down the columns, in turn of 0 and 1; all of them together are the picture. */
Tensor *mask_of_runs(const long *runs, long count, long height, long width);

/* The runs that a text packs (COCO's: groups of 5 bits from '0' on, from the 4th run on as differences to the run
 * before the last), at most one a byte, into `runs`, which has room for as many. → how many, -1 with a message. */
long runs_of_text(const char *text, size_t size, long *runs);

/* Where a mask H×W is: the set pixel that is nearest to the mean of all, and the bounds of all. 0: nothing is set. */
typedef struct Place {
  long x, y, left, top, right, bottom;
} Place;
int mask_place(const Tensor *mask, Place *place);

/* The values in a picture of labels (int32 H×W), ascending, at most `most` of them into `values`. → how many, -1 with
 * a message where there are more. */
long labels_in(const Tensor *labels, long *values, long most);

/* uint8 H×W of 1 where labels (int32 H×W) are `value`. */
Tensor *mask_of_label(const Tensor *labels, long value);

#endif
