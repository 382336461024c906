"""What a server keeps is bounded: the oldest unused goes first, and nothing that is in use."""

import os
import time

import pytest

from vreloc_pyg.answers.room import UPLOAD_S, Room


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path / "kept", 100)


def put(room, kind, name, size, age_s=0.0):
    """A file of a size, used so long ago; an upload lies in a folder of its own."""
    place = room.place(kind, name)
    if kind == "uploads":
        place.mkdir()
        file = place / "video.mp4"
    else:
        file = place
    file.write_bytes(bytes(size))
    then = time.time() - age_s
    os.utime(place, (then, then))
    return file


def test_the_oldest_go_first_and_only_as_many_as_need_be(room):
    files = [put(room, "uploads", f"u{age}", 30, age) for age in (30, 20, 10)]
    assert room.make(10)
    assert all(file.exists() for file in files)
    assert room.make(40)
    assert [file.exists() for file in files] == [False, True, True]
    assert room.make(100)
    assert not any(room.place("uploads", "").iterdir())


def test_copies_and_clips_count_and_go_too(room):
    old, clip, copy = put(room, "copies", "a.mp4", 60, 9), put(room, "clips", "b.mp4", 30, 5), None
    copy = put(room, "copies", "c.mp4", 30, 1)
    assert room.make()
    assert [file.exists() for file in (old, clip, copy)] == [False, True, True]


def test_what_is_in_use_stays_and_what_was_used_is_young(room):
    old, used, young = (put(room, "uploads", f"u{age}", 40, age) for age in (30, 20, 10))
    with room.using(old):
        assert room.make(20)
        assert [file.exists() for file in (old, used, young)] == [True, False, True]
        with room.using(young):
            assert not room.make(30)
            assert old.exists()
            assert young.exists()
    # The first one was used after the other had come.
    os.utime(young.parent, (time.time() - 5,) * 2)
    assert room.make(60)
    assert [file.exists() for file in (old, young)] == [True, False]


def test_what_will_not_fit_removes_nothing(room):
    kept = put(room, "uploads", "u", 50, 100)
    assert not room.make(101)
    assert kept.exists()


def test_room_is_kept_for_what_is_coming(room):
    with room.reserving(80) as fits:
        assert fits
        with room.reserving(30) as also:
            assert not also
        with room.reserving(20) as also:
            assert also
    assert room.make(100)


def test_what_is_being_written_stays_until_it_was_given_up(room):
    coming, copying = room.place("uploads", "tmpabc"), room.place("copies", ".key.12-34.mp4")
    for file in (coming, copying):
        file.write_bytes(bytes(50))
    assert not room.make(10)
    then = time.time() - 2 * UPLOAD_S
    os.utime(coming, (then, then))
    assert room.make(10)
    assert not coming.exists()
    assert copying.exists()


def test_files_elsewhere_are_nobodys(room, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(bytes(500))
    (room.place("copies", "link.mp4")).symlink_to(other)
    with room.using(other, tmp_path / "none"):
        assert room.make(100)
    assert other.exists()
