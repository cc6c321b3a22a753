import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.pepeignore import parse_pepeignore
from pepeunit_gateway.firmware.trees import TreeFile, apply_ignore, check_paths, parse_ls_tree


def row(path, mode="100644", kind="blob", size="5"):
    return f"{mode} {kind} {'b' * 40} {size:>7}\t{path}\0".encode()


def tree_file(path):
    return TreeFile(path, "b" * 40, 1, is_executable=False)


def ignored_by(lines, *paths):
    kept = {file.path for file in apply_ignore(parse_pepeignore(lines.encode()), map(tree_file, paths))}
    return set(paths) - kept


def test_regular_files_are_listed_and_links_and_submodules_left_out():
    output = row("main.py") + row("run.sh", "100755") + row("link", "120000") + row("sub", "160000", "commit", "-")
    listed = [(file.path, file.is_executable) for file in parse_ls_tree(output)]
    assert listed == [("main.py", False), ("run.sh", True)]


GIT_FOLDERS = [
    ".git", ".GIT", ".git ", ".git. .", "GIT~1", ".git::$INDEX_ALLOCATION", ".g\u200cit", "\ufeff.git",
]  # fmt: skip


@pytest.mark.parametrize("name", GIT_FOLDERS)
def test_w6_what_some_file_system_takes_for_git_enters_no_archive(name):
    assert parse_ls_tree(row(f"{name}/config") + row(f"a/{name}/hooks/x") + row(name)) == []


@pytest.mark.parametrize("path", [".git/x", "a/.git/x", ".GIT/x", "env.json", "schema.json", "env.json/x"])
def test_w6_git_folders_and_generated_files_enter_no_archive(path):
    assert parse_ls_tree(row(path)) == []


@pytest.mark.parametrize("path", ["lib/env.json", ".gitignore", ".github/x", "env_example.json", "x.git/y", "git~2"])
def test_names_that_only_look_alike_stay(path):
    assert [file.path for file in parse_ls_tree(row(path))] == [path]


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//b", "./x"])
def test_a_path_that_leaves_its_folder_is_refused(path):
    with pytest.raises(GitRepoError, match="unpacked safely"):
        parse_ls_tree(row(path))


def test_a_name_that_is_not_utf8_is_refused():
    with pytest.raises(GitRepoError, match="not UTF-8"):
        parse_ls_tree(row("x").replace(b"\tx", b"\t\xff"))


def test_a_file_whose_content_is_missing_is_told():
    with pytest.raises(GitRepoError, match="cannot be read"):
        parse_ls_tree(row("x", size="BAD"))


def test_a_path_longer_than_any_device_takes_is_refused():
    with pytest.raises(GitRepoError, match="has 2001 bytes"):
        parse_ls_tree(row("a/" * 1_000 + "x"))


def test_more_files_than_devices_can_take_are_refused():
    with pytest.raises(GitRepoError, match="20001 files"):
        parse_ls_tree(b"".join(row(f"f{number}") for number in range(20_001)))


def test_more_folders_than_anybody_has_are_refused_unless_they_are_ignored():
    paths = [f"{number}/" + "/".join("abcdefgh") + "/x" for number in range(2_500)]
    with pytest.raises(GitRepoError, match="more than 20000 folders"):
        ignored_by("", *paths)
    assert ignored_by("[0-9]*", *paths) == set(paths)


@pytest.mark.parametrize("path", ["a\\b", "..\\..\\x", "a\nb", "a/\x1b[2J", "\x7f"])
def test_a_path_that_some_system_reads_otherwise_is_refused(path):
    with pytest.raises(GitRepoError, match="holds a backslash or a control character"):
        check_paths([tree_file("main.py"), tree_file(path)])


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b"), ("d/x", "d/y", "d/x")])
def test_a_place_that_two_files_want_is_refused(paths):
    with pytest.raises(GitRepoError, match="stands in the commit twice"):
        check_paths(map(tree_file, paths))


def test_paths_that_only_look_alike_are_no_conflict():
    check_paths(map(tree_file, ["a", "A", "a.b", "b/a", "b/a-b", "жук"]))


def test_patterns_work_as_in_gitignore():
    paths = ["README.md", "a/b.md", "docs/x", "a/docs/x", "build/y", "x.py"]
    assert ignored_by("*.md\n/docs\nbuild/\n# no\n", *paths) == {"README.md", "a/b.md", "docs/x", "build/y"}


def test_nothing_inside_an_ignored_folder_comes_back():
    assert ignored_by("build\n!build/keep.py\n*.txt\n!keep.txt\n", "build/keep.py", "keep.txt", "no.txt") == {
        "build/keep.py", "no.txt",
    }  # fmt: skip
