"""Makes the pictures of docs/images that show films and looks: contact sheets of frames, as the service renders them.

    python -m docs.gallery [NAME ...]

Run it when the default look or the curve of "even" has changed. The sheets of the colour page are made by
benchmarks/looks.py, the pictures of the page by docs/page_pictures.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from benchmarks.flicker import Maker
from mandel.colour import palettes
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads

ROOT = Path(__file__).resolve().parents[1]
_NUCLEUS = "-1.7490812690236999985413285076229387764859494526526714273291187711383,0"
# Point and delta.
_TUTORIAL = [
    ("-0.5,0", "2.5"),
    ("-1.7490812690237,0", "1e-8"),
    (_NUCLEUS, "1.361e-23"),
    (_NUCLEUS, "2.047e-31"),
]
_SPIRAL = ("-0.77568377,0.13646737", "1e-5")
_PLACES = [
    ("-0.743643887037158704752191506114774,0.131825904205311970493132056385139", "1e-11"),
    ("-0.10109636384562216103,0.95628651080914150778", "1e-4"),
    ("-1.338238635,-0.057237059", "2e-4"),
    _SPIRAL,
]
_LOOKS = ("evening", "engraving", "copper", "lights")


def _still(place: tuple[str, str], width: int, height: int, samples: int, **look: str) -> np.ndarray:
    """One frame, RGB."""
    point, delta = place
    asked = {"point": point, "start_delta": delta, "end_delta": delta, "num_frames": 1} | look
    return _frames(asked, [0], width, height, samples)[0]


def _frames(asked: dict, numbers: list[int], width: int, height: int, samples: int) -> list[np.ndarray]:
    """Frames of a payload, RGB."""
    size = {"frame_width": width, "frame_height": height, "supersampling": samples}
    own = {"sampling": "exact", "codec": "png", "container": None, "quality": None}
    fields = {name: value for name, value in (asked | size | own).items() if value is not None}
    maker = Maker(parse(loads(json.dumps(fields).encode())))
    return [maker.make(WorkItem(FRAME, number)).reshape(height, width, 3) for number in numbers]


def _sheet(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.concatenate(pictures[k : k + columns], axis=1) for k in range(0, len(pictures), columns)]
    return np.concatenate(rows)


def _looks() -> np.ndarray:
    return _sheet([_still(place, 320, 180, 3, look=look) for look in _LOOKS for place in _PLACES], 4)


def _palettes() -> np.ndarray:
    return _sheet([_still(_SPIRAL, 320, 180, 3, palette=name) for name in palettes.NAMES], 4)


def _tutorial() -> np.ndarray:
    return _sheet([_still(place, 400, 226, 3) for place in _TUTORIAL], 2)


def _path() -> np.ndarray:
    asked = json.loads((ROOT / "payloads/path.json").read_text())
    count = parse(loads(json.dumps(asked).encode())).num_frames
    return _sheet(_frames(asked, [k * (count - 1) // 29 for k in range(30)], 256, 144, 2), 6)


SHEETS = {
    "looks": _looks, "palettes": _palettes, "tutorial": _tutorial, "path": _path,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*SHEETS, []], metavar="NAME", default=[])
    for name in parser.parse_args().names or SHEETS:
        imageio.imwrite(ROOT / f"docs/images/{name}.jpg", SHEETS[name](), quality=85)
        print(name, flush=True)


if __name__ == "__main__":
    main()
