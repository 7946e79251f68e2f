"""Each format: which file it is, the place, the palette, what is refused, and what is said."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest

from mandel.errors import RequestError
from mandel.places.palette import MOST_COLOURS, evenly, ring
from mandel.places.read import TABLE, found_in
from mandel.places.report import sentences
from mandel.places.text import FileError, decoded
from tests.places import samples
from tests.places.samples import IM, RE


@pytest.mark.parametrize("name", samples.ALL)
def test_a_file_is_known_by_its_content_whatever_it_is_called(name):
    found = found_in(samples.ALL[name], "-")
    assert found is not None
    known = found_in(samples.ALL[name], name)
    assert known is not None and known.program == found.program and known.palette == found.palette


def test_every_format_has_a_sample():
    assert {suffix for kind in TABLE for suffix in kind.suffixes} - {".xaf", ".kfp"} <= {
        name[name.index(".") :] for name in samples.ALL
    }


@pytest.mark.parametrize("suffix", [suffix for kind in TABLE for suffix in kind.suffixes])
def test_a_name_without_the_content_is_refused(suffix):
    with pytest.raises(RequestError, match="nothing in it looks like"):
        found_in("hello\n", "a" + suffix)
    assert found_in("hello\n", "a.txt") is None
    assert found_in('{"point": "0,0"}', "a" + suffix) is None  # our JSON


@pytest.mark.parametrize("name", samples.PLACES)
def test_the_place_is_the_one_of_the_file(name):
    found = found_in(samples.PLACES[name], name)
    place = found.place
    assert not found.refused and (place.re, place.im, place.maxiter) == (RE, IM, 500)
    height = Fraction(1, 500)
    for width, tall in ((1000, 1000), (1920, 1080), (1080, 1920)):
        shown = height * Fraction(tall, tall - 1) if name == "a.toml" else height
        shorter = shown * min(Fraction(width, tall), 1)
        assert abs(Fraction(place.delta(width, tall)) / shorter - 1) < Fraction(1, 10**38)
    # Degrees by which the plane's picture is turned, counter-clockwise: see the module of the format.
    turned = {"a.kfr": "30", "a.f3.toml": "30", "a.toml": "30", "a.ini": "0"}
    assert place.rotation == turned.get(name, "-30")
    assert place.mirrored == (name in ("a.kfr", "a.toml", "a.ini", "a.xpf"))
    (said, *rest) = sentences(found, name, place.delta(9, 9), ("maxiter",))
    assert name in said and found.program in said and "maxiter 500" in said
    assert any("mirror image" in line for line in rest) == place.mirrored


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", samples.ODD)
def test_files_as_people_edit_them(name, encoding):
    text = (
        decoded(samples.ODD[name].replace("\r", "").replace("\n", "\r\n").encode(encoding))
        if ("exponents" not in name)
        else decoded(samples.ODD[name].encode(encoding))
    )
    found = found_in(text, name)
    place = found.place
    assert not found.refused and place.maxiter == 500 and place.rotation == "0"
    assert (Decimal(place.re), Decimal(place.im)) == (Decimal(RE), Decimal(IM))
    assert Decimal(place.delta(1000, 1000)) == Decimal("0.004")
    assert found_in(text, "-").place == place


def test_a_palette_of_gimp_may_have_more_headers_and_numbers():
    found = found_in("GIMP Palette\nName: x\nChannels: RGBA\n#\n0 0 0 255 black\n255 0 0 128 red\n", "a.gpl")
    assert found.palette.colours == found_in("GIMP Palette\n0 0 0\n255 0 0\n", "a.gpl").palette.colours


def test_a_file_of_formulas_alone_is_refused():
    with pytest.raises(FileError, match="no parameter set"):
        found_in("comment { mine }\nfrm:Foo {\n z=0: z=z*z+pixel }\n", "a.par")


def test_xaos_shows_both_sides_of_its_view():
    wide = samples.XAOS.replace("0.001 0.002", "0.004 0.001")
    place = found_in(wide, "a.xpf").place
    assert place.delta(1000, 1000) == "0.004"
    assert place.delta(2000, 1000) == "0.002"
    assert place.delta(8000, 1000) == "0.001"
    assert place.delta(1000, 2000) == "0.004"


def test_the_point_of_a_rotated_box_is_its_centre():
    box = samples.CORNERS.replace("-0.75/-0.70/0.10/0.1375", "-1/1/-0.5/1.5/-2/-0.5")
    place = found_in(box, "a.par").place
    assert (place.re, place.im) == ("0", "0.5")
    # Bottom left (-2, -0.5), bottom right (1, -0.5), top left (-1, 1.5): leaning.
    assert any("skewed" in note for note in found_in(box, "a.par").notes)
    turned = samples.CORNERS.replace("-0.75/-0.70/0.10/0.1375", "1/-1/-2/2/-1/0")
    place = found_in(turned, "a.par").place
    assert (place.re, place.im) == ("0", "0") and place.rotation == "-90"
    assert abs(place.height - Decimal(8).sqrt()) < Decimal("1e-20") or place.height > 0


def test_corners_are_exact():
    place = found_in(samples.CORNERS, "a.par").place
    assert (place.re, place.im, place.delta(640, 480), place.rotation) == ("-0.725", "0.11875", "0.0375", "0")
    deep = "-1.7" + "0" * 60 + "1/-1.7" + "0" * 60 + "5/0/" + "0." + "0" * 60 + "3"
    place = found_in(samples.CORNERS.replace("-0.75/-0.70/0.10/0.1375", deep), "a.par").place
    assert place.re == "-1.7" + "0" * 60 + "3" and place.delta(640, 480) == "3E-61"


def test_defaults_that_programs_leave_out():
    place = found_in('program = "fraktaler-3"\n', "a.f3.toml").place
    assert (place.re, place.im, place.delta(9, 9), place.maxiter) == ("0", "0", "4", 1024)
    place = found_in("(initstate)\n(view -0.75 0 2.5 2.5)", "a.xpf").place
    assert place.maxiter == 170
    place = found_in("A { type=mandel }", "a.par").place
    assert (place.re, place.im, place.delta(4, 3), place.maxiter) == ("-0.5", "0", "3", 150)
    place = found_in("[location]\nreal=-1\n", "a.ini").place
    assert (place.re, place.im, place.delta(9, 9), place.maxiter) == ("-1", "0", "4", 800)
    assert found_in("Re: 0\nIm: 0\nZoom: 1\n", "a.kfr").place.maxiter is None


@pytest.mark.parametrize(
    "name, change, why",
    [
        ("a.kfr", ("FractalType: 0", "FractalType: 1"), "FractalType 1, Burning Ship"),
        ("a.kfr", ("FractalType: 0", "FractalType: 73"), "FractalType 73"),
        ("a.kfr", ("Power: 2", "Power: 3"), "z^3 + c"),
        ("a.kfr", ("SeedR: 0", "SeedR: 0.1"), "SeedR"),
        ("a.kfr", ("Smooth: 1", "UseHybridFormula: 1"), "hybrid"),
        ("a.f3.toml", ("image.width = 960", "[[formula]]\nabs_x = true"), "abs_x"),
        ("a.f3.toml", ("image.width = 960", "[[formula]]\npower = 3"), "z^3 + c"),
        ("a.f3.toml", ("image.width = 960", '[[formula]]\nopcodes = "absx sqr add"'), "absx sqr add"),
        ("a.toml", ("approximation_order = 16", 'fractal_type = "burningship"'), "burningship"),
        ("a.toml", ("approximation_order = 16", "fractal_power = 3"), "z^3 + c"),
        ("a.xpf", ("'mandel)", "'mandel3)"), "'mandel3'"),
        ("a.xpf", ("'mandel)", '\'user)\n(usrform "z^2+1/c")'), "z^2+1/c"),
        ("a.xpf", ("'mandel)", "'mandel)\n(julia #t)"), "Julia"),
        ("a.xpf", ("'mandel)", "'mandel)\n(plane 1)"), "plane"),
        ("a.xpf", ("'mandel)", "'mandel)\n(perturbation 0.1 0)"), "perturbation"),
        ("a.par", ("type=mandel ", "type=lambda "), "none of its 2 entries is of z^2 + c"),
        ("a.par", ("params=0/0", "params=0.5/0"), "none of its 2 entries"),
        ("a.upr", ('entry="Mandelbrot"', 'entry="Julia"'), "Julia of Standard.ufm"),
        ("a.upr", ("p_power=2/0", "p_power=3/0"), "z^3 + c"),
        ("a.upr", ("p_start=0/0", "p_start=0/1"), "p_start"),
        ("a.upr", ("formula:", "transform:\n  filename=x.uxf entry=Lake\nformula:"), "Lake"),
    ],
)
def test_formulas_that_are_not_ours_are_refused_by_name(name, change, why):
    text = samples.PLACES[name]
    assert change[0] in text
    found = found_in(text.replace(*change), name)
    assert why in found.refused


def test_the_formulas_name_is_in_the_refusal_of_a_file_with_one_entry():
    found = found_in("A { type=formula formulafile=my.frm formulaname=Carr2289 }", "a.par")
    assert "type=formula, Carr2289" in found.refused


def test_tables_of_toml_and_ini_are_told_apart():
    table = '[location]\nreal = "-0.5"\nimag = "0.25"\nzoom = "8"\n'
    for name in ("a.f3.toml", "a.toml"):
        found = found_in(table, name)
        assert (
            found.program == "Fraktaler 3" and found.place.delta(9, 9) == "0.5" and not found.place.mirrored
        )
    assert found_in(table, "a.ini").program == "DeepDrill"
    assert found_in(table + "[bailout]\niterations = 99\n", "a.f3.toml").place.maxiter == 99
    assert found_in(samples.RUST_FRACTAL + "[view]\nx = 1\n", "a.toml").program == "rust-fractal"


def test_files_of_imagina_are_refused_by_name():
    text = "Formula: Mandelbrot\nLocation:\n\tRe: -1.7\n\tIm: 0.1\n\tSize: 1@-5\n\tIterations: 9\n"
    with pytest.raises(FileError, match="Imagina"):
        found_in(text, "a.imt")


def test_colour_maps_as_people_edit_them():
    text = "; my map\n\n 0 0 0\n255,128,0  orange\n\n1\t2\t3 x\n"
    assert [colour for _, colour in found_in(text, "a.map").palette.colours] == [
        (0, 0, 0),
        (255, 128, 0),
        (1, 2, 3),
    ]


def test_an_entry_is_chosen_by_its_name_or_is_the_first_of_ours():
    found = found_in(samples.PAR, "a.par")
    assert any("Seahorse was taken; FILE#NAME takes another entry: Other" in note for note in found.notes)
    assert "type=julia" in found_in(samples.PAR, "a.par", "other").refused
    with pytest.raises(FileError, match="there is no entry 'nobody'; it has Other, Seahorse"):
        found_in(samples.PAR, "a.par", "nobody")
    assert found_in(samples.UGR, "a.ugr", "Second").palette.name == "The second"


def test_a_later_line_of_a_kfr_wins_and_edited_files_are_read():
    text = "\n; by hand\n  IM:  2.0E-2   \nRe: 1\nre = -7.5e-1\n# more\nzoom: 2.5e6\niterations: 1e6\nnothing here\n"
    place = found_in(text, "a.kfr").place
    assert (place.re, place.im, place.delta(9, 9), place.maxiter) == ("-7.5e-1", "2.0E-2", "0.0000016", 10**6)


def test_the_axis_of_a_kfr_may_point_upwards():
    place = found_in(samples.KFR + "ImagPointsUp: 1\r\n", "a.kfr").place
    assert not place.mirrored and place.rotation == "-30"
    place = found_in(samples.FRAKTALER3 + "transform.reflect = true\n", "a.f3.toml").place
    assert place.mirrored and place.rotation == "-30"


def test_rotations_are_the_short_way():
    for said, meant in (
        ("350", "-10"),
        ("-190.5", "169.5"),
        ("7.2443", "7.2443"),
        ("720", "0"),
        ("1e-20", "0"),
    ):
        text = samples.KFR.replace("RotateAngle: 30", f"RotateAngle: {said}")
        assert found_in(text, "a.kfr").place.rotation == meant


def test_what_is_ignored_is_said():
    every = {name: found_in(text, name) for name, text in samples.PLACES.items()}
    said = {name: " ".join(sentences(found, name, "1")) for name, found in every.items()}
    assert "ColorMethod 1 (square root)" in said["a.kfr"] and "Slopes" in said["a.kfr"]
    assert "IterDiv 2.0" in said["a.kfr"] and "Rotate" not in said["a.kfr"]
    assert "reference" in said["a.f3.toml"] and "image.width" in said["a.f3.toml"]
    assert "approximation_order" in said["a.toml"]
    assert "lava.png" in said["a.ini"] and "video.keyframes" in said["a.ini"]
    assert "outcoloring" in said["a.xpf"]
    assert "inside=0" in said["a.par"]
    assert "of its 2 layers the first was taken" in said["a.upr"] and "confirmed" in said["a.upr"]


def test_palettes():
    palettes = {
        name: found_in(text, name).palette for name, text in samples.ALL.items() if name != "a.f3.toml"
    }
    blue_first = ((0.0, (30, 20, 10)), (1 / 3, (0, 128, 255)), (2 / 3, (3, 2, 1)))
    assert palettes["a.kfr"].colours == palettes["a.kfp"].colours == blue_first
    assert palettes["palette.toml"].colours == ((0.0, (0, 10, 20)), (0.5, (255, 128, 64)))
    assert palettes["a.xpf"].colours == ((0.0, (0, 0, 0)), (1 / 3, (255, 128, 0)), (2 / 3, (0, 0, 255)))
    assert palettes["a.gpl"].colours[1:] == (
        (0.25, (255, 128, 0)),
        (0.5, (255, 255, 255)),
        (0.75, (0, 0, 255)),
    )
    assert palettes["a.gpl"].name == "Four" and palettes["a.ggr"].name == "Two halves"
    assert len(palettes["a.map"].colours) == 255 and palettes["a.map"].colours[0] == (0.0, (1, 0, 0))
    assert palettes["a.ini"] is None and palettes["a.toml"] is None
    assert palettes["a.ugr"].colours == ((0.0, (255, 0, 0)), (0.5, (0, 255, 0)))


def test_a_kfp_has_colours_alone():
    found = found_in(samples.KFR.replace("Power: 2", "Power: 3"), "a.kfp")
    assert found.place is None and not found.refused and found.palette is not None


def test_the_gradient_of_ultra_fractal_is_turned_and_lies_on_a_ring_of_400():
    colours = found_in(samples.UPR, "a.upr").palette.colours
    assert colours[1:] == (
        (56 / 400, (32, 107, 203)),
        (160 / 400, (237, 255, 255)),
        (249 / 400, (255, 170, 0)),
        (335 / 400, (0, 2, 0)),
        (392 / 400, (0, 7, 100)),
    )
    at, colour = colours[0]  # put in between: 8 of the 64 steps from index 0 to 64
    assert at == 0 and colour == (4, 20, 113)
    second = found_in(samples.UGR, "a.ugr", "Second").palette.colours  # -100 and 500 are 300 and 100
    assert second == ((0.0, (0, 0, 128)), (0.25, (0, 0, 0)), (0.75, (0, 0, 255)))


@pytest.mark.parametrize("name", ["README.md", "a.css", "a.js", "a.par"])
def test_what_has_braces_and_no_parameter_set_is_no_file_of_fractint(name):
    """Nobody gets a zoom into the middle of nowhere by a wrong file's name."""
    text = (
        '# Us\n```json\n{\n "a": 1\n}\n```\nbody {\n margin: 0;\n}\nfor (const a of b) {\n c = d;\n e=f\n}\n'
    )
    with pytest.raises(FileError, match="no parameter set"):
        found_in(text, name)
    found = found_in(text + "Mine { maxiter=99 }\n", name)
    assert found.place.maxiter == 99 and not found.notes


def test_colours_of_fractint():
    """z00, <3>, 0z0: three between, on 6 bits, then 8."""
    colours = [colour for _, colour in found_in(samples.PAR, "a.par").palette.colours]
    six = [
        (63, 0, 0),
        (47, 16, 0),
        (32, 32, 0),
        (16, 47, 0),
        (0, 63, 0),
        (36, 37, 38),
        (24, 25, 46),
        (12, 12, 55),
    ]
    assert colours[:8] == [tuple(c << 2 | c >> 4 for c in colour) for colour in six]
    assert colours[8] == (0, 0, 255) and set(colours[9:]) == {(162, 162, 162)}
    new = found_in("A { type=mandel colors=#000000#ff8001<2>#ff8004 }", "a.par").palette.colours
    assert [colour for _, colour in new[:4]] == [(255, 128, 1), (255, 128, 2), (255, 128, 3), (255, 128, 4)]
    found = found_in("A { type=mandel colors=@my.map }", "a.par")
    assert found.palette is None and "my.map" in " ".join(found.ignored)


def test_gradients_of_gimp():
    colours = found_in(samples.GGR, "a.ggr").palette.colours
    edge = 0.0025
    assert colours == (
        (0.0, (255, 0, 0)),
        (0.25, (128, 128, 0)),
        (0.5, (0, 255, 0)),
        (0.5 + edge, (0, 0, 255)),
        (0.75, (128, 0, 128)),
    )
    row = "0 0.25 1 1 0 0 1 0 0 1 1 {} {} 0 0\n"
    curves = {
        kind: found_in(f"GIMP Gradient\nName: x\n1\n{row.format(*kind)}", "a.ggr").palette.colours
        for kind in ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (0, 1), (0, 2))
    }
    middle = {kind: dict(colours).get(0.25) for kind, colours in curves.items()}
    assert middle[0, 0] == middle[1, 0] == middle[2, 0] == (128, 0, 128)  # half-way at the middle
    assert middle[3, 0] == (34, 0, 221) and middle[4, 0] == (221, 0, 34)
    assert curves[5, 0][:2] == ((0.0, (255, 0, 0)), (0.25, (255, 0, 0)))
    assert curves[5, 0][2] == (0.25 + edge, (0, 0, 255))
    assert middle[0, 1] == (0, 255, 0) and middle[0, 2] == (255, 0, 255)  # over green, over magenta


def test_transparency_is_said():
    clear = samples.GGR.replace(
        "0.000000 0.000000 1.000000 1.000000", "0.000000 0.000000 1.000000 0.500000", 1
    )
    assert "transparent" in found_in(clear, "a.ggr").notes[0]


def test_a_ring_begins_at_0_rises_and_ends_below_1():
    grey = (9, 9, 9)
    assert ring([]) is None
    assert ring([(1.0, grey)]).colours == ((0.0, grey),)
    assert ring([(0.0, grey), (1.0, grey)]).colours == ((0.0, grey),)
    assert ring([(0.0, grey), (1.0, (0, 0, 0))]).colours == ((0.0, grey), (1 - 0.0025, (0, 0, 0)))
    for stops in ([(0.5, grey)] * 9, [(0.998, grey), (0.9985, (0, 0, 0)), (1.0, (5, 5, 5))]):
        colours = ring(stops).colours
        positions = [at for at, _ in colours]
        assert positions[0] == 0 and positions == sorted(set(positions)) and positions[-1] < 1
    with pytest.raises(FileError, match="1024 are allowed"):
        ring([(i / 2000, grey) for i in range(MOST_COLOURS + 1)])


def as_text(name, most=64):
    """What the payload's palette takes: 2 to ``most`` colours, from 0 up in steps of 0.002 or more, below 1."""
    stops = [
        stop.split(":") for stop in found_in(samples.ALL[name], name).palette.text(most, 0.002).split(",")
    ]
    places = [float(place) for place, _ in stops]
    assert places[0] == 0 and 2 <= len(stops) <= most
    assert all(b - a >= 0.002 for a, b in zip(places, [*places[1:], 1.0]))
    assert all(re.fullmatch(r"(0|1)?(\.[0-9]{1,6})?", place) for place, _ in stops)
    return [(float(place), tuple(bytes.fromhex(colour))) for place, colour in stops]


@pytest.mark.parametrize("name", [name for name, text in samples.ALL.items() if found_in(text, name).palette])
def test_a_palettes_text(name):
    colours = found_in(samples.ALL[name], name).palette.colours
    stops = as_text(name)
    if len(colours) <= 64:
        assert stops == [(pytest.approx(at, abs=1e-6), colour) for at, colour in colours]
    assert set(dict(stops).values()) <= {colour for _, colour in colours}
    assert len(as_text(name, 3)) <= 3


def test_the_colours_that_are_missed_most_are_kept():
    """A ramp up and a ramp down, of 255 colours: its corners are all that is needed."""
    ramp = [(min(i, 510 - i), 0, 0) for i in range(0, 510, 2)]
    text = evenly(ramp).text(2, 0.002).split(",")
    assert text[0] == "0:000000" and text[1].endswith(":fe0000") and len(text) == 2
    one = ring([(0.0, (1, 2, 3))])
    assert one.text(64, 0.002) == "0:010203"


@pytest.mark.parametrize(
    "bent, told",
    [
        (
            "stretch=1.5 skew=10",
            ["stretch: the picture is not stretched here", "skew: the picture is not skewed here"],
        ),
        ("stretch=1.0 skew=0/1", ["skew: the picture is not skewed here"]),
        ("stretch=1 skew=0.0", []),
    ],
)
def test_what_ultra_fractal_bends_is_told(bent, told):
    found = found_in(samples.UPR.replace("angle=30", f"angle=30 {bent}"), "a.upr")
    assert [word for word in found.ignored if "here" in word] == told and found.place.rotation == "-30"
