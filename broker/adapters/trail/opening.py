"""From ``[audit]`` to the trail that is kept there."""

from pathlib import Path
from typing import Final

from broker.adapters.trail.anchors import Anchors
from broker.adapters.trail.journal import TrailFiles
from broker.adapters.trail.keeping import KeptTrail, Telling
from broker.adapters.trail.sealing import PersonKeys
from broker.core.errors import ConfigurationFaults, Fault

_OTHERS: Final = 0o022


def open_trail(
    folder: Path,
    key: bytes,
    sealing: PersonKeys,
    anchors: Anchors,
    tell: Telling,
    *,
    required: bool,
    sync: bool,
) -> KeptTrail:
    """Give the trail in ``folder``, which is made where it is not there; ConfigurationFaults where it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made: {error.strerror}"
        raise ConfigurationFaults(
            [Fault("audit.folder", what, "name a folder that is yours to write")]
        ) from None
    if folder.stat().st_mode & _OTHERS:
        # Who may write there may take the trail away, and the log of a loss would be all that is
        # left of it.
        raise ConfigurationFaults(
            [Fault("audit.folder", "is open for others to write", f"chmod go-w {folder}")]
        )
    return KeptTrail(TrailFiles(folder, key), sealing, anchors, tell, required=required, sync=sync)
