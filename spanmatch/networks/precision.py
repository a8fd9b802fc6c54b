"""The precision in which activations are kept."""

from typing import Literal, TypeAlias, get_args

StoredDtype: TypeAlias = Literal["float32", "float16", "float64"]
STORED_DTYPES: tuple[StoredDtype, ...] = get_args(StoredDtype)
