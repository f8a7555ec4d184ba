"""Image and volume services that break one promise each.

Each is a port of the cloud in memory with one sin, said in its docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import attrs
from typing_extensions import override

from clonepolicy import (
    AdapterError,
    Backend,
    CacheEntry,
    CinderLocation,
    ConflictError,
    ForbiddenError,
    GiB,
    GlanceConfig,
    Image,
    Location,
    NotFoundError,
    Quota,
    QuotaError,
    UnavailableError,
    Volume,
)
from clonepolicy.adapters.memory import (
    POOL,
    MemoryCloud,
    MemoryImages,
    MemoryVolumes,
    Registration,
)
from clonepolicy.testing.conformance._image_rows import (
    IMAGES,
    ImageBench,
    LocationBench,
)
from clonepolicy.testing.conformance._saboteur import Saboteur
from clonepolicy.testing.conformance._volume_rows import VOLUMES, VolumeBench

_MINE = "alice"
_LATE = MemoryCloud(registration=Registration.LATE)
_YIELDING = MemoryCloud(can_withdraw=True)

I = TypeVar("I", bound=MemoryImages)  # noqa: E741 - as V below
V = TypeVar("V", bound=MemoryVolumes)

_SABOTEURS: list[Saboteur] = []


# -- benches for the cloud in memory ----------------------------------------


def image_bench(
    cloud: MemoryCloud,
    kind: Callable[[MemoryCloud, str], MemoryImages] = MemoryImages,
) -> ImageBench:
    """Make the bench of a cloud's image service."""

    def corrupt(image_id: str) -> None:
        cloud.images[image_id].data = b"other data"

    def add_volume() -> CinderLocation:
        return CinderLocation(cloud.add_volume(_MINE, 1, data=b"vol").id)

    def add_image() -> str:
        return cloud.add_image(
            _MINE, None, locations=(add_volume(), add_volume(), add_volume())
        )

    def data_of(image_id: str) -> bytes:
        return cloud.image_data(image_id) or b""

    def read(location: CinderLocation) -> list[bytes]:
        return [cloud.volume_data(location.volume_id) or b""]

    return ImageBench(
        images=kind(cloud, _MINE),
        queued=lambda: cloud.add_image(_MINE, None),
        active=lambda data: cloud.add_image(_MINE, data),
        unseen=lambda: cloud.add_image("bob", b"bob's data"),
        statuses=lambda: {
            image_id: held.record.status
            for image_id, held in cloud.images.items()
        },
        data_of=data_of,
        corrupt=corrupt,
        locations=LocationBench(
            add_volume=add_volume,
            has_volume=lambda at: at.volume_id in cloud.volumes,
            of=lambda image_id: cloud.images[image_id].locations,
            add_image=add_image,
            data_of=read,
        ),
        gib=cloud.gib,
    )


def volume_bench(
    cloud: MemoryCloud,
    kind: Callable[[MemoryCloud], MemoryVolumes] = MemoryVolumes,
) -> VolumeBench:
    """Make the bench of a cloud's volume service."""

    def new_volume(size: int, status: str, previous: str | None) -> Volume:
        return cloud.add_volume(
            _MINE, size, status=status, previous_status=previous
        )

    def fill(volume_id: str) -> None:
        cloud.fill_volume(volume_id, b"data")

    def cache(image_id: str, volume_id: str) -> None:
        source = cloud.volume(volume_id)
        cloud.cache.append(CacheEntry(image_id=image_id, source=source))

    return VolumeBench(
        volumes=kind(cloud),
        new_volume=new_volume,
        statuses=lambda: {
            volume_id: held.record.status
            for volume_id, held in cloud.volumes.items()
        },
        is_readonly=lambda volume_id: cloud.volumes[volume_id].readonly,
        array_id=cloud.arrays[POOL].backend.array_id,
        fill=fill,
        cache=cache,
        set_quota=cloud.limits.__setitem__,
    )


def _images(
    *rows: str, cloud: MemoryCloud | None = None
) -> Callable[[type[I]], type[I]]:
    """Hold an image service to be caught by rows."""

    def add(kind: type[I]) -> type[I]:
        _SABOTEURS.append(
            Saboteur(
                name=kind.__name__,
                sin=(kind.__doc__ or "").strip(),
                table=IMAGES,
                make=lambda: image_bench(_another(cloud), kind),
                caught_by=frozenset(rows),
            )
        )
        return kind

    return add


def _another(cloud: MemoryCloud | None) -> MemoryCloud:
    if cloud is None:
        return MemoryCloud()
    return MemoryCloud(
        registration=cloud.registration, can_withdraw=cloud.can_withdraw
    )


def _volumes(*rows: str) -> Callable[[type[V]], type[V]]:
    """Hold a volume service to be caught by rows."""

    def add(kind: type[V]) -> type[V]:
        _SABOTEURS.append(
            Saboteur(
                name=kind.__name__,
                sin=(kind.__doc__ or "").strip(),
                table=VOLUMES,
                make=lambda: volume_bench(MemoryCloud(), kind),
                caught_by=frozenset(rows),
            )
        )
        return kind

    return add


# -- image services ---------------------------------------------------------


@_images("tells-what-it-offers")
class ChangesItsMind(MemoryImages):
    """It offers something else at each asking."""

    @override
    def get_config(self) -> GlanceConfig:
        role = self.cloud.new_id()
        return attrs.evolve(
            super().get_config(), service_roles=frozenset({role})
        )


@_images("reads-an-image")
class CountsInGiB(MemoryImages):
    """It tells an image's size in GiB."""

    @override
    def get_image(self, image_id: str) -> Image:
        image = super().get_image(image_id)
        size = None if image.size is None else -(-image.size // GiB)
        return attrs.evolve(image, size=size)


@_images("reads-an-image")
class TellsOfOneStatusOnly(MemoryImages):
    """It takes every image for active."""

    @override
    def get_image(self, image_id: str) -> Image:
        return attrs.evolve(super().get_image(image_id), status="active")


@_images("finds-no-missing-image", "takes-nothing-else-for-an-image")
class LeaksItsClientsError(MemoryImages):
    """It lets an error of its client out."""

    @override
    def get_image(self, image_id: str) -> Image:
        self.cloud.images[image_id]
        return super().get_image(image_id)


@_images("finds-no-missing-image", "takes-nothing-else-for-an-image")
class FindsEverything(MemoryImages):
    """It finds an image under any id."""

    @override
    def get_image(self, image_id: str) -> Image:
        try:
            return super().get_image(image_id)
        except NotFoundError:
            return Image(id=image_id or "none", status="queued")


@_images("finds-no-missing-image")
class MakesWhatItUploadsTo(MemoryImages):
    """It makes an image of an upload to none."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        if image_id not in self.cloud.images:
            made = self.cloud.add_image(self.project_id, None)
            self.cloud.images[image_id] = self.cloud.images.pop(made)
        super().upload(image_id, data)


@_images("hides-what-is-not-for-the-requester")
class ShowsToAll(MemoryImages):
    """It asks with credentials that see everything."""

    @override
    def get_image(self, image_id: str) -> Image:
        return attrs.evolve(
            self.cloud.image_row(image_id).record, visible=True
        )


@_images("hides-what-is-not-for-the-requester")
class TellsThatItHides(MemoryImages):
    """It lets others know that there is an image that they may not see."""

    @override
    def get_image(self, image_id: str) -> Image:
        try:
            return super().get_image(image_id)
        except NotFoundError as error:
            if image_id in self.cloud.images:
                message = f"image {image_id} is not yours: ask its owner"
                raise ForbiddenError(message) from error
            raise


@_images("hides-locations-from-whoever-sees-no-image")
class ShowsLocationsToAll(MemoryImages):
    """It tells anybody where an image's data lies."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return self.cloud.image_row(image_id).locations


@_images("gives-exactly-the-bytes")
class LosesTheEnd(MemoryImages):
    """It loses the last piece of a download."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        pieces = list(super().download(image_id))
        return iter(pieces[:-1])


@_images("notices-other-data")
class Trusts(MemoryImages):
    """It compares what it gives with nothing."""

    @override
    def checked(self, image: Image, data: bytes) -> Iterator[bytes]:
        yield data


@_images("gives-nothing-where-there-is-no-data")
class GivesNothingForData(MemoryImages):
    """It gives no bytes, and no error, for an image without data."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        if self.get_image(image_id).status == "queued":
            return iter(())
        return super().download(image_id)


@_images("takes-all-of-an-upload")
class StopsAtAnEmptyPiece(MemoryImages):
    """It takes an empty piece for the end of the data."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, iter(iter(data).__next__, b""))


@_images("takes-all-of-an-upload")
class LeavesItSaving(MemoryImages):
    """It takes the data and forgets to say so."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, data)
        self.cloud.set_image(image_id, status="saving")


@_images("uploads-over-nothing")
class Overwrites(MemoryImages):
    """It takes data for an image that has some."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        self.cloud.image_row(image_id)
        self.cloud.set_image(image_id, status="queued")
        super().upload(image_id, data)


@_images("lets-a-broken-stream-through")
class KeepsWhatCame(MemoryImages):
    """It makes an image of the data that came before the error."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, islice(data, 1))
        list(data)


@_images("lets-a-broken-stream-through")
class CoversUp(MemoryImages):
    """It tells another error than that of the data."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        try:
            super().upload(image_id, data)
        except AdapterError:
            raise
        except Exception as error:
            message = f"uploading to image {image_id} failed: try again"
            raise UnavailableError(message) from error


@_images("discards-what-has-no-data")
class DiscardsOnlyOnce(MemoryImages):
    """It fails where there is nothing to discard."""

    @override
    def discard(self, image_id: str) -> None:
        self.cloud.image_row(image_id)
        super().discard(image_id)


@_images("discards-what-has-no-data")
class DiscardsNothing(MemoryImages):
    """It leaves images without data behind."""

    @override
    def discard(self, image_id: str) -> None:
        pass


@_images("discards-no-data", "discards-no-volume")
class DiscardsData(MemoryImages):
    """It deletes an image whatever it has."""

    @override
    def discard(self, image_id: str) -> None:
        self.cloud.images.pop(image_id, None)


@_images(
    "verifies-nothing-unregistered",
    "makes-no-image-of-a-missing-volume",
    "takes-nothing-else-for-an-image",
)
class BelievesEverything(MemoryImages):
    """It verifies without looking."""

    @override
    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        pass


@_images("withdraws-nothing-where-there-is-none")
class WithdrawsOnlyWhatIsThere(MemoryImages):
    """It fails where there is nothing to withdraw."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        if location not in self.cloud.image_row(image_id).locations:
            message = f"image {image_id} is not at {location}: look there"
            raise NotFoundError(message)
        super().withdraw_location(image_id, location)


@_images("withdraws-nothing-where-there-is-none")
class WithdrawsTheImage(MemoryImages):
    """It deletes an image to be rid of its locations."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        self.cloud.images.pop(image_id, None)


@_images("makes-no-image-of-a-missing-volume")
class TakesAnyLocation(MemoryImages):
    """It does not ask whether there is such a volume."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if held.record.status == "queued":
            held.locations = (location,)
            self.cloud.set_image(image_id, status="active")


@_images("makes-no-image-of-a-missing-volume", cloud=_LATE)
class LeavesARejectedImageSaving(MemoryImages):
    """It holds an image that was given a bad location for ever."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        super().add_location(image_id, location)
        if location.volume_id not in self.cloud.volumes:
            self.cloud.set_image(image_id, status="saving")


@_images("takes-nothing-else-for-an-image")
class TakesTheLastPart(MemoryImages):
    """It puts ids into paths as they are."""

    @override
    def discard(self, image_id: str) -> None:
        super().discard(image_id.rpartition("/")[2].rstrip("?#"))


@_images("registers-a-volume", cloud=_LATE)
class DoesNotWait(MemoryImages):
    """It takes a location that was handed in for one that is shown."""

    @override
    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        if self.cloud.image_row(image_id).pending != location:
            super().verify_location(image_id, location)


@_images("registers-a-volume")
class ConsumesTheVolume(MemoryImages):
    """It copies the volume's data, and deletes it."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        super().add_location(image_id, location)
        self.cloud.volumes.pop(location.volume_id, None)


@_images("registers-once-and-again")
class RegistersOnlyOnce(MemoryImages):
    """It fails where the location is there already."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        if location in self.cloud.image_row(image_id).locations:
            message = f"image {image_id} is at {location} already: go on"
            raise ConflictError(message)
        super().add_location(image_id, location)


@_images("registers-once-and-again")
class RegistersEachTime(MemoryImages):
    """It shows a location as often as it was added."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if location in held.locations:
            held.locations = (*held.locations, location)
        super().add_location(image_id, location)


@_images("registers-over-nothing")
class AddsASecondSource(MemoryImages):
    """It registers a location of an image that has data."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if location not in held.locations and held.record.status == "active":
            held.locations = (*held.locations, location)
        super().add_location(image_id, location)


@_images("withdraws-from-sight-or-refuses")
class SaysThatItWithdrew(MemoryImages):
    """It returns although the location is still shown."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        pass


@_images("withdraws-from-sight-or-refuses", cloud=_YIELDING)
class DeletesTheVolume(MemoryImages):
    """It deletes the volume that it withdraws."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        super().withdraw_location(image_id, location)
        self.cloud.volumes.pop(location.volume_id, None)


@_images("withdraws-from-sight-or-refuses", cloud=_YIELDING)
class LeavesNoData(MemoryImages):
    """It leaves an image active that has no data any more."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        super().withdraw_location(image_id, location)
        if image_id in self.cloud.images:
            self.cloud.set_image(image_id, status="active")


@_images("shows-nothing-after-it-was-withdrawn", cloud=_LATE)
class WithdrawsTooEarly(MemoryImages):
    """It takes for withdrawn what is only not shown yet."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        held = self.cloud.images.get(image_id)
        if held is not None and held.pending != location:
            super().withdraw_location(image_id, location)


@_images("discards-no-volume", cloud=_LATE)
class DiscardsTooEarly(MemoryImages):
    """It discards an image that is only not active yet."""

    @override
    def discard(self, image_id: str) -> None:
        held = self.cloud.images.get(image_id)
        if held is not None and held.record.status == "queued":
            del self.cloud.images[image_id]


@_images("tells-where-the-data-lies", "tells-locations-in-order")
class TellsNoLocation(MemoryImages):
    """It tells of every image that it lies nowhere."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return ()


@_images("tells-where-the-data-lies")
class InventsALocation(MemoryImages):
    """It tells a location of an image that has none."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        found = super().get_locations(image_id)
        return found or (CinderLocation(image_id),)


@_images("tells-locations-in-order")
class TurnsLocationsRound(MemoryImages):
    """It tells the last location first."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return super().get_locations(image_id)[::-1]


@_images("gives-the-bytes-of-a-volume")
class GivesZeros(MemoryImages):
    """It gives zeros for a volume that it cannot read."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        for piece in super().download(image_id):
            here = self.cloud.images[image_id].data is not None
            yield piece if here else bytes(len(piece))


# -- volume services --------------------------------------------------------


@_volumes("makes-ids-that-are-new")
class GivesOneId(MemoryVolumes):
    """It gives the same id to all."""

    @override
    def new_id(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


@_volumes("makes-ids-that-are-new")
class GivesHexadecimals(MemoryVolumes):
    """It writes ids without hyphens."""

    @override
    def new_id(self) -> str:
        return super().new_id().replace("-", "")


@_volumes("reads-a-volume")
class CountsInMiB(MemoryVolumes):
    """It tells a volume's size in MiB."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        volume = super().get_volume(volume_id)
        return attrs.evolve(volume, size=volume.size * 1024)


@_volumes("reads-a-volume")
class SeesNoUpload(MemoryVolumes):
    """It tells a volume that is uploading as what it was before."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        volume = super().get_volume(volume_id)
        status = volume.previous_status or volume.status
        return attrs.evolve(volume, status=status)


@_volumes("finds-no-missing-volume", "takes-nothing-else-for-a-volume")
class FindsAnyVolume(MemoryVolumes):
    """It finds a volume under any id."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        if volume_id in self.cloud.volumes:
            return super().get_volume(volume_id)
        return Volume(
            id=volume_id or "none", project_id=_MINE, size=1, status="error"
        )


@_volumes("finds-no-missing-volume", "takes-nothing-else-for-a-volume")
class PublishesNothing(MemoryVolumes):
    """It is content where there is no volume to publish."""

    @override
    def publish(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            super().publish(volume_id)


@_volumes("finds-no-missing-volume", "takes-nothing-else-for-a-volume")
class WritesIntoThinAir(MemoryVolumes):
    """It is content where there is no volume to write metadata of."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        if volume_id in self.cloud.volumes:
            super().set_metadata(volume_id, key, value)


@_volumes("undoes-nothing-of-a-missing-volume")
class WantsAVolumeToFail(MemoryVolumes):
    """It fails to fail a volume that is not there."""

    @override
    def fail(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        super().fail(volume_id)


@_volumes("undoes-nothing-of-a-missing-volume", "deletes-once-and-again")
class DeletesOnlyOnce(MemoryVolumes):
    """It fails to delete a volume that is not there."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        super().delete_image_volume(volume_id)


@_volumes("tells-the-array-of-a-volume")
class CountsArrays(MemoryVolumes):
    """It names another array at each asking."""

    @override
    def get_backend(self, volume: Volume) -> Backend:
        return Backend(array_id=self.cloud.new_id())


@_volumes("knows-no-array-of-another-place")
class HasOneArrayForAll(MemoryVolumes):
    """It takes every place for one on its own array."""

    @override
    def get_backend(self, volume: Volume) -> Backend:
        return self.cloud.arrays[POOL].get_backend()


@_volumes("knows-no-entry-of-an-unknown-image")
class HasNoTuple(MemoryVolumes):
    """It gives None where the cache has nothing."""

    @override
    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        return super().get_cache_entries(image_id) or None  # type: ignore[return-value]  # its sin


@_volumes("tells-the-entries-of-one-image")
class GivesTheWholeCache(MemoryVolumes):
    """It gives every image's entries."""

    @override
    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        return tuple(self.cloud.cache)


@_volumes("tells-what-is-left")
class TellsTheLimit(MemoryVolumes):
    """It tells what a project may have in all for what is left."""

    @override
    def get_quota(self, project_id: str) -> Quota:
        return self.cloud.limits.get(project_id, Quota())


@_volumes("tells-that-there-is-no-limit")
class TellsZero(MemoryVolumes):
    """It tells no limit as zero."""

    @override
    def get_quota(self, project_id: str) -> Quota:
        quota = super().get_quota(project_id)
        return attrs.evolve(quota, volumes=quota.volumes or 0)


@_volumes("makes-nothing-beyond-the-quota")
class KnowsNoQuota(MemoryVolumes):
    """It makes image volumes without end."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        limit = self.cloud.limits.pop(project_id, Quota())
        try:
            super().create_image_volume(volume_id, source_id, project_id)
        finally:
            self.cloud.limits[project_id] = limit


@_volumes("makes-nothing-beyond-the-quota")
class CountsTooLate(MemoryVolumes):
    """It leaves the record behind for which there was no quota."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        try:
            super().create_image_volume(volume_id, source_id, project_id)
        except QuotaError:
            source = self.get_volume(source_id)
            made = attrs.evolve(source, id=volume_id, project_id=project_id)
            self.cloud.add_image_volume(made)
            raise


@_volumes("makes-an-image-volume")
class CopiesMetadata(MemoryVolumes):
    """It takes over what a tenant wrote on the source."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        held = self.cloud.volumes
        held[volume_id].metadata.update(held[source_id].metadata)


@_volumes("makes-an-image-volume")
class KeepsItAtHome(MemoryVolumes):
    """It leaves an image volume to its source's owner."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        owner = self.get_volume(source_id).project_id
        super().create_image_volume(volume_id, source_id, owner)


@_volumes("makes-an-image-volume")
class MakesItAvailable(MemoryVolumes):
    """It says of an image volume without data that it is available."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        self.cloud.set_volume(volume_id, status="available")


@_volumes("makes-an-image-volume")
class HoldsTheSource(MemoryVolumes):
    """It changes its source while making an image volume."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        self.cloud.set_volume(source_id, multiattach=True)


@_volumes("makes-no-second-of-an-id")
class ReplacesRecords(MemoryVolumes):
    """It writes a new record over one with the same id."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        self.cloud.volumes.pop(volume_id, None)
        super().create_image_volume(volume_id, source_id, project_id)


@_volumes(
    "makes-nothing-of-a-missing-source", "takes-nothing-else-for-a-volume"
)
class NeedsNoSource(MemoryVolumes):
    """It makes a record of a source that is not there."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        if source_id not in self.cloud.volumes:
            source_id = self.cloud.add_volume(project_id, 1).id
        super().create_image_volume(volume_id, source_id, project_id)


@_volumes("keeps-metadata")
class ForgetsOtherMetadata(MemoryVolumes):
    """It keeps only what was written last."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        self.cloud.volume_row(volume_id).metadata.clear()
        super().set_metadata(volume_id, key, value)


@_volumes("keeps-metadata")
class KeepsTheFirstWord(MemoryVolumes):
    """It never replaces an item of metadata."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        self.cloud.volume_row(volume_id).metadata.setdefault(key, value)


@_volumes("marks-as-read-only")
class TurnsTheMark(MemoryVolumes):
    """It takes the mark away when it is set again."""

    @override
    def set_readonly(self, volume_id: str) -> None:
        held = self.cloud.volume_row(volume_id)
        held.readonly = not held.readonly


@_volumes("marks-as-read-only")
class MarksAll(MemoryVolumes):
    """It marks every volume."""

    @override
    def set_readonly(self, volume_id: str) -> None:
        super().set_readonly(volume_id)
        for held in self.cloud.volumes.values():
            held.readonly = True


@_volumes("publishes-once-and-again")
class PublishesOnlyOnce(MemoryVolumes):
    """It fails where a volume is available already."""

    @override
    def publish(self, volume_id: str) -> None:
        if self.get_volume(volume_id).status == "available":
            message = f"volume {volume_id} is available already: go on"
            raise ConflictError(message)
        super().publish(volume_id)


@_volumes("publishes-once-and-again")
class PublishesAll(MemoryVolumes):
    """It publishes every volume in creation."""

    @override
    def publish(self, volume_id: str) -> None:
        super().publish(volume_id)
        for other in self.cloud.volumes:
            self._change(other, "creating", "available")


@_volumes("publishes-nothing-that-failed")
class PublishesFailures(MemoryVolumes):
    """It makes a volume in error available."""

    @override
    def publish(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        self.cloud.set_volume(volume_id, status="available")


@_volumes("unpublishes-once-and-again")
class TakesNothingBack(MemoryVolumes):
    """It leaves a volume available that was to be taken back."""

    @override
    def unpublish(self, volume_id: str) -> None:
        pass


@_volumes("unpublishes-once-and-again", "undoes-nothing-of-a-missing-volume")
class TakesBackOnlyOnce(MemoryVolumes):
    """It fails where there is nothing to take back."""

    @override
    def unpublish(self, volume_id: str) -> None:
        if self.get_volume(volume_id).status == "creating":
            message = f"volume {volume_id} is not available: go on"
            raise ConflictError(message)
        super().unpublish(volume_id)


@_volumes("unpublishes-only-what-is-available")
class TakesBackWhatIsUsed(MemoryVolumes):
    """It takes any volume back, whoever uses it."""

    @override
    def unpublish(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="creating")


@_volumes("fails-once-and-again")
class FailsNothing(MemoryVolumes):
    """It leaves a volume in creation for ever."""

    @override
    def fail(self, volume_id: str) -> None:
        pass


@_volumes("fails-once-and-again")
class FailsAll(MemoryVolumes):
    """It puts every volume in creation into error."""

    @override
    def fail(self, volume_id: str) -> None:
        for other in self.cloud.volumes:
            super().fail(other)


@_volumes("fails-only-what-is-in-creation")
class FailsWhatHasData(MemoryVolumes):
    """It puts any volume into error."""

    @override
    def fail(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="error")


@_volumes("restores-once-and-again")
class RestoresToAvailable(MemoryVolumes):
    """It makes every volume that was uploading available."""

    @override
    def restore(self, volume_id: str) -> None:
        self._change(volume_id, "uploading", "available")


@_volumes("restores-once-and-again")
class RestoresAll(MemoryVolumes):
    """It ends every upload that is on its way."""

    @override
    def restore(self, volume_id: str) -> None:
        for other in self.cloud.volumes:
            super().restore(other)


@_volumes("restores-only-what-is-uploading")
class RestoresWithoutLooking(MemoryVolumes):
    """It makes any volume available."""

    @override
    def restore(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="available")


@_volumes("deletes-once-and-again", "tells-what-is-left")
class DeletesNothing(MemoryVolumes):
    """It leaves the records of image volumes behind."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        pass


@_volumes("deletes-once-and-again")
class DeletesAll(MemoryVolumes):
    """It deletes every image volume that is in creation."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        for other in list(self.cloud.volumes):
            if self.cloud.volumes[other].for_image:
                super().delete_image_volume(other)


@_volumes("deletes-no-data")
class ForgetsData(MemoryVolumes):
    """It deletes the record of data that is still there."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        self.cloud.volumes.pop(volume_id, None)


@_volumes("takes-nothing-else-for-a-volume")
class TrimsIds(MemoryVolumes):
    """It reads an id out of whatever stands around it."""

    @override
    def fail(self, volume_id: str) -> None:
        super().fail(volume_id.strip("./ "))


SERVICE_SABOTEURS: tuple[Saboteur, ...] = tuple(_SABOTEURS)
"""Every image service and volume service that breaks a promise."""
