/* The texts of refusals of values. */
#include "ops/refusal.h"

#include "core/error.h"

int refuse_value(Refusal refusal, double a, double b, double c) {
  switch (refusal) {
  case REFUSE_CLASS:
    return fail_value("cross_entropy: label: expected a class from 1 to %.0f, or 0 (ignored), found %g", a,
                      b);
  case REFUSE_PART: return fail_value("embedding_loss: label: expected 0 .. %.0f, found %g", a, b);
  case REFUSE_IMAGE:
    return fail_value("responsibility_loss: image: hand %.0f: expected an image of 1 .. %.0f, found %g", a, b,
                      c);
  case REFUSE_QUERY:
    return fail_value("responsibility_loss: queries: hand %.0f: expected x, y, found %g, %g", a, b, c);
  }
  return fail("expected a refusal, found number %d", (int)refusal);
}
