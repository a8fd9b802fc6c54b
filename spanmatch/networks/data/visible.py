"""Files and folders that somebody has put somewhere, beside what programs leave there."""

from pathlib import Path

# What file managers, archivers and network drives leave beside images, besides names with a leading dot.
_SYSTEM_FOLDERS = {
    *("__macosx", "@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"),
    *("$recycle.bin", "system volume information", "lost+found", "__pycache__"),
}


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name is no part of a data set."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FOLDERS


def is_below_hidden(path: Path, folder: Path) -> bool:
    """Tell whether a path in a folder, or a folder between them, is hidden."""
    return any(map(is_hidden, path.relative_to(folder).parts))
