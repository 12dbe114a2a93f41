/* The start of the library: what has to stand before anything else of it is called. */
#ifndef BACKEND_START_H
#define BACKEND_START_H

/* Starts every part once, in the order that start.c writes down; later calls, of any thread, do nothing.
 * luaopen_cohesiv_core calls it first, and so does whoever links the core without Lua. 0 with a message when
 * it fails. */
int core_start(void);

#endif
