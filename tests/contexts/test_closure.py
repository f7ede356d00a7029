from collections import Counter

import pytest

from crdscache.contexts import closure
from crdscache.contexts.closure import Closure, Links, ReferenceUse
from crdscache.contexts.mapping import Level, Mapping, Selector, SelectorClass, Table
from crdscache.contexts.records import Problem
from crdscache.errors import MappingError, MissingMappingError


class Shelf:
    """Mappings by name; counts how often each is loaded."""

    def __init__(self, **names: list[str]) -> None:
        self.links = {name.replace("__", "."): links(name.replace("__", "."), *names[name]) for name in names}
        self.broken: dict[str, MappingError] = {}
        self.loads: Counter[str] = Counter()

    def load(self, name: str) -> Links:
        self.loads[name] += 1
        if name in self.broken:
            raise self.broken[name]
        if name not in self.links:
            raise MissingMappingError(name)
        return self.links[name]


def links(name: str, *named: str, refused: tuple[Problem, ...] = ()) -> Links:
    return Links(Level(name.rpartition(".")[2]), "hst", "acs", "darkfile", named, refused)


def mapping(level: Level, selector: Selector | Table) -> Mapping:
    return Mapping(f"x.{level.value}", level, "hst", "acs", "darkfile", {}, selector, "", None, "")


def table(*names: str) -> Table:
    return Table(tuple((str(number), name) for number, name in enumerate(names)))


def match(*items: tuple[str, str | tuple[str, ...] | Table | Selector]) -> Selector:
    return Selector(SelectorClass.MATCH, items)


def test_links_are_the_names_in_the_order_of_the_file_each_once() -> None:
    tree = match(
        ("1", match(("a", "b.fits"), ("b", "a.fits"))),
        ("2", ("c.fits", "b.fits")),
        ("3", table("d.fits", "a.fits")),
    )

    found = closure.links_of(mapping(Level.RMAP, tree))

    assert found == Links(Level.RMAP, "hst", "acs", "darkfile", ("b.fits", "a.fits", "c.fits", "d.fits"))


def test_S17_special_values_are_no_links() -> None:
    values = ("N/A", "n/a", "TEMP_N/A", "temp_n/a", "OMIT", "omit", "Temp_Omit", "UNDEFINED", "x.rmap")

    assert closure.links_of(mapping(Level.IMAP, table(*values))).names == ("x.rmap",)


def test_S07_unsafe_names_are_refused_and_shown_by_their_repr() -> None:
    found = closure.links_of(mapping(Level.PMAP, table("data/hst_acs.imap", "\x1b[31m.imap", "", "x.imap")))

    assert found.names == ("x.imap",)
    assert [problem.name for problem in found.refused] == ["'data/hst_acs.imap'", "'\\x1b[31m.imap'", "''"]
    assert all("is refused as a file name" in problem.reason for problem in found.refused)


@pytest.mark.parametrize(
    ("level", "name"), [(Level.PMAP, "x.fits"), (Level.IMAP, "x.fits"), (Level.RMAP, "x.rmap")]
)
def test_name_of_the_wrong_kind_is_refused(level: Level, name: str) -> None:
    found = closure.links_of(mapping(level, table(name) if level is not Level.RMAP else match(("1", name))))

    assert (found.names, found.refused) == (
        (),
        (Problem(name, f"a mapping of kind {level.value} may not name it"),),
    )


def test_S13_diamond_is_walked_once() -> None:
    shelf = Shelf(c__pmap=["a.imap", "b.imap"], a__imap=["x.rmap"], b__imap=["x.rmap"], x__rmap=["r.fits"])

    found = closure.walk("c.pmap", shelf.load)

    assert found == Closure("c.pmap", ("a.imap", "b.imap", "c.pmap", "x.rmap"), ("x.rmap",))
    assert found.is_whole
    assert shelf.loads == Counter(found.mappings)


@pytest.mark.parametrize("start", ["a.imap", "x.rmap"])
def test_walk_starts_at_any_mapping(start: str) -> None:
    shelf = Shelf(a__imap=["x.rmap"], x__rmap=["r.fits"])

    found = closure.walk(start, shelf.load)

    assert found == Closure(start, tuple(sorted({start, "x.rmap"})), ("x.rmap",))


def test_S13_mapping_that_names_itself_is_told() -> None:
    shelf = Shelf(c__pmap=["c.pmap", "x.rmap"], x__rmap=[])

    found = closure.walk("c.pmap", shelf.load)

    problem = Problem("c.pmap", "it names itself in a circle (path: c.pmap > c.pmap)")
    assert found == Closure("c.pmap", ("c.pmap", "x.rmap"), ("x.rmap",), (problem,))
    assert not found.is_whole


def test_S13_circle_is_told_with_the_path_of_names() -> None:
    shelf = Shelf(c__pmap=["a.imap"], a__imap=["b.imap"], b__imap=["a.imap", "x.rmap"], x__rmap=[])

    found = closure.walk("c.pmap", shelf.load)

    problem = Problem("a.imap", "it names itself in a circle (path: c.pmap > a.imap > b.imap > a.imap)")
    assert found == Closure("c.pmap", ("a.imap", "b.imap", "c.pmap", "x.rmap"), ("x.rmap",), (problem,))


def chain(n_mappings: int) -> dict[str, Links]:
    names = [f"m{number:06}.imap" for number in range(n_mappings)]
    return {
        name: links(name, *following)
        for name, following in zip(names, [[n] for n in names[1:]] + [[]], strict=True)
    }


def test_S13_chain_of_ten_thousand_is_no_problem() -> None:
    mappings = chain(10_000)

    assert closure.walk("m000000.imap", mappings.__getitem__) == Closure("m000000.imap", tuple(mappings), ())


def test_S13_long_path_is_told_by_its_ends() -> None:
    mappings = chain(10_000) | {"m009999.imap": links("m009999.imap", "m000000.imap")}

    found = closure.walk("m000000.imap", mappings.__getitem__)

    path = (
        "m000000.imap > m000001.imap > m000002.imap > m000003.imap > (9993 more) > "
        "m009997.imap > m009998.imap > m009999.imap > m000000.imap"
    )
    assert found.problems == (Problem("m000000.imap", f"it names itself in a circle (path: {path})"),)


def test_R10_walk_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "MAX_MAPPINGS", 10)
    shelf = Shelf(c__pmap=[f"{number}.imap" for number in range(100)])

    found = closure.walk("c.pmap", lambda name: shelf.links.get(name, links(name)))

    assert found.mappings == (
        "0.imap",
        "1.imap",
        "2.imap",
        "3.imap",
        "4.imap",
        "5.imap",
        "6.imap",
        "7.imap",
        "8.imap",
        "c.pmap",
    )
    assert found.problems == (Problem("9.imap", "more than 10 mappings (path: c.pmap > 9.imap)"),)


def test_S14_missing_mapping_leaves_only_its_own_contexts_incomplete() -> None:
    shelf = Shelf(
        c__pmap=["a.imap", "b.imap"], d__pmap=["a.imap"], a__imap=["x.rmap"], b__imap=["y.rmap"], x__rmap=[]
    )

    incomplete, whole = (closure.walk(context, shelf.load) for context in ("c.pmap", "d.pmap"))

    problem = Problem("y.rmap", "y.rmap: neither here nor on the server (path: c.pmap > b.imap > y.rmap)")
    names = ("a.imap", "b.imap", "c.pmap", "x.rmap", "y.rmap")
    assert incomplete == Closure("c.pmap", names, ("x.rmap",), (problem,))
    assert whole == Closure("d.pmap", ("a.imap", "d.pmap", "x.rmap"), ("x.rmap",))


def test_S11_mapping_that_cannot_be_read_is_told_with_its_line() -> None:
    shelf = Shelf(c__pmap=["a.imap"], a__imap=[])
    shelf.broken["a.imap"] = MappingError("a.imap", "no sense", line=7)

    found = closure.walk("c.pmap", shelf.load)

    problem = Problem("a.imap", "a.imap, line 7: no sense (path: c.pmap > a.imap)")
    assert found == Closure("c.pmap", ("a.imap", "c.pmap"), (), (problem,))


def test_S14_context_that_is_missing_itself_is_a_problem() -> None:
    problem = Problem("c.pmap", "c.pmap: neither here nor on the server (path: c.pmap)")

    assert closure.walk("c.pmap", Shelf().load) == Closure("c.pmap", ("c.pmap",), (), (problem,))


def test_S07_refused_names_make_a_context_incomplete() -> None:
    refused = (Problem("'../x.imap'", "no good"),)
    shelf = Shelf(c__pmap=["a.imap"], a__imap=[])
    shelf.links["a.imap"] = links("a.imap", refused=refused)

    found = closure.walk("c.pmap", shelf.load)

    assert found.problems == (Problem("'../x.imap'", "no good (path: c.pmap > a.imap)"),)


def test_names_of_one_rmap_are_told_with_the_data_halves() -> None:
    loaded = {"x.rmap": links("x.rmap", "a.fits", "e1b1000du.r3h")}

    assert closure.named("x.rmap", loaded.__getitem__) == {"a.fits", "e1b1000du.r3h", "e1b1000du.r3d"}


def test_references_are_placed_by_their_names_else_by_the_mapping_that_names_them() -> None:
    mappings = {
        "a.rmap": Links(Level.RMAP, "hst", "acs", "darkfile", ("z1234567j_drk.fits", "2018_super_bia.fits")),
        "b.rmap": Links(Level.RMAP, "hst", "wfpc2", "maskfile", ("x1234567u.r0h", "2018_super_bia.fits")),
        "c.rmap": Links(Level.RMAP, "hst", "cos", "flatfile", ("x1234567i_flt.fits",)),
    }

    found = closure.references(["c.rmap", "b.rmap", "a.rmap", "b.rmap"], mappings.__getitem__)

    assert list(found.values()) == [
        ReferenceUse("2018_super_bia.fits", "acs", "darkfile", is_doubtful=True),
        ReferenceUse("x1234567i_flt.fits", "wfc3", "flatfile"),
        ReferenceUse("x1234567u.r0d", "wfpc2", "maskfile"),
        ReferenceUse("x1234567u.r0h", "wfpc2", "maskfile"),
        ReferenceUse("z1234567j_drk.fits", "acs", "darkfile"),
    ]
    assert list(found) == [use.name for use in found.values()]
