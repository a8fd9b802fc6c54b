"""Networks: architectures, data sets, training, and the activations of named layers. PyTorch only."""
