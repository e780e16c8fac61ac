"""One file of bad/ is one case: a stack file, a line of equals signs, then all its problems as line:column: sentence."""

from pathlib import Path

import pytest

from cookline.control.stack.loading import parse_stack
from cookline.control.stack.problems import shown
from cookline.errors import EXIT_USAGE, StackError

HERE = Path(__file__).parent
RULER = "=" * 20 + "\n"


def told(text: str) -> list[str]:
    """What cookline says of a stack file, without file name and excerpts."""
    with pytest.raises(StackError) as caught:
        parse_stack(text, file="stack.yml", directory=HERE)
    assert caught.value.exit_code == EXIT_USAGE
    first_lines = [problem.splitlines()[0] for problem in caught.value.problems]
    return [line.removeprefix("stack.yml:").replace(shown(HERE), "HERE") for line in first_lines]


@pytest.mark.parametrize("case", sorted((HERE / "bad").glob("*.txt")), ids=lambda path: path.stem)
def test_every_problem_is_told_in_one_pass_with_its_place(case: Path) -> None:
    text, _, expected = case.read_text("utf-8").partition(RULER)
    assert told(text) == expected.splitlines()
