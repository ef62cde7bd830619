"""What a result depends on besides its inputs: versions of packages, and code."""

from typing import Any

from pacpde.files import short_hash
from pacpde.physics.fingerprint import foreign_classes, source_files
from pacpde.runtime import code_hash, versions


def identity(*classes: type) -> dict[str, Any]:
    """Versions, and hashes of pacpde's own sources and of those of a user's own classes.

    With it in a cell's inputs, an edited method or family is run anew instead of reused. A class
    counts with all that it extends.
    """
    foreign = [kind for cls in classes for kind in foreign_classes(cls)]
    own = sorted([file.name, short_hash(file.read_bytes())] for file in source_files(foreign))
    return {"versions": versions(), "code": code_hash(), "own": own}
