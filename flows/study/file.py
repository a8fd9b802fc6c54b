"""Reading a study from its YAML file."""

from pathlib import Path
from typing import Any

import yaml

from flows.study.model import Study, validated
from spanmatch.errors import InputTypeError, InputValueError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's own loader takes the last without a word.

    A key that is written `null` is the word, as `null: {permutations: 20}` means it.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                raise yaml.YAMLError(
                    f"the key {key.value!r} is given twice, in lines {first[key.value]} and {line}; keep one"
                )
            first[key.value] = line
        values = super().construct_mapping(node, deep)
        return {"null" if key is None else key: value for key, value in values.items()}


def read_study(path: Path) -> Study:
    """Read a study from a YAML file.

    Raises
    ------
    ValueError
        If the file cannot be read, is not YAML, or breaks a rule; one sentence for each rule broken.
    TypeError
        If the file holds something other than keys and values.
    """
    try:
        text = path.expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in its path, and no such user, too
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"`STUDY` must be a YAML file that can be read, got {str(path)!r} ({reason}); see studies/"
        raise InputValueError(message) from None
    try:
        values = yaml.load(text.decode("utf-8"), _Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that there is not, thousands of [
        reason = " ".join(str(error).split())
        message = (
            f"`STUDY` must be YAML, got {str(path)!r}, which is not: {reason}; compare studies/digits.yaml"
        )
        raise InputValueError(message) from None
    if not isinstance(values, dict):
        message = (
            f"`STUDY` must hold keys and values, got {type(values).__name__} in {str(path)!r}; "
            "compare studies/digits.yaml"
        )
        raise InputTypeError(message)
    return validated(values, source=str(path))
