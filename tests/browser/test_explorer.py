"""Gestures, places, pixels and looks of the explorer."""

import subprocess
import sys
import threading
from decimal import Decimal, localcontext
from urllib.parse import urlsplit

import imageio.v3 as imageio
import numpy as np
import pytest

from tests.browser.pages import BAR, HEIGHT, NEXT_FRAME, WIDTH
from tests.support.processes import wait_for
from tests.support.service import ROOT

MIDDLE = WIDTH // 2, BAR + (HEIGHT - BAR) // 2
SHORTER = HEIGHT - BAR
SEAHORSE = "#at=-0.743643887037158704752191506114774,0.131825904205311970493132056385139,1e-9"
HOME = ("-0.75", "0", "2.5")
DEEP = ["1e-300", "1e-5000"]  # extents about c = i: it lies on the boundary, as its orbit is preperiodic


def _same(one: str, other: Decimal, within: Decimal) -> bool:
    with localcontext(prec=6000):
        return abs(Decimal(one) - other) <= within


# Frames come when the test lets them.
HOLD_FRAMES = """() => {
  const [own, held] = [window.requestAnimationFrame.bind(window), []];
  window.requestAnimationFrame = act => held.push(act);
  window.freeFrames = () => { window.requestAnimationFrame = own; held.splice(0).forEach(own); };
}"""


def _is_sharp(request) -> bool:
    """Whether a request is one for all samples of tiles."""
    return request.url.endswith("/api/tiles") and request.post_data_json["step"] == 1


def test_a_picture_is_complete_when_it_is_drawn(visit):
    """All tiles may be here, and the address written, long before a busy machine draws the frame that shows them."""
    visitor = visit(SEAHORSE)
    visitor.complete()
    page, ended = visitor.page, []
    page.evaluate(HOLD_FRAMES)
    # A request that has brought all of its tiles may be given up before its end, when the curve comes.
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda request: _is_sharp(request) and ended.append(request))
    page.evaluate("() => (location.hash = 'at=-0.7436438870371587,0.1318259042053119,1e-8')")
    wait_for(lambda: page.wait_for_timeout(50) or ended, 120, "sharp tiles were asked for")
    page.wait_for_selector(".drawing[hidden]", state="attached")
    page.wait_for_timeout(600)
    assert page.locator(".picture").get_attribute("aria-busy") == "true"
    page.evaluate("() => freeFrames()")
    visitor.complete()
    picture = visitor.picture()
    page.wait_for_timeout(300)
    assert np.array_equal(visitor.picture(), picture)


TWO_ASK = """async (source) => {
  const [first, second] = [new AbortController(), new AbortController()];
  const asked = { level: 40, x: 5n, y: -7n };
  const extent = { dlevel: 0, x: [0, 1], y: [0, 1] };
  const told = [first, second].map(({ signal }) => source.limitOf(asked, extent, signal));
  first.abort();
  return (await Promise.allSettled(told)).map((each) => each.reason?.name ?? typeof each.value.maxiter);
}"""


def test_who_leaves_ends_no_request_that_another_waits_for(visit):
    """Both ask for the same anchor's name."""
    visitor = visit("#films")
    source, posted = visitor.module("explore/tile_source.js"), []
    visitor.page.on("request", lambda request: posted.append(urlsplit(request.url).path))
    assert visitor.page.evaluate(TWO_ASK, source) == ["AbortError", "number"]
    assert posted.count("/api/anchors") == 1, posted


def test_a_drag_moves_the_picture_with_the_pointer(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    before, (re, im, extent) = visitor.picture(), visitor.place
    mouse = visitor.page.mouse
    mouse.move(*MIDDLE)
    mouse.down()
    mouse.move(MIDDLE[0] + 64, MIDDLE[1] - 32, steps=4)
    # In the same frame as the gesture, from what is there: nothing is waited for.
    visitor.page.evaluate(NEXT_FRAME)
    moved = visitor.picture()
    assert np.array_equal(moved[:-32, 64:], before[32:, :-64])
    visitor.page.wait_for_timeout(150)  # a pointer that rested throws nothing
    mouse.up()
    visitor.complete()
    spacing = Decimal(extent) / SHORTER
    assert _same(visitor.place[0], Decimal(re) - 64 * spacing, spacing / 100)
    assert _same(visitor.place[1], Decimal(im) - 32 * spacing, spacing / 100)


@pytest.mark.parametrize("control", [False, True], ids=["wheel", "pinch of a trackpad"])
def test_the_wheel_zooms_about_the_pointer(visit, control):
    visitor = visit(SEAHORSE)
    visitor.complete()
    re, im, extent = visitor.place
    visitor.page.mouse.move(MIDDLE[0] + 200, MIDDLE[1] - 100)
    if control:
        visitor.page.keyboard.down("Control")
    visitor.page.mouse.wheel(0, -100)
    if control:
        visitor.page.keyboard.up("Control")
    visitor.complete()
    wide, narrow = Decimal(extent) / SHORTER, Decimal(visitor.place[2]) / SHORTER
    assert 1.2 < wide / narrow < 3
    with localcontext(prec=60):
        assert _same(visitor.place[0], Decimal(re) + 200 * (wide - narrow), wide / 50)
        assert _same(visitor.place[1], Decimal(im) + 100 * (wide - narrow), wide / 50)


def test_two_fingers_zoom(visit):
    visitor = visit(SEAHORSE, has_touch=True)
    visitor.complete()
    extent = visitor.extent
    touch = visitor.page.context.new_cdp_session(visitor.page)

    def fingers(kind: str, apart: int) -> None:
        points = [{"x": MIDDLE[0] + side * apart, "y": MIDDLE[1], "id": i} for i, side in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points if apart else []})

    fingers("touchStart", 50)
    for apart in range(60, 201, 10):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    visitor.complete()
    assert visitor.extent == pytest.approx(extent / 4, rel=0.02)


@pytest.mark.parametrize("button", [False, True], ids=["shift", "button"])
def test_a_box_becomes_the_view(visit, button):
    visitor = visit(SEAHORSE)
    visitor.complete()
    re, _, extent = visitor.place
    mouse = visitor.page.mouse
    if button:
        visitor.page.get_by_role("button", name="Draw a box").click()
    else:
        visitor.page.keyboard.down("Shift")
    mouse.move(MIDDLE[0], MIDDLE[1] - 50)
    mouse.down()
    mouse.move(MIDDLE[0] + 100, MIDDLE[1] + 14, steps=3)
    assert visitor.page.locator(".box").is_visible()
    mouse.up()
    visitor.page.keyboard.up("Shift")
    visitor.complete()
    # 100 x 64 of 800 x 512: an eighth of it, and its middle is 50 pixels to the right.
    assert visitor.extent == pytest.approx(float(extent) / 8, rel=1e-6)
    spacing = Decimal(extent) / SHORTER
    assert _same(visitor.place[0], Decimal(re) + 50 * spacing, spacing / 50)


def test_keys_move_zoom_and_colour(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    re, im, extent = visitor.place
    visitor.page.locator(".picture").focus()
    visitor.press("ArrowRight", "ArrowUp")
    visitor.complete()
    step = Decimal(extent) / 8
    assert _same(visitor.place[0], Decimal(re) + step, step / 1000)
    assert _same(visitor.place[1], Decimal(im) + step, step / 1000)
    visitor.press("+")
    visitor.complete()
    assert visitor.extent == pytest.approx(float(extent) / 2, rel=1e-6)
    visitor.press("p")
    visitor.complete()
    assert "palette=ember" in visitor.page.url
    visitor.press("0")
    visitor.complete()
    assert visitor.place == ("-0.75", "0", "2.5")


def test_keys_work_after_the_wheel_and_on_what_lies_around(visit):
    """Who has used the mouse need not click the picture first; what takes characters itself keeps them."""
    visitor = visit(SEAHORSE)
    visitor.complete()
    visitor.page.mouse.move(WIDTH / 2, HEIGHT / 2)
    visitor.page.mouse.wheel(0, -100)
    visitor.press("p")
    visitor.page.wait_for_url("**palette=ember**")
    visitor.page.get_by_role("button", name="Copy link").focus()
    visitor.press("p")
    visitor.page.wait_for_url(lambda url: "palette=ember" not in url)
    visitor.press("g")
    area = visitor.page.get_by_role("dialog").locator("textarea")
    area.fill("")
    area.press("z")
    assert area.input_value() == "z"
    visitor.press("Escape")


def test_back_returns_to_the_place_before(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    first = visitor.page.url
    assert first.endswith(f"{SEAHORSE}&palette=dusk&mapping=even")
    visitor.page.locator(".picture").focus()
    visitor.press("PageUp")
    visitor.complete()
    assert visitor.page.url != first
    visitor.page.go_back()
    visitor.complete()
    assert visitor.page.url == first
    visitor.page.go_forward()
    visitor.complete()
    assert visitor.extent == pytest.approx(1e-9 / 16, rel=1e-6)


@pytest.mark.parametrize("extent", DEEP)
def test_deep_places_are_shown_and_survive_their_link(visit, extent):
    # A formula's colours are the same to the last bit; deep squares of a curve are looked at from other anchors.
    visitor = visit(f"#at=0,1,{extent}&mapping=root&maxiter=30000")
    visitor.complete()
    visitor.page.mouse.move(MIDDLE[0] + 101, MIDDLE[1] + 57)
    visitor.page.mouse.wheel(0, -150)
    visitor.complete()
    link, picture = visitor.page.url, visitor.picture()
    assert len(link) > -2 * Decimal(extent).adjusted()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    other = visit(f"#{urlsplit(link).fragment}")
    other.complete()
    assert other.page.url == link
    assert np.array_equal(other.picture(), picture)


def test_a_place_has_the_same_colours_however_one_came_there(visit):
    """Zoomed into, or opened by its link: the curve of "even" follows from the place and its depth alone."""
    visitor = visit("#at=-0.75,0.0625,1&maxiter=2000")
    visitor.complete()
    visitor.page.locator(".picture").focus()
    for _ in range(2):
        visitor.press("PageUp")
        visitor.complete()
    assert visitor.extent == pytest.approx(1 / 256, rel=1e-6)
    link, picture = visitor.page.url, visitor.picture()
    assert "mapping=even" in link and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    other = visit(f"#{urlsplit(link).fragment}")
    other.complete()
    assert np.array_equal(other.picture(), picture)


def test_black_is_told_of_until_a_higher_limit_shows_colours(visit):
    """Close to the point between the cardioid and the disc all samples take some 3,140 iterations."""
    visitor = visit("#at=-0.75,0.001,1e-7&mapping=root&maxiter=2000")
    visitor.complete()
    told = visitor.page.get_by_text("All black: inside of the set")
    told.wait_for()
    visitor.page.evaluate("() => (location.hash = location.hash.replace('maxiter=2000', 'maxiter=8000'))")
    told.wait_for(state="detached")


def test_the_picture_is_that_of_still(visit, tmp_path):
    """A view whose samples are those of tiles: the page's canvas has the bytes of `still`, within its dither."""
    where = ["--point=-0.5,0.5", "--delta=1", f"--width={WIDTH}", f"--height={SHORTER}", "--maxiter=2000"]
    where += ["--mapping=root"]
    out = tmp_path / "still.png"
    subprocess.run([sys.executable, "-m", "mandel", "still", *where, "-o", out], check=True, cwd=ROOT)
    still = imageio.imread(out).astype(int)
    visitor = visit("#at=-0.5,0.5,1&palette=dusk&maxiter=2000")  # as links were when the root was usual
    visitor.complete()
    assert "&mapping=root" in visitor.page.url
    apart = np.abs(visitor.picture().astype(int) - still)
    # The dither makes a level; neighbouring entries of the palette differ by one or two, and a sample may take either.
    assert (apart <= 1).mean() > 0.995
    assert apart.max() <= 4


def test_looks_change_without_new_tiles(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    before, asked = visitor.picture(), len(visitor.asked)
    visitor.page.locator(".picture").focus()
    visitor.press("p", "]", ".")
    visitor.page.locator(".look summary").click()
    visitor.page.locator(".look").get_by_label("Mapping").select_option("log")
    visitor.page.locator(".look").get_by_label("Interior").fill("#203040")
    visitor.complete()
    assert not np.array_equal(visitor.picture(), before)
    assert [path for _, path in visitor.asked[asked:] if path.startswith("/api/")] == []
    link = visitor.page.url
    assert "palette=ember" in link and "offset=" in link and "density=" in link
    other = visit(f"#{urlsplit(link).fragment}")
    other.complete()
    assert np.array_equal(other.picture(), visitor.picture())


@pytest.mark.parametrize(
    "look",
    [
        {"mapping": "even"},
        {"relief": "0.8", "relief_angle": "60", "edge": "2", "interior": "203040"},
        {"palette": "0:f5f0e4,0.25:d3cab8,0.5:9c927f,0.75:d9d1c0", "mapping": "log", "density": "2"},
    ],
    ids=["even", "shaded", "own palette"],
)
def test_looks_are_those_of_still(visit, tmp_path, look):
    """A view whose samples are those of tiles; the curve of "even" comes from the same squares."""
    where = ["--point=-0.5,0.5", "--delta=1", f"--width={WIDTH}", f"--height={SHORTER}", "--maxiter=2000"]
    where += [f"--{name.replace('_', '-')}={value}" for name, value in look.items()]
    out = tmp_path / "still.png"
    subprocess.run([sys.executable, "-m", "mandel", "still", *where, "-o", out], check=True, cwd=ROOT)
    still = imageio.imread(out).astype(int)
    fields = "&".join(f"{name}={value}" for name, value in look.items())
    visitor = visit(f"#at=-0.5,0.5,1&{fields}&maxiter=2000")
    visitor.complete()
    apart = np.abs(visitor.picture().astype(int) - still)
    assert (apart <= 3).mean() > 0.98
    assert visitor.page.url.endswith("maxiter=2000")
    for name, value in look.items():
        assert f"{name}={value}" in visitor.page.url


def test_tiles_that_nobody_wants_are_given_up(visit):
    visitor = visit()
    visitor.complete()
    page, held, left = visitor.page, [], []

    def hold(route) -> None:
        if left:  # what home asks for
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/tiles", hold)  # as if they took long
    page.evaluate("() => (location.hash = 'at=-0.7436438870371587,0.1318259042053119,1e-13')")
    wait_for(lambda: page.wait_for_timeout(50) or held, 60, "tiles are asked for")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/tiles")):
        left.append(True)
        page.evaluate("() => (location.hash = 'at=-0.75,0,2.5')")
    visitor.complete()
    assert visitor.place == ("-0.75", "0", "2.5")


def test_from_a_deep_link_one_goes_home(visit):
    """Tiles so far above the first ones have names of their own: the service refuses others, and home stayed busy."""
    visitor = visit("#at=-0.7436438870371587,0.1318259042053119,1e-13")
    visitor.complete()
    visitor.page.evaluate("() => (location.hash = 'at=-0.75,0,2.5')")
    visitor.complete()
    assert visitor.place == ("-0.75", "0", "2.5")
    assert visitor.page.get_by_text("dlevel").count() == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "head.lan"])
def test_all_digits_are_copied(visit, service, host):
    """On a name of the network plain HTTP is no secure context, and the clipboard's own interface is missing."""
    base = service.page.replace("127.0.0.1", host)
    visitor = visit(SEAHORSE, base=base)
    visitor.complete()
    assert visitor.page.evaluate("() => isSecureContext") == (host == "127.0.0.1")
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.page.locator(".picture").focus()
    visitor.press("c")
    visitor.page.get_by_text("The place is copied").wait_for()
    visitor.press("g")
    area = visitor.page.get_by_role("textbox")
    area.wait_for()
    area.press("Control+A")
    area.press("Control+V")
    assert area.input_value() == SEAHORSE.removeprefix("#at=")


def test_bookmarks_outlive_the_page(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    link = visitor.page.url
    visitor.page.locator(".picture").focus()
    visitor.press("k", "0")
    visitor.complete()
    visitor.page.reload()
    visitor.complete()
    visitor.page.locator(".picture").focus()
    visitor.press("b")
    kept = visitor.page.locator(".marks .open")
    kept.wait_for()
    assert kept.locator("img").evaluate("async image => (await image.decode(), image.naturalWidth)") == 240
    kept.click()
    visitor.press("Escape")
    visitor.complete()
    assert visitor.page.url == link


def test_the_minibrot_is_found(visit):
    visitor = visit("#at=-1.7548,0.0001,0.02")
    visitor.complete()
    visitor.page.locator(".picture").focus()
    visitor.press("m")
    visitor.page.get_by_role("button", name="Show the minibrot").click()
    visitor.complete()
    assert visitor.page.locator(".sheet").get_by_text("Period", exact=True).is_visible()
    # The minibrot of period 3: c^3 + 2 c^2 + c + 1 = 0.
    c = Decimal(visitor.place[0])
    with localcontext(prec=60):
        assert abs(((c + 2) * c + 1) * c + 1) < Decimal("1e-6")


def test_the_same_view_is_searched_again(visit):
    """The button did nothing where the picture had not moved, also after a search that failed."""
    visitor = visit("#at=-1.7548,0.0001,0.02")
    visitor.complete()
    page, failed = visitor.page, []
    page.route("**/api/locate", lambda route: (failed.append(route), route.abort("connectionrefused")))
    page.locator(".picture").focus()
    visitor.press("m")
    page.get_by_role("alert").get_by_text("The service is not reached").wait_for()
    assert failed
    page.unroute("**/api/locate")
    page.get_by_role("button", name="Search what is shown now").click()
    page.get_by_role("button", name="Show the minibrot").wait_for()
    page.get_by_text("0.01904").wait_for()  # its size, as people read numbers


def test_where_there_is_no_minibrot_the_finder_says_what_to_do(visit):
    visitor = visit("#at=-0.1,0.2,1e-6")
    visitor.complete()
    visitor.page.locator(".picture").focus()
    visitor.press("m")
    visitor.page.get_by_role("alert").get_by_text("Zoom out a little").wait_for()


def test_a_newcomer_is_told_how_to_begin_and_shown_where(visit):
    visitor = visit()
    hint = visitor.page.get_by_text("scroll or pinch to zoom in")
    hint.wait_for()
    visitor.page.locator(".picture").focus()
    visitor.press("b")
    visitor.page.get_by_role("button", name="Seahorse valley").click()
    hint.wait_for(state="detached")
    visitor.complete()
    assert visitor.place == ("-0.7463", "0.1102", "0.005")
    visitor.page.goto("about:blank")
    visitor.go("#at=-0.75,0,2.5")
    visitor.complete()
    assert hint.count() == 0


def test_what_is_no_place_is_said(visit):
    visitor = visit()
    visitor.page.locator(".picture").focus()
    visitor.press("g")
    area = visitor.page.get_by_role("textbox")
    area.fill("nowhere")
    visitor.page.get_by_role("button", name="Go there").click()
    visitor.page.get_by_role("alert").get_by_text("is no point").wait_for()
    area.fill("-0.1, 0.9, 0.01")
    visitor.page.get_by_role("button", name="Go there").click()
    area.wait_for(state="detached")
    visitor.complete()
    assert visitor.place == ("-0.1", "0.9", "0.01")


SAID = "Not understood in this link: "


@pytest.mark.parametrize(
    "link, place, palette, said",
    [
        ("at=-0.5,0.5x,1&palette=ember", HOME, "ember", "imaginary part “0.5x”. Shown instead: the whole set."),
        ("at=-0.5,0.5", ("-0.5", "0.5", "2.5"), "dusk", "no extent. Shown instead: the point at extent 2.5."),
        ("at=-0.5,0.5,1e-", ("-0.5", "0.5", "2.5"), "dusk", "extent “1e-”. Shown instead: the point at"),
        ("at=-0.5,0.5,1e-30000", ("-0.5", "0.5", "2.5"), "dusk", "extent “1e-30000”. Shown instead: the point at"),
        ("at=-0.5,0.5,1,7", ("-0.5", "0.5", "1"), "dusk", "“7”. The rest of it is shown."),
        ("at=-0.5,0.5,1&palette=embe", ("-0.5", "0.5", "1"), "dusk", "“palette=embe”. Shown instead: palette dusk."),
        ("at=-0.5,0.5,1&density=&palette=ember", ("-0.5", "0.5", "1"), "ember", "“density=”. Shown instead: density"),
        ("at=-0.5,0.5,1&maxiter=many", ("-0.5", "0.5", "1"), "dusk", "“maxiter=many”. Shown instead: maxiter auto."),
        ("at=-0.5,0.5,1&amp;palette=ember&cut", ("-0.5", "0.5", "1"), "ember", "“cut”. The rest of it is shown."),
        ("palette=ember", HOME, "ember", "it names no place. Shown instead: the whole set."),
        ("jobs!", HOME, "dusk", "“jobs!”, it names no place. Shown instead: the whole set."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_what_is_wrong_in_a_link_is_said_and_the_rest_is_shown(visit, link, place, palette, said, first):
    visitor = visit(f"#{link}" if first else "#at=-0.1,0.9,0.5&palette=silver&mapping=even")
    visitor.complete()
    if not first:
        visitor.page.evaluate("link => { location.hash = link; }", link)
    visitor.page.get_by_text(SAID + said).first.wait_for()
    visitor.complete()
    assert visitor.place == place
    assert f"&palette={palette}&" in visitor.page.url + "&"
    visitor.page.get_by_role("button", name="Close").click()  # it stays until then
    visitor.page.get_by_text(SAID).wait_for(state="hidden")


def test_a_whole_link_is_not_complained_of(visit):
    visitor = visit(
        "#at=-0.5,0.5,1&palette=0:102030,0.5:ffd27a&mapping=log&offset=0.25&maxiter=900&interior=102030"
    )
    visitor.complete()
    assert visitor.page.get_by_text("Not understood").count() == 0
    assert "&mapping=log&offset=0.25&interior=102030&maxiter=900" in visitor.page.url


def test_what_is_said_of_a_damaged_link_goes_with_the_next_one(visit):
    """It would lie above the form of a film."""
    visitor = visit("#at=-0.5,0.5x,1")
    said = visitor.page.get_by_text(SAID).first
    said.wait_for()
    visitor.page.evaluate("() => { location.hash = 'at=-0.5,0.5,1'; }")
    said.wait_for(state="hidden")


def test_a_damaged_link_that_is_pasted_is_told_of(visit):
    visitor = visit()
    visitor.complete()
    page = visitor.page
    page.locator(".picture").focus()
    visitor.press("g")
    area = page.get_by_role("dialog").get_by_role("textbox")
    area.fill("http://head/#at=-0.5,O.5,1&palette=ember")
    page.get_by_role("button", name="Go there").click()
    page.get_by_role("alert").get_by_text(SAID + "imaginary part “O.5”.").wait_for()
    area.fill("http://head/#at=-0.5,0.5,1&palette=embers")
    page.get_by_role("button", name="Go there").click()
    page.get_by_text(SAID + "“palette=embers”. Shown instead: palette dusk.").first.wait_for()
    visitor.complete()
    assert visitor.place == ("-0.5", "0.5", "1")


def test_what_is_no_file_is_said_to_be_none(visit):
    """It was said that the service is not reached."""
    visitor = visit()
    visitor.complete()
    dropped = visitor.page.evaluate_handle(
        """() => {
          const all = new DataTransfer();
          all.items.add(new File(['x'], 'folder'));
          FileReader.prototype.readAsDataURL = function () {
            window.refused = true;
            queueMicrotask(() => this.onerror());
          };
          return all;
        }"""
    )
    visitor.page.locator(".picture").dispatch_event("drop", {"dataTransfer": dropped})
    visitor.page.get_by_text("folder cannot be read").first.wait_for()
    assert visitor.page.evaluate("() => window.refused")


DAMAGED = """() => {
  const place = '#at=-0.5,0.5,1&palette=ember&mapping=even';
  const good = { name: 'good', place, time: 3, hold: 1, id: 7, picture: 'data:image/png;base64,a===' };
  const all = [good, { ...good, place: '#at=-0.5,0.5x,1' }, null, { ...good, name: { a: 1 } }, 'text'];
  localStorage.setItem('mandel.bookmarks', JSON.stringify(all));
  localStorage.setItem('mandel.stops', JSON.stringify([...all, { ...good, time: 'long' }]));
  localStorage.setItem('mandel.order', JSON.stringify({ width: 'wide', height: 96, fps: null }));
}"""


def test_of_what_the_browser_kept_the_damaged_is_left_out_and_told_of(visit):
    visitor = visit()
    page = visitor.page
    page.evaluate(DAMAGED)
    page.reload()
    visitor.complete()
    for key, entries in (("b", ".marks li"), ("t", ".stops li")):
        page.locator(".picture").focus()
        visitor.press(key)
        page.get_by_text("that this browser kept are damaged").wait_for()
        assert page.locator(entries).count() == 1
        page.locator(entries).get_by_text("good").click()
        visitor.complete()
        assert visitor.place == ("-0.5", "0.5", "1") and "palette=ember" in visitor.page.url
    page.locator(".picture").focus()
    visitor.press("z")
    form = page.locator("form.sheet")
    assert form.get_by_label("Width").input_value() == "1920"
    assert form.get_by_label("Height").input_value() == "96"
    assert form.get_by_label("Frames a second").input_value() == "30"


def test_a_bookmark_has_all_of_its_colours(visit):
    """What its link does not say was left as it was."""
    visitor = visit("#at=-0.5,0.5,1&palette=ember&mapping=even")
    visitor.complete()
    page = visitor.page
    page.locator(".picture").focus()
    visitor.press("k")
    page.get_by_text("Kept as").first.wait_for()
    page.evaluate("() => { location.hash = 'at=-0.1,0.9,0.5&palette=silver&mapping=log&density=3'; }")
    visitor.complete()
    page.locator(".picture").focus()
    visitor.press("b")
    page.locator(".marks .open").click()
    visitor.complete()
    assert visitor.page.url.endswith("#at=-0.5,0.5,1&palette=ember&mapping=even")


SHIP = "Re: -1.75\r\nIm: 0.03\r\nZoom: 40\r\n"


@pytest.mark.parametrize("kind, said", [("0", "taken are point"), ("1", "Burning Ship")])
def test_a_file_that_is_dropped_is_read_by_the_service(visit, kind, said):
    visitor = visit()
    visitor.complete()
    dropped = visitor.page.evaluate_handle(
        "text => { const all = new DataTransfer(); all.items.add(new File([text], 'a.kfr')); return all; }",
        f"{SHIP}FractalType: {kind}\r\n",
    )
    visitor.page.locator(".picture").dispatch_event("drop", {"dataTransfer": dropped})
    visitor.page.get_by_text(said).first.wait_for()
    visitor.complete()
    assert visitor.place == (("-1.75", "0.03", "0.1") if kind == "0" else ("-0.75", "0", "2.5"))


def test_the_picture_moves_while_the_service_is_away(visit):
    visitor = visit(SEAHORSE)
    visitor.complete()
    before = visitor.picture()
    visitor.page.context.set_offline(True)
    visitor.page.locator(".picture").focus()
    visitor.press("ArrowLeft")
    visitor.page.evaluate(NEXT_FRAME)
    assert np.array_equal(visitor.picture()[:, 64:], before[:, :-64])
    visitor.press("PageUp")  # where no tile is here
    visitor.page.get_by_text("The service is not reached").first.wait_for()
    visitor.page.context.set_offline(False)
    visitor.complete()
    visitor.page.get_by_text("The service is not reached").first.wait_for(state="detached")


# Draws a view of four tiles, of which one comes late, while one grey fades into another. The least and the greatest
# byte on the canvas each time; null where nothing is drawn.
FADE = """([{ TileLayer }, { View }]) => {
  const late = [];
  const source = { want({ sharp }, onTile) {
    for (const at of sharp) {
      const counts = new Float32Array(65536).fill(9);
      const bring = () => onTile({ ...at, counts, size: 256, maxiter: 9, shading: null });
      if (late.length) bring(); else late.push(bring);
    }
  } };
  const layer = new TileLayer(source, () => {}, () => false);
  const [view, viewport] = [View.of('0', '0', '1'), { width: 256, height: 256, density: 1 }];
  const context = Object.assign(document.createElement('canvas'), viewport).getContext('2d');
  const grey = level => ({ table: new Uint32Array(8192).fill(0xff000000 | level * 0x10101), mapping: 'root', density: 1,
    offset: 0, interior: '000000', relief: 0, edge: 0, light: [1, 0] });
  const begun = performance.now() + 600_000;  // when no tile fades in any more, however slow this is
  const drawn = after => {
    const again = layer.draw(context, view, viewport, begun + after);
    const { data } = context.getImageData(0, 0, 256, 256);
    const bytes = [...data].filter((_, i) => i % 4 < 3 && data[i - i % 4 + 3] === 255);
    const ends = [Math.min, Math.max].map(end => bytes.length ? bytes.reduce((a, b) => end(a, b)) : null);
    return [...ends, again];
  };
  layer.want(view, viewport, 9);
  const found = [drawn(0)];
  layer.setLook(null);
  found.push(drawn(0));
  layer.setLook(grey(200));
  found.push(drawn(0));
  layer.setLook(grey(100), begun);
  found.push(drawn(0), drawn(100));
  late[0]();
  found.push(drawn(200), drawn(300), drawn(400));
  layer.setLook(grey(50));
  return [...found, drawn(401)];
}"""


def test_a_new_curve_comes_calmly_and_in_all_tiles_at_once(visit):
    visitor = visit("#films")
    found = visitor.page.evaluate(
        FADE, [visitor.module("explore/tiles.js"), visitor.module("numbers/view.js")]
    )
    assert found[:2] == [[None, None, False]] * 2  # before there are colours
    greys = [200, 200, 175, 150, 125, 100, 50]
    for (least, greatest, _), grey in zip(found[2:], greys, strict=True):
        assert abs(least - grey) <= 2 and abs(greatest - grey) <= 2
    assert [again for *_, again in found[2:]] == [False, True, True, True, True, False, False]


def test_nothing_is_drawn_before_its_colours_are_known(visit):
    """The curve of the usual mapping is learned; until then other colours would only flash up."""
    visitor = visit("#films")
    page, held, let_through = visitor.page, [], threading.Event()

    def hold(route) -> None:
        if let_through.is_set():
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/curve", hold)
    page.evaluate("() => (location.hash = 'at=-0.5,0.5,1')")
    page.wait_for_selector(".drawing[hidden]", state="attached")  # all tiles are here
    wait_for(lambda: page.wait_for_timeout(50) or held, 120, "a curve is asked for")
    page.evaluate(NEXT_FRAME)
    assert not visitor.picture().any()
    assert page.locator(".picture").get_attribute("aria-busy") == "true"
    let_through.set()
    held[-1].fulfill(status=503, json={"error": {"code": "BUSY", "message": "Too much is asked for."}})
    page.get_by_text("Too much is asked for.").first.wait_for()
    visitor.complete()  # it is asked for again
    assert visitor.picture().any()
    assert page.get_by_text("Too much is asked for.").count() == 0


@pytest.mark.parametrize(
    "link, mapping",
    [
        ("", "even"),
        ("&palette=ember", "root"),
        ("&palette=ember&density=2", "root"),
        ("&palette=ember&mapping=even", "even"),
        ("&density=2", "even"),
        ("&palette=dusk&mapping=log", "log"),
    ],
)
def test_a_link_without_a_mapping_shows_what_it_showed(visit, link, mapping):
    """Links have always said their palette; while the root was usual, they said no mapping."""
    visitor = visit(f"#at=-0.5,0.5,1{link}")
    visitor.complete()
    assert f"&mapping={mapping}" in visitor.page.url
    assert visitor.page.locator(".look").get_by_label("Mapping").input_value() == mapping
