"""Training an adapter, in a pod or at a desk: rows in, adapter out, with checkpoints on the way.

    rows ──▶ steps ──▶ batches ──▶ loop ──▶ adapter, curve          what is learned, in which order
                                    │
                    memory, pace, stop, checkpoints                 how it survives a night

    rows         tokens of each row and where its answer begins
    steps        which rows make which step: a pure function of the seed, so that a resumed training sees what it would have seen
    batches      tensors, and the attention that keeps packed rows apart
    model        base weights in 16 or 4 bit, adapters, optimiser
    memory       how much is computed at once, and what to do when it is too much
    pace, stop   when to keep a checkpoint and when to end
    checkpoints  complete or absent, the newest whole one is used
    state        what a checkpoint holds
    course       losses, tokens, progress; `curve` draws them
    loop         one step after another
    desk         the same without a cluster

Only `batches`, `model`, `state` and `loop` need torch.
"""
