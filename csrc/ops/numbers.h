/* Where updates of many tensors at once (Kernel.each) find what the parameters come to. */
#ifndef OPS_NUMBERS_H
#define OPS_NUMBERS_H

/* As many numbers of an op's own at most; behind them two that the device may write: where the first is not 0, the
 * tensors of that update stay as they are; by the other, 1 at first, gradients are multiplied. */
enum { OP_LEFT_OUT = 8, OP_FACTOR, OP_NUMBERS };

#endif
