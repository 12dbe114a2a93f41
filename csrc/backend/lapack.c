/* Fortran's LAPACK behind lapack.h. A row-major matrix is a column-major one transposed, so every call here
 * works on the transpose: right singular vectors come back as left ones. */
#include "backend/lapack.h"

#include "backend/blas.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum {
  SOLVE_MAX = 16,
  SVD_MAX = 9,
  SVD_WORK = 8 * SVD_MAX * SVD_MAX + 40 * SVD_MAX + 64,
  COVARIANCE_MAX = 4096
};

/* The n×n singular value problem of l (column-major): u receives the left vectors as columns. */
static int square_svd(const Blas *library, int n, double *l, double *s, double *u, double *work, int lwork,
                      int *iwork) {
  double *right = l + n * n;
  int info = 0;
  library->dgesdd(u ? "A" : "N", &n, &n, l, &n, s, u ? u : right, &n, right, &n, work, &lwork, iwork, &info,
                  1);
  if (info) return fail("lapack: expected dgesdd to converge, found info %d", info);
  return 1;
}

int lapack_svd(int m, int n, double *a, double *s, double *vt) {
  if (n < 1 || n > SVD_MAX || m < n)
    return fail("lapack: expected 1 to %d columns and as many rows or more, found %dx%d", SVD_MAX, m, n);
  const Blas *library = blas();
  if (!library) return 0;
  double work[SVD_WORK], l[2 * SVD_MAX * SVD_MAX], tau[SVD_MAX]; /* dgesdd needs 4n² + 7n, dgelqf n */
  int iwork[8 * SVD_MAX], lwork = SVD_WORK, info = 0;
  library->dgelqf(&n, &m, a, &n, tau, work, &lwork, &info); /* the transpose, n×m: a = L Q */
  for (int col = 0; col < n; col++)
    for (int row = 0; row < n; row++) l[col * n + row] = row >= col ? a[col * n + row] : 0;
  if (info) return fail("lapack: expected dgelqf to succeed, found info %d", info);
  return square_svd(library, n, l, s, vt, work, lwork, iwork);
}

int lapack_covariance(int n, const double *a, double *values, double *vectors) {
  if (n < 1 || n > COVARIANCE_MAX)
    return fail("lapack: expected a matrix of 1 to %d rows, found %d", COVARIANCE_MAX, n);
  const Blas *library = blas();
  if (!library) return 0;
  size_t square = (size_t)n * (size_t)n, lwork = 4 * square + 7 * (size_t)n;
  double *l = malloc((2 * square + lwork) * sizeof *l);
  int *iwork = malloc(8 * (size_t)n * sizeof *iwork), ok = 0;
  if (l && iwork) {
    memcpy(l, a, square * sizeof *l);
    ok = square_svd(library, n, l, values, vectors, l + 2 * square, (int)lwork, iwork);
  } else
    fail_memory("out of memory: the eigenvectors of a %dx%d matrix", n, n);
  free(l);
  free(iwork);
  return ok;
}

int lapack_solve(int n, double *a, double *b) {
  int pivot[SOLVE_MAX], info = 0, one = 1;
  if (n < 1 || n > SOLVE_MAX) return fail("lapack: expected 1 to %d unknowns, found %d", SOLVE_MAX, n);
  const Blas *library = blas();
  if (!library) return 0;
  library->dgetrf(&n, &n, a, &n, pivot, &info);
  if (info) return fail("lapack: expected a regular %dx%d matrix, found a singular one", n, n);
  library->dgetrs("T", &n, &one, a, &n, pivot, b, &n, &info, 1);
  if (info) return fail("lapack: expected dgetrs to succeed, found info %d", info);
  return 1;
}
