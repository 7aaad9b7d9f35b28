"""The family of errors: the tree as drawn, a code each, whole messages, and a safe journey between processes."""

import pickle
from string import Formatter

import pytest

from models import errors
from models.errors import ThoraxError, TooLargeError, UnknownNameError

FAMILY = [member for member in vars(errors).values() if isinstance(member, type) and issubclass(member, ThoraxError)]


def example(error):
    """An error with a value of its own in each field of its message."""
    fields = [(name, spec) for _, name, spec, _ in Formatter().parse(error.message) if name]
    return error(**{name: 0.25 if spec else f"the {name}" for name, spec in fields})


def drawn_parents():
    """Child -> parent, as the tree in the module's docstring has them."""
    parents, ancestors = {}, []
    for line in errors.__doc__.splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if not words or not words[0].endswith("Error"):
            continue
        depth = line.index(words[0]) // 4 - 1
        ancestors[depth:] = [words[0]]
        parents[words[0]] = ancestors[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_is_drawn_as_it_is():
    assert drawn_parents() == {error.__name__: error.__base__.__name__ for error in FAMILY}


def test_every_class_has_a_code_of_its_own():
    codes = [vars(error)["code"] for error in FAMILY]
    assert len(set(codes)) == len(codes) == 48


@pytest.mark.parametrize("error", FAMILY)
def test_a_message_holds_every_value(error):
    raised = example(error)
    assert raised.values
    for value in raised.values.values():
        assert any(said in str(raised) for said in (("25.0%", "0.25") if value == 0.25 else (str(value),)))
    assert "{" not in str(raised)


@pytest.mark.parametrize("error", FAMILY)
def test_an_error_survives_pickling(error):
    raised = example(error)
    arrived = pickle.loads(pickle.dumps(raised))  # noqa: S301 - our own bytes
    assert type(arrived) is error
    assert arrived.values == raised.values
    assert str(arrived) == str(raised)


def test_an_error_says_what_was_allowed_and_what_came():
    assert str(TooLargeError(limit=10, unit="bytes", received=11)) == (
        "Expected at most 10 bytes, but received 11 bytes. Send a smaller file."
    )
    assert str(UnknownNameError(kind="task", name="brain", known="pneumonia, thoracic")) == (
        "Unknown task 'brain'; known are: pneumonia, thoracic."
    )


def test_a_forgotten_value_is_noticed_where_it_is_raised():
    with pytest.raises(KeyError, match="received"):
        TooLargeError(limit=10, unit="bytes")
