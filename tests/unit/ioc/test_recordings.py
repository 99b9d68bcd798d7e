"""What `ioc record` asks for, checks before it begins, and says when it is done."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ioc.commands.recordings import check_output, streams_of, summary
from ioc.errors import UserError
from streams.recording_index import Held, Index

BEGIN = datetime.fromisoformat("2025-10-08T00:00:00+07:00")


def test_streams_are_named_by_commas_and_kept_in_their_order() -> None:
    """Whatever the order given; without the option all of them."""
    assert streams_of("report, flood") == ("flood", "report")
    assert streams_of(None) == ("traffic", "flood", "camera", "report")


@pytest.mark.parametrize("text", ["water", "flood,water", ""])
def test_a_stream_that_does_not_exist_is_refused(text: str) -> None:
    """With those that do."""
    with pytest.raises(UserError) as caught:
        streams_of(text)
    assert "traffic, flood, camera, report" in caught.value.remedy


def test_a_recording_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    """Nor written under another ending, or into a directory that is not there: told before hours are spent."""
    path = tmp_path / "r.ndjson.gz"
    check_output(path, overwrite=False)
    path.touch()
    check_output(path, overwrite=True)
    for wrong, remedy in (
        (path, "--overwrite"),
        (tmp_path / "r.ndjson", "r.ndjson.gz"),
        (tmp_path / "no" / "r.ndjson.gz", "make it"),
    ):
        with pytest.raises(UserError) as caught:
            check_output(wrong, overwrite=False)
        assert remedy in caught.value.remedy


def test_what_was_left_out_is_said() -> None:
    """Reports that could not be decoded, clocks that were lacking, a later beginning, other configurations."""
    index = Index(
        size=1000, hash="", first=BEGIN, last=BEGIN + timedelta(hours=1), members=[],
        configurations=[Held(BEGIN, "a"), Held(BEGIN + timedelta(minutes=5), "b")],
        records={"flood": 3}, left_out=2, clocks_lacking=1,
    )  # fmt: skip
    text = "\n".join(summary(Path("r.ndjson.gz"), BEGIN - timedelta(hours=2), index))
    for said in (
        "3 flood",
        "2 reports that could not be decoded",
        "1 clock",
        "later than asked for",
        "changed 1 time",
    ):
        assert said in text
