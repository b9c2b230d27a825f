"""XML metadata, read without trust: no DTD, no entities, no external references, bounded size."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from thalweg.errors import BadInput
from thalweg.readers.facts import number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_METADATA_BYTES = 32 * 2**20
"""The largest metadata file that is read; real ones stay below 2 MB."""


@dataclass(frozen=True, slots=True)
class XmlFile:
    """A parsed XML file, its namespaces left out."""

    label: str
    """How messages call the file."""
    root: Element
    """Its root element."""

    def elements(self, *names: str) -> list[Element]:
        """The elements at the end of every chain of children with these names, wherever the chain begins."""
        return self.root.findall(".//" + "/".join(names))

    def text(self, *names: str) -> str | None:
        """Text of the first such element, or None where there is none or it is blank."""
        elements = self.elements(*names)
        return ((elements[0].text or "").strip() or None) if elements else None

    def number(self, *names: str, low: float, high: float) -> float | None:
        """Number in the first such element, or None where there is none; BadInput where it is out of range."""
        text = self.text(*names)
        return None if text is None else number(text, self.where(*names), low, high)

    def where(self, *names: str) -> str:
        """File and element, for messages."""
        return f"{self.label}: {'/'.join(names)}"


def read_xml(path: Path, label: str, root_name: str) -> XmlFile:
    """Parse a metadata file whose root's name ends with `root_name`.

    Raises BadInput where the file is cut, not XML, in a wrong encoding, declares a DTD or entities, or is another
    document: an error page that a server sent in place of the metadata is XML too.
    """
    content = read_metadata(path, label)
    try:
        root = fromstring(content, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as problem:
        kind = type(problem).__name__
        raise BadInput(f"{label}: refused, metadata may not declare a DTD or entities ({kind})") from None
    except (ParseError, ValueError, LookupError) as problem:
        raise BadInput(f"{label}: is cut or not well-formed XML: {problem}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if not root.tag.endswith(root_name):
        raise BadInput(f"{label}: is a document <{root.tag[:40]}>, not <{root_name}>")
    return XmlFile(label, root)


def read_metadata(path: Path, label: str, most: int = MAX_METADATA_BYTES) -> bytes:
    """The bytes of a metadata file; BadInput where it is no regular file, or larger than any metadata."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput(f"{label}: is not a file")
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise BadInput(f"{label}: is larger than {most >> 10} kB, no metadata is")
    return content
