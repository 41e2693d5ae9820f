"""Published vulnerabilities of packages that OSM-SSD stands on, and the versions that are free of them.

A list that people keep by hand, for where the database of ``make audit`` cannot be asked: it is not complete. What it
holds is what concerns this package: files from elsewhere, the local page, and how packages get here.
``python -m tests.packaging.advisories`` prints it as the table of docs/security.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advisory:
    """A vulnerability.

    Attributes:
        package: Its name.
        number: CVE or GHSA.
        fixed: First version without it.
        what: In a few words.
        bearing: What it means here.
    """

    package: str
    number: str
    fixed: str
    what: str
    bearing: str


ADVISORIES = (
    Advisory(
        "torch", "CVE-2025-32434", "2.6", "`torch.load(weights_only=True)` can run code", "`.pth` files; torch>=2.6"
    ),
    Advisory(
        "torch", "CVE-2026-24747", "2.10", "the same call can be made to corrupt memory",
        "`.pth` files: torch 2.6 to 2.9 work here and have it, so take `.safetensors` from elsewhere with these",
    ),
    Advisory("pillow", "CVE-2026-25990", "12.1.1", "a PSD file writes beyond its buffer", "no reader here takes PSD"),
    Advisory("pillow", "GHSA-wjx4-4jcj-g98j", "12.2.0", "overflow of glyph positions", "pictures of a report"),
    Advisory("jinja2", "CVE-2025-27516", "3.1.6", "a template leaves its sandbox", "templates are our own"),
    Advisory("onnx", "CVE-2024-5187", "1.17.0", "an archive of models writes elsewhere", "no archive is unpacked"),
    Advisory("protobuf", "CVE-2025-4565", "6.31.1", "endless recursion", "a forged `.onnx`; TensorBoard's files"),
    Advisory("setuptools", "GHSA-5rjg-fvgr-3xxf", "78.1.1", "a download writes elsewhere", "installing"),
    Advisory("requests", "CVE-2024-47081", "2.32.4", "credentials of .netrc leak", "downloads of the extra `hub`"),
    Advisory("urllib3", "CVE-2025-66418", "2.6.0", "endless decompression", "the same"),
    Advisory("h11", "CVE-2025-43859", "0.16.0", "requests are smuggled", "the same; `osm view` does not use it"),
)  # fmt: skip


def table() -> str:
    """Markdown."""
    head = ("package", "advisory", "fixed in", "what", "here")
    rows = [head, ("---",) * len(head)]
    rows += [(f"`{one.package}`", one.number, one.fixed, one.what, one.bearing) for one in ADVISORIES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
