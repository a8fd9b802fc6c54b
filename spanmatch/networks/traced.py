"""A forward pass as a graph of torch.fx, which shows each layer's output as soon as it is computed.

Apart from hooks because a graph knows all of the pass before it runs.
"""

from collections.abc import Collection, Mapping

import torch
from torch import fx, nn
from torchvision.models.feature_extraction import NodePathTracer

from spanmatch.networks.sites import ACTIVATION_FUNCTIONS, OnOutput, Site, function_name, is_activation


class TracedForward:
    """The pass as a graph of torch.fx, with the names of torchvision's feature extraction."""

    def __init__(self, network: nn.Module) -> None:
        tracer = NodePathTracer()
        graph = tracer.trace(network)
        modules = dict(network.named_modules())
        self._module = fx.GraphModule(network, graph)
        self._sites = {
            node.name: _site(node, name, modules)
            for node, name in tracer.node_to_qualname.items()
            if node.op in {"call_module", "call_function", "call_method"}
        }

    def __call__(self, pixels: torch.Tensor, on_output: OnOutput) -> object:
        """Run images through the graph."""
        interpreter = _Showing(self._module, self._sites, on_output)
        interpreter.extra_traceback = False  # errors of `on_output` are to stay as they are
        return interpreter.run(pixels)

    def until(self, layers: Collection[str]) -> None:
        """End the graph after the last of some layers."""
        graph = self._module.graph
        for node in reversed(list(graph.nodes)):
            if node.name in self._sites and self._sites[node.name].name in layers:
                graph.output(node)
                return
            graph.erase_node(node)


class _Showing(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, sites: Mapping[str, Site], on_output: OnOutput) -> None:
        super().__init__(module)
        self._sites = sites
        self._on_output = on_output

    def run_node(self, n: fx.Node) -> object:
        output = super().run_node(n)
        if n.name in self._sites:
            self._on_output(self._sites[n.name], output)
        return output


def _site(node: fx.Node, name: str, modules: Mapping[str, nn.Module]) -> Site:
    if node.op == "call_module":
        module = modules[str(node.target)]
        return Site(name, type(module).__name__, is_activation(module))
    kind = function_name(node.target)
    return Site(name, kind, kind in ACTIVATION_FUNCTIONS)
