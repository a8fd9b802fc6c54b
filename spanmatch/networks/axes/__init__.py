"""Which dimension of a tensor is the neurons, derived from the operations that made it."""
