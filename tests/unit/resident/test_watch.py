import os
import select

import pytest

from cookline.host.resident.watch import Watch, touch


@pytest.fixture
def watch():
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def quiet(watch):
    return not select.select([watch.fd], [], [], 0)[0]


def inotify_instances():
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.islink(link) and "inotify" in os.readlink(link) for link in links)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: open(path, "a").close(), id="written"),
        pytest.param(lambda path: os.chmod(path, 0o600), id="mode"),
        pytest.param(os.unlink, id="removed"),
        pytest.param(lambda path: os.rename(path, path + ".old"), id="moved away"),
        pytest.param(lambda path: (open(path + ".new", "w").close(), os.rename(path + ".new", path)), id="replaced"),
        pytest.param(lambda path: (os.unlink(path), os.symlink("/etc/passwd", path)), id="made a link"),
    ],
)
def test_every_way_to_change_a_file_is_told_of(watch, touched, root, change):
    path = f"{root}/managed"
    touch(path)
    watch.watch([path])
    change(path)
    assert touched(watch, path) == {path}


def test_a_neighbour_of_a_managed_file_is_not_told_of(watch, touched, root):
    watch.watch([f"{root}/managed"])
    touch(f"{root}/neighbour")
    touch(f"{root}/managed")
    assert touched(watch, f"{root}/managed") == {f"{root}/managed"}


def test_three_hundred_paths_in_thirty_directories_need_one_instance_and_no_thread(root):
    before = inotify_instances()
    import threading

    threads = threading.active_count()
    watch = Watch()
    for number in range(30):
        os.mkdir(f"{root}/{number}")
    watch.watch([f"{root}/{number}/{name}" for number in range(30) for name in range(10)])
    assert (inotify_instances(), threading.active_count()) == (before + 1, threads)
    assert watch.directories == 30
    watch.close()
    assert inotify_instances() == before


def test_a_path_whose_directories_come_later_is_told_of_from_then_on(watch, touched, root):
    path = f"{root}/a/b/c/managed"
    watch.watch([path])
    os.makedirs(f"{root}/a/b/c")
    touched(watch, path)
    touch(path)
    touched(watch, path)
    while not quiet(watch):
        watch.read()
    os.chmod(path, 0o600)
    assert touched(watch, path) == {path}


def test_a_directory_that_is_removed_and_made_again_is_watched_again(watch, touched, root):
    path = f"{root}/a/managed"
    touch(path)
    watch.watch([path])
    for _ in range(3):
        os.unlink(path)
        os.rmdir(f"{root}/a")
        touched(watch, path)
        touch(path)
        touched(watch, path)
        while not quiet(watch):
            watch.read()
        os.chmod(path, 0o600)
        touched(watch, path)
        while not quiet(watch):
            watch.read()


def test_a_directory_that_is_moved_away_is_not_mistaken_for_the_one_that_takes_its_place(watch, touched, root):
    path = f"{root}/a/managed"
    touch(path)
    watch.watch([path])
    os.rename(f"{root}/a", f"{root}/old")
    touched(watch, path)
    while not quiet(watch):
        watch.read()
    os.chmod(f"{root}/old/managed", 0o600)
    assert quiet(watch)
    touch(path)
    touched(watch, path)


def test_a_change_behind_a_link_is_told_of(watch, touched, root):
    touch(f"{root}/real/file")
    os.symlink(f"{root}/real/file", f"{root}/link")
    watch.watch([f"{root}/link"])
    os.chmod(f"{root}/real/file", 0o600)
    assert touched(watch, f"{root}/link") == {f"{root}/link"}


def test_a_link_that_is_switched_is_followed_to_its_new_target(watch, touched, root):
    touch(f"{root}/one/file")
    touch(f"{root}/two/file")
    os.symlink(f"{root}/one/file", f"{root}/link")
    watch.watch([f"{root}/link"])
    os.symlink(f"{root}/two/file", f"{root}/new")
    os.rename(f"{root}/new", f"{root}/link")
    touched(watch, f"{root}/link")
    while not quiet(watch):
        watch.read()
    os.chmod(f"{root}/two/file", 0o600)
    touched(watch, f"{root}/link")


def test_a_trailing_slash_means_what_is_in_the_directory(watch, touched, root):
    os.mkdir(f"{root}/units")
    watch.watch([f"{root}/units/"])
    os.symlink("/dev/null", f"{root}/units/x.service")
    assert touched(watch, f"{root}/units/") == {f"{root}/units/"}


def test_paths_that_are_no_longer_managed_are_not_watched(watch, root):
    os.mkdir(f"{root}/a")
    os.mkdir(f"{root}/b")
    watch.watch([f"{root}/a/x", f"{root}/b/x"])
    watch.watch([f"{root}/b/x"])
    watch.read()
    touch(f"{root}/a/x")
    assert watch.directories == 1 and watch.read() == set()


def test_a_queue_that_ran_over_tells_of_everything(watch, touched, root):
    paths = [f"{root}/{number}" for number in range(3)]
    watch.watch(paths)
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        room = int(file.read())
    touch(paths[0])
    touch(paths[1])
    for number in range(room + 100):  # the kernel folds equal neighbours into one
        os.chmod(paths[number % 2], 0o600)
    assert touched(watch, *paths) == set(paths)
    while not quiet(watch):
        watch.read()
    assert watch.overflowed
    os.chmod(root + "/0", 0o640)
    assert touched(watch, paths[0]) == {paths[0]}, "it goes on"


def test_what_the_kernel_does_not_watch_is_named(watch, root, monkeypatch):
    import errno

    from cookline.host.resident import watch as module

    def refuse(*_):
        module.ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(module, "inotify_add_watch", refuse)
    watch.watch([f"{root}/managed"])
    assert list(watch.unwatched) == [root] and "max_user_watches" in watch.unwatched[root]
