"""`make bundle`: what sets a checkout up on a machine without a way out."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.caches import CHECKOUT, FORMER, Cache, Done

NO_NETWORK = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
# Wheels fit the Python that .venv was made with, and no other one. Byte code of packages would take longest.
SETUP = ["make", "setup", f"PYTHON={Path(sys.base_prefix) / 'bin' / 'python3'}"]
BARE = {"PATH": "/usr/bin:/bin", "PIP_NO_COMPILE": "1"}


def run(*line: str | Path, cwd: Path, environ: dict[str, str] | None = None) -> Done:
    done = subprocess.run(line, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_bundle_sets_up_a_checkout_without_a_network_from_the_right_wheels_only(
    no_cache: Cache, tmp_path: Path
) -> None:
    """It goes from hand to hand before it is installed, so each wheel is compared with its sum."""
    made = run("make", "--no-print-directory", "bundle", f"BUILD={tmp_path}", cwd=CHECKOUT)
    assert made.status == 0, made.err
    bundle = Path(made.out.strip())
    compared = run("sha256sum", "--check", f"{bundle.name}.sha256", cwd=tmp_path)
    unpacked = run("tar", "-xf", bundle, cwd=tmp_path)
    bundle.unlink()
    (checkout,) = tmp_path.glob("crdscache-*/")
    wheel = next((checkout / "wheels").glob("annotated_types-*"))
    right = wheel.read_bytes()

    wheel.write_bytes(right + b"x")
    refused = run(*NO_NETWORK, *SETUP, cwd=checkout, environ=BARE)
    wheel.write_bytes(right)
    installed = run(*NO_NETWORK, *SETUP, cwd=checkout, environ=BARE)
    used = replace(no_cache, checkout=checkout).run("remote_cache_init", "--contexts", FORMER)

    assert [done.status for done in (compared, unpacked, refused, installed)] == [0, 0, 2, 0]
    assert "DO NOT MATCH THE HASHES" in refused.err
    assert (used.status, used.err, no_cache.default()) == (0, "", FORMER)
