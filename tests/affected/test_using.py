import gzip
import json
from pathlib import Path

import pytest

from crdscache.affected import using
from crdscache.affected.archives import Reader
from crdscache.affected.using import Use
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from crdscache.contexts.records import Archive, Patience
from crdscache.server.rpc import RpcClient

ORACLE = Path(__file__).parents[3] / "shared" / "oracle" / "affected"
QUICK = Patience(connect_timeout_s=1, read_timeout_s=1, tries=1, backoff_s=0, backoff_max_s=0)


@pytest.mark.skipif(not ORACLE.exists(), reason="the oracle is not beside this checkout")
def test_it_finds_what_brute_force_finds(shared_data: Path, tmp_path: Path) -> None:
    with gzip.open(ORACLE / "hst_0500--hst_0729.jsonl.gz", "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream][1:]
    source = tmp_path / "x.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    chooser = Chooser("hst_0729.pmap", rules.loader(shared_data / "mappings" / "hst"))
    answers = {
        line["id"]: chooser.choose(line["header"]) for line in lines if isinstance(line["header"], dict)
    }
    used = sorted(
        {name for bestrefs in answers.values() for name in bestrefs.values() if isinstance(name, str)}
    )
    wanted = used[:: len(used) // 5]

    with RpcClient("http://127.0.0.1:9", QUICK) as client:
        reader = Reader(Archive(str(source), None, None, None, 60), (chooser, chooser), client, 1000)
        found = {(use.id, use.reftype, use.reference) for use in using.find(reader, map(str.upper, wanted))}

    expected = {
        (name, reftype, answer.lower())
        for name, bestrefs in answers.items()
        for reftype, answer in bestrefs.items()
        if answer in wanted and isinstance(answer, str)
    }
    assert found == expected
    assert len(expected) > 5


def test_a_use_names_data_set_and_type(demo_root: Path) -> None:
    chooser = Chooser("hst_0006.pmap", rules.loader(demo_root / "mappings" / "hst"))
    with RpcClient("http://127.0.0.1:9", QUICK) as client:
        archive = Archive(str(demo_root / "datasets"), None, None, None, 60)
        found = list(
            using.find(Reader(archive, (chooser, chooser), client, 1000), ["8221320aj_mdz.fits", "none.fits"])
        )

    assert found == [Use("JDEM02B1Q:JDEM02B1Q", "acs", "mdriztab", "8221320aj_mdz.fits")]
