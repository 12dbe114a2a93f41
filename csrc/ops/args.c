/* Reading argument lists (see op.h for what they look like). They are part of the program: nothing is
 * refused here. */
#include "ops/args.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = sizeof((OpInfo *)0)->arg_name[0] };

/* ---- choices ---- */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t word_length(const char *s) {
  size_t n = 0;
  while (is_word(s[n])) n++;
  return n;
}

const char *args_choice_name(const OpInfo *info, int which, int k, size_t *length) {
  const char *s = info->choices[which];
  if (!s) return NULL;
  for (; k > 0; k--) {
    s += word_length(s);
    if (*s++ != '|') return NULL;
  }
  *length = word_length(s);
  return s;
}

int args_choice(const OpInfo *info, int which, const char *name, size_t length) {
  const char *choice;
  size_t n;
  for (int k = 0; (choice = args_choice_name(info, which, k, &n)); k++)
    if (n == length && !memcmp(choice, name, n)) return k;
  return -1;
}

void args_choices_text(const OpInfo *info, int which, char *text, size_t size) {
  const char *choice;
  size_t n, next, used = 0;
  text[0] = 0;
  for (int k = 0; (choice = args_choice_name(info, which, k, &n)) && used < size; k++) {
    bool last = !args_choice_name(info, which, k + 1, &next);
    used += (size_t)snprintf(text + used, size - used, "%s%.*s",
                             k == 0 ? ""
                             : last ? " or "
                                    : ", ",
                             (int)n, choice);
  }
}

/* ---- types and defaults ---- */

/* What stands behind "name:": int, list, or names. */
static const char *read_type(const char *s, OpInfo *info) {
  size_t n = word_length(s);
  int which = info->narg;
  if (n == 3 && !strncmp(s, "int", n))
    info->whole[which] = true;
  else if (n == 4 && !strncmp(s, "list", n))
    info->kind[which] = KIND_LIST;
  else
    info->choices[which] = s;
  while (is_word(*s) || *s == '|') s++;
  return s;
}

static const char *read_default(const char *s, OpInfo *info) {
  int which = info->narg, *kind = &info->kind[which];
  Arg *a = &info->preset[which];
  char *end;
  if (info->choices[which] && *s != '{') {
    size_t n = word_length(s);
    *kind = KIND_CHOICE;
    a->list[0] = args_choice(info, which, s, n);
    a->n = (double)a->list[0];
    a->name = (int)a->list[0] + 1;
    return s + n;
  }
  if (!strncmp(s, "none", 4)) return *kind = KIND_NONE, s + 4;
  if (!strncmp(s, "true", 4)) return *kind = KIND_BOOL, a->n = a->list[0] = 1, a->count = 1, s + 4;
  if (!strncmp(s, "false", 5)) return *kind = KIND_BOOL, a->count = 1, s + 5;
  if (*s == '{') {
    *kind = KIND_LIST;
    for (s++; *s && *s != '}';) {
      if (*s == ',') s++;
      a->list[a->count++] = strtol(s, &end, 10);
      s = end;
    }
    a->n = (double)a->list[0];
    return *s ? s + 1 : s;
  }
  *kind = KIND_NUMBER;
  a->n = strtod(s, &end);
  a->list[0] = (long)a->n;
  a->count = 1;
  return end;
}

void args_parse(OpInfo *info) {
  const char *s = info->op->args;
  if (*s == '*') info->any_dtype = true, s++;
  while (*s) {
    char name[NAME];
    int n = 0;
    while (*s == ' ') s++;
    while (is_word(*s) && n < NAME - 1) name[n++] = *s++;
    name[n] = 0;
    if (*s == ':' || *s == '=') {
      strcpy(info->arg_name[info->narg], name);
      if (*s == ':') s = read_type(s + 1, info);
      if (*s == '=') s = read_default(s + 1, info);
      info->narg++;
    } else if (n) {
      info->optional[info->nin] = *s == '?';
      if (*s == '?') s++;
      if (!strncmp(s, "...", 3)) info->variadic = true, s += 3;
      strcpy(info->in_name[info->nin++], name);
    } else if (*s)
      s++;
  }
}
