"""From a place to a film: ordered, watched, played, recoloured."""

import re

import pytest

from tests.browser.pages import ALL_DRAWN, SMALL

PLACE = "#at=-0.7463,0.1102,0.005"


def test_a_film_is_ordered_in_three_clicks_and_watched(visit):
    visitor = visit(PLACE)
    visitor.complete()
    page = visitor.page
    # Small and short for this test: what was ordered last is what the form proposes.
    page.evaluate(
        "() => localStorage.setItem('mandel.order', JSON.stringify({ width: 128, height: 96, fps: '4' }))"
    )
    page.get_by_role("button", name="Zoom to here").click()
    page.wait_for_function(ALL_DRAWN)
    takes = page.get_by_label("What it takes")  # as the service measures it
    takes.get_by_text(re.compile(r"^(about )?[\d.]+ (s|min)( to [\d.]+ (s|min))?$")).wait_for()
    takes.get_by_text(re.compile(r"^(about )?[\d.]+ kB( to [\d.]+ kB)?$")).wait_for()
    form = page.locator("form.sheet")
    form.get_by_label("Name").fill("<b>Sea</b> horses")
    page.get_by_role("button", name="Order the film").click()
    job = page.locator(".job", has_text="<b>Sea</b> horses")
    job.wait_for()
    assert re.fullmatch(r"#jobs/[0-9a-f]{64}", page.evaluate("() => location.hash"))
    # Events bring its end: nothing is loaded again.
    job.get_by_text("done", exact=True).wait_for()
    job.get_by_text("2.5 → 0.005").wait_for()
    job.get_by_role("link", name="Play").wait_for()
    # Wherever one is then, it is said, and leads there.
    visitor.page.get_by_role("status").get_by_role("link", name="Play it").click()
    page.locator(".player video").wait_for()
    page.get_by_role("heading", name="<b>Sea</b> horses").wait_for()
    assert page.get_by_role("link", name="Play it").count() == 0


def test_places_become_stops_and_stops_a_film(visit, web):
    visitor = visit("#at=-0.5,0,2.5")
    visitor.complete()
    page = visitor.page
    for place in ("-0.5,0,2.5", "-0.7463,0.1102,0.05", "-1.7548,0,0.1"):
        page.evaluate("place => { location.hash = 'at=' + place; }", place)
        visitor.complete()
        page.locator(".picture").focus()
        visitor.press("s")
        page.get_by_role("status").get_by_text("top").filter(has_text="kept").first.wait_for()
        page.wait_for_function(
            "count => JSON.parse(localStorage.getItem('mandel.stops')).length === count",
            arg=("-0.5,0,2.5", "-0.7463,0.1102,0.05", "-1.7548,0,0.1").index(place) + 1,
        )
    page.reload()  # they outlive the page
    visitor.complete()
    page.locator(".picture").focus()
    visitor.press("t")
    stops = page.locator(".stops li")
    stops.nth(2).wait_for()
    assert (
        stops.nth(0).locator("img").evaluate("async image => (await image.decode(), image.naturalWidth)")
        == 240
    )
    stops.nth(2).get_by_role("button", name="Move stop 3 up").click()
    stops.nth(2).get_by_role("button", name="Remove stop 3").click()
    stops.nth(1).get_by_label("Seconds to here").fill("1.5")
    stops.nth(1).get_by_label("Seconds of rest").fill("0.5")
    page.evaluate(
        "() => localStorage.setItem('mandel.order', JSON.stringify({ width: 128, height: 96, fps: '4' }))"
    )
    page.get_by_role("button", name="Film of these stops").click()
    page.get_by_role("heading", name="Film of 2 stops").wait_for()
    page.wait_for_function(ALL_DRAWN)
    page.get_by_role("button", name="Order the film").click()
    job = page.locator(".job").first
    job.get_by_text("done", exact=True).wait_for()
    told = web.get(f"/api/jobs/{page.url.rpartition('/')[2]}").json["payload"]
    assert [(stop["point"], stop["delta"], stop["time"], stop["hold"]) for stop in told["path"]] == [
        ("-0.5,0", "2.5", "0", "0"),
        ("-1.7548,0", "0.1", "1.5", "0.5"),
    ]
    assert told["num_frames"] == 9


def test_a_path_has_no_more_stops_than_the_service_takes(visit, web):
    visitor, most = visit("#at=-0.5,0,2.5"), web.get("/api/state").json["limits"]["max_stops"]
    visitor.complete()
    page = visitor.page
    kept = [
        {"name": "a", "place": "#at=-0.5,0,2.5", "time": 1, "hold": 0, "id": number}
        for number in range(most - 1)
    ]
    page.evaluate("kept => localStorage.setItem('mandel.stops', JSON.stringify(kept))", kept)
    page.reload()
    visitor.complete()
    page.locator(".picture").focus()
    visitor.press("s")
    page.get_by_text(f"Stop {most} is kept").first.wait_for()
    visitor.press("s")
    page.get_by_text(f"A path has {most} stops at most").first.wait_for()
    assert page.evaluate("() => JSON.parse(localStorage.getItem('mandel.stops')).length") == most


def test_the_form_says_what_is_wrong(visit):
    visitor = visit("#at=-0.1,0.2,1e-6")  # inside of the set, and too few digits
    visitor.complete()
    page = visitor.page
    page.get_by_text("All black: inside of the set").wait_for()
    page.locator(".picture").focus()
    visitor.press("z")
    page.get_by_text("The last picture is black").wait_for()
    assert page.get_by_text("needs 7").is_visible()
    page.get_by_label("Size").select_option("-1")
    page.get_by_label("Width").fill("801")
    page.get_by_role("alert").get_by_text("frame_width").wait_for()
    assert page.get_by_label("Width").get_attribute("aria-invalid") == "true"


def test_a_film_plays_and_seeks_by_ranges(visit, film):
    visitor = visit(f"#films/{film}")
    page = visitor.page
    video = page.locator(".player video")
    video.wait_for()
    assert video.evaluate("""v => v.canPlayType('video/mp4; codecs="avc1.640028"')""") == "probably"
    page.wait_for_function("() => document.querySelector('.player video').readyState >= 2")
    assert video.evaluate("v => v.seekable.end(0)") == pytest.approx(2, abs=0.1)
    page.wait_for_function(
        "() => document.querySelector('.player video').currentTime > 0"
    )  # it plays by itself
    video.evaluate("v => v.pause()")
    sought = video.evaluate(
        "v => new Promise(done => { v.onseeked = () => done([v.currentTime, v.videoWidth]); v.currentTime = 1.5; })"
    )
    assert sought == [1.5, 128]
    assert page.evaluate(
        """async path => {
          const answer = await fetch(path, { headers: { Range: 'bytes=100-199' } });
          return [answer.status, answer.headers.get('Content-Length')];
        }""",
        f"/media/{film}/video.mp4",
    ) == [206, "100"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes()[4:8] == b"ftyp"


def test_a_film_that_this_browser_does_not_play_says_so(visit, web):
    fields = {"num_frames": 2, "frame_width": 64, "frame_height": 64, "codec": "png", "maxiter": 61}
    job = web.post("/api/jobs", fields).json["job"]
    visitor = visit("#films")
    visitor.page.locator(f"a[href='#films/{job}']").click()  # as soon as it is done
    visitor.page.get_by_text("this browser does not know png").wait_for()
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="Download").click()
    assert download.value.path().stat().st_size > 0


def test_a_film_plays_while_the_pointer_rests_on_it(visit, film):
    visitor = visit("#films")
    page = visitor.page
    card = page.locator(f".film a[href='#films/{film}']")
    card.hover()
    page.wait_for_function("() => document.querySelector('.film video')?.currentTime > 0")
    # Without a source no download goes on, and the element goes as well.
    page.evaluate("() => { window.left = document.querySelector('.film video'); }")
    page.mouse.move(2, 2)
    page.wait_for_function("() => !document.querySelector('.film video')")
    assert page.evaluate("() => [left.paused, left.hasAttribute('src'), left.networkState]") == [
        True,
        False,
        0,
    ]


def test_a_film_opens_its_place_and_is_ordered_otherwise(visit, film):
    visitor = visit(f"#films/{film}")
    page = visitor.page
    page.get_by_role("button", name="Open the place").click()
    page.locator(".player").wait_for(state="detached")
    visitor.complete()
    assert visitor.place == ("-0.7463", "0.1102", "0.01")
    page.go_back()
    page.get_by_role("button", name="Same again with").click()
    form = page.locator("form.sheet")
    form.wait_for()
    assert form.get_by_label("Width").input_value() == "128"
    assert form.get_by_label("Length, seconds").input_value() == "2"
    # This very film is known.
    form.get_by_role("button", name="Show this film").wait_for()


# A file of the service, with so many bytes of others before and behind it, as something that is dropped.
DROPPED = """async ([path, before, behind]) => {
  const body = await (await fetch(path)).blob(), all = new DataTransfer();
  const other = (bytes) => new Uint8Array(bytes);
  all.items.add(new File([other(before), body, other(behind)], 'dropped'));
  return all;
}"""


@pytest.mark.parametrize(
    "name, before, behind",
    [("video.mp4", 0, 0), ("poster.png", 0, 0), ("video.mp4", 0, 40 << 20), ("video.mp4", 40 << 20, 0)],
)
def test_a_film_that_is_dropped_opens_its_form_and_is_not_sent(visit, film, name, before, behind):
    visitor = visit("#jobs")
    page = visitor.page
    sent = []
    page.on("request", lambda one: one.url.endswith("/api/place") and sent.append(len(one.post_data or "")))
    dropped = page.evaluate_handle(DROPPED, [f"/media/{film}/{name}", before, behind])
    page.locator(".page").dispatch_event("dragover", {"dataTransfer": dropped})
    page.get_by_text("Drop it here").wait_for()
    page.locator(".page").dispatch_event("drop", {"dataTransfer": dropped})
    form = page.locator("form.sheet")
    form.wait_for()
    assert form.get_by_label("Width").input_value() == "128"
    form.get_by_role("button", name="Show this film").wait_for()  # all of its fields are the same
    assert page.get_by_text("Drop it here").count() == 0
    visitor.complete()
    assert visitor.place == ("-0.7463", "0.1102", "0.01")
    assert len(sent) == 1
    if before or behind:
        assert sent[0] < 200_000


@pytest.mark.parametrize("large", [False, True])
def test_a_film_of_others_is_refused_in_words(visit, large):
    visitor = visit()
    visitor.complete()
    dropped = visitor.page.evaluate_handle(
        """large => {
          const all = new DataTransfer(), begin = new TextEncoder().encode('\\0\\0\\0\\x14ftypqt  ');
          all.items.add(new File([begin, new Uint8Array(large ? 9e6 : 9)], 'theirs.mp4'));
          return all;
        }""",
        large,
    )
    visitor.page.locator(".picture").dispatch_event("drop", {"dataTransfer": dropped})
    visitor.page.get_by_text("theirs.mp4 carries no payload").wait_for()
    assert (("POST", "/api/place") in visitor.asked) is not large


def test_a_film_is_recoloured(visit, film):
    visitor = visit(f"#films/{film}")
    page = visitor.page
    page.locator(".player").get_by_text(
        re.compile(r"B and \d.* for recolouring$")
    ).wait_for()  # film and strips apart
    page.get_by_role("button", name="Recolour").click()
    page.locator(".recolour").get_by_label("silver").check()
    page.get_by_role("button", name="Order it in this look").click()
    job = page.locator(".job", has_text="evening, silver").first
    job.get_by_text("done", exact=True).wait_for()


def test_a_job_is_cancelled_tried_again_and_deleted_at_its_price(visit, web):
    long = SMALL | {"num_frames": 3000, "sampling": "exact", "keep_strips": False, "end_delta": "1e-11"}
    job = web.post("/api/jobs", long).json["job"]
    visitor = visit(f"#jobs/{job}")
    page = visitor.page
    row = page.locator(".job", has_text="1e-11")
    row.get_by_text("running", exact=True).wait_for()

    def act(name: str, price: str, verb: str) -> None:
        row.get_by_role("button", name=name).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text(price).wait_for()
        dialog.get_by_role("button", name=verb).click()

    row.get_by_role("button", name="Pause").click()
    row.get_by_text("paused", exact=True).wait_for()
    row.get_by_role("button", name="Resume").click()
    row.get_by_text(re.compile("queued|running")).first.wait_for()
    act("Cancel", "of 3,000 are stored", "Cancel the job")
    row.get_by_text("cancelled", exact=True).wait_for()
    act("Delete", "are gone", "Delete")
    row.wait_for(state="detached")
    assert web.get(f"/api/jobs/{job}").status == 404


@pytest.mark.parametrize("page", ["films", "jobs"])
@pytest.mark.parametrize("name", ["abcdef0123", "no-id!", "%zz"])
def test_a_link_to_what_is_not_here_says_so(visit, page, name):
    visitor = visit(f"#{page}/{name}")
    visitor.page.get_by_role("heading", name=page.capitalize()).wait_for()
    visitor.page.get_by_text("What this link names is not here").wait_for()


def test_a_link_to_a_film_that_is_not_done_says_so(visit, web):
    job = web.post("/api/jobs", SMALL | {"num_frames": 3000, "sampling": "exact", "keep_strips": False}).json[
        "job"
    ]
    web.post(f"/api/jobs/{job}/cancel")
    visitor = visit(f"#films/{job[:12]}")
    visitor.page.get_by_text("This film is cancelled").wait_for()
    visitor.page.get_by_role("link", name="See it under Jobs").click()
    visitor.page.locator(".job").get_by_text("cancelled", exact=True).first.wait_for()


def test_previews_and_pictures_are_no_films(visit, web, film):
    """They lay among the films, with a length of 0:00."""
    still = web.post(
        "/api/jobs", {"num_frames": 1, "frame_width": 64, "frame_height": 64, "maxiter": 62}
    ).json["job"]
    preview = web.post(
        "/api/jobs",
        {"num_frames": 3, "frame_width": 64, "frame_height": 64, "codec": "png", "name": "preview"},
    ).json["job"]
    visitor = visit("#films")
    page = visitor.page
    group = page.locator("details.pictures")
    group.locator("summary").click()
    for job, kind in ((still, "picture"), (preview, "preview")):
        card = group.locator(".film", has=page.locator(f"a[href='#films/{job}']"))
        card.locator(".length").get_by_text(kind, exact=True).wait_for()
        assert page.locator(f"a[href='#films/{job}']").count() == 1
    assert page.locator(f".page > .films a[href='#films/{film}']").count() == 1


def test_shared_sampling_says_that_it_chooses_its_samples(visit):
    visitor = visit(PLACE)
    visitor.complete()
    page = visitor.page
    sent = []
    page.on("request", lambda one: one.url.endswith("/api/check") and sent.append(one.post_data_json))
    page.get_by_role("button", name="Zoom to here").click()
    samples = page.get_by_label("Samples a pixel")
    samples.and_(page.locator(":disabled")).wait_for()
    page.get_by_text("as smooth as with 3 × 3").wait_for()
    page.get_by_label("Sampling").select_option("exact")
    assert page.get_by_text("as smooth as with 3 × 3").count() == 0
    samples.select_option("4")
    page.get_by_label("Sampling").select_option("shared")
    with page.expect_request(
        lambda one: one.url.endswith("/api/check") and one.post_data_json["sampling"] == "shared"
    ) as asked:
        page.get_by_label("Name").fill("x")
        page.get_by_label("Length, seconds").fill("7")
    # It would be another job of the same pixels.
    assert asked.value.post_data_json["supersampling"] == 1


def test_what_the_form_is_refused_for_is_in_view(visit):
    visitor = visit(PLACE, width=1280, height=800)
    visitor.complete()
    page = visitor.page
    page.get_by_role("button", name="Zoom to here").click()
    page.get_by_label("Size").select_option("5")  # upright
    page.get_by_label("Frames a second").fill("0")
    refusal = page.locator("#refusal")
    refusal.wait_for()
    where = refusal.bounding_box()
    assert where["y"] >= 0 and where["y"] + where["height"] <= 800
    refusal.click(trial=True)  # nothing lies over it


def test_details_that_do_not_come_are_asked_for_again(visit, film):
    visitor = visit("#films")
    page, path = visitor.page, f"**/api/jobs/{film}"
    page.route(path, lambda route: route.abort("connectionrefused"))
    page.reload()
    with page.expect_event("requestfailed", lambda request: request.url.endswith(f"/api/jobs/{film}")):
        page.evaluate("film => { location.hash = `jobs/${film}`; }", film)
    row = page.locator(".job", has=page.locator(f"a[href='#films/{film}']"))
    row.get_by_text("They are asked for").wait_for()
    page.unroute(path)
    row.get_by_text("Asked by").wait_for()


def test_a_long_name_is_cut_and_nothing_else_is(visit, web):
    job = web.post(
        "/api/jobs", SMALL | {"num_frames": 5, "name": "a name that is as long as names may be " + 24 * "x"}
    )
    visitor = visit(f"#jobs/{job.json['job']}", width=320)
    row = visitor.page.locator(".job:focus")
    row.get_by_text("a name that").wait_for()
    row.get_by_text("128 × 96").wait_for()
    inner = row.locator(".middle, .middle *").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert len(inner) > 5 and max(inner) <= 320


FLAT = {"frames": 3, "first": 5, "last": 7, "inside": 3, "maxiter": 4000, "auto": False, "decimals": 11}
FLAT_FRAMES = "There is one colour only in frames 5 to 7"
BLACK = "All is black in frames 5 to 7: the place lies inside of the set"


@pytest.mark.parametrize(
    "flat, said",
    [
        ({}, f"{BLACK}, or needs more than 4,000 iterations."),
        ({"auto": True}, f"{BLACK}, as far as can be told."),
        ({"inside": 0}, f"{FLAT_FRAMES}. The place may have too few digits (11), or nothing lies there."),
    ],
)  # fmt: skip
def test_black_frames_are_told_of_once(visit, flat, said):
    """The share of black and the limit that was not found were told besides, and "nothing lies there"."""
    notes = {
        "reached": {"frame": 5, "share": 1, "maxiter": 4000},
        "gave_up": {"views": 2, "reason": "nothing escapes"},
        "flat": FLAT | flat,
    }
    notes_module = visit().module("jobs/notes.js")
    told = notes_module.evaluate("(module, notes) => module.noteSentences(notes)", notes)
    assert [text for text in told if "frames 5 to 7" in text] == [said]
    assert len(told) == (1 if flat.get("inside", 3) else 3)


def test_names_of_strangers_are_text(visit, web):
    """A job's client is whatever somebody sends; nothing of it becomes an element."""
    name = "<img src=x onerror=alert(1)>"
    job = web.post("/api/jobs", SMALL | {"num_frames": 2, "client": name}).json["job"]
    visitor = visit(f"#jobs/{job}")
    visitor.page.get_by_text(name).first.wait_for()
    assert visitor.page.locator("img[src='x']").count() == 0
