/* The few dense solvers that the geometry needs, over LAPACK (any build that exports the Fortran names).
 * Small matrices of doubles, row-major, safe to call from several threads at once. Not a general wrapper. */
#ifndef BACKEND_LAPACK_H
#define BACKEND_LAPACK_H

/* Singular values s (n of them, falling) and right singular vectors vt (n×n, one per row; may be NULL) of a
 * (m×n, m >= n, n <= 9, destroyed). LQ factorisation first, so a tall matrix costs little more than its n×n
 * part. 0 with LAPACK's word. */
int lapack_svd(int m, int n, double *a /* m×n */, double *s /* n */, double *vt /* n×n */);

/* The eigenvalues, falling, and the eigenvectors (one per row) of a symmetric matrix without negative eigenvalues, such
 * as a covariance: its singular values and vectors. 0 with a message. */
int lapack_covariance(int n, const double *a /* n×n */, double *values /* n */, double *vectors /* n×n */);

/* Solves a x = b for one right side: a (n×n) is destroyed, b becomes x.
 * 0 with a message when a is singular. */
int lapack_solve(int n, double *a /* n×n */, double *b /* n */);

#endif
