"""The walk through an ONNX file sees what the package onnx wrote, wherever it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.detection.onnx.wire import read_contents, text_entry

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'osm-ssd[onnx-export]'")
from onnx import TensorProto, helper


def graph(*nodes, initializer=()):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    return helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=initializer)


def model(*nodes, initializer=(), **more):
    made = helper.make_model(graph(*nodes, initializer=initializer), **more)
    return made.SerializeToString()


def outside():
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


RELU = helper.make_node("Relu", ["x"], ["y"])


def branch(inner):
    return helper.make_node("If", ["x"], ["y"], then_branch=graph(inner), else_branch=graph(RELU))


def test_a_plain_model_has_nothing_to_refuse():
    found = read_contents(model(RELU, branch(RELU), initializer=[helper.make_tensor("w", TensorProto.FLOAT, [1], [1])]))
    assert (found.texts, found.foreign, found.external, found.functions) == ({}, set(), False, False)


@pytest.mark.parametrize(
    "data",
    [
        lambda: model(RELU, initializer=[outside()]),
        lambda: model(helper.make_node("Constant", [], ["y"], value=outside())),
        lambda: model(branch(branch(helper.make_node("Constant", [], ["y"], value=outside())))),
    ],
    ids=["initializer", "constant", "constant in a branch of a branch"],
)
def test_values_in_other_files_are_seen_wherever_they_stand(data):
    assert read_contents(data()).external


@pytest.mark.parametrize("wrap", [lambda node: node, branch], ids=["node", "node in a branch"])
def test_operators_of_other_domains_are_seen(wrap):
    odd = helper.make_node("Shell", ["x"], ["y"], domain="com.example")
    assert "com.example::Shell" in read_contents(model(wrap(odd))).foreign


def test_a_domain_that_is_only_imported_is_seen():
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    assert read_contents(model(RELU, opset_imports=opsets)).foreign == {"com.example::*"}


def test_functions_are_seen():
    own = helper.make_function("", "F", ["x"], ["y"], [RELU], [helper.make_opsetid("", 18)])
    assert read_contents(model(RELU, functions=[own])).functions


@given(st.text(), st.text())
def test_a_text_that_is_appended_is_read_by_onnx_and_by_us(name, text):
    data = model(RELU) + text_entry(name, text)
    assert read_contents(data).texts == {name: text}
    entries = onnx.load_from_string(data).metadata_props
    assert [(entry.key, entry.value) for entry in entries] == [(name, text)]


def test_one_text_given_twice_is_refused():
    with pytest.raises(ValueError, match="two entries"):
        read_contents(model(RELU) + text_entry("a", "1") + text_entry("a", "2"))


def test_graphs_in_graphs_without_end_are_refused():
    deep = RELU
    for _ in range(12):
        deep = branch(deep)
    with pytest.raises(ValueError, match="graphs in graphs"):
        read_contents(model(deep))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_a_value_error(data):
    try:
        read_contents(data)
    except ValueError:
        return
    raise AssertionError("random bytes were taken for a model")


@given(st.integers(0, 10_000))
def test_a_model_that_is_cut_short_is_refused_or_lacks_its_end(cut):
    whole = model(RELU) + text_entry("end", "here")
    part = whole[: cut % len(whole)]
    try:
        found = read_contents(part)
    except ValueError:
        return
    assert found.texts == {}
