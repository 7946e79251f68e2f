"""Pages and drawings are what ``python -m docs.generate`` makes of the code and the result files."""

import json
import re
from dataclasses import dataclass

import pytest

from benchmarks.record import ROOT, latest, record
from docs import generate
from mandel.payload import checks, fields
from mandel.protocol import control, reply
from mandel.service.jobs import job

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# Folders whose files pages name; those of DB/ are made by the service.
ROOMS = "|".join(
    re.escape(path.name)
    for folder in (ROOT, ROOT / "mandel")
    for path in folder.iterdir()
    if path.is_dir() and path.name != "DB"
)
FILE = re.compile(rf"(?:(?:{ROOMS})/[\w./-]*|[\w.-]+(?:/[\w.-]+)*\.(?:py|cl|h|sh|md|sql|toml))")
RESULTS = sorted((ROOT / "benchmarks" / "results").rglob("*.json"))

SCRIPTS = [
    path for path in sorted((ROOT / "benchmarks").glob("*.py")) if "ArgumentParser(" in path.read_text()
]


@pytest.mark.parametrize("name", generate.PAGES)
def test_pages_show_what_tables_and_result_files_say(name):
    page = (ROOT / "docs" / name).read_text()
    assert "<!-- made: end -->" in page
    assert page == generate.filled(page), "python -m docs.generate makes it anew"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_pages_with_made_blocks_are_listed(path):
    assert ("<!-- made: end -->" in path.read_text()) == (path.name in generate.PAGES)


def test_drawings_are_those_that_the_program_makes():
    drawings = generate.drawings()
    assert len(drawings) > 10
    for path, svg in drawings.items():
        assert path.read_text() == svg, f"python -m docs.generate makes {path.name} anew"
    there = set(generate.IMAGES.rglob("*.svg"))
    assert there == set(drawings), "drawings that nothing makes"


def test_the_state_drawing_has_every_step_that_changes_a_state():
    drawn = re.findall(r"^    (\w+) --> (\w+): (.+)$", generate.job_states(), re.MULTILINE)
    found = {(state, event, following) for state, following, events in drawn for event in events.split(", ")}
    assert found == {
        (state, event, following)
        for state, events in job.TABLE.items()
        for event, following in events.items()
        if following != state
    }


def test_a_changed_table_changes_the_drawings(monkeypatch):
    before = generate.job_states(), generate.reply_order()
    monkeypatch.setitem(job.TABLE, job.DONE, {"forget": job.QUEUED})
    monkeypatch.setitem(reply.ORDER, reply.State.END, {reply.VIDEO: reply.State.LAST})
    after = generate.job_states(), generate.reply_order()
    assert "done --> queued: forget" in after[0] and before[0] != after[0]
    assert "[*] --> last: video" in after[1] and before[1] != after[1]


@pytest.mark.parametrize("direction, known", [("orders", control.ORDERS), ("events", control.EVENTS)])
def test_every_message_is_described_with_its_fields(direction, known, monkeypatch):
    @dataclass(frozen=True)
    class Pardon(control.JobEvent):
        """What was that?"""

        again: control.Count = 1

    monkeypatch.setitem(known, "pardon", Pardon)
    title, _, *rows = [row.strip("| ").split(" | ") for row in generate.messages(direction).splitlines()]
    assert [row[0] for row in rows] == [f"`{name}`" for name in known]
    for row, message in zip(rows, known.values(), strict=True):
        assert (len(row) == len(title) == 4 and row[3].endswith(".")) or message is Pardon, row
        assert set(re.findall(r"`(\w+)`:", row[1] + row[2])) == set(control.fields_of(message))
    assert rows[-1] == ["`pardon`", "`job`: id", "`again`: ≥ 0", "What was that?"]


def test_every_field_of_the_payload_is_described(monkeypatch):
    hue = fields.BY_NAME["density"]._replace(
        name="hue",
        kind=fields.WHOLE,
        default=fields.AUTO,
        help="a turn",
        check=checks.whole(-3, 7_000, word="auto"),
    )
    monkeypatch.setattr(fields, "TABLE", (*fields.TABLE, hue))
    _, _, *rows = [row.strip("| ").split(" | ") for row in generate.payload_fields().splitlines()]
    assert [(row[0], row[3]) for row in rows] == [(f"`{field.name}`", field.help) for field in fields.TABLE]
    assert all(len(row) == 4 and row[1] for row in rows)
    assert rows[-1] == ["`hue`", "whole number, -3 to 7,000, or `auto`", '`"auto"`', "a turn"]


def test_ranges_in_the_help_of_fields_are_those_of_their_checks():
    _, _, *rows = [row.strip("| ").split(" | ") for row in generate.payload_fields().splitlines()]
    said = [(re.search(r"-?[\d.]+ (?:\(none\) )?to [\d.]+", row[3]), row[1].replace(",", "")) for row in rows]
    said = [(told[0].replace("(none) ", ""), value) for told, value in said if told]
    assert len(said) > 5
    for told, value in said:
        assert value.endswith(" " + told)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_of_pages_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        assert link.startswith("http") or (path.parent / link).exists(), link


def code_words(path):
    """What stands in backticks in a page, code blocks left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_that_pages_name_exist(path):
    """A path is given from the top or from mandel/; a file's name alone says nothing of its process."""
    named = [word for word in code_words(path) if FILE.fullmatch(word)]
    roots = (ROOT, ROOT / "mandel")
    assert [word for word in named if not any((root / word).exists() for root in roots)] == []


def test_files_that_pages_name_are_found_at_all():
    words = [word for path in PAGES for word in code_words(path)]
    assert sum(FILE.fullmatch(word) is not None for word in words) > 100
    assert not FILE.fullmatch("multipart/form-data") and FILE.fullmatch("driver/jobs/gone.py")


def test_names_of_the_glossary_exist_in_the_program():
    sources = [file for file in (ROOT / "mandel").rglob("*") if file.suffix in (".py", ".cl", ".h")]
    program = set(re.findall(r"\w+", "\n".join(file.read_text() for file in sources)))
    words = code_words(ROOT / "docs" / "glossary.md")
    names = {name for word in words if re.fullmatch(r"[\w.]+", word) for name in word.split(".")}
    assert len(names) > 30
    assert names - program == set()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_result_files_say_when_where_and_what(path):
    result = json.loads(path.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"]) and result["commit"] and result["command"]
    assert not re.search(r"\s/", result["command"]), "it names a folder of one machine"
    assert result["machine"]["device"] and result["machine"]["cores"] > 0
    assert path.parent.name == result["benchmark"]
    headings = [list(row) for row in result["rows"]]
    assert headings and all(row == headings[0] for row in headings)


def test_a_benchmark_is_recorded_and_the_newest_counts(tmp_path):
    old = record("speed", [{"time, s": 2.0}], "a CPU", 2, tmp_path)
    assert not re.search(r"\s/", json.loads(old.read_text())["command"])
    stale = json.loads(old.read_text()) | {"date": "2001-01-01"}
    (old.parent / "2001-01-01-a-cpu-0000000.json").write_text(json.dumps(stale))
    record("speed", [{"time, s": 1.0}], "a CPU", 2, tmp_path)
    record("speed", [{"time, s": 0.5}], "a GPU", 2, tmp_path, label="4K")
    assert [result["rows"] for result in latest("speed", "*", tmp_path)] == [
        [{"time, s": 1.0}],
        [{"time, s": 0.5}],
    ]
    assert [result["machine"]["device"] for result in latest("speed", "", tmp_path)] == ["a CPU"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_benchmark_writes_a_result_file(script):
    text = script.read_text()
    assert "add_option(" in text and re.search(rf'record\(\s*"{script.stem}"', text)
