"""Any two layers of any networks, in one call: samples stream through the networks, and nothing is stored."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.comparing.compared_values import ComparedRow as ComparedRow, LayerMatrix as LayerMatrix
    from spanmatch.comparing.one_call import compare as compare
    from spanmatch.comparing.pairs import Column as Column, ComparedLayer as ComparedLayer, Pair as Pair
    from spanmatch.comparing.result import Comparison as Comparison
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.comparing.compared_values": "ComparedRow LayerMatrix",
            "spanmatch.comparing.one_call": "compare",
            "spanmatch.comparing.pairs": "Column ComparedLayer Pair",
            "spanmatch.comparing.result": "Comparison",
        },
        extra="torch",
    )
