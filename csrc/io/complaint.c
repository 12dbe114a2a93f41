/* One line of ffmpeg is "[part @ address] [level] words", the part missing for what it says as a whole: see
 * complaint.h. */
#include "io/complaint.h"

#include <stdio.h>
#include <string.h>

/* Parts that decode sound or subtitles: ffmpeg looks into those streams although it was told not to. */
static const char *const others[] = {
    "aac",     "ac3",    "eac3",  "mp1",        "mp2",   "mp3",    "alac",   "flac",   "opus",
    "libopus", "vorbis", "pcm",   "adpcm",      "amrnb", "amrwb",  "wma",    "dca",    "dts",
    "truehd",  "mlp",    "speex", "nellymoser", "cook",  "gsm",    "libgsm", "qcelp",  "qdm2",
    "atrac",   "tta",    "ape",   "wavpack",    "siren", "dvdsub", "pgssub", "dvbsub", NULL};

/* Errors in name alone: every frame is there, and whole. */
static const char *const harmless[] = {"SEI type",
                                       "mmco: unref short failure",
                                       "unable to decode APP fields",
                                       "missing mandatory atoms",
                                       "non monotonically increasing dts to muxer",
                                       NULL};

/* Warnings that tell of damage: the demuxer or decoder handed something on that it knows to be broken. */
static const char *const grave[] = {"corrupt input packet in stream", "corrupt decoded frame in stream",
                                    NULL};

typedef struct Line {
  char part[32], level[16];
  const char *words;
} Line;

/* Copies as much as there is room for. */
static void copy(char *to, size_t room, const char *from, size_t size) {
  if (size > room - 1) size = room - 1;
  memcpy(to, from, size);
  to[size] = 0;
}

/* Takes the brackets in front, up to the level. */
static Line parse(const char *text) {
  Line line = {.words = text};
  while (!line.level[0] && line.words[0] == '[') {
    const char *begin = line.words + 1, *end = strstr(begin, "] ");
    if (!end) break;
    const char *at = strstr(begin, " @ 0x");
    if (at && at < end)
      copy(line.part, sizeof line.part, begin, (size_t)(at - begin));
    else
      copy(line.level, sizeof line.level, begin, (size_t)(end - begin));
    line.words = end + 2;
  }
  return line;
}

static int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static int is_other(const char *part) {
  for (const char *const *name = others; *name; name++)
    if (begins(part, *name)) return 1;
  return 0;
}

static int holds(const char *text, const char *const *phrases) {
  for (; *phrases; phrases++)
    if (strstr(text, *phrases)) return 1;
  return 0;
}

/* The rate in "  Stream #0:0: Video: h264, …, 29.97 fps, …"; pictures of a cover have none. */
static double rate_of(const char *words) {
  words += strspn(words, " ");
  const char *end = begins(words, "Stream #") && strstr(words, " Video: ") ? strstr(words, " fps") : NULL,
             *at = end;
  while (at && at > words && at[-1] != ' ') at--;
  char unit = 0;
  double rate = 0;
  if (!at || strstr(words, "(attached pic)") || sscanf(at, "%lf%c", &rate, &unit) < 1) return 0;
  return unit == 'k' ? 1000 * rate : rate;
}

void complaint_hear(void *who, const char *text) {
  Complaint *c = who;
  Line line = parse(text);
  if (c->rate == 0) c->rate = rate_of(line.words);
  if (begins(line.words, "Stream mapping:"))
    c->damage[0] = 0; /* decoding will say again what probing has said */
  if (begins(line.part, "Parsed_showinfo") && begins(line.words, "n:")) c->frames += !c->damage[0];
  int error = strcmp(line.level, "error") == 0 || strcmp(line.level, "fatal") == 0 ||
              strcmp(line.level, "panic") == 0;
  int warning = strcmp(line.level, "warning") == 0 && holds(line.words, grave);
  if (c->url && begins(line.words, c->url) && begins(line.words + strlen(c->url), ": "))
    line.words += strlen(c->url) + 2;
  size_t size = strlen(line.words);
  if (error && !c->error[0]) copy(c->error, sizeof c->error, line.words, size);
  int damage = warning || (error && !is_other(line.part) && !holds(line.words, harmless));
  if (damage && !c->damage[0]) copy(c->damage, sizeof c->damage, line.words, size);
}
