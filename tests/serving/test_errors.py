"""Every error of the platform has its HTTP status and its problem details."""

import pytest

from models.errors import RadiographError, ServiceError, ThoraxError, TooLargeError
from serving.errors import STATUS, problem_of, status_of
from tests.models.test_errors import FAMILY, example

# The statuses of the interface; what can only happen on the command line and in pipelines is 500 or 404.
EXPECTED = {
    "MalformedFileError": 400,
    "BadRequestError": 400,
    "ModelNotFoundError": 404,
    "FindingNotFoundError": 404,
    "SlowUploadError": 408,
    "UnreadableFileError": 404,
    "TooLargeError": 413,
    "UnknownFormatError": 415,
    "UnusableRadiographError": 422,
    "NoPixelDataError": 422,
    "MultiFrameError": 422,
    "NoChestError": 422,
    "NoAnswerError": 422,
    "ConfigurationError": 500,
    "UnknownNameError": 500,
    "SettingsError": 500,
    "DataError": 500,
    "RawDataMissingError": 500,
    "UnreadableImagesError": 500,
    "LabelsError": 500,
    "LeakageError": 500,
    "OriginError": 500,
    "TableError": 500,
    "TrainingError": 500,
    "WeightsError": 500,
    "BundleError": 503,
    "BundleWriteError": 503,
    "BundleFormatError": 503,
    "BundleDigestError": 503,
    "OutputError": 503,
    "ParityError": 503,
    "LicenceError": 503,
    "SignatureError": 503,
    "SigningKeyError": 503,
    "ConflictError": 503,
    "ArchiveError": 503,
    "HistoryError": 503,
    "GateError": 503,
    "RegistryError": 503,
    "RegistryUnreachableError": 503,
    "NotReadyError": 503,
    "StartError": 503,
    "OverloadedError": 503,
    "NoRoomError": 503,
    "DeadlineError": 504,
}
# Roots of the tree, which nothing raises: each of their children has a line of its own.
ROOTS = {ThoraxError, RadiographError, ServiceError}


def test_every_error_has_the_status_of_the_interface():
    answered = {error.__name__: int(status_of(example(error))) for error in FAMILY if error not in ROOTS}
    assert answered == EXPECTED


@pytest.mark.parametrize("error", [error for error in FAMILY if error not in ROOTS])
def test_no_error_is_left_to_the_default(error):
    assert any(ancestor in STATUS for ancestor in error.__mro__)


def test_a_table_line_stands_for_an_error_of_the_family():
    assert set(STATUS) <= set(FAMILY) - ROOTS


def test_an_error_nobody_has_thought_of_is_the_services_fault():
    class NewError(ThoraxError):
        pass

    assert status_of(NewError(reason="new")) == 500


@pytest.mark.parametrize("error", FAMILY)
def test_problem_details_have_the_members_of_rfc_9457_and_a_code(error):
    raised = example(error)
    problem = problem_of(raised).model_dump()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["detail"], problem["code"]) == (str(raised), error.code)
    assert problem["status"] == status_of(raised)


def test_problem_details_are_written_out():
    assert problem_of(TooLargeError(limit=10, unit="bytes", received=11)).model_dump() == {
        "type": "about:blank",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "Expected at most 10 bytes, but received 11 bytes. Send a smaller file.",
        "code": "too_large",
    }
