"""An error tells what was wrong, what was expected and what to do."""

from flxdr.core.errors import Conflict, FlxdrError


def test_problem_members() -> None:
    error = Conflict("the round is closed", expected="an open round", action="Ask for the next one.", round_id="r-1")
    assert error.as_problem() == {
        "type": "urn:flxdr:error:conflict",
        "title": "Conflict with the current state",
        "status": 409,
        "code": "conflict",
        "detail": "the round is closed",
        "expected": "an open round",
        "action": "Ask for the next one.",
        "round_id": "r-1",
    }
    assert str(error) == "the round is closed; expected: an open round. Ask for the next one."


def test_optional_members_are_left_out() -> None:
    assert set(FlxdrError("x").as_problem()) == {"type", "title", "status", "code", "detail"}


def test_codes_are_distinct() -> None:
    classes = FlxdrError.__subclasses__()
    assert len({cls.code for cls in classes}) == len(classes)
