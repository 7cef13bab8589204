"""HAProxy's configuration, word for word. After a change on purpose, write render() anew."""

import re
from pathlib import Path

import pytest

from regimen_router.haproxy import environment, forbidden_field, render, render_lua
from regimen_router.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = Settings("business", "claims", "ab" * 32, decides_label=True)


@pytest.mark.parametrize(("name", "text"), [("haproxy.cfg", render(SETTINGS)), ("hold.lua", render_lua(SETTINGS))])
def test_the_configuration_is_the_golden_one(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text()


def test_the_key_is_in_the_environment_and_not_in_the_file() -> None:
    assert "abab" not in render(SETTINGS) and SETTINGS.signing_key_base64 not in render(SETTINGS)
    assert dict(environment(SETTINGS))["REGIMEN_ROUTER_KEY"] == SETTINGS.signing_key_base64


def test_only_label_tasks_say_that_a_person_decides() -> None:
    assert "X-Regimen-Decision" in render(SETTINGS)
    assert "X-Regimen-Decision" not in render(Settings("business", "documents", "ab" * 32))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"n_discard": 5}', True),
        ('{"n_discard"\n :5}', True),
        (r'{"\u006e_discard": 5}', True),
        (r'{"n\u005Fdiscard": 5}', True),
        ('{"prompt": "\\"n_discard\\": 5"}', False),
        ('{"prompt": "n_discard"}', False),
        ('{"n_discards": 5}', False),
    ],
)
def test_the_field_is_found_however_it_is_written(body: str, found: bool) -> None:
    assert bool(re.search(forbidden_field("n_discard"), body)) is found
