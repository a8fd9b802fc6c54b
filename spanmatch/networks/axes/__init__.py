"""Which dimension of a tensor is the neurons: worked out from the operations that have made it."""
