/* What may follow a convolution or a normalisation in the same pass. The order is that of the names in the
 * argument lists of ops: act:none|relu|relu6|silu. */
#ifndef BACKEND_ACTIVATION_H
#define BACKEND_ACTIVATION_H

typedef enum Activation { ACT_NONE, ACT_RELU, ACT_RELU6, ACT_SILU } Activation;

#endif
