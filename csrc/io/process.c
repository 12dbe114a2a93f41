/* posix_spawn and pipes: see process.h. What a child is fed goes through a socket, whose end is an error and not
 * a signal. The child sits in a process group of its own, so that Ctrl-C
 * reaches us alone: a decoder that stops early looks like a short file. */
#include "io/process.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PIPE = 1 << 20, STDERR_PIPE = 1 << 16 }; /* the second as Linux makes it */

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static int spawn(Process *p, char *const argv[], int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, usual;
  if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
  if (posix_spawnattr_init(&attributes) != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return ENOMEM;
  }
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGINT);
  sigaddset(&usual, SIGTERM);
  sigaddset(&usual, SIGUSR1);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  int error = in >= 0 ? posix_spawn_file_actions_adddup2(&actions, in, 0)
                      : posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, out, 1);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, err, 2);
  if (!error) error = posix_spawnp(&p->pid, argv[0], &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

static int start(Process *p, char *const argv[], int fed, Hear *hear, void *who) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  *p = (Process){.in = -1, .out = -1, .err = -1, .hear = hear, .who = who};
  int error = pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ||
                      (fed && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
                  ? errno
                  : 0;
  if (!error) error = spawn(p, argv, in[1], out[1], err[1]);
  shut(&in[1]);
  shut(&out[1]);
  shut(&err[1]);
  p->in = in[0];
  p->out = out[0];
  p->err = err[0];
  if (p->out >= 0) fcntl(p->out, F_SETPIPE_SZ, PIPE); /* frames are large; a refusal costs only speed */
  if (!error) return 1;
  p->pid = 0;
  process_close(p);
  return fail("%s: expected the program on the PATH, found: %s", argv[0], strerror(error));
}

int process_start(Process *p, char *const argv[], Hear *hear, void *who) {
  return start(p, argv, 0, hear, who);
}

int process_start_fed(Process *p, char *const argv[], Hear *hear, void *who) {
  return start(p, argv, 1, hear, who);
}

int process_start_logged(Process *p, char *const argv[], const char *log) {
  *p = (Process){.in = -1, .out = -1, .err = -1};
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return fail("%s: expected a file to write to, found: %s", log, strerror(errno));
  int error = spawn(p, argv, -1, fd, fd);
  close(fd);
  if (!error) return 1;
  p->pid = 0;
  return fail("%s: expected the program on the PATH, found: %s", argv[0], strerror(error));
}

/* Hands the line on that stands in p->line. */
static void end_line(Process *p) {
  p->line[p->line_size] = 0;
  if (p->line_size) p->hear(p->who, p->line);
  p->line_size = 0;
}

/* Takes some of what stands in the stderr pipe, or finds its end. */
static void listen_once(Process *p) {
  char text[4096];
  ssize_t n = read(p->err, text, sizeof text);
  if (n < 0 && errno == EINTR) return;
  for (ssize_t i = 0; i < n; i++) {
    if (text[i] == '\n' || text[i] == '\r')
      end_line(p);
    else if (p->line_size < PROCESS_LINE && text[i])
      p->line[p->line_size++] = text[i];
  }
  if (n > 0) return;
  end_line(p);
  shut(&p->err);
}

/* Takes what stands in the stderr pipe now: no more than a full pipe, however fast it is filled. */
static void listen_now(Process *p) {
  for (int round = 0; round < STDERR_PIPE / 4096 && p->err >= 0; round++) {
    struct pollfd fd = {p->err, POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) return;
    listen_once(p);
  }
}

/* Waits until stdout has something or has ended; both pipes are watched,
 * lest the child blocks on the other. */
static int wait_for_output(Process *p) {
  for (;;) {
    struct pollfd fds[2] = {{p->out, POLLIN, 0}, {p->err, POLLIN, 0}};
    if (interrupted) return fail("interrupted");
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return fail("poll: expected output, found: %s", strerror(errno));
    if (p->err >= 0 && fds[1].revents) listen_once(p);
    if (fds[0].revents || p->out < 0) return 1;
  }
}

long process_read(Process *p, void *to, size_t size) {
  size_t done = 0;
  while (done < size && p->out >= 0) {
    if (!wait_for_output(p)) return -1;
    ssize_t n = read(p->out, (char *)to + done, size - done);
    if (n < 0 && errno != EINTR) return fail("pipe: expected output, found: %s", strerror(errno)) - 1;
    if (n == 0) shut(&p->out);
    if (n > 0) done += (size_t)n;
  }
  listen_now(p);
  return (long)done;
}

int process_write(Process *p, const void *from, size_t size) {
  const char *at = from;
  while (size > 0) {
    struct pollfd fds[2] = {{p->in, POLLOUT, 0}, {p->err, POLLIN, 0}};
    if (interrupted) return fail("interrupted");
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return fail("poll: expected room, found: %s", strerror(errno));
    if (p->err >= 0 && fds[1].revents) listen_once(p);
    if (!fds[0].revents) continue;
    ssize_t n = send(p->in, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return fail("pipe: expected a program that reads, found: %s", strerror(errno));
    if (n > 0) {
      at += n;
      size -= (size_t)n;
    }
  }
  return 1;
}

static int status_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static int reap(Process *p) {
  int status = 0;
  while (waitpid(p->pid, &status, 0) < 0)
    if (errno != EINTR) {
      p->pid = 0;
      return fail("wait: expected the program's end, found: %s", strerror(errno)) - 1;
    }
  p->pid = 0;
  return status_of(status);
}

int process_ended(Process *p, int *status) {
  if (p->pid <= 0) return fail("wait: expected a running program, found none") - 1;
  pid_t ended = waitpid(p->pid, status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return 0;
  p->pid = 0;
  if (ended < 0) return fail("wait: expected the program's end, found: %s", strerror(errno)) - 1;
  *status = status_of(*status);
  return 1;
}

void process_signal(const Process *p, int number) {
  if (p->pid > 0) kill(p->pid, number);
}

int process_wait(Process *p) {
  if (p->pid <= 0) return fail("wait: expected a running program, found none") - 1;
  shut(&p->in);
  shut(&p->out);
  while (p->err >= 0) {
    struct pollfd fd = {p->err, POLLIN, 0};
    if (interrupted) return fail("interrupted") - 1;
    if (poll(&fd, 1, -1) > 0) listen_once(p);
  }
  return reap(p);
}

void process_close(Process *p) {
  shut(&p->in);
  shut(&p->out);
  shut(&p->err);
  if (p->pid <= 0) return;
  kill(p->pid, SIGKILL);
  reap(p);
}
