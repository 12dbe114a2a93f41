/* Child programs whose output is read, or input written, as it comes: no shell, no terminal, killed and reaped
 * on close. What they write to stderr is handed on line by line meanwhile. */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Told each line of stderr, without its end; what is longer than PROCESS_LINE bytes is cut. */
typedef void Hear(void *who, const char *line);

enum { PROCESS_LINE = 1023 };

typedef struct Process {
  pid_t pid;
  int in, out, err; /* our ends of its stdin, stdout and stderr; -1 when closed */
  Hear *hear;
  void *who;
  char line[PROCESS_LINE + 1]; /* the line of stderr that has begun */
  size_t line_size;
} Process;

/* Starts argv[0], found on the PATH. 0 with a message when it is not there. Its stdin is empty. */
int process_start(Process *p, char *const argv[], Hear *hear, void *who);
/* The same of a program that is written to. */
int process_start_fed(Process *p, char *const argv[], Hear *hear, void *who);
/* The same of a program that works by itself: what it prints is appended to the file `log`. */
int process_start_logged(Process *p, char *const argv[], const char *log);
/* Whether it has ended, without waiting: 1 and its status, which is then reaped, 0 while it runs, -1 on failure. */
int process_ended(Process *p, int *status);
/* Sends it a signal; harmless when it has ended. */
void process_signal(const Process *p, int number);
/* Writes to its stdin: 1 when all was taken, 0 with a message when it ended before, or on Ctrl-C. */
int process_write(Process *p, const void *from, size_t size);
/* Reads up to `size` bytes of its stdout into `to`, fewer only at the end of the output; the number, -1 on
 * failure or Ctrl-C. Everything that it wrote to stderr before the last of these bytes has
 * been heard then. */
long process_read(Process *p, void *to, size_t size);
/* Ends its stdin, waits for its end and hears the rest; its exit status, 128 + signal when it was killed, -1 on failure. */
int process_wait(Process *p);
/* Kills it if it still runs and reaps it. Idempotent; harmless after process_wait and after a start
 * that failed. */
void process_close(Process *p);

#endif
