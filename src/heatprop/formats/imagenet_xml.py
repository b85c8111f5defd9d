"""Read and write ImageNet VID and DET annotations: one XML file per image."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from heatprop.evaluation.column_checks import LARGEST_FRAME
from heatprop.formats.bad_rows import Skipped, located, parse_number, parse_path, parse_whole
from heatprop.formats.whole_files import replacing

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class AnnotatedObject(NamedTuple):
    """One ``<object>``.

    Attributes:
        name: WordNet id of its class.
        box: Box ``(x1, y1, x2, y2)`` as written: the last pixel is included, and nothing is clipped.
        track: Number of the object in the video; -1 in DET, which has no tracks.
        occluded: Whether the object is marked as occluded; ``None`` if the file does not say.
        generated: Whether the box was interpolated, not drawn; ``None`` if the file does not say.
    """

    name: str
    box: tuple[float, float, float, float]
    track: int = -1
    occluded: bool | None = None
    generated: bool | None = None


class Annotation(NamedTuple):
    """One annotation file.

    Attributes:
        width: Width of the picture, in pixels.
        height: Height of the picture, in pixels.
        objects: Objects in the picture; may be empty.
    """

    width: int
    height: int
    objects: list[AnnotatedObject]


def read_annotation(path: str | PathLike[str], *, skipped: Skipped | None = None) -> Annotation:
    """Read one annotation file of ImageNet VID or DET.

    Args:
        path: The ``.xml`` file.
        skipped: Collects malformed objects; ``None`` stops at the first.

    Returns:
        The annotation. Class names are those of the objects, which in DET differ from that of the folder.

    Raises:
        ValueError: If the file is not XML, has no ``<size>``, or an object is malformed.
        FileNotFoundError: If there is no such file.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        raise ValueError(f"{path}, line {line}, column {column}: must be XML, {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that does not exist, or that XML cannot be in
        raise ValueError(f"{path}, line 1: must be XML in UTF-8 or another known encoding, got {error}") from None
    try:
        size = tuple(
            parse_whole(f"size/{tag}", _text(root, f"size/{tag}"), low=0, high=LARGEST_FRAME)
            for tag in ("width", "height")
        )
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
    objects = []
    for number, element in enumerate(root.iterfind("object"), start=1):
        with located(path, f"object {number}", skipped):
            objects.append(_parse_object(element))
    return Annotation(size[0], size[1], objects)


def read_annotations(
    folder: str | PathLike[str], names: Iterable[str], *, skipped: Skipped | None = None
) -> Iterator[tuple[str, Annotation]]:
    """Read annotation files one after another.

    Args:
        folder: ``Annotations/VID`` or ``Annotations/DET``.
        names: Files in it, without ``.xml``, as from `FrameList.paths` or `read_image_list`.
        skipped: Collects malformed objects and files, and names without a file; ``None`` stops at the first.

    Yields:
        Name and annotation of each file that was not left out.

    Raises:
        ValueError: If a file is missing or malformed.
    """
    for name in names:
        path = Path(folder) / f"{name}.xml"
        try:
            parse_path("an image's name", name)
            yield name, read_annotation(path, skipped=skipped)
        except FileNotFoundError:
            with located(path, "listed but missing", skipped):
                raise ValueError(f"every listed image must have its annotation below {folder}") from None
        except ValueError as problem:
            if skipped is None:
                raise
            skipped.add(str(problem))


def write_annotation(path: str | PathLike[str], annotation: Annotation) -> None:
    """Write one annotation file in the layout of ImageNet VID, corners in its order: xmax, xmin, ymax, ymin.

    Args:
        path: File to write; the folder and file names inside it come from this path.
        annotation: The annotation.
    """
    path = Path(path)
    root = ElementTree.Element("annotation")
    _add(root, folder=path.parent.name, filename=path.stem)
    _add(_add(root, "source"), database="ILSVRC_2015")
    _add(_add(root, "size"), width=annotation.width, height=annotation.height)
    for one in annotation.objects:
        element = _add(root, "object")
        if one.track >= 0:
            _add(element, trackid=one.track)
        _add(element, name=one.name)
        corners = dict(zip(_CORNERS, one.box, strict=True))
        _add(_add(element, "bndbox"), **{tag: f"{corners[tag]:.15g}" for tag in ("xmax", "xmin", "ymax", "ymin")})
        flags = {"occluded": one.occluded, "generated": one.generated}
        _add(element, **{tag: int(flag) for tag, flag in flags.items() if flag is not None})
    ElementTree.indent(root, "\t")
    with replacing(path) as file:
        file.write(ElementTree.tostring(root, encoding="unicode") + "\n")


def _parse_object(element: ElementTree.Element) -> AnnotatedObject:
    x1, y1, x2, y2 = (parse_number(f"bndbox/{tag}", _text(element, f"bndbox/{tag}")) for tag in _CORNERS)
    track, *flags = (element.findtext(tag) for tag in ("trackid", "occluded", "generated"))
    return AnnotatedObject(
        name=_text(element, "name"),
        box=(x1, y1, x2, y2),
        track=-1 if track is None else parse_whole("trackid", track),
        occluded=None if flags[0] is None else bool(parse_whole("occluded", flags[0])),
        generated=None if flags[1] is None else bool(parse_whole("generated", flags[1])),
    )


def _text(element: ElementTree.Element, tag: str) -> str:
    text = element.findtext(tag)
    if text is None or not text.strip():
        raise ValueError(f"<{tag.replace('/', '><')}> must be present, got {'nothing' if text is None else 'no text'}")
    return text.strip()


def _add(parent: ElementTree.Element, *tags: str, **texts: object) -> ElementTree.Element:
    """Add elements and return the last one."""
    added = parent
    for tag, text in [*((tag, None) for tag in tags), *texts.items()]:
        added = ElementTree.SubElement(parent, tag)
        added.text = None if text is None else str(text)
    return added
