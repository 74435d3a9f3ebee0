"""Mount namespaces: a copy-on-write view of this machine, and processes that are confined to it like containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.processes import eventually

PYTHON = Path(sys.base_prefix)
PATH = f"{PYTHON}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NO_ORPHAN = ("setpriv", "--pdeathsig", "KILL")
"""Nothing outlives a test run that was killed."""
_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")
_VIEW = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/tmp"
exec sleep infinity
"""
_CONTAINER = """
set -e
root=$1 mounts=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while IFS=' ' read -r kind source target options; do
  if [ "$kind" = tmpfs ]; then mount -t tmpfs tmpfs "$root$target"
  elif [ "$kind" = bind ]; then
    mount --bind "$source" "$root$target"
    if [ "$options" = ro ]; then mount -o remount,bind,ro "$root$target"; fi
  fi
done <<< "$mounts"
exec chroot "$root" "$@"
"""


def machine_can_isolate() -> bool:
    """Whether this user may make mount namespaces and overlays."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot"))):
        return False
    probe = "mount -t tmpfs t /mnt && cd /mnt && mkdir u w r && mount -t overlay o -o lowerdir=/,upperdir=u,workdir=w r"
    return subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Mount:
    """What appears at `target`: the folder or file `source`, or an empty tmpfs where that is None."""

    target: str
    source: Path | None = None
    read_only: bool = False

    def line(self) -> str:
        if self.source is None:
            return f"tmpfs none {self.target} rw"
        return f"bind {self.source} {self.target} {'ro' if self.read_only else 'rw'}"


class Root:
    """A root file system in a mount namespace that lives as long as this object is entered."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __enter__(self) -> Self:
        self._scratch.mkdir(parents=True)
        self._holder = subprocess.Popen(
            [*_NO_ORPHAN, *_OWN_MOUNTS, "bash", "-c", _VIEW, "view", str(self._scratch)],
            stdin=subprocess.DEVNULL,
        )
        eventually(lambda: self._inside(["test", "-c", "/dev/null"]).returncode == 0, what="the view is mounted")
        # The interpreter of whoever runs the tests may lie in a home that only its owner enters.
        for folder in PYTHON.parents:
            self.run(["chmod", "a+x", str(folder)])
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: str = "/") -> str:
        """Run a command as root in this file system; what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = self._inside(["env", "--chdir", cwd, *command], environment)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def copy_in(self, source: Path, target: str) -> None:
        self.run(["mkdir", "--parents", str(Path(target).parent)])
        # Outside of the chroot, where the source is, but inside the namespace, where the target is.
        command = ["cp", "--recursive", "--no-target-directory", str(source), f"{self.path}{target}"]
        subprocess.run([*self.enter(), *command], check=True, timeout=120)

    @property
    def path(self) -> str:
        return f"{self._scratch}/root"

    def container_command(
        self, command: Sequence[str], *, environment: Mapping[str, str], mounts: Sequence[Mount], user: str, cwd: str
    ) -> list[str]:
        """The argument vector that becomes `command` in a container of this file system; it never forks on the way."""
        owner, _, group = user.partition(":")
        lowered = [*_NO_ORPHAN, "--reuid", owner, "--regid", group, "--clear-groups", "--no-new-privs"]
        lowered += ["--bounding-set=-all", "--inh-caps=-all"]
        variables = [f"{name}={value}" for name, value in environment.items()]
        inside = [*lowered, "env", "--ignore-environment", "--chdir", cwd, *variables, *command]
        own = [*_OWN_MOUNTS, "bash", "-c", _CONTAINER, "container"]
        return [*self.enter(), *own, self.path, "\n".join(mount.line() for mount in mounts), *inside]

    def enter(self) -> list[str]:
        """Beginning of a command that runs in this namespace, but sees this machine's root."""
        return ["nsenter", "--target", str(self._holder.pid), "--mount", "--"]

    def _inside(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter(), "chroot", self.path, *command],
            env={"PATH": PATH, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
