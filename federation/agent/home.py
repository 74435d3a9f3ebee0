"""The agent's home folder: configuration, signing key, peers, prepared updates, state, and the lock on it all.

agent.toml     what the operator set                      key.json     algorithm and seed of the signing key, 0600
peers          key ids that `admissions = pinned` trusts  state.db     pinned genesis, verified chain, votes, rounds
next-key.json  the key that a rotation brings, until the chain records it
outbox/        updates as they were signed                models/      model files by hash
witness.json   the witness's key, 0600                     evidence/    checkpoints that contradict each other
sanitizer.key  the secret behind the pseudonyms of sanitised records, 0600
checkpoint.json  the newest checkpoint that is held, to keep elsewhere and to compare
calibrations/  thresholds for models, made of this organisation's own records
heads/         own heads of the response policy, by the hash of the model that their round started from
statements/    what this organisation attested of releases, and under statements/unsent/ what waits to be sent
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import orjson

from federation.agent import config as configuration
from federation.agent import files
from federation.agent.config import AgentConfig
from federation.agent.errors import HomeInvalid, HomeLocked
from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey
from privacy.sanitize.pseudonyms import SECRET_BYTES


class Home:
    """Paths of one agent's home and what is read from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "agent.toml"
        self.key_file = folder / "key.json"
        self.next_key_file = folder / "next-key.json"
        self.peers_file = folder / "peers"
        self.state_file = folder / "state.db"
        self.witness_key_file = folder / "witness.json"
        self.checkpoint_file = folder / "checkpoint.json"
        self.sanitizer_file = folder / "sanitizer.key"
        self.lock_file = folder / "lock"
        self.outbox = folder / "outbox"
        self.models = folder / "models"
        self.evidence = folder / "evidence"
        self.statements = folder / "statements"
        self.calibrations = folder / "calibrations"
        self.heads = folder / "heads"

    @classmethod
    def create(cls, folder: Path, config: AgentConfig, algorithm: Algorithm) -> tuple[Self, PrivateKey]:
        """Make a new home with a fresh key; nothing that exists is overwritten.

        Raises:
            HomeInvalid: the configuration is invalid, or the folder already holds an agent.
        """
        configuration.check(config)
        home = cls(folder)
        taken = [path.name for path in (home.key_file, home.config_file, home.state_file) if path.exists()]
        if taken:
            raise HomeInvalid(
                f"{folder} already holds an agent ({', '.join(taken)})",
                action="Use another --home; a key that is lost with its folder cannot be made again.",
            )
        if folder.exists() and any(folder.iterdir()) and folder.stat().st_mode & 0o077:
            raise HomeInvalid(
                f"{folder} is in use and open to others", expected="a new or empty folder, or one of mode 0700"
            )
        files.make_private_folder(folder)
        files.make_private_folder(home.outbox)
        files.make_private_folder(home.models)
        key = PrivateKey.generate(algorithm)
        _write_key(home.key_file, key)
        files.write_durably(home.peers_file, b"# Key ids whose admission this agent approves, one a line.\n")
        files.write_durably(home.config_file, configuration.render(config).encode())
        return home, key

    def config(self) -> AgentConfig:
        """The configuration.

        Raises:
            HomeInvalid: missing or invalid.
        """
        return configuration.load(self.config_file)

    def key(self) -> PrivateKey:
        """The signing key.

        Raises:
            HomeInvalid: missing, readable by others, malformed, or not the key that its id names.
        """
        return _read_key(self.key_file)

    def witness_key(self) -> PrivateKey:
        """The Ed25519 key of this organisation's witness; made at the first use.

        Raises:
            HomeInvalid: as `key`.
        """
        if not self.witness_key_file.exists():
            with suppress(FileExistsError):  # another process of this home was faster: its key counts
                _write_key(self.witness_key_file, PrivateKey.generate(Algorithm.ED25519))
        return _read_key(self.witness_key_file)

    def sanitizer_secret(self) -> bytes:
        """The 32 bytes behind this organisation's pseudonyms; made at the first use, also in a folder without an agent.

        Raises:
            HomeInvalid: readable by others, or not 32 bytes.
        """
        if not self.sanitizer_file.exists():
            if not self.folder.exists():
                files.make_private_folder(self.folder)
            with suppress(FileExistsError):  # another process of this home was faster: its secret counts
                files.write_durably(self.sanitizer_file, os.urandom(SECRET_BYTES), overwrite=False)
        _check_private(self.sanitizer_file)
        secret = self.sanitizer_file.read_bytes()
        if len(secret) != SECRET_BYTES:
            raise HomeInvalid(
                f"{self.sanitizer_file} holds {len(secret)} bytes",
                expected=f"{SECRET_BYTES} bytes",
                action="Restore it from your backup; with another secret every pseudonym changes.",
            )
        return secret

    def next_key(self) -> PrivateKey | None:
        """The key that a rotation which is under way brings.

        Raises:
            HomeInvalid: as `key`.
        """
        try:
            return _read_key(self.next_key_file)
        except HomeInvalid:
            if not self.next_key_file.exists():
                return None
            raise

    def make_next_key(self, algorithm: Algorithm | None) -> PrivateKey:
        """Make the key for a rotation and keep it; one that is kept already is the one.

        Raises:
            HomeInvalid: the one that is kept is of another algorithm than asked for.
        """
        with suppress(FileExistsError):  # an earlier attempt, or another process of this home, was there first
            _write_key(self.next_key_file, PrivateKey.generate(algorithm or self.key().algorithm))
        key = _read_key(self.next_key_file)
        if algorithm not in (None, key.algorithm):
            raise HomeInvalid(
                f"a rotation to a key of {key.algorithm.value} is under way: {self.next_key_file}",
                expected=f"no --algorithm, or {key.algorithm.value}",
            )
        return key

    def adopt_next_key(self) -> None:
        """Let the next key take the place of the key, for good and in one step."""
        with suppress(FileNotFoundError):  # another process of this home has done it
            files.move_durably(self.next_key_file, self.key_file)

    def pinned_peers(self) -> frozenset[str]:
        """Key ids of the peers file; `#` begins a comment.

        Raises:
            Malformed: a line that is no key id.
        """
        if not self.peers_file.exists():
            return frozenset()
        found = set()
        for number, line in enumerate(self.peers_file.read_text("utf-8").splitlines(), start=1):
            text = line.split("#", 1)[0].strip()
            if not text:
                continue
            if len(text) != 64 or set(text) - set("0123456789abcdef"):
                raise Malformed(f"{self.peers_file}:{number} is no key id", expected="64 lower-case hex digits")
            found.add(text)
        return frozenset(found)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this home for one running agent; the kernel lets go of it however the process ends.

        Raises:
            HomeLocked: another process holds it.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HomeLocked(
                    f"another agent works on {self.folder}", action="Stop it first, or use another --home."
                ) from error
            yield
        finally:
            os.close(descriptor)


def _write_key(path: Path, key: PrivateKey) -> None:
    document = {
        "algorithm": key.algorithm.value,
        "seed": base64.b64encode(key.seed).decode(),
        "key_id": key.public.key_id,
    }
    files.write_durably(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n", overwrite=False)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise HomeInvalid(
            f"{path} is open to others (mode {mode:04o})",
            expected="mode 0600",
            action=f"chmod 600 {path}; if others could read it, ask for the key's revocation.",
        )


def _read_key(path: Path) -> PrivateKey:
    try:
        _check_private(path)
        document = orjson.loads(path.read_bytes())
        key = PrivateKey(Algorithm(document["algorithm"]), base64.b64decode(document["seed"], validate=True))
        named = document["key_id"]
    except OSError as error:
        raise HomeInvalid(
            f"{path} cannot be read: {error.strerror}",
            action="Run `flxdr-agent init` first, or name its --home.",
        ) from error
    except (ValueError, KeyError, TypeError, binascii.Error, KeyInvalid) as error:
        raise HomeInvalid(f"{path} holds no signing key", action="Restore it from your backup.") from error
    if key.public.key_id != named:
        raise HomeInvalid(f"{path}: the seed is not that of key {named}", action="Restore it from your backup.")
    return key
