"""Counts checks; one that fails is told and the others go on."""


class Report:
    def __init__(self):
        self._passed = self._failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self._passed += 1
            print(f"  ok    {what}", flush=True)
        else:
            self._failed += 1
            print(f"  FAIL  {what}: {str(detail)[:2000]}", flush=True)

    def equal(self, what, found, expected):
        self.check(what, found == expected, f"found {found!r}, expected {expected!r}")

    def note(self, text):
        print(f"  -     {text}", flush=True)

    def end(self):
        """The exit code."""
        print(f"{self._passed} checks passed, {self._failed} failed", flush=True)
        return 1 if self._failed else 0
