"""The terms of a report, explained.

Apart from the sentences that numbers make, because these are the same for every study.
"""

__all__ = ["DEFINITIONS"]

DEFINITIONS = {
    "What is compared": """
        Two networks, or one network at two moments of its training, see the same images in the same order. A
        neuron is a unit of a fully connected layer or a channel of a convolutional one, and is described by
        its activations over all samples: images, or every position of every image.""",
    "Tolerance ε": """
        A neuron is within ε of a set of neurons of the other network when their best linear combination
        misses at most the fraction ε of its activation vector's length. 0 asks for exact reproduction, 1 for
        nothing.""",
    "Maximum match similarity": """
        A match is a set of neurons from each network in which every neuron is within ε of the other side. All
        matches together form the largest one, the maximum match. The share of all neurons of the two layers
        that are in it is the maximum match similarity: 0 when nothing is shared, 1 when everything is.""",
    "Simple match": """
        A match that smaller matches cannot make up: the finest unit of what two layers share. One neuron on
        each side is a feature that both networks learned as a neuron; a large simple match is a subspace that
        both learned, each with its own choice of axes.""",
    "Dead neuron": """
        A neuron that is zero on every sample. It is in no match, and still counts among all neurons, so it
        lowers the similarity.""",
}
