"""Which software made a file."""

from osm.compat.versions import code_sha256


def test_the_hash_of_the_code_follows_what_decides_a_result_and_nothing_else(tmp_path):
    def code(name, text):
        path = tmp_path / "osm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        code_sha256.cache_clear()
        return code_sha256(tmp_path / "osm")

    first = code("detection/engine.py", "a = 1\n")
    assert code("detection/engine.py", "a = 2\n") != first
    assert code("detection/engine.py", "a = 1\n") == first
    assert code("cli/main.py", "b = 1\n") == first
    assert code("compare/report/html.py", "b = 1\n") == first
    assert code("detection/__pycache__/engine.pyc", "b = 1\n") == first
    deeper = code("detection/yolov3u/engine.py", "")
    assert deeper != first
    assert code("data/images.py", "") not in (first, deeper)
    code_sha256.cache_clear()
    assert len(code_sha256()) == 64
