/* Every op, as an X-macro: include with OP(name) defined. A pointwise op is a row of pointwise.def and needs
 * no line here; a structured one is a line here and its descriptor op_<name> in one op_*.c. */
#define UNARY(name, ...) OP(name)
#define BOUNDED(name, ...) OP(name)
#define BINARY(name, ...) OP(name)
#define COMPARE(name, ...) OP(name)
#include "ops/pointwise.def"
#undef UNARY
#undef BOUNDED
#undef BINARY
#undef COMPARE
OP(where)
OP(sum)
OP(mean)
OP(var)
OP(max)
OP(min)
OP(argmax)
OP(reshape)
OP(permute)
OP(transpose)
OP(select)
OP(narrow)
OP(expand)
OP(cat)
OP(stack)
OP(pad_crop)
OP(cast)
OP(conv2d)
OP(conv2d_act)
OP(batch_norm)
OP(max_pool2d)
OP(global_pool)
OP(upsample2)
OP(upsample2_cat)
OP(se_gate)
OP(responsibility_loss)
OP(embedding_loss)
