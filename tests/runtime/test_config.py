import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from reflexarc.runtime.config import Strict, apply_setting, dump_yaml, parse_yaml, read_yaml
from reflexarc.runtime.errors import ConfigError, MissingFileError


class Inner(Strict):
    gain: float
    names: list[str] = Field(default_factory=list)


class Outer(Strict):
    inner: Inner
    count: int = 1


TEXT = """\
# a comment
count: 2
inner:
  gain: 1.5
  names:
    - a
    - b
"""


def test_a_good_document_validates():
    outer = parse_yaml(TEXT, "f.yaml").validate(Outer)
    assert outer == Outer(inner=Inner(gain=1.5, names=["a", "b"]), count=2)


def test_models_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse_yaml(TEXT, "f.yaml").validate(Outer).count = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {gain: 1}\ncuont: 2\n", "f.yaml:2: cuont: unknown key"),
        ("inner:\n  names: [a]\n", "f.yaml:1: inner.gain: required key is missing"),
        ("inner:\n  gain: 1\n  names:\n    - a\n    - 7\n", "f.yaml:5: inner.names.1: input sh"),
        ("inner: {gain: .nan}\n", "f.yaml:1: inner.gain: input should be a finite number"),
        ("inner: {gain: .inf}\n", "f.yaml:1: inner.gain: input should be a finite number"),
        ("inner: {gain: 'x'}\n", r"f.yaml:1: inner.gain: input should be .* \(got 'x'\)"),
        ("inner: {gain: 1}\ncount: 2.5\n", "f.yaml:2: count: "),
        ("count: 1\ncount: 2\n", "f.yaml:2: count: duplicate key"),
        ("a: &x 1\nb: *x\n", "f.yaml:2: aliases"),
        ("a: !!python/object:os.system x\n", "f.yaml:1: a value of type"),
        ("a: 2020-01-01\n", "f.yaml:1: a value of type"),
        ("? [a, b]\n: 1\n", "f.yaml:1: a key must be a plain word"),
        ("a: [1, 2\n", "f.yaml:2: not valid YAML"),
        ("a: \x07\n", "f.yaml: not valid YAML"),
        ("- a\n", "f.yaml:1: expected a mapping"),
        ("", "f.yaml:1: expected a mapping"),
    ],
)
def test_bad_documents_are_one_line_with_place(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, "f.yaml").validate(Outer)
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a UTF-8 text file"):
        read_yaml(tmp_path / "b.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


def test_settings_change_and_make_values():
    document = parse_yaml("inner:\n  names: [a, b]\n", "f.yaml")
    for setting in ("inner.gain=2.5", "count=4", "inner.names.1=z"):
        apply_setting(document, setting)
    outer = document.validate(Outer)
    assert outer == Outer(inner=Inner(gain=2.5, names=["a", "z"]), count=4)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("count", "--set count: expected key.path=value"),
        ("=3", "--set =3: expected"),
        ("cuont=3", "--set cuont: unknown key"),
        ("iner.gain=3", "--set iner.gain: unknown key"),
        ("inner.gain=fast", "--set inner.gain: input should be"),
        ("inner.names.7=c", "'7' is not an index from 0 to 1"),
        ("count.x=3", "there are no keys below"),
        ("count=[", "--set count:1: not valid YAML"),
    ],
)
def test_bad_settings_name_the_setting(setting, message):
    document = parse_yaml(TEXT, "f.yaml")
    with pytest.raises(ConfigError, match=message):
        apply_setting(document, setting)
        document.validate(Outer)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5e3", 1500.0),
        (".5E+1", 5.0),
        ("-2e1", -20.0),
        ("e4", "e4"),
        ("1e", "1e"),
    ],
)
def test_numbers_may_have_an_exponent(text, value):
    assert parse_yaml(f"x: {text}", "f.yaml").data == {"x": value}


@given(st.text(max_size=200))
def test_arbitrary_text_never_raises_anything_else(text):
    try:
        parse_yaml(text, "f").validate(Outer)
    except ConfigError as error:
        assert "\n" not in str(error)


_WORDS = st.text(st.characters(codec="utf-8"), max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
)


@given(st.dictionaries(_WORDS, _VALUES, max_size=4))
def test_what_is_dumped_is_parsed_back(data):
    assert parse_yaml(dump_yaml(data), "x").data == data


@pytest.mark.parametrize("word", ["1e5", "1e-5", ".5e3", "null", "~", "yes", "\x85", "*a", "- a"])
def test_words_that_look_like_something_else_stay_words(word):
    assert parse_yaml(dump_yaml({word: [word, 1e-5]}), "x").data == {word: [word, 1e-5]}
