"""Rows of measurements are read strictly, priced one by one, and none is skipped."""

from __future__ import annotations

import json

import pytest

from aiinfra.cli import main
from aiinfra.model.validate import SETS, Column, RowError, RowSet, find_set, validate
from aiinfra.model.validate.rows import read_rows

COLUMNS = {
    "case": Column("text"),
    "gpu": Column("text"),
    "ranks": Column("count"),
    "stages": Column("count", default=1),
    "zero": Column("count", default=0, least=0),
    "fast": Column("flag", default=0),
    "kind": Column("text", default="none", choices=("none", "full")),
    "seconds": Column("number"),
}
DOUBLE = RowSet(COLUMNS, ("seconds",), "s", predict=lambda row: 2 * row.number("seconds"))
HEADER = "case,gpu,ranks,stages,zero,fast,kind,seconds"
GOOD = "a,h100-sxm,8,2,0,1,full,0.5"


@pytest.fixture
def rows(tmp_path):
    def write(*lines: str, header: str = HEADER) -> list:
        path = tmp_path / "rows.csv"
        path.write_text("\n".join(["# a comment", header, *lines]) + "\n")
        return read_rows(path, DOUBLE)

    return write


def test_a_row_is_read_by_kind(rows):
    (row,) = rows(GOOD)
    assert (row.case, row.count("ranks"), row.flag("fast"), row.number("seconds")) == (
        "a", 8, True, 0.5,
    )  # fmt: skip
    assert row.device().slug == "h100-sxm"


def test_blanks_take_the_documented_default(rows):
    (row,) = rows("a,h100-sxm,8,,,,,0.5")
    assert (row.count("stages"), row.count("zero"), row.flag("fast")) == (1, 0, False)
    assert row.text("kind") == "none"
    assert row.blank("stages")
    assert not row.blank("ranks")


def test_optional_columns_may_be_absent_and_strange_ones_are_ignored(rows):
    (row,) = rows("a,h100-sxm,8,0.5,note", header="case,gpu,ranks,seconds,remark")
    assert row.count("stages") == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a,h100-sxm,,2,0,1,full,0.5", r"line 3 \(a\), column 'ranks': is blank"),
        ("a,h100-sxm,-8,2,0,1,full,0.5", "column 'ranks': '-8' is not a whole number of at least"),
        ("a,h100-sxm,2.5,2,0,1,full,0.5", "column 'ranks': '2.5' is not a whole number"),
        ("a,h100-sxm,many,2,0,1,full,0.5", "column 'ranks': 'many' is not a number"),
        ("a,h100-sxm,8,2,-1,1,full,0.5", "column 'zero': '-1' is not a whole number of at least 0"),
        ("a,h100-sxm,8,2,0,2,full,0.5", "column 'fast': '2' is neither 0 nor 1"),
        ("a,h100-sxm,8,2,0,maybe,full,0.5", "column 'fast': 'maybe' is not a number; write 0 or 1"),
        ("a,h100-sxm,8,2,0,1,half,0.5", "column 'kind': 'half' is not one of none, full"),
        ("a,h100-sxm,8,2,0,1,full,-0.5", "column 'seconds': '-0.5' is not positive"),
        ("a,h100-sxm,8,2,0,1,full,nan", "column 'seconds': 'nan' is not finite"),
        ("a,h100-sxm,inf,2,0,1,full,1", "column 'ranks': 'inf' is not finite"),
        ("a,h100-sxm,8,2,0,1,full", "7 values for 8 columns"),
    ],
)
def test_a_wrong_value_names_row_column_and_mend(rows, line, told):
    with pytest.raises(RowError, match=told):
        rows(line)


@pytest.mark.parametrize(
    ("cell", "flag"),
    [("1", True), ("Yes", True), ("TRUE", True), ("0", False), ("no", False), ("False", False)],
)
def test_a_flag_is_read_as_people_write_it(rows, cell, flag):
    (row,) = rows(f"a,h100-sxm,8,2,0,{cell},full,0.5")
    assert row.flag("fast") is flag


def test_case_counts_neither_in_choices_nor_in_column_names(rows):
    (row,) = rows("a,h100-sxm,8,Full,0.5", header="Case, GPU ,Ranks,KIND,seconds")
    assert row.text("kind") == "full"
    assert row.count("ranks") == 8
    with pytest.raises(RowError, match="'ranks' is there twice"):
        rows("a,b,1,1,1", header="case,gpu,ranks,RANKS,seconds")


@pytest.mark.parametrize(("sign", "told"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_file_without_commas_says_what_stands_there(rows, sign, told):
    with pytest.raises(RowError, match=f"separated by {told}; separate them by commas"):
        rows(GOOD.replace(",", sign), header=HEADER.replace(",", sign))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("case,gpu,stages,seconds", "column 'ranks' is missing"),
        ("case,gpu,ranks,stage,seconds", "'stage' is unknown; did you mean 'stages'"),
        ("case,gpu,ranks,ranks,seconds", "'ranks' is there twice"),
    ],
)
def test_a_wrong_header_names_the_column(rows, header, told):
    with pytest.raises(RowError, match=told):
        rows("a,b,1,1,1", header=header)


def test_an_unknown_gpu_names_row_column_and_close_names(rows):
    (row,) = rows("a,h1000,8,,,,,0.5")
    with pytest.raises(RowError, match=r"line 3 \(a\), column 'gpu'.*h100-sxm"):
        row.device()


def test_a_file_without_rows_is_an_error(rows, tmp_path):
    with pytest.raises(RowError, match="holds no rows"):
        rows()
    with pytest.raises(RowError, match="cannot read"):
        read_rows(tmp_path / "none.csv", DOUBLE)


def test_errors_are_signed_and_the_mean_is_absolute(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('0.5', '4')}\n")
    result = validate("double", DOUBLE, path)
    assert [case.error for case in result.cases] == [1.0, 1.0]
    assert str(result).splitlines()[-1] == "MAPE 100.0 % over 2 rows"


@pytest.mark.parametrize("name", SETS)
def test_every_published_row_is_priced(name, capsys):
    assert main(["validate", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == len(told["cases"]) >= 4
    assert main(["validate", name]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"MAPE {told['mape_percent']:.1f} % over {told['rows']} rows"


@pytest.mark.parametrize("name", SETS)
def test_a_needed_column_that_is_missing_is_an_error(name, tmp_path, capsys):
    found = find_set(name)
    needed = [c for c, column in found.columns.items() if column.default is None]
    for column in needed:
        rest = [other for other in needed if other != column]
        path = tmp_path / "rows.csv"
        path.write_text(f"{','.join(rest)}\n{','.join('1' for _ in rest)}\n")
        assert main(["validate", name, "--rows", str(path)]) == 2
        assert f"column {column!r} is missing" in capsys.readouterr().err


def test_unknown_sets_are_refused(capsys):
    assert main(["validate", "speed"]) == 2
    assert "there is no set 'speed'" in capsys.readouterr().err
