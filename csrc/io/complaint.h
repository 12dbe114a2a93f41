/* What ffmpeg says on stderr (at -v level+warning) and what it means: it exits with 0 also when frames were
 * lost, patched up or never found, so that damage is known from its words alone. Lines of sound and subtitles
 * do not count: those are not decoded. */
#ifndef IO_COMPLAINT_H
#define IO_COMPLAINT_H

enum { COMPLAINT = 200 };

typedef struct Complaint {
  const char *url;            /* file:PATH, which ffmpeg puts in front of some lines */
  char error[COMPLAINT + 1];  /* the first error of all, for a program that fails */
  char damage[COMPLAINT + 1]; /* the first words that tell of damage to the pictures */
  long frames;                /* lines of showinfo before that: frames that came out */
  double rate;                /* frames a second, of the first video that it lists; 0: not told */
} Complaint;

/* A Hear of process.h; who is a Complaint. */
void complaint_hear(void *who, const char *line);

#endif
