/* Argument lists of ops: the text of Op.args taken apart, and the names among which a parameter chooses. */
#ifndef OPS_ARGS_H
#define OPS_ARGS_H

#include "ops/engine.h"

/* Fills in what info->op->args says. */
void args_parse(OpInfo *info);

/* The place (from 0) of a name of `length` bytes among the choices of parameter `which`; -1: it is none. */
int args_choice(const OpInfo *info, int which, const char *name, size_t length);
/* The k-th choice, not ended by a zero byte; NULL behind the last. */
const char *args_choice_name(const OpInfo *info, int which, int k, size_t *length);
/* "none, relu or silu" into text. */
void args_choices_text(const OpInfo *info, int which, char *text, size_t size);

#endif
