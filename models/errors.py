"""Every error of the platform.

    ThoraxError
    ├── RadiographError                what was sent is no readable, usable radiograph
    │   ├── MalformedFileError         recognised, but empty, truncated or corrupt
    │   ├── UnknownFormatError         neither PNG, JPEG nor DICOM
    │   ├── TooLargeError              more bytes or pixels than allowed
    │   └── UnusableRadiographError    readable, but not one grey frontal picture
    │       ├── NoPixelDataError       a DICOM instance without pixels
    │       ├── MultiFrameError        more than one frame
    │       ├── NoChestError           it does not look like a frontal chest radiograph
    │       └── NoAnswerError          the model does not answer about such a patient
    ├── ConfigurationError             what a user set cannot be meant
    │   ├── UnknownNameError           a name that no table holds
    │   └── SettingsError              params.yaml or the environment is wrong
    ├── UnreadableFileError            a file named on the command line cannot be opened
    ├── DataError                      a data set cannot be used
    │   ├── RawDataMissingError        the publisher's files are not where they should be
    │   ├── TableError                 a publisher's table lacks a column or cannot be read
    │   ├── OriginError                what is to be fetched is not there, breaks off or is not what was published
    │   ├── UnreadableImagesError      too many images of a source cannot be read
    │   ├── LeakageError               a patient or an image would stand on both sides of a split
    │   └── LabelsError                no or impossible labels for a task
    ├── TrainingError                  training cannot go on
    ├── WeightsError                   pretrained weights cannot be read, or fit another network
    ├── BundleError                    a bundle is not what it should be
    │   ├── BundleWriteError           it could not be written; nothing is left behind
    │   ├── BundleFormatError          its manifest is missing, newer or malformed
    │   ├── BundleDigestError          a file differs from what was released
    │   ├── SignatureError             nobody who is trusted vouches for it
    │   ├── ParityError                the exported graph disagrees with the trained one
    │   ├── OutputError                its network gives what is no number
    │   └── LicenceError               it may not be given to others
    ├── RegistryError                  the model registry says no
    │   ├── RegistryUnreachableError   it does not answer
    │   ├── ModelNotFoundError         no such model, version or alias
    │   ├── SigningKeyError            a key is missing or cannot be used
    │   ├── ConflictError              somebody else was faster
    │   ├── ArchiveError               a file for another site cannot be written or read
    │   ├── HistoryError               the history was changed, or an entry removed
    │   └── GateError                  a version does not pass what a release must pass
    └── ServiceError                   the service cannot answer this, or not now
        ├── BadRequestError            the request is not what the interface describes
        ├── FindingNotFoundError       a finding that the model does not answer about
        ├── SlowUploadError            the file did not arrive in time
        ├── StartError                 Ray does not start
        ├── NotReadyError              a model is not loaded yet, or has failed
        ├── OverloadedError            too many requests wait
        ├── NoRoomError                the files of others take all the memory
        └── DeadlineError              the answer took longer than the caller was promised

The message template lives on the class; whoever raises passes the values, which stay readable as `error.values`.
No message holds a value read from a patient's file other than sizes and the Standard's own terms.
"""

from typing import ClassVar, Self


def _rebuild(cls: type["ThoraxError"], values: dict[str, object]) -> "ThoraxError":
    return cls(**values)


class ThoraxError(Exception):
    """Root of the family: says what was expected, what was received and what to do."""

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "{reason}"

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(self.message.format(**values))

    def __reduce__(self) -> tuple[object, tuple[type[Self], dict[str, object]]]:
        # Exception's own pickling would call __init__ with the message; errors travel between Ray processes.
        return _rebuild, (type(self), self.values)


class RadiographError(ThoraxError):
    """What was sent is no readable, usable radiograph."""

    code = "radiograph"


class MalformedFileError(RadiographError):
    """The format was recognised, but the content is empty, truncated or corrupt."""

    code = "malformed_file"
    message = "Expected a complete {format} file, but {reason}. Send the file again, unchanged from its origin."


class UnknownFormatError(RadiographError):
    """The first bytes are those of no supported format."""

    code = "unknown_format"
    message = (
        "Expected a PNG, JPEG or DICOM file, recognised by its content, but received {received}. "
        "Export the radiograph in one of these formats."
    )


class TooLargeError(RadiographError):
    """More bytes or pixels than the limit; refused before decoding."""

    code = "too_large"
    message = "Expected at most {limit} {unit}, but received {received} {unit}. Send a smaller file."


class UnusableRadiographError(RadiographError):
    """Readable, but not one grey picture that a model could score."""

    code = "unusable_radiograph"
    message = "Expected one grey frontal radiograph, but {reason}. Send a single-frame CR or DX image."


class NoPixelDataError(UnusableRadiographError):
    """A DICOM instance without pixel data, such as a structured report."""

    code = "no_pixel_data"
    message = (
        "Expected a DICOM image, but this instance ({sop_class}) has no Pixel Data (7FE0,0010). "
        "Send the image instance of the study."
    )


class MultiFrameError(UnusableRadiographError):
    """More than one frame, such as a tomosynthesis or a cine loop."""

    code = "multi_frame"
    message = "Expected one frame, but received {frames}. Send a single-frame CR or DX image."


class NoChestError(UnusableRadiographError):
    """It does not look like a frontal chest radiograph."""

    code = "no_chest"
    message = (
        "Expected a frontal chest radiograph, but this does not look like one: chest_radiograph is {value:.2f}, needed "
        "is {needed:.2f}. Send a PA or AP image of a chest."
    )


class NoAnswerError(UnusableRadiographError):
    """The model does not answer about such a patient."""

    code = "no_answer"
    message = "Expected a radiograph that the model answers about. {reason} Ask a model for such patients."


class ConfigurationError(ThoraxError):
    """What a user set cannot be meant."""

    code = "configuration"


class UnknownNameError(ConfigurationError):
    """A name that the table of its kind does not hold."""

    code = "unknown_name"
    message = "Unknown {kind} {name!r}; known are: {known}."


class SettingsError(ConfigurationError):
    """params.yaml or the environment is wrong."""

    code = "settings"
    message = "{where}: {reason}"


class UnreadableFileError(ThoraxError):
    """A file named on the command line cannot be opened."""

    code = "unreadable_file"
    message = "Expected a readable file at {path}, but {reason}. Check its name and its permissions."


class DataError(ThoraxError):
    """A data set cannot be used."""

    code = "data"


class RawDataMissingError(DataError):
    """The publisher's files are not where they should be."""

    code = "raw_data_missing"
    message = "Expected {expected} under {folder}, but found none. {remedy}"


class TableError(DataError):
    """A publisher's table is not there, lacks a column or cannot be read."""

    code = "table"
    message = "{table}: expected {expected}, but received {received}. Fetch the publisher's file unchanged."


class OriginError(DataError):
    """What is to be fetched is not there, breaks off or is not what was published."""

    code = "origin"
    message = "{origin}: expected {expected}, but {reason}. {remedy}"


class LeakageError(DataError):
    """A patient or an image would stand on both sides of a split."""

    code = "leakage"
    message = "Pairs of images that would stand on both sides of a split: {pairs}. {named}. {remedy}"


class UnreadableImagesError(DataError):
    """More images of a source are unreadable than the run may lose."""

    code = "unreadable_images"
    message = (
        "{unreadable} of {images} images of {source} cannot be read, more than the allowed {allowed:.1%}; "
        "each is listed with its reason in {listing}. Fetch the source again, or raise prepare.max_unreadable."
    )


class LabelsError(DataError):
    """No or impossible labels for a task."""

    code = "labels"
    message = "Task {task}: {reason}"


class TrainingError(ThoraxError):
    """Training cannot go on."""

    code = "training"


class WeightsError(ThoraxError):
    """Pretrained weights cannot be read, or fit another network."""

    code = "weights"
    message = "{weights}: expected {expected}, but received {received}. {remedy}"


class BundleError(ThoraxError):
    """A bundle is not what it should be."""

    code = "bundle"


class BundleWriteError(BundleError):
    """A bundle could not be written; nothing half-written is left behind."""

    code = "bundle_write"
    message = (
        "{path} could not be written: {reason}. Nothing half-written was left behind. "
        "See that its disk has free space and may be written to, then run again."
    )


class BundleFormatError(BundleError):
    """The manifest is missing, malformed or of a newer schema."""

    code = "bundle_format"
    message = "{path} is no bundle this release can read: {reason}."


class BundleDigestError(BundleError):
    """A file of the bundle differs from what was released."""

    code = "bundle_digest"
    message = "{path}: expected {expected}, but received {received}. The bundle is not loaded; download it again."


class SignatureError(BundleError):
    """Nobody who is trusted vouches for the bundle as it is."""

    code = "signature"
    message = "{path}: expected the signature of a trusted key, but {reason}. The bundle is not loaded."


class ParityError(BundleError):
    """The exported graph disagrees with the trained network."""

    code = "parity"
    message = "Expected {graph} to equal Keras within {tolerance}, but {output} differs by {difference}."


class OutputError(BundleError):
    """The network of a bundle gives infinities or what is no number, so that nothing can be said about a finding."""

    code = "output"
    message = "Expected finite scores of {name}, but received {received} that are not. Do not serve this bundle."


class LicenceError(BundleError):
    """It may not be given to others."""

    code = "licence"
    message = "{path}: expected weights that may be shared, but {reason}. {remedy}"


class RegistryError(ThoraxError):
    """The model registry says no."""

    code = "registry"


class RegistryUnreachableError(RegistryError):
    """The registry does not answer."""

    code = "registry_unreachable"
    message = "The model registry {uri} cannot be reached: {reason}. Check THORAX_REGISTRY_URI and that it runs."


class ModelNotFoundError(RegistryError):
    """No such model, version or alias."""

    code = "model_not_found"
    message = "The registry holds no {wanted}; it holds: {known}."


class SigningKeyError(RegistryError):
    """A key is missing or cannot be used."""

    code = "signing_key"
    message = "Expected {expected} at {path}, but {reason}. {remedy}"


class ConflictError(RegistryError):
    """Somebody else changed the aliases of the model in the same moment."""

    code = "conflict"
    message = (
        "Nothing was changed: expected the history of {name} to end at entry {expected}, but {who} was faster: {what}. "
        "Look at it (thorax registry history {name}) and decide again."
    )


class ArchiveError(RegistryError):
    """A file for another site cannot be written or read."""

    code = "archive"
    message = "Expected {expected} at {path}, but {reason}. Nothing was changed."


class HistoryError(RegistryError):
    """The history was changed, or an entry removed."""

    code = "history"
    message = (
        "The history of {name} cannot be trusted: {reason}. Find out who changed it; nothing is promoted until then."
    )


class GateError(RegistryError):
    """A version does not pass what a release must pass."""

    code = "gate"
    message = (
        "{name} version {version} was not promoted: {failed} failed. Mend it, or promote with --override and --reason; "
        "the history keeps both."
    )


class ServiceError(ThoraxError):
    """The service cannot answer this, or not now."""

    code = "service"


class BadRequestError(ServiceError):
    """The request is not what the interface describes."""

    code = "bad_request"
    message = "Expected {expected}, but {reason}. The interface is described at /docs."


class FindingNotFoundError(ServiceError):
    """A finding that the model does not answer about."""

    code = "finding_not_found"
    message = "Expected a finding of {of}, but received {received!r}; it knows: {known}."


class SlowUploadError(ServiceError):
    """The file did not arrive in time."""

    code = "slow_upload"
    message = "Expected the whole file within {seconds} seconds, but it did not arrive. Send it again, faster."


class StartError(ServiceError):
    """Ray does not start."""

    code = "start"
    message = (
        "Expected Ray to start, but it did not in {tries} tries: {reason}. Start again once the machine is less busy."
    )


class NotReadyError(ServiceError):
    """A model is not loaded yet, or has failed."""

    code = "not_ready"
    message = "Model {model} is not ready. Send the request again after {retry_after_seconds} seconds."


class OverloadedError(ServiceError):
    """Too many requests wait already."""

    code = "overloaded"
    message = "The service is overloaded. Send the request again after {retry_after_seconds} seconds."


class NoRoomError(ServiceError):
    """The files of others take all the memory that files may take."""

    code = "no_room"
    message = "The service has no memory left for the file. Send the request again after {retry_after_seconds} seconds."


class DeadlineError(ServiceError):
    """The answer took longer than the caller was promised."""

    code = "deadline"
    message = "No answer within {seconds} seconds. Send the request again, or raise THORAX_REQUEST_TIMEOUT_SECONDS."
