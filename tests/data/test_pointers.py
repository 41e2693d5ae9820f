"""No vector file leads elsewhere, whatever it is called."""

from __future__ import annotations

import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("pyogrio", reason="the extra geo is not installed")

import geopandas
import shapely

from osm.data.land import LandMask
from osm.data.pointers import refuse_pointers
from osm.errors import DataError

VIRTUAL = (
    """<OGRVRTDataSource><OGRVRTLayer name="l"><SrcDataSource>{}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"""
)
SERVICE = "<OGRWFSDataSource><URL>{}</URL></OGRWFSDataSource>"
SQUARE = geopandas.GeoDataFrame({"name": ["land"]}, geometry=[shapely.box(10, 50, 11, 51)], crs="EPSG:4326")


@pytest.mark.parametrize("inside", ["", "zip"])
@pytest.mark.parametrize("head", ["", "\ufeff", "<?xml version='1.0'?>\n<!-- <kml> -->\n"])
@pytest.mark.parametrize("text", [VIRTUAL, SERVICE])
def test_the_network_is_never_asked(tmp_path: Path, text: str, head: str, inside: str) -> None:
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            asked.append("a connection")

    with HTTPServer(("127.0.0.1", 0), Listening) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/land.geojson"
        path = tmp_path / "land.geojson"
        path.write_text(head + text.format(f"/vsicurl/{address}" if text is VIRTUAL else address), encoding="utf-8")
        if inside:
            with zipfile.ZipFile(tmp_path / "land.zip", "w") as archive:
                archive.write(path, "land.geojson")
            path = tmp_path / "land.zip"
        with pytest.raises(DataError, match="may point elsewhere"):
            LandMask.open(path)
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".kml", ".gml", ".fgb"])
def test_files_with_shapes_in_them_are_read_as_before(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "land"
    folder.mkdir()
    SQUARE.to_file(folder / f"land{suffix}")
    assert len(LandMask.open(folder / f"land{suffix}")) == 1
    (folder / "README.html").write_text("<!DOCTYPE html><title>land</title>")
    refuse_pointers(folder)
    with zipfile.ZipFile(tmp_path / "land.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    refuse_pointers(tmp_path / "land.zip")


def test_nothing_is_written_beside_a_gml(tmp_path: Path) -> None:
    SQUARE.to_file(tmp_path / "land.gml")
    (tmp_path / "land.xsd").unlink()  # without it GDAL makes a schema of its own, and keeps it
    before = sorted(tmp_path.iterdir())
    assert len(LandMask.open(tmp_path / "land.gml")) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("content", [b"\x00\x01junk", b'{"type": "FeatureColl', b""])
def test_no_vector_file_at_all_is_one_plain_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "land.geojson").write_bytes(content)
    with pytest.raises(DataError, match="a file of no such format") as caught:
        LandMask.open(tmp_path / "land.geojson")
    assert "driver" not in str(caught.value)
