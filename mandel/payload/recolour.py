"""The payload of a zoom that is made again from strips that another one kept."""

from __future__ import annotations

from mandel.errors import PayloadError
from mandel.payload import stops
from mandel.payload.fields import JsonObject, without_look
from mandel.payload.payload import Payload, parse
from mandel.plan.exponential_map import corner
from mandel.settings import PayloadLimits

_LEAST_DENSITY = 0.5  # as of the field strip_density


def recoloured(
    payload: Payload, source: Payload, source_id: str, changes: JsonObject, limits: PayloadLimits
) -> Payload:
    """``payload`` with ``changes``, to be made from the strips of ``source``.

    Args:
        source: ``payload`` itself, or the one that it was recoloured from.
        source_id: the id of the job that has these strips.
        changes: fields of ``fields.RECOLOURED``.

    Raises:
        PayloadError: as ``parse``; OUT_OF_RANGE for frames too large for the strips.
    """
    base = payload.canonical() | {"strip_density": source.strip_density, "keep_strips": False}
    if payload.path:  # what follows from it may be another with the changes
        base = {name: value for name, value in base.items() if name not in stops.FOLLOWING}
    asked = parse(base | without_look(changes), limits)
    # A larger frame sees the same strips less densely; a smaller one more so, which only makes it better.
    share = corner(source.camera) / corner(asked.camera)
    density = float(source.strip_density) * min(share, 1.0)
    if density < _LEAST_DENSITY:
        sides = asked.frame_width, asked.frame_height
        width, height = (int(side * density / _LEAST_DENSITY) // 2 * 2 for side in sides)
        raise PayloadError(
            "OUT_OF_RANGE",
            f"the strips of job {source_id[:12]} are too coarse for {asked.frame_width}x{asked.frame_height} "
            f"pixels, they suffice for {width}x{height}; for more send a payload of that size",
            field="frame_width",
            limit={"max": width},
        )
    if share < 1 - 1e-9:
        asked = parse(asked.canonical() | {"strip_density": f"{density:.6f}"}, limits)
    return asked
