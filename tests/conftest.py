"""Running the command line inside the test process."""

import pytest

from accelsim.cli import main


def says(message, *parts):
    """True where every part stands in the message; names the first that does not."""
    for part in parts:
        assert part in message
    return True


@pytest.fixture
def cli(capsys):
    """Runs one command: exit code, standard output, standard error."""

    def run(*arguments):
        code = main([str(each) for each in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(cli, tmp_path, monkeypatch):
    """The message that a command is refused with, checked for its form; nothing may be left in the folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        code, out, err = cli(*arguments)
        assert code == 2, err
        assert out == ""
        assert err.startswith("accelsim: error: ")
        assert err.endswith((".\n", "?\n"))
        assert err.count("\n") == 1, "more than one message"
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        return err.removeprefix("accelsim: error: ").removesuffix("\n")

    return run
