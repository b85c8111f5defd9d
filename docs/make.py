"""Build the documentation with Zensical, notebooks included; anything that Zensical reports is an error.

``python docs/make.py`` builds ``site/``, ``python docs/make.py serve`` shows the pages while you write them.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from nbconvert import MarkdownExporter
from nbconvert.writers import FilesWriter

ROOT = Path(__file__).parents[1]
DOCS, SITE = ROOT / "docs", ROOT / "site"
EXPECTED = re.compile(r"Build started|No issues found|Build finished in .*")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # Zensical colours its warnings letter by letter
IMAGE = re.compile(r'<img [^>]*src="([^":]+)"')  # no colon: a file of the site, not an address


def main(arguments: list[str]) -> int:
    """Convert the notebooks, then build or serve; return the exit status."""
    convert_notebooks()
    command, environment = ["zensical", *(arguments or ["build", "--strict", "--clean"])], dict(os.environ)
    environment["PYTHONPATH"] = os.fspath(DOCS)  # for the extension in mathematics.py
    if arguments:
        return subprocess.call(command, cwd=ROOT, env=environment)
    build = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT)
    output = COLOUR.sub("", build.stdout)
    print(output, end="")
    reported = [line for line in output.splitlines() if not EXPECTED.fullmatch(line)]
    problems = [] if build.returncode else [*reported, *absent_pages(), *absent_images()]
    if problems:
        print(f"{len(problems)} problems, each of which must go:", *problems, sep="\n")
    return build.returncode or bool(problems)


def convert_notebooks() -> None:
    """Write ``examples/*.ipynb`` as pages with their outputs: Zensical reads Markdown only."""
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        body, resources = MarkdownExporter().from_filename(notebook)
        FilesWriter(build_directory=os.fspath(DOCS / "examples")).write(body, resources, notebook.stem)


def absent_pages() -> Iterator[str]:
    """Compare the navigation with the folder: Zensical ignores an entry without a page, and a page without an entry."""
    listed = set(_pages(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    yield from (f"zensical.toml lists {page}, which is not in docs/" for page in sorted(listed - written))
    yield from (f"docs/{page} is not in the navigation of zensical.toml" for page in sorted(written - listed))


def absent_images() -> Iterator[str]:
    """Look for the picture of every ``<img>``: Zensical checks links, not pictures."""
    for page in sorted(SITE.rglob("*.html")):
        for source in IMAGE.findall(page.read_text()):
            if not (page.parent / source).is_file():
                yield f"{page.relative_to(SITE)} shows {source}, which is not there"


def _pages(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict | list):
        for below in entry.values() if isinstance(entry, dict) else entry:
            yield from _pages(below)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
