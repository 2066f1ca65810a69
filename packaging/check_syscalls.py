#!/usr/bin/env python3
"""Holds the system calls of a traced program against the SystemCallFilter of a unit.

Usage: check_syscalls.py UNIT TRACE...      traces of `strace -ff -o`
"""
import pathlib
import re
import subprocess
import sys


def members(group):
    """The calls of a group such as @system-service, those of the groups in it too."""
    calls = set()
    text = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    for word in text.split("\n"):
        word = word.strip()
        if word.startswith("@") and word != group:
            calls |= members(word)
        elif re.fullmatch(r"[a-z0-9_]+", word):
            calls.add(word)
    return calls


def main():
    unit, traces = sys.argv[1], sys.argv[2:]
    allowed = set()
    for line in pathlib.Path(unit).read_text().splitlines():
        if line.startswith("SystemCallFilter=~"):
            allowed -= members(line.split("~")[1])
        elif line.startswith("SystemCallFilter="):
            allowed |= members(line.split("=")[1])
    made = set()
    for trace in traces:
        made |= set(re.findall(r"^([a-z0-9_]+)\(", pathlib.Path(trace).read_text(errors="replace"), re.M))
    # What systemd does before the program runs is not filtered.
    refused = made - allowed - {"execve"}
    if refused or len(made) < 20:
        sys.exit(f"{len(made)} system calls, of them not allowed by {unit}: {sorted(refused)}")
    print(f"unit: all {len(made)} system calls of a chat are allowed ({len(allowed)} are)")


main()
