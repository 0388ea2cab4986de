"""A YAML file's errors name the line and the field, and never repeat a value."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import RootModel

from consumer.commands import rules_files, yaml_file
from consumer.errors import ConfigInvalid
from schemas.rules_file import RulesFile
from schemas.secret import Secret

CHANNEL = """\
channels:
  - key: hook
    type: WEBHOOK
    name: Hook
    url: https://example.com/hook
"""
RULE = """\
rules:
  - key: quota
    type: entitlements.balance.threshold
    name: Quota
    channels: [hook]
    thresholds:
      - {type: usage_percentage, value: 80}
      - type: usage_value
        value: VALUE
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def read(path: Path, text: str, **environment: str) -> RulesFile:
    path.write_text(text, encoding="utf-8")
    [file] = rules_files.read([path], environment).files
    return file.model


def refused(path: Path, text: str, **environment: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read(path, text, **environment)
    said = str(caught.value)
    assert all(line.startswith("rules.yaml") for line in said.splitlines())
    assert "hush" not in said
    return said


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "namespace: default\n"])
def test_an_empty_file_is_an_empty_namespace(path: Path, text: str) -> None:
    assert read(path, text) == RulesFile()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("80", "80"),
        ("80.50", "80.50"),  # zeros are digits
        ("12345678901234567890.12345", "12345678901234567890.12345"),  # 25 digits
        ("1e3", "1E+3"),
        ("1.5e+3", "1.5E+3"),
        ('"80"', "80"),
        ("'80'", "80"),
        ("!!str 80", "80"),
        ("${LIMIT}", "99.5"),
    ],
)
def test_numbers_are_exact(path: Path, written: str, value: str) -> None:
    file = read(path, CHANNEL + RULE.replace("VALUE", written), LIMIT="99.5")

    assert str(file.rules[0].thresholds[1].value) == value


@pytest.mark.parametrize(
    ("written", "says"),
    [
        # what YAML 1.1 takes for a number, and JSON does not
        ("1_000", "must be a number, such as 80 or 99.5"),
        ("0x10", "must be a number, such as 80 or 99.5"),
        ("010", "must be a number, such as 80 or 99.5"),
        ("1:30", "must be a number, such as 80 or 99.5"),
        ("+80", "must be a number, such as 80 or 99.5"),
        (".5", "must be a number, such as 80 or 99.5"),
        (".nan", "must be a number, such as 80 or 99.5"),
        (".inf", "must be a number, such as 80 or 99.5"),
        ("2026-11-22", "must be a number, such as 80 or 99.5"),
        ("eighty", "must be a number, such as 80 or 99.5"),
        ("hush-hush", "must be a number, such as 80 or 99.5"),
        ("!!python/object/apply:os.system hush", "must be a number, such as 80 or 99.5"),
        ("!!binary aHVzaA==", "must be a number, such as 80 or 99.5"),
        ("yes", "must be a number"),
        ("~", "must be a number"),
        ("", "must be a number"),
        ("[80]", "must be a number"),
        ("{a: 80}", "must be a number"),
        # beyond the limits
        ("9" * 39, "has more than 38 significant digits, or an exponent beyond ±38"),
        ("1.0e+39", "has more than 38 significant digits, or an exponent beyond ±38"),
        ("1.0e+99999999999999999999", "has an exponent beyond ±38"),
        ("0", "must be above 0"),
        ("-1", "must be above 0"),
    ],
)
def test_a_value_that_is_not_a_number_names_line_and_field(path: Path, written: str, says: str) -> None:
    said = refused(path, CHANNEL + RULE.replace("VALUE", written))

    assert said == f"rules.yaml, line 14: rules[0].thresholds[1].value: {says}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # an unknown field, in every place
        ("colour: red\n", "line 1: colour: there is no such field"),
        (CHANNEL + "    colour: hush\n", "line 6: channels[0].colour: there is no such field"),
        (CHANNEL + RULE + "        unit: hush\n", "line 15: rules[0].thresholds[1].unit: there is no such field"),
        # a field that is missing: the line of what lacks it
        ("channels:\n  - key: hook\n    name: Hook\n    url: https://e.com\n", "line 2: channels[0].type: is missing"),
        (CHANNEL.replace("    name: Hook\n", ""), "line 2: channels[0].name: is missing"),
        (
            CHANNEL.replace("key: hook\n    ", ""),
            "line 2: channels[0]: key is missing: by it `apply` finds the channel again",
        ),
        (RULE.replace("        value: VALUE\n", ""), "line 8: rules[0].thresholds[1].value: is missing"),
        # what is allowed instead
        (CHANNEL.replace("WEBHOOK", "hush"), "line 3: channels[0].type: must be 'WEBHOOK'"),
        (
            RULE.replace("usage_value", "hush"),
            "line 8: rules[0].thresholds[1].type: must be 'usage_percentage'",
        ),
        ("namespace: [hush]\n", "line 1: namespace: must be a text"),
        ("namespace: 5\n", "line 1: namespace: must be a text"),
        ("channels: hush\n", "line 1: channels: must be a list"),
        ("- hush\n", "line 1: must be an object"),
        ("hush\n", "line 1: must be an object"),
        # secrets: the place and the rule, never the value
        (CHANNEL.replace("https://example.com/hook", "ftp://hush.hush/hush"), "line 5: channels[0].url: has a scheme"),
        (CHANNEL + "    signingSecret: hush-hush\n", "line 6: channels[0].signingSecret: the signing secret is not"),
        (CHANNEL + "    signingSecret: 5\n", "line 6: channels[0].signingSecret: must be a text"),
        (
            CHANNEL + '    customHeaders: {X-Key: "hush\\nhush"}\n',
            "line 6: channels[0].customHeaders: header 'X-Key' has a value with a line break",
        ),
        (CHANNEL + "    customHeaders:\n      Host: hush\n", "line 6: channels[0].customHeaders: header 'Host' is res"),
        # keys
        (
            CHANNEL + CHANNEL.removeprefix("channels:\n"),
            "line 6: channels[1].key: duplicate key 'hook': it is in rules.yaml, line 2 as well",
        ),
        (RULE.replace("VALUE", "1"), "line 5: rules[0].channels: no channel of this file has the key 'hook'"),
        ("namespace: a\nnamespace: b\n", "line 2: duplicate key 'namespace'"),
        (CHANNEL + "    name: hush\n", "line 6: duplicate key 'name'"),
        ("? [a, b]\n: hush\n", "line 1: a key must be a plain text"),
        # no YAML
        ("a: b: hush\n", "line 1: invalid YAML: mapping values are not allowed here"),
        ("a:\n\t- hush\n", "line 2: invalid YAML: found character '\\t' that cannot start any token"),
        ("a: [hush\n", "line 2: invalid YAML: expected ',' or ']'"),
        ("a: 'hush\n", "line 2: invalid YAML: found unexpected end of stream"),
        ("a: 1\n---\nb: hush\n", "line 2: invalid YAML: but found another document"),
        # what follows these signs may be a secret that was not quoted
        ("a: *hush\n", "line 1: invalid YAML: found undefined alias"),
        ("a: &hush 1\nb: &hush 2\n", "line 2: invalid YAML: second occurrence"),
        ("a: !hush!hush b\n", "line 1: invalid YAML: found undefined tag handle"),
    ],
)
def test_an_error_names_line_field_and_what_is_allowed(path: Path, text: str, says: str) -> None:
    said = refused(path, text)

    assert said.startswith("rules.yaml, ")
    assert says in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a: "\x00"\n', "rules.yaml: invalid YAML: character 5 is not allowed: U+0000"),
        ("[" * 20_000, "rules.yaml: is nested without end, or deeper than any rule needs"),
        ("a: &a [*a]\n", "rules.yaml: is nested without end, or deeper than any rule needs"),
        ("#" * (yaml_file.MAX_BYTES + 1), "rules.yaml: is larger than 10485760 bytes"),
    ],
    ids=["NUL", "20,000 levels", "itself", "10 MB"],
)
def test_what_cannot_be_read_as_a_whole_is_refused_in_one_line(path: Path, text: str, says: str) -> None:
    assert refused(path, text) == says


def test_aliases_of_aliases_are_bounded(path: Path) -> None:
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )

    assert "holds more than 100000 values" in refused(path, bomb)


def test_an_anchor_may_be_used_again(path: Path) -> None:
    text = CHANNEL.replace("name: Hook", "name: &name Hook\n    metadata: {team: *name}")

    assert read(path, text).channels[0].metadata == {"team": "Hook"}


def test_variables_come_from_the_environment_wherever_they_stand(path: Path) -> None:
    text = CHANNEL + '    customHeaders: {Authorization: "Bearer ${TOKEN}", X: "${A}-${B}", Y: "$A {A} $${A} ${A}"}\n'

    headers = read(path, text, TOKEN="hush-hush", A="1", B="2").channels[0].custom_headers

    assert headers == {"Authorization": Secret("Bearer hush-hush"), "X": Secret("1-2"), "Y": Secret("$A {A} ${A} 1")}


def test_what_a_variable_holds_is_a_value_and_no_yaml(path: Path) -> None:
    text = CHANNEL.replace("name: Hook", "name: ${NAME}")

    assert read(path, text, NAME="[a, ${NAME}]: #").channels[0].name == "[a, ${NAME}]: #"


def test_a_variable_that_is_not_there_is_named_with_its_line(path: Path) -> None:
    said = refused(path, CHANNEL + "    signingSecret: ${HOOK_SECRET}\n", HOOK_TOKEN="hush")

    assert said == "rules.yaml, line 6: ${HOOK_SECRET}: the environment has no HOOK_SECRET"


def test_a_bad_secret_of_a_variable_is_not_repeated(path: Path) -> None:
    said = refused(path, CHANNEL + "    signingSecret: ${HOOK_SECRET}\n", HOOK_SECRET="hush-hush")

    assert said.startswith("rules.yaml, line 6: channels[0].signingSecret: the signing secret is not base64")


@pytest.mark.parametrize(
    ("written", "is_disabled"), [("true", True), ("yes", True), ("On", True), ("false", False), ("no", False)]
)
def test_yamls_booleans_are_taken(path: Path, written: str, is_disabled: bool) -> None:
    assert read(path, CHANNEL + f"    disabled: {written}\n").channels[0].disabled is is_disabled


def test_null_is_absent(path: Path) -> None:
    assert read(path, CHANNEL + "    customHeaders: null\n    disabled: ~\n").channels[0].custom_headers is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"missing\.yaml: cannot be read: No such file or directory"):
        yaml_file.read(tmp_path / "missing.yaml", RulesFile, {})


def test_a_file_that_is_not_utf_8_is_refused(path: Path) -> None:
    path.write_bytes(b"namespace: h\xfcsh\n")

    with pytest.raises(ConfigInvalid, match=r"rules\.yaml: is not UTF-8 at byte 12"):
        yaml_file.read(path, RulesFile, {})


def test_decimals_reach_free_text_as_written(path: Path) -> None:
    file = read(path, CHANNEL + RULE.replace("VALUE", "1.10"))

    assert file.rules[0].thresholds[1].value == Decimal("1.1")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [80, -0, 80.00, 12345678901234567890.125, true, null, "80", "x: y", "${NAME}", "$${NAME}"]}',
        '{"a": {"b": [{}, [], ""]}, "c": "\\u00fc\\/\\n"}',
        '"${NAME}"',
        '{"a": NaN}',
        "[1" + "0" * 98 + "]",
    ],
)
def test_json_is_read_as_yaml_reads_it(path: Path, text: str) -> None:
    both = []
    for one in (text, f"{text} # a comment: this is no JSON"):
        path.write_text(one, encoding="utf-8")
        both.append(yaml_file.read(path, RootModel[Any], {"NAME": "hush"}).model.root)

    assert repr(both[0]) == repr(both[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"namespace": "default",\n"namespace": "other"}', r"line 2: duplicate key 'namespace'"),
        ('{"channels": [{"key": "hook",\n"url": "${NO_SUCH}"}]}', r"line 2: .*the environment has no NO_SUCH"),
        ('{"namespace": "default",\n"channel": []}', r"line 2: channel: there is no such field"),
        ('{"namespace": "default",\n\t"channel": []}', r"line 2: channel: there is no such field"),
        ('{"namespace": "\x7f",\n"channel": []}', r"line 1: channel: there is no such field"),  # which YAML is not
        ('{"a":\n' + "[" * 3000 + "]" * 3000 + "}", r"nested without end"),
        ('{"a": [' + "1," * 100_000 + "1]}", r"line 1: holds more than 100000 values"),
    ],
)
def test_what_is_wrong_in_json_is_said_as_of_yaml(path: Path, text: str, says: str) -> None:
    assert re.search(says, refused(path, text))
