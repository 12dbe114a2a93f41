/* Child programs whose output is read as it comes: no shell, no terminal, killed and reaped on close. */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

typedef struct Process {
  pid_t pid;
  int out, err;     /* our ends of its stdout and stderr; -1 when closed */
  char words[4096]; /* the beginning of what it wrote to stderr, terminated */
  size_t words_size;
} Process;

/* Starts argv[0], found on the PATH. 0 with a message when it is not there. */
int process_start(Process *p, char *const argv[]);
/* Reads up to `size` bytes of its stdout into `to`, fewer only at the end of the output; the number, -1 on
 * failure or Ctrl-C. What it says on stderr is kept in words meanwhile. */
long process_read(Process *p, void *to, size_t size);
/* Waits for its end; its exit status, 128 + signal when it was killed, -1 on failure. */
int process_wait(Process *p);
/* Kills it if it still runs and reaps it. Idempotent; harmless after process_wait and after a start
 * that failed. */
void process_close(Process *p);

#endif
