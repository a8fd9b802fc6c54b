"""The documentation site: Sphinx's configuration. `make docs` builds it.

The source folder is the repository's root, so that a link from one file to another is the same link in the
site and where the files are read as they lie; what is a page of it is named by `include_patterns`.
"""

import hashlib
from pathlib import Path

from spanmatch.version import __version__

_ROOT = Path(__file__).parent.parent


def _code_digest() -> str:
    """Return what the outputs of notebooks depend on beside their own cells."""
    digest = hashlib.sha256((_ROOT / "constraints.txt").read_bytes())
    for package in ("spanmatch", "storage", "tasks", "flows"):
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


project = "spanmatch"
version = release = __version__
copyright = "The spanmatch developers"  # noqa: A001 - Sphinx's name
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "examples/*.ipynb",
    "deployments/README.md",
    "AGENTS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "docs/_build", "docs/site", "runs", "test-output"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
    "docs.site.command_line",
    "docs.site.mathml",
    "docs.site.references",
    "docs.site.check",
]

nitpicky = True
# What other packages call their types; nothing is fetched to find where they describe them.
nitpick_ignore_regex = [(r"py:.*", r"(numpy|torch|nn|matplotlib|collections|pathlib|PIL)\..*|Figure")]
nitpick_ignore = [("py:class", "spanmatch.statistics.quantities.Row")]  # a type variable

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

nb_execution_mode = "cache"  # `make docs-fast` turns it off
nb_execution_cache_path = str(_ROOT / "docs/_build/executed" / _code_digest())
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_use_plots = False
python_maximum_signature_line_length = 110
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "spanmatch"
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # which a page that is opened from disk may not fetch
html_math_renderer = "mathml"
html_static_path = ["site/static"]
html_css_files = ["spanmatch.css"]
html_favicon = "site/static/spanmatch.svg"
html_extra_path = ["site/entrance"]
