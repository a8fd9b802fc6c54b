"""The benchmark gives its table, and refuses a side whose answers differ; no time is asserted."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def in_repository(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_quick_benchmark_prints_a_table_of_equal_answers():
    """It compares the index sets of both sides itself, and ends in an error where they differ."""
    done = in_repository("-m", "benchmarks.matching", "--quick", "--runs", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "| what | published | ours | ratio | target | note |"
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}
    for what in ("GramMatrix.update", "five ε", "16 draws", "a further ε", "one minimal match"):
        assert any(what in line for line in table), what
    assert sum("simple_matches" in line for line in table) >= 2
    assert any("match_profile" in line and "at peak" in line for line in table)


def test_the_quick_storage_benchmark_prints_a_row_for_each_way():
    done = in_repository("-m", "benchmarks.storage", "--quick", "--runs", "1")
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}
    for way in ("float32, raw (default)", "float32, lz4, bits shuffled"):
        assert any(way in line for line in table), way


def test_the_quick_reduction_benchmark_reads_each_chunk_once_and_multiplies_no_more_than_the_joint_product():
    done = in_repository("-m", "benchmarks.joint_product", "--quick", "--runs", "1")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| 8 ")]
    assert [row[1:4] for row in rows] == [["2", "2 of 2", "1.00"], ["3", "3 of 3", "1.00"]]


def test_the_quick_benchmark_of_nulls_and_errors_prints_a_ratio_for_each():
    done = in_repository("-m", "benchmarks.nulls_and_errors", "--quick", "--runs", "1")
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert {line.count("|") for line in table} == {6}
    for what in ("reduce, by 10 folds", "permute, 20 times", "jackknife", "measures", "essential neurons"):
        assert any(what in line for line in table), what


def test_the_quick_benchmark_of_compare_prints_a_ratio_for_each_case():
    done = in_repository("-m", "benchmarks.comparing", "--quick")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [row[0].split(":")[0].strip() for row in rows if row[3].strip()] == [
        "grid, means over positions",
        "grid, minibatch CKA beside",
        "same names, all positions",
    ]


def test_the_quick_planning_benchmark_finds_all_that_was_planned():
    done = in_repository("-m", "benchmarks.planning", "--quick")
    assert done.returncode == 0, done.stderr
    assert "| matches | 80 | 1 |" in done.stdout
    assert "`status`: " in done.stdout


def test_the_benchmark_refuses_answers_that_differ():
    wrong = (
        "from benchmarks import baseline, matching\n"
        "right = baseline.maximum_match\n"
        "baseline.maximum_match = lambda x, y, e: right(x, y, e / 2)\n"
        "matching.table(matching.QUICK, 1)"
    )
    done = in_repository("-c", wrong)
    assert done.returncode != 0
    assert "DisagreementError: maximum matches differ at epsilon" in done.stderr
