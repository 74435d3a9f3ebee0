"""Images built and containers run without a container engine, from the same files that an engine would read.

A Dockerfile's instructions are executed, as written, on a copy-on-write view of this machine (overlayfs on a tmpfs, in
a mount namespace of its own, so nothing outside ever sees it and everything is gone with the last process in it). A
container is a process in such a root: read-only, with its own /tmp and the mounts it is given, an unprivileged user, no
capabilities, no new privileges and only its own environment. Not imitated: the base image (this machine's system and
Python stand for it), the network, cgroups, seccomp.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.dockerfile import Instruction, Stage, lineage
from tests.support.isolation import PATH, Mount, Root
from tests.support.processes import GaveUp

NOT_EXECUTED = "apt-get "
"""Beginning of the RUN lines that are left out: a test must not depend on a mirror of packages."""


def build_context(repository: Path, target: Path) -> Path:
    """The folder that an engine would send to itself: what .dockerignore lets through.

    Raises:
        ValueError: .dockerignore is no list of exceptions from `*`.
    """
    first, *rest = (repository / ".dockerignore").read_text().split()
    allowed = [line.removeprefix("!") for line in rest if line.startswith("!")]
    ignored = [line.removeprefix("**/") for line in rest if line.startswith("**/")]
    if first != "*" or len(allowed) + len(ignored) != len(rest):
        raise ValueError(rest)
    for name in allowed:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (repository / name).is_dir():
            shutil.copytree(repository / name, place, ignore=shutil.ignore_patterns(*ignored))
        else:
            shutil.copy2(repository / name, place)
    return target


@dataclass
class Image:
    """A stage that is being built, or was: its file system, and how its containers start."""

    root: Root
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    cwd: str = "/"
    user: str = "0:0"
    starts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def command(self) -> tuple[str, ...]:
        return self.starts.get("CMD", ())

    @property
    def entrypoint(self) -> tuple[str, ...]:
        return self.starts.get("ENTRYPOINT", ())

    @property
    def healthcheck(self) -> tuple[str, ...]:
        return self.starts["HEALTHCHECK"]

    def execute(self, instruction: Instruction, context: Path) -> None:
        """Do what an instruction says. COPY reads from the folder `context`.

        Raises:
            ValueError: this does not know the instruction.
        """
        match instruction:
            case Instruction("RUN", text):
                self._run(text)
            case Instruction("COPY", text):
                *sources, target = text.split()
                place = target if target.startswith("/") else f"{self.cwd}/{target}"
                for source in sources:
                    self.root.copy_in(context / source, place)
            case Instruction("ENV", text):
                pairs = (pair.partition("=") for pair in shlex.split(text))
                self.environment |= {name: value.replace("$PATH", self.environment["PATH"]) for name, _, value in pairs}
            case Instruction("WORKDIR", text):
                self.root.run(["mkdir", "--parents", text])
                self.cwd = text
            case Instruction("USER", text):
                self.user = text
            case Instruction("ENTRYPOINT" | "CMD" | "HEALTHCHECK", _, tuple() as words):
                self.starts[instruction.name] = words
            case Instruction("VOLUME" | "EXPOSE"):
                pass
            case _:
                raise ValueError(instruction)

    def _run(self, text: str) -> None:
        if text.startswith(NOT_EXECUTED):
            self.left_out.append(text)
        else:
            self.root.run(["sh", "-c", text], self.environment, self.cwd)


@contextlib.contextmanager
def build(stages: Mapping[str, Stage], name: str, *, context: Path, scratch: Path) -> Iterator[Image]:
    """Execute the instructions of stage `name`, and of the stages that it copies from.

    Args:
        context: folder that COPY reads.
        scratch: folder that does not exist yet.
    """
    with Root(scratch / name) as root:
        image = Image(root)
        for instruction in (step for stage in lineage(dict(stages), name) for step in stage.instructions):
            if instruction.name == "COPY" and instruction.text.startswith("--from="):
                origin, source, target = instruction.text.removeprefix("--from=").split()
                with build(stages, origin, context=context, scratch=scratch) as other:
                    _copy_between(other.root, source, root, target)
            else:
                image.execute(instruction, context)
        yield image


def _copy_between(origin: Root, source: str, root: Root, target: str) -> None:
    root.run(["mkdir", "--parents", target])
    reading = ["tar", "--create", "--directory", f"{origin.path}{source}", "."]
    writing = ["tar", "--extract", "--directory", f"{root.path}{target}"]
    with subprocess.Popen([*origin.enter(), *reading], stdout=subprocess.PIPE) as reader:
        subprocess.run([*root.enter(), *writing], stdin=reader.stdout, check=True, timeout=300)
    assert reader.returncode == 0


class Container:
    """A process of an image, as an engine would start it.

    Args:
        command: None for the image's own.
        environment: over the image's.
        mounts: beside a tmpfs at /tmp.
        log: file that its output is appended to.
    """

    def __init__(
        self,
        image: Image,
        command: Sequence[str] | None = None,
        *,
        environment: Mapping[str, str],
        mounts: Sequence[Mount],
        log: Path,
        user: str | None = None,
    ) -> None:
        self._image = image
        self._mounts = [Mount("/tmp"), *mounts]
        self._environment = {**image.environment, **environment}
        self._user = user or image.user
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self._vector([*image.entrypoint, *(image.command if command is None else command)]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def execute(self, command: Sequence[str]) -> int:
        """Run a command in this container, as a health check is; its exit code."""
        joined = ["nsenter", "--target", str(self.process.pid), "--mount", "--root", "--"]
        owner, _, group = self._user.partition(":")
        lowered = ["setpriv", "--reuid", owner, "--regid", group, "--clear-groups", "--no-new-privs"]
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        vector = [*joined, *lowered, "env", "--ignore-environment", "--chdir", self._image.cwd, *variables, *command]
        return subprocess.run(vector, capture_output=True, timeout=60, check=False).returncode

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, as an engine sends to the first process; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise GaveUp(f"did not stop within {timeout:g} s of SIGTERM\n{self.tail()}") from None

    def wait(self, timeout: float = 120.0) -> int:
        """Until it ends by itself; its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise GaveUp(f"did not end within {timeout:g} s\n{self.tail()}") from None

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _vector(self, command: Sequence[str]) -> list[str]:
        return self._image.root.container_command(
            command,
            environment=self._environment,
            mounts=self._mounts,
            user=self._user,
            cwd=self._image.cwd,
        )
