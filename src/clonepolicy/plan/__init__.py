"""Plans: the steps to take, and what undoes them."""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy.plan._steps import (
        AddLocation,
        Attempt,
        CloneImage,
        CloneVolume,
        CreateImageVolume,
        DeleteImageVolume,
        DiscardImage,
        DiscardVolume,
        DownloadImage,
        ExtendVolume,
        FailVolume,
        Plan,
        PublishVolume,
        RestoreVolume,
        SetVolumeMetadata,
        SetVolumeReadonly,
        Step,
        UnpublishVolume,
        UploadImage,
        VerifyLocation,
        VolumeId,
        VolumeRef,
        WithdrawLocation,
    )
else:
    __getattr__, __dir__ = on_first_use(__name__, "_steps")

__all__ = [
    "AddLocation",
    "Attempt",
    "CloneImage",
    "CloneVolume",
    "CreateImageVolume",
    "DeleteImageVolume",
    "DiscardImage",
    "DiscardVolume",
    "DownloadImage",
    "ExtendVolume",
    "FailVolume",
    "Plan",
    "PublishVolume",
    "RestoreVolume",
    "SetVolumeMetadata",
    "SetVolumeReadonly",
    "Step",
    "UnpublishVolume",
    "UploadImage",
    "VerifyLocation",
    "VolumeId",
    "VolumeRef",
    "WithdrawLocation",
]
