"""A Markdown extension that turns formulas into MathML: the pages need no script for them and no network."""

from html import unescape
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from math_core import LatexToMathML


class FormulasToMathML(Treeprocessor):
    """Replace what ``pymdownx.arithmatex`` has marked as a formula. A formula that is no LaTeX ends the build."""

    def run(self, root: Element) -> None:
        """Replace the text of each element of the class ``arithmatex`` with MathML."""
        for marked in root.iter():
            if marked.get("class") == "arithmatex" and marked.text:
                latex = unescape(marked.text).strip()[2:-2]  # without \( \) or \[ \]
                marked.text = self.md.htmlStash.store(mathml(latex, block=marked.tag == "div"))


def mathml(latex: str, *, block: bool) -> str:
    """Return the formula as a ``<math>`` element, in a line of text or as a block of its own."""
    if r"\tag" in latex:  # LaTeX numbers equations, not formulas
        latex = rf"\begin{{equation}}{latex}\end{{equation}}"
    return LatexToMathML(fancy_error=False).convert_with_local_state(latex, displaystyle=block)


class MathematicsExtension(Extension):
    """The extension that ``zensical.toml`` lists as ``mathematics``."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Markdown's name
        """Run last, when the text of every element is final."""
        md.treeprocessors.register(FormulasToMathML(md), "mathematics", -10)


def makeExtension(**options: object) -> MathematicsExtension:  # noqa: N802 - Markdown's name
    """Make the extension; Markdown calls this in each module that its settings name."""
    return MathematicsExtension(**options)
