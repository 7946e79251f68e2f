"""The page is for everybody: keyboards, screen readers, narrow screens, slow lines."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.browser.pages import Visitor
from tests.support.service import ROOT

FOLDER = ROOT / "mandel/web/page"
HEAVIEST = 60_000  # bytes, compressed, of what the explorer loads


def _imports(path: Path, found: dict[Path, bytes]) -> dict[Path, bytes]:
    """A module and all that it imports at once."""
    if path not in found:
        found[path] = path.read_bytes()
        for name in re.findall(r'^import [^;]*?from "([^"]+)"', found[path].decode(), re.MULTILINE):
            _imports((path.parent / name).resolve(), found)
    return found


def test_the_page_is_light():
    modules = _imports(FOLDER / "main.js", {})
    others = [(FOLDER / name).read_bytes() for name in ("index.html", "style.css", "icon.svg")]
    assert sum(len(gzip.compress(data, 9)) for data in [*modules.values(), *others]) < HEAVIEST


def test_the_index_names_all_modules_of_the_start():
    """They are fetched side by side, and not one after the other as imports are found."""
    named = re.findall(
        r'modulepreload" href="static/__VERSION__/([^"]+)"', (FOLDER / "index.html").read_text()
    )
    modules = {path.relative_to(FOLDER).as_posix() for path in _imports(FOLDER / "main.js", {})}
    assert sorted(named) == sorted(modules - {"main.js"})


def test_libraries_are_those_that_were_taken():
    vendor = FOLDER / "vendor"
    known = json.loads((vendor / "vendor.json").read_text())
    assert {path.name for path in vendor.glob("*.mjs")} == set(known)
    for name, facts in known.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == facts["sha256"]
        assert (vendor / name).with_suffix(".LICENSE").exists()


STATES = {
    "explore": ("", None),
    "order": ("#at=-0.7463,0.1102,0.005", "z"),
    "jump": ("", "g"),
    "finder": ("#at=-1.7548,0.0001,0.02", "m"),
    "bookmarks": ("", "b"),
    "stops": ("", "t"),
    "help": ("", "?"),
    "jobs": ("#jobs", None),
    "films": ("#films", None),
}


@pytest.mark.parametrize("scheme, width", [("dark", 1280), ("light", 320)])
def test_axe_finds_no_barrier(visit, axe, film, scheme, width):
    found = {}
    states = STATES | {"player": (f"#films/{film}", None), "recolour": (f"#films/{film}", "Recolour")}
    visitor = visit(color_scheme=scheme, width=width, height=720, reduced_motion="reduce")
    for state, (fragment, key) in states.items():
        visitor.go(
            "#jobs" if fragment.startswith("#films") else "#films"
        )  # nothing of the state before stays
        visitor.go(fragment or "#at=-0.75,0,2.5")
        if state == "films":
            visitor.page.locator(".film .length").first.wait_for()
        elif state == "jobs":
            visitor.page.locator(".job summary").first.click()
            visitor.page.get_by_text("Asked by").wait_for()
        elif state in ("player", "recolour"):
            visitor.page.locator(".player video").wait_for()
            recolour = visitor.page.get_by_role("button", name="Recolour")
            recolour.wait_for()
            if key:
                recolour.click()
                visitor.page.locator("section.recolour").wait_for()
        elif key:
            visitor.page.locator(".picture").focus()
            visitor.press(key)
            visitor.page.locator("dialog, .sheet").first.wait_for()
        if state == "finder":
            visitor.page.get_by_role("button", name="Show the minibrot").wait_for()
        visitor.page.wait_for_timeout(300)
        if barriers := visitor.barriers(axe):
            found[state] = barriers
        visitor.press("Escape")
        wide = visitor.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, f"{state} is {wide} pixels wide"
    assert found == {}


@pytest.mark.parametrize(
    "fragment, key, part, shown",
    [
        ("#jobs", None, "jobs/jobs_page.js", "h1 >> text=Jobs"),
        ("#at=0,0,4", "z", "order/order_form.js", "form.sheet"),
    ],
)
def test_the_page_is_loaded_anew_after_a_part_that_did_not_come(browser, service, fragment, key, part, shown):
    """The head died in the page's first seconds: Jobs stayed blank, and Z did nothing, also when it was back."""
    visitor, kept_back = Visitor(browser, service.page), []
    page = visitor.page
    page.route(f"**/{part}", lambda route: (kept_back.append(part), route.abort("connectionrefused")))
    with page.expect_event("requestfailed", lambda request: request.url.endswith(part)):
        visitor.go(fragment)
        if key:
            page.locator(".picture").focus()
            visitor.press(key)
    assert kept_back and page.locator(shown).count() == 0
    with page.expect_event("load"):
        page.unroute(f"**/{part}")
    if key:
        page.locator(".picture").focus()
        visitor.press(key)
    page.locator(shown).wait_for()
    visitor.close()
    assert visitor.complaints == []


def test_a_film_by_keyboard_alone(visit):
    """Find a minibrot, order a film to it, watch it and play it, without a pointer."""
    visitor = visit("#at=-1.7548,0.0001,0.02")
    visitor.complete()
    page = visitor.page
    visitor.press("m")  # nothing has the focus
    page.get_by_role("button", name="Film to the minibrot").wait_for()
    visitor.tab_to("Film to the minibrot")
    visitor.press("Enter")
    page.get_by_role("button", name="Order the film").wait_for()
    visitor.tab_to("Size", backwards=True)
    visitor.press("End")  # "another"
    visitor.tab_to("Width")
    page.keyboard.type("128")
    visitor.tab_to("Height")
    page.keyboard.type("96")
    visitor.tab_to("Length, seconds")
    page.keyboard.type("1")
    visitor.tab_to("Order the film")
    visitor.press("Enter")
    job = page.locator(".job:focus")  # the page goes there, and so does the focus
    job.get_by_text("128 × 96").wait_for()
    job.get_by_text("done", exact=True).wait_for()
    visitor.press("Tab", "Enter")  # Play
    page.wait_for_function("() => document.querySelector('.player video')?.readyState >= 2")
    page.wait_for_function(
        "() => document.querySelector('.player video').currentTime > 0.2"
    )  # it plays by itself
    visitor.tab_to("Film 2.5")
    page.evaluate(
        "() => { const film = document.querySelector('.player video'); film.loop = true; film.play(); }"
    )
    visitor.press("Space")
    page.wait_for_function("() => document.querySelector('.player video').paused")
    visitor.press("Escape")
    page.locator(".player").wait_for(state="detached")
    page.locator(".page:focus").wait_for()  # so that keys scroll it


def test_a_film_is_recoloured_by_keyboard_and_the_focus_stays_where_one_is(visit, film):
    visitor = visit("#films")
    page = visitor.page
    card = page.locator(f".film .open[href='#films/{film}']")
    card.focus()
    visitor.press("Enter")
    page.locator(".player video").wait_for()
    visitor.press("Escape")
    page.locator(f".film .open[href='#films/{film}']:focus").wait_for()
    visitor.press("Enter")
    page.get_by_role("button", name="Recolour").wait_for()
    visitor.tab_to("Recolour")
    visitor.press("Enter")
    visitor.tab_to("dusk")
    visitor.press("ArrowRight")
    visitor.tab_to("Order it in this look")
    visitor.press("Enter")
    page.locator(".job:focus").get_by_text("evening, ember").wait_for()
    visitor.tab_to("Explore", backwards=True)
    visitor.press("Enter")
    page.locator(".picture").wait_for()
    visitor.press("z")  # letters work on what lies around the picture
    page.locator("form.sheet").wait_for()


def test_screen_readers_hear_when_the_picture_is_complete(visit):
    visitor = visit()
    visitor.complete()
    spoken = visitor.page.get_by_role("status").get_by_text("The picture is complete")
    spoken.wait_for(state="attached")
    assert "Extent 2.5" in spoken.inner_text()
