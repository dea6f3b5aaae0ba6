from __future__ import annotations

import os
import stat

import pytest

from accelsim.errors import InputError
from accelsim.report.files import atomic_writer, write_text_atomically


def test_writes_utf8_and_replaces(tmp_path):
    path = tmp_path / "out.txt"
    write_text_atomically(path, "first")
    write_text_atomically(str(path), "µ ü \ud800\n")
    assert path.read_bytes() == "µ ü \\ud800\n".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]


def test_a_new_file_has_the_usual_mode_and_an_old_one_keeps_its_own(tmp_path):
    usual, kept = tmp_path / "usual", tmp_path / "kept"
    usual.write_text("")
    write_text_atomically(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode == usual.stat().st_mode
    kept.write_text("")
    kept.chmod(0o640)
    write_text_atomically(kept, "again")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no /dev/null here")
def test_a_device_is_written_to_and_not_replaced():
    write_text_atomically("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("before")

    def fail():
        with atomic_writer(path) as stream:
            stream.write("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing/out.txt", "lies in a folder that does not exist"),
        (".", "is a folder"),
        ("x" * 300, "cannot be written"),
        ("a\0b", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_an_input_error(tmp_path, path, words):
    with pytest.raises(InputError, match=words):
        write_text_atomically(tmp_path / path, "text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        write_text_atomically(tmp_path / "out.txt", "text")
