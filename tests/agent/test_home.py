"""The home folder: made once, private, refused when damaged, held by one process."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from federation.agent import config as configuration
from federation.agent.config import (
    AgentConfig,
    CoordinatorSection,
    DataSection,
    LimitsSection,
    PolicySection,
    ResponseSection,
)
from federation.agent.errors import HomeInvalid, HomeLocked
from federation.agent.home import Home
from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm

CONFIG = AgentConfig(
    org_id="org-a", name='Größe "A" \\ Sécurité', coordinator=CoordinatorSection(url="https://c.example")
)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_new_home_is_private_and_holds_its_key(tmp_path: Path, algorithm: Algorithm) -> None:
    home, key = Home.create(tmp_path / "deep" / "home", CONFIG, algorithm)

    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    for path in (home.key_file, home.config_file, home.peers_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert home.key().seed == key.seed
    assert home.key().algorithm is algorithm
    assert home.config() == CONFIG


def test_a_home_is_never_overwritten(tmp_path: Path) -> None:
    home, key = Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)

    with pytest.raises(HomeInvalid, match="already holds an agent"):
        Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)
    assert home.key().seed == key.seed


def test_a_folder_in_use_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("private")
    tmp_path.chmod(0o755)
    with pytest.raises(HomeInvalid, match="in use"):
        Home.create(tmp_path, CONFIG, Algorithm.ED25519)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home, _ = Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)
    home.key_file.chmod(0o640)

    with pytest.raises(HomeInvalid, match="open to others"):
        home.key()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": base64.b64encode(bytes(31)).decode()},
        {"seed": base64.b64encode(bytes(32)).decode()},
        {"algorithm": "RSA"},
        {"key_id": "0" * 64},
        {"seed": "%"},
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    home, _ = Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)
    home.key_file.write_text(json.dumps(json.loads(home.key_file.read_text()) | change))

    with pytest.raises(HomeInvalid):
        home.key()


def test_a_missing_home_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeInvalid) as caught:
        Home(tmp_path / "nowhere").config()
    assert "flxdr-agent init" in str(caught.value)


def test_the_configuration_survives_being_written() -> None:
    config = AgentConfig(
        org_id=CONFIG.org_id,
        name=CONFIG.name,
        coordinator=CoordinatorSection(url="http://[::1]:8000", client_certificate="/a b.pem", client_key="/k.pem"),
        data=DataSection(paths=('/var/log/zeek "x"', "rel"), format="zeek-tsv"),
        policy=PolicySection(releases="manual", admissions="pinned", tolerance=0.125, models=("edge-classifier",)),
        limits=LimitsSection(max_epochs=3, max_batch_size=7, max_learning_rate=0.5, max_model_bytes=1000),
        response=ResponseSection(personal_heads=True),
    )
    assert configuration.parse(configuration.render(config).encode()) == config


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('org_id = "org-a"', 'org_id = "Org A"'),
        ('org_id = "org-a"', ""),
        ('releases = "auto"', 'releases = "always"'),
        ("tolerance = 0.1", "tolerance = 1.5"),
        ("max_epochs = 100", "max_epochs = 0"),
        ("max_epochs = 100", "max_epochs = 100\nsurprise = 1"),
        ('url = "https://c.example"', 'url = "c.example"'),
        ('client_key = ""', 'client_key = "/k.pem"'),
        ("personal_heads = false", 'personal_heads = "no"'),
        ("[policy]", "[policy"),
    ],
)
def test_an_invalid_configuration_is_refused(old: str, new: str) -> None:
    text = configuration.render(CONFIG)
    assert old in text
    with pytest.raises(HomeInvalid):
        configuration.parse(text.replace(old, new).encode())


def test_one_process_holds_a_home(tmp_path: Path) -> None:
    home, _ = Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)
    with home.locked(), pytest.raises(HomeLocked), home.locked():
        pytest.fail("locked twice")
    with home.locked():
        pass


def test_peers_are_key_ids_with_comments(tmp_path: Path) -> None:
    home, _ = Home.create(tmp_path / "home", CONFIG, Algorithm.ED25519)
    assert home.pinned_peers() == frozenset()
    home.peers_file.write_text(f"# ours\n{'a' * 64}  # org-b\n\n{'b' * 64}\n")
    assert home.pinned_peers() == {"a" * 64, "b" * 64}
    home.peers_file.write_text("org-b\n")
    with pytest.raises(Malformed, match="peers:1"):
        home.pinned_peers()
