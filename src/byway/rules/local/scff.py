"""Self-contrastive forward-forward (SCFF): without labels, for samples of any kind.

Each hidden layer learns on its own to be active for a sample put beside itself and quiet for one
put beside another. No label is told to it: only the linear readout learns what is what. Both places
have the same weights, so what is put side by side can be summed: W x + W x' = W (x + x').

    f:  "positive": x + x, which after normalising is x;   "negative": n(x) + n(x'), where x' is
            another sample of the batch
        h_l = relu(W_l n(h_{l-1}) + b_l),   n(h) = h / rms(h)
    g:  G_l = sum_j h_lj^2,   C_l = softplus(theta n_l - G+) + softplus(G- - theta n_l)
        delta+ = -2 sigmoid(theta n_l - G+) h_l,   delta- = 2 sigmoid(G- - theta n_l) h_l,
        dW_l = <delta_l n(h_{l-1})^T> over both passes; quiet: + and - change places in C_l
        peers: m_l <- decay m_l + (1 - decay) <h+_l>,  C += peer mean_j (mean_k m_k - m_j)^2, as if
            the relu were the identity
        readout: softmax regression on what the output population receives of x

Shapes   pre "batch pre", post "batch post", W "pre post", memory[population] "units"
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal error | phases 2 | memory units
Limits   a batch holds two samples at least. What tells samples from sums of two need not tell
         classes apart. The readout does best on all hidden layers but the first (`readout_from`)
Source   Chen, Liu, Laydevant and Grollier, Self-contrastive forward-forward algorithm, Nature
         Communications 16, 2025, arXiv 2409.11593; differs in: one threshold for both passes, a
         sum is normalised as a sample is, peer normalisation, no augmentation, one step for all
         layers at once, the readout learns along with the layers
"""

from typing_extensions import override

from byway.rules.local._unlabelled import Unlabelled


class SCFF(Unlabelled):
    """Forward-forward with sums of two samples for negatives."""

    @override
    def negatives(self, net, x, other, key):
        send = net[net.input].send
        return send(x) + send(other)
