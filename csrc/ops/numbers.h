/* Where updates of many tensors at once (Kernel.each) find what the parameters come to. */
#ifndef OPS_NUMBERS_H
#define OPS_NUMBERS_H

/* As many numbers of an op's own at most; behind them one that the device may write: where it is not 0, the tensors of
 * that update stay as they are. */
enum { OP_LEFT_OUT = 8, OP_NUMBERS };

#endif
