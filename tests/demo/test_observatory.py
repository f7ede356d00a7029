"""The demo observatory: rules that hold together, and the same bytes in every run."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from crdscache.contexts import closure, mapping, names
from crdscache.contexts.serverinfo import unwrap
from demo import observatory


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def config_of(root: Path) -> dict[str, object]:
    config: dict[str, object] = ast.literal_eval((root / "config/hst/server_config").read_text())
    return config


def links(root: Path, name: str) -> closure.Links:
    return closure.links_of(mapping.parse_mapping(name, (root / "mappings/hst" / name).read_bytes()))


def test_the_same_bytes_come_out_of_every_run(demo_root: Path, tmp_path: Path) -> None:
    observatory.build(tmp_path)

    assert tree(tmp_path) == tree(demo_root)


def test_every_mapping_can_be_read_and_has_the_right_sum_and_name(demo_root: Path) -> None:
    for path in (demo_root / "mappings/hst").iterdir():
        read = mapping.parse_mapping(path.name, path.read_bytes())

        assert (read.has_right_sum, read.header["name"]) == (True, path.name)


def test_every_context_is_whole_and_differs_from_the_one_before(demo_root: Path) -> None:
    contexts = [*observatory.CONTEXTS, observatory.EDIT_CONTEXT]

    closures = [closure.walk(context, lambda name: links(demo_root, name)) for context in contexts]

    assert [found.problems for found in closures] == [()] * len(contexts)
    changed = [len(set(new.rmaps) - set(old.rmaps)) for old, new in pairwise(closures)]
    assert changed == [1, 2, 1, 2, 2, 1]


def test_catalogue_and_disk_name_the_same_files_and_all_references_but_one_are_used(demo_root: Path) -> None:
    config = config_of(demo_root)
    here = {
        path.name for folder in ("mappings", "references") for path in (demo_root / folder / "hst").iterdir()
    }
    rmaps = [name for name in here if name.endswith(".rmap")]

    used = closure.references(rmaps, lambda name: links(demo_root, name))

    assert isinstance(config["download_metadata"], dict)
    assert unwrap(config["download_metadata"]).keys() == here  # type: ignore[attr-defined]
    assert {name for name in here if not names.is_mapping(name)} - used.keys() == {"n1a0000aj_pfl.fits"}
    assert {use.instrument for use in used.values()} == {"acs", "wfc3", "wfpc2"}
    assert all(names.instrument_of(name, "hst") == use.instrument for name, use in used.items())


@pytest.mark.parametrize("n_contexts", [1, 3])
def test_an_earlier_state_has_fewer_contexts_and_nothing_of_the_later_ones(
    demo_root: Path, tmp_path: Path, n_contexts: int
) -> None:
    observatory.build(tmp_path, contexts=n_contexts)

    config, whole = config_of(tmp_path), config_of(demo_root)
    assert config["operational_context"] == observatory.CONTEXTS[n_contexts - 1]
    assert config["edit_context"] == observatory.CONTEXTS[n_contexts]
    assert config["context_history"] == whole["context_history"][-n_contexts:]  # type: ignore[index]
    early, late = tree(tmp_path), tree(demo_root)
    assert {path: late[path] for path in early if not path.startswith("config/")} == {
        path: text for path, text in early.items() if not path.startswith("config/")
    }
    assert len(early) < len(late)
