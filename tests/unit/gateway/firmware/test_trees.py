import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.trees import TreeFile, apply_ignore, parse_ls_tree, parse_pepeignore


def row(path, mode="100644", kind="blob", size="5"):
    return f"{mode} {kind} {'b' * 40} {size:>7}\t{path}\0".encode()


def ignored_by(lines, *paths):
    files = [TreeFile(path, "b" * 40, 1, is_executable=False) for path in paths]
    kept = {file.path for file in apply_ignore(parse_pepeignore(lines.encode()), files)}
    return set(paths) - kept


def test_regular_files_are_listed_and_links_and_submodules_left_out():
    output = row("main.py") + row("run.sh", "100755") + row("link", "120000") + row("sub", "160000", "commit", "-")
    listed = [(file.path, file.is_executable) for file in parse_ls_tree(output)]
    assert listed == [("main.py", False), ("run.sh", True)]


@pytest.mark.parametrize("path", [".git/x", "a/.git/x", ".GIT/x", "env.json", "schema.json", "env.json/x"])
def test_w6_git_folders_and_generated_files_enter_no_archive(path):
    assert parse_ls_tree(row(path)) == []


@pytest.mark.parametrize("path", ["lib/env.json", ".gitignore", ".github/x", "env_example.json"])
def test_names_that_only_look_alike_stay(path):
    assert [file.path for file in parse_ls_tree(row(path))] == [path]


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//b", "./x"])
def test_a_path_that_leaves_its_folder_is_refused(path):
    with pytest.raises(GitRepoError, match="unpacked safely"):
        parse_ls_tree(row(path))


def test_a_name_that_is_not_utf8_is_refused():
    with pytest.raises(GitRepoError, match="not UTF-8"):
        parse_ls_tree(row("x").replace(b"\tx", b"\t\xff"))


def test_more_files_than_devices_can_take_are_refused():
    with pytest.raises(GitRepoError, match="20001 files"):
        parse_ls_tree(b"".join(row(f"f{number}") for number in range(20_001)))


def test_patterns_work_as_in_gitignore():
    paths = ["README.md", "a/b.md", "docs/x", "a/docs/x", "build/y", "x.py"]
    assert ignored_by("*.md\n/docs\nbuild/\n# no\n", *paths) == {"README.md", "a/b.md", "docs/x", "build/y"}


def test_nothing_inside_an_ignored_folder_comes_back():
    assert ignored_by("build\n!build/keep.py\n*.txt\n!keep.txt\n", "build/keep.py", "keep.txt", "no.txt") == {
        "build/keep.py", "no.txt",
    }  # fmt: skip


def test_no_pepeignore_ignores_nothing():
    assert parse_pepeignore(None).match_file("x") is False


@pytest.mark.parametrize(("data", "hint"), [(b"a\n!\n", "line 2"), (b"\xff", "UTF-8"), (b"a\n" * 1_001, "1001 lines")])
def test_a_broken_pepeignore_is_told(data, hint):
    with pytest.raises(GitRepoError, match=hint):
        parse_pepeignore(data)
