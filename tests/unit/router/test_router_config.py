"""HAProxy's configuration, word for word. After a change on purpose, write render() anew."""

from pathlib import Path

import pytest

from regimen_router import body, large
from regimen_router.haproxy import environment, render, render_lua
from regimen_router.settings import Settings, SettingsError

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = Settings("business", "claims", "ab" * 32, decides_label=True, review_url_template="https://claims.example/cases/{reference}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("haproxy.cfg", render(SETTINGS)),
        ("large.cfg", large.render(SETTINGS)),
        ("hold.lua", render_lua(SETTINGS)),
        ("body.lua", body.render_lua()),
    ],
)
def test_the_configuration_is_the_golden_one(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text()


def test_the_key_is_in_the_environment_and_not_in_the_file() -> None:
    assert "abab" not in render(SETTINGS) and SETTINGS.signing_key_base64 not in render(SETTINGS)
    assert dict(environment(SETTINGS))["REGIMEN_ROUTER_KEY"] == SETTINGS.signing_key_base64


def test_only_label_tasks_say_that_a_person_decides() -> None:
    assert "X-Regimen-Decision" in render(SETTINGS)
    assert "X-Regimen-Decision" not in render(Settings("business", "documents", "ab" * 32))


def test_keys_differ_by_what_they_are_for() -> None:
    made = dict(environment(SETTINGS))
    assert made["REGIMEN_REFERENCE_KEY"] not in {made["REGIMEN_ROUTER_KEY"], ""} and "SIGNING_KEY" not in made


@pytest.mark.parametrize(
    "template",
    ["https://x.example/cases", "javascript:{reference}", 'https://x.example/{reference}"', "https://x.example/$HOME/{reference}"],
)
def test_a_template_that_could_say_more_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match="REVIEW_URL_TEMPLATE"):
        Settings("business", "claims", "ab" * 32, review_url_template=template)
