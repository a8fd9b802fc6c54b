"""What a run computes and what it reuses: ε, seeds, images, layers, moved roots, other servers, damage."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    DIGITS,
    NOTHING,
    TINY,
    Environment,
    computed,
    inodes,
    ledger,
    measured,
    results,
    spanmatch,
    write_study,
)
from in_process import spanmatch_here
from pipeline import carried_out, in_this_process, quick

from flows.run.prepared import prepare
from storage.root import DamagedArtefactsError, Root
from tasks.stages import STAGES


def rows_at(root: Path, epsilon: float) -> list[dict[str, str]]:
    text = (root / "similarity.csv").read_text()
    return [row for row in csv.DictReader(io.StringIO(text)) if float(row["epsilon"]) == epsilon]


def further(pairs: int, **computed: int) -> dict[str, int]:
    """What a further ε of a study that has two computes, and what else."""
    measures = measured(pairs, 3) - measured(pairs, 2)
    return {**NOTHING, "matches": pairs, "measures": measures, **computed}


def packs(root: Path, stage: str) -> list[Path]:
    return sorted((root / stage).iterdir())


def test_a_further_epsilon_computes_matches_and_measures_alone_as_a_run_from_scratch_does(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    study, root, scratch = write_study(tmp_path, TINY), copy_of(tiny_root), tmp_path / "scratch"
    for stage in ("segments", "networks"):  # whoever reads activations or weights notices
        for artefact in (root / stage).iterdir():
            delete(artefact)
    printed = spanmatch_here("run", study, "--root", root, *outside, "--epsilon", 0.35, env=env)
    assert "is damaged" not in printed
    assert computed(root) == further(4)
    first = results(root)
    spanmatch_here("run", study, "--root", root, *outside, "--epsilon", 0.35, env=env)
    assert computed(root) == NOTHING, "the same again"
    assert results(root) == first
    spanmatch_here("run", study, "--root", scratch, *outside, "--epsilon", 0.35, env=env)
    assert rows_at(root, 0.35)
    assert results(root) == results(scratch)


def test_a_further_epsilon_of_the_embedded_study_computes_matches_and_measures_alone(
    digits_root: Path, copy_of: Callable[[Path], Path], outside: list[str], env: Environment
) -> None:
    root = copy_of(digits_root)
    for stage in ("segments", "networks"):  # whoever reads activations or weights notices
        for artefact in (root / stage).iterdir():
            delete(artefact)
    printed = spanmatch_here("run", DIGITS, "--root", root, *outside, "--epsilon", 0.35, env=env)
    assert "is damaged" not in printed
    assert computed(root) == {**NOTHING, "matches": 48 * 2, "measures": 48 * 2}, "raw and less means"
    assert kept(digits_root, root)


def test_a_moved_root_is_reused_with_an_empty_prefect_home_and_no_server(
    digits_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, bare_env: Environment
) -> None:
    root = copy_of(digits_root).rename(tmp_path / "moved")
    spanmatch("run", DIGITS, "--root", root, env={**bare_env, "PREFECT_HOME": str(tmp_path / "home")})
    assert computed(root) == NOTHING
    assert results(root) == results(digits_root)


def test_a_further_seed_trains_one_network_and_reduces_only_pairs_with_it(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    spanmatch_here(
        "run", write_study(tmp_path, TINY | {"seeds": [0, 1, 2]}), "--root", root, *outside, env=env
    )
    # two checkpoints × two segments; two layers × two moments × the pairs (0, 2) and (1, 2); each at two ε
    assert ledger(root) == {
        "networks": {"computed": 1, "reused": 2},
        "segments": {"computed": 4, "reused": 8},
        # of two layers, moments and segments: one of seed 2 itself, and two with it
        "comoments": {"computed": 24, "reused": 24},
        "permuted": {"computed": 0, "reused": 0},
        "profiles": {"computed": 8, "reused": 4},
        "matches": {"computed": 16, "reused": 8},
        "measures": {"computed": measured(8, 2), "reused": measured(4, 2)},
        "exemplars": {"computed": 0, "reused": 0},
    }
    assert kept(tiny_root, root)


def recorded(root: Path, stage: str) -> dict[str, Any]:
    """Return the records of a stage by key."""
    files = (root / "cache" / stage).glob("*.json")
    return {key: record for file in files for key, record in json.loads(file.read_text()).items()}


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_further_images_are_extracted_and_reduced_alone_to_the_same_bits(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    root, scratch = copy_of(tiny_root), tmp_path / "scratch"
    study = write_study(tmp_path, TINY | {"images": 135})
    for segment in (root / "segments").iterdir():  # whoever reads an earlier image notices
        delete(segment)
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert "is damaged" not in printed
    # one more segment for each of two checkpoints of two networks
    assert ledger(root) == {
        "networks": {"computed": 0, "reused": 2},
        "segments": {"computed": 4, "reused": 8},
        "comoments": {"computed": 12, "reused": 24},
        "permuted": {"computed": 0, "reused": 0},
        "profiles": {"computed": 4, "reused": 0},
        "matches": {"computed": 8, "reused": 0},
        "measures": {"computed": measured(4, 2), "reused": 0},
        "exemplars": {"computed": 0, "reused": 0},
    }
    spanmatch_here("run", study, "--root", scratch, *outside, env=env)
    assert results(root) == results(scratch)
    for stage, count in {"comoments": 36, "profiles": 4, "matches": 8, "measures": measured(4, 2)}.items():
        anew, grown = recorded(scratch, stage), recorded(root, stage)
        assert len(anew) == count
        assert anew.items() <= grown.items(), "by their digests, the same bits"


def test_a_further_layer_leaves_the_others_as_they_are(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    before = inodes(root / "segments")
    study = write_study(tmp_path, TINY | {"layers": [*TINY["layers"], "classifier.relu2"]})
    spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert ledger(root)["segments"] == {"computed": 8, "reused": 0}  # forward passes
    assert ledger(root)["comoments"] == {"computed": 12, "reused": 24}
    assert ledger(root)["profiles"] == {"computed": 2, "reused": 4}
    after = inodes(root / "segments")
    assert len({name.partition("/")[0] for name in after}) == 24
    assert before.items() <= after.items()
    assert kept(tiny_root, root)


def delete(artefact: Path) -> None:
    shutil.rmtree(artefact) if artefact.is_dir() else artefact.unlink()


def flip_a_byte(artefact: Path) -> None:
    """Change one bit of one byte of the largest file: a chunk of an array, weights, or a unit in a pack."""
    files = [path for path in [artefact, *artefact.rglob("*")] if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


DAMAGES = (delete, flip_a_byte)


def test_damage_is_left_alone_until_needed_then_named_and_repaired(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    segments = {segment: layer_of(segment) for segment in sorted((root / "segments").iterdir())}
    first, *_ = segments.values()
    # of one layer, so that each is of a forward pass of its own
    damaged = dict(zip([each for each in segments if segments[each] == first], DAMAGES, strict=False))
    networks = dict(zip(sorted((root / "networks").iterdir()), DAMAGES, strict=True))
    for artefact, damage in {**damaged, **networks}.items():
        damage(artefact)
    others = {path.name: inodes(path) for path in segments.keys() - damaged.keys()}
    # a further ε needs neither activations nor weights: it does not look at them
    printed = spanmatch_here(
        "run", write_study(tmp_path, TINY), "--root", root, *outside, "--epsilon", 0.4, env=env
    )
    assert "is damaged" not in printed
    assert computed(root) == further(4)
    # a further seed needs every segment; other segments need every network
    printed = spanmatch_here(
        "run", write_study(tmp_path, TINY | {"seeds": [0, 1, 2]}), "--root", root, *outside, env=env
    )
    assert all(str(segment) in printed for segment in damaged)
    assert computed(root)["segments"] == 4 + len(damaged)
    assert {name: inodes(root / "segments" / name) for name in others} == others, "the damaged layer alone"
    assert kept(tiny_root, root)
    for network, damage in networks.items():
        if str(network) in printed:  # a segment was of that network, which has been repaired for it
            damage(network)
    printed = spanmatch_here(
        "run", write_study(tmp_path, TINY | {"segment_images": 30}), "--root", root, *outside, env=env
    )
    assert all(str(network) in printed for network in networks)
    assert computed(root)["networks"] == len(networks)
    assert results(root) == results(tiny_root)


def layer_of(segment: Path) -> str:
    return str(json.loads((segment / "zarr.json").read_text())["attributes"]["layer"])


def kept(before: Path, after: Path) -> bool:
    """Tell whether every line of the results before stands in those after."""
    return all(
        set(old.splitlines()) <= set(new.splitlines())
        for old, new in zip(results(before), results(after), strict=True)
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pack_is_named_and_what_is_wrong_in_it_is_computed_again(
    damage: Callable[[Path], None],
    tiny_root: Path,
    copy_of: Callable[[Path], Path],
    tmp_path: Path,
    outside: list[str],
    env: Environment,
) -> None:
    root, whole = copy_of(tiny_root), damage is delete
    study = write_study(tmp_path, TINY)
    (pack,) = packs(root, "comoments")
    damage(pack)
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert "is damaged" not in printed, "nothing needed the co-moments"
    printed = spanmatch_here("run", study, "--root", root, *outside, "--epsilon", 0.4, env=env)
    assert printed.count("is damaged") == 1
    assert f"{pack} (" in printed
    assert (" and 23 more in it) is damaged: " in printed) == whole
    assert computed(root) == further(4, comoments=24 if whole else 1)
    (profile,), (match,) = packs(root, "profiles"), packs(tiny_root, "matches")  # not those of 0.4
    damage(profile)
    damage(root / "matches" / match.name)
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert f"{profile} (" in printed
    assert f"{root / 'matches' / match.name} (" in printed
    assert computed(root) == {
        **NOTHING,
        "profiles": 4 if whole else 1,
        "matches": 8 if whole else 1,
    }
    assert results(root) == results(tiny_root)


def test_a_cached_record_that_was_cut_off_is_computed_again(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    (held,) = (root / "cache" / "comoments").iterdir()
    for record in (min((root / "cache" / "networks").iterdir()), held):
        record.write_bytes(record.read_bytes()[:-20])
    spanmatch_here("run", write_study(tmp_path, TINY), "--root", root, *outside, env=env)
    assert computed(root) == {**NOTHING, "networks": 1, "comoments": 24}
    assert results(root) == results(tiny_root)


def test_what_two_layers_share_is_computed_and_repaired_once(
    tmp_path: Path, outside: list[str], env: Environment
) -> None:
    study = write_study(tmp_path, TINY | {"layers": ["block3.pool", "classifier.flatten"], "epsilons": [0.3]})
    root = tmp_path / "root"
    spanmatch_here("run", study, "--root", root, *outside, env=env)
    # two checkpoints of two networks, two segments; two moments
    once = {"networks": 2, "segments": 8, "comoments": 12, "permuted": 0, "profiles": 2, "matches": 2}
    once |= {"exemplars": 0}
    assert computed(root) == {**once, "measures": measured(2, 1)}
    rows = rows_at(root, 0.3)
    assert len(rows) == 4
    alike = [(row["checkpoint_x"], row["similarity"]) for row in rows]
    assert alike[::2] == alike[1::2]
    for artefact in [*(root / "profiles").iterdir(), *(root / "segments").iterdir()]:
        delete(artefact)
    printed = spanmatch_here("run", study, "--root", root, *outside, "--epsilon", 0.4, env=env)
    assert printed.count(" and 1 more in it) is damaged") == printed.count("is damaged") == 1
    assert computed(root) == further(2, profiles=2)
    assert rows_at(root, 0.3) == rows


def test_all_damage_that_work_meets_is_named_at_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with in_this_process() as cluster:
        carried_out(quick(tmp_path), cluster)
        for stage in ("comoments", "segments"):
            for artefact in packs(root, stage):
                delete(artefact)
            with pytest.raises(DamagedArtefactsError) as found:
                carried_out(quick(tmp_path, epsilons=[0.3, 0.4]), cluster)
            damaged = {damage.key for damage in found.value.damages}
            assert damaged == recorded(root, stage).keys()
            STAGES[stage].forget(Root.at(root), damaged)
            assert recorded(root, stage) == {}
        _, count = carried_out(quick(tmp_path, epsilons=[0.3, 0.4]), cluster)
    assert count == {**further(2, segments=4, comoments=12), "measures": measured(2, 2) - measured(2, 1)}


def test_two_runs_at_once_on_one_root_come_to_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with in_this_process() as cluster:
        alone, once = carried_out(quick(tmp_path / "one"), cluster)
        # what is looked up builds a network, whose random numbers are those of a training in the same process
        prepare(quick(tmp_path / "two"))
        with ThreadPoolExecutor(2) as both:
            found = list(both.map(lambda _: carried_out(quick(tmp_path / "two"), cluster), range(2)))
        _, nothing = carried_out(quick(tmp_path / "two"), cluster)
    assert not +nothing
    for came, count in found:
        assert (came.similarity, came.measures) == (alone.similarity, alone.measures)
        assert count <= once
    one, two = tmp_path / "one" / "root", tmp_path / "two" / "root"
    assert all(recorded(one, stage) == recorded(two, stage) for stage in STAGES)
    assert not list((two / "staging").iterdir())
