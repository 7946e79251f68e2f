"""DB/ damaged in many ways: no video is removed, no traceback; the store opens, or says in words why not.

150 damages, or 1,000 with MANDEL_CHAOS=long.
"""

import hashlib
import random
import shutil
from collections import Counter

import pytest

from mandel.errors import StoreError
from mandel.store.names import Names
from mandel.store.states import DONE, FAILED
from mandel.store.store import Store
from mandel.video.shape import frames_of
from tests.store.damages import FRAMES, foreign_files, of_index, of_names, of_rows, videos
from tests.support.chaos import amount, tell

DAMAGES = amount(150, 1_000)


def test_no_damage_costs_a_video(made, tmp_path):
    ways, told, refused, served = Counter(), Counter(), Counter(), 0
    for number in range(DAMAGES):
        rng = random.Random(number)
        here = tmp_path / str(number)
        root = here / "DB"
        (here / "outside").mkdir(parents=True)
        shutil.copytree(made.live if rng.random() < 0.5 else made.root, root, symlinks=True)
        damages = [
            rng.choice((of_index, of_index, of_rows, of_names))(rng, root)
            for _ in range(rng.choice((1, 1, 2)))
        ]
        ways.update(damage.split()[0] for damage in damages)
        before, foreign = videos(here, made.digests), foreign_files(here)
        outside = sorted(path for path in (here / "outside").rglob("*"))
        for life in range(2):  # what the first start made of it, the second understands
            try:
                store = Store(root)
            except StoreError as error:
                refused[error.code] += 1
                assert (len(error.message) > 40 and str(root) in error.message) or "index" in error.message, (
                    error.message
                )
            else:
                try:
                    for job in made.done:
                        record = store.get(job)
                        if record is not None and record.state == DONE:
                            store.open(job).file.close()
                            served += 1
                    for row in store.table(1000):
                        store.get(row["id"])
                    told.update(row["state"] for row in store.table(1000))
                    if life == 0 and not any(
                        "link" in damage or "renamed" in damage or "gone" in damage for damage in damages
                    ):
                        assert store.recovery.damaged == 0, (number, damages)
                except StoreError as error:
                    pytest.fail(f"{number}, {damages}: {error.message}")
                finally:
                    store.close()
            assert videos(here, made.digests) == before, (number, damages)
            assert foreign_files(here) == foreign, (number, damages)
            assert sorted(path for path in (here / "outside").rglob("*")) == outside, (number, damages)
        shutil.rmtree(here)
    tell(
        "damaged DB/",
        damages=DAMAGES,
        kinds=len(ways),
        videos_removed=0,
        tracebacks=0,
        videos_served=served,
        refused=dict(refused),
        states=dict(told),
    )
    assert served > DAMAGES * 5  # of 10: the store does not lock itself up


@pytest.mark.parametrize(
    "lost", [("index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"), ("index.sqlite3-wal",)]
)
def test_a_lost_index_is_made_again_and_its_videos_are_served(made, tmp_path, lost):
    root = tmp_path / "DB"
    shutil.copytree(made.live, root)
    for name in lost:
        (root / name).unlink()
    store = Store(root)
    try:
        assert store.recovery.rebuilt and store.recovery.lost == 0
        for job in made.done:
            record = store.get(job)
            assert (record.state, record.frames, record.report) == (DONE, FRAMES, {"seconds": 1.5})
            with store.open(job).file as file:
                assert hashlib.sha256(file.read()).hexdigest() in made.digests
        others = {store.get(row["id"]).error.code for row in store.table(100) if row["state"] == FAILED}
        assert others == {"INDEX_LOST"}  # a clear failure, and no job that was cancelled begins again
    finally:
        store.close()


def test_a_video_whose_row_and_proof_are_lost_is_known_by_its_shape(made, tmp_path, mp4):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    (root / "index.sqlite3").unlink()
    for path in root.glob("jobs/*/*/video.json"):
        path.unlink()
    whole, cut, wrong = (Names(root).file(job, "video") for job in made.done[:3])
    data = cut.read_bytes()
    cut.write_bytes(data[:-5])
    wrong.write_bytes(b"no video at all")
    store = Store(root)
    try:
        assert store.get(made.done[0]).state == DONE
        with open(whole, "rb") as file:
            assert frames_of(file) == FRAMES
        store.open(made.done[0]).file.close()
        assert [store.get(job).state for job in made.done[1:3]] == [FAILED] * 2
        assert {path.read_bytes() for path in store.names.lost.iterdir()} == {data[:-5], b"no video at all"}
    finally:
        store.close()
