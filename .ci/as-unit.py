#!/usr/bin/env python3
"""Starts a service as its unit says, on a machine without systemd: as-unit.py ROOT UNIT

ROOT is the directory that becomes the root. Makes the unit's directories, runs ExecStartPre, then ExecStart until it reports that it is
ready, prints its process id, and leaves it running. For tests: it applies the settings that the service needs, not its sandbox.
"""

import grp
import os
import pwd
import shlex
import socket
import subprocess
import sys
from pathlib import Path

DIRECTORIES = {"StateDirectory": "var/lib", "CacheDirectory": "var/cache", "RuntimeDirectory": "run"}


def read(unit: Path) -> dict[str, list[str]]:
    """The settings of [Service]; each may be given more than once."""
    settings: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def main(root: Path, unit: Path) -> None:
    """Starts the service."""
    os.chroot(root)
    os.chdir("/")
    settings = read(Path("/") / unit)
    user = pwd.getpwnam(settings["User"][0])
    group = grp.getgrnam(settings["Group"][0])
    for name, parent in DIRECTORIES.items():
        path = Path("/", parent, settings[name][0])
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(int(settings[name + "Mode"][0], 8))
        os.chown(path, user.pw_uid, group.gr_gid)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(20)
    notify.bind("/run/notify.test")
    os.chmod("/run/notify.test", 0o666)
    environment = dict(variable.partition("=")[::2] for variable in settings["Environment"])
    environment |= {"NOTIFY_SOCKET": "/run/notify.test", "PATH": "/usr/bin:/bin", "HOME": user.pw_dir}
    runs = {
        "env": environment,
        "user": user.pw_uid,
        "group": group.gr_gid,
        "extra_groups": [],
        "umask": int(settings["UMask"][0], 8),
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
    }
    with open("/var/log/service.test", "ab") as log:
        for command in settings["ExecStartPre"]:
            subprocess.run(shlex.split(command), check=True, stdout=log, stderr=log, **runs)
        service = subprocess.Popen(shlex.split(settings["ExecStart"][0]), stdout=log, stderr=log, **runs)
    try:
        while b"READY=1" not in notify.recv(4096).splitlines():
            pass
    except TimeoutError:
        service.kill()
        sys.exit(f"the service was not ready in time: {Path('/var/log/service.test').read_text()}")
    finally:
        os.unlink("/run/notify.test")
    print(service.pid)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
