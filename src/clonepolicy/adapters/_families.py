"""What Cinder 29.0.0's drivers do when they clone, as their source reads.

Each row names the class that defines how its drivers clone.  A driver that
overrides this method, or another method of its row, is not of that family,
and nothing is known of it from here.

``clone_while_uploading`` is True if the driver does not look at the status
of the source.  ``clone_in_use`` is True if it looks neither at the status
nor at attachments, and the array makes a snapshot or a clone; it stays None
where data is copied from the source itself.  ``clone_across_pools`` is given
only where the driver passes the pools of both volumes, or always takes the
source's pool.  ``clone_kind`` is given only where the driver's code shows it.
"""

from __future__ import annotations

from typing import Any

import attrs

from clonepolicy import CloneKind
from clonepolicy.adapters._drivers import INHERITING

PACKAGE = "cinder.volume.drivers."
LVM = "lvm.LVMVolumeDriver"
ONTAP_NFS = "netapp.dataontap.nfs_base.NetAppNfsDriver"
_COPY, _OFFLOADED = CloneKind.FULL_COPY, CloneKind.OFFLOADED_COPY


DELEGATING = frozenset(
    {
        "remotefs.RemoteFSSnapDriver",
        "remotefs.RemoteFSSnapDriverDistributed",
        "quobyte.QuobyteDriver",
    }
)
"""Classes whose ``create_cloned_volume`` calls ``_create_cloned_volume``."""


@attrs.frozen
class Family:
    """The drivers that clone by one method.

    ``definer`` is the class, without `PACKAGE`.  ``does`` says what the
    method does, and what it checks of the source.
    """

    definer: str
    does: str
    clone_while_uploading: bool | None
    clone_in_use: bool | None
    clone_kind: CloneKind | None = attrs.field(default=None, kw_only=True)
    clone_across_pools: bool | None = attrs.field(default=None, kw_only=True)
    method: str = attrs.field(default="create_cloned_volume", kw_only=True)
    """The method that the class defines, see `DELEGATING`."""
    methods: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Other methods that were read, as ``module.Class.method``."""

    def facts(self) -> dict[str, Any]:
        """Return the fields of `clonepolicy.Backend` that the code shows."""
        found = {
            name: getattr(self, name)
            for name in (
                "clone_while_uploading",
                "clone_in_use",
                "clone_kind",
                "clone_across_pools",
            )
        }
        return {k: value for k, value in found.items() if value is not None}


FAMILIES = (
    # data that the host copies, in files
    Family(
        "remotefs.RemoteFSSnapDriverBase",
        "accepts a source that is available, backing-up or downloading",
        *(False, False),
        clone_kind=_COPY,
        method="_create_cloned_volume",
    ),
    Family(
        "vzstorage.VZStorageDriver",
        "accepts, in the format ploop, a source that is available; else as "
        "RemoteFS",
        *(False, False),
        method="_create_cloned_volume",
        methods=("vzstorage.VZStorageDriver._create_cloned_volume_ploop",),
    ),
    # files that the array clones
    Family(
        "dell_emc.powerstore.nfs.PowerStoreNFSDriver",
        "has the array clone the file on the source's share; checks nothing",
        *(True, True),
        clone_across_pools=False,
        method="_create_cloned_volume",
    ),
    Family(
        ONTAP_NFS,
        "clones the file into the source's share; checks nothing, except "
        "where a FlexGroup does not clone files: then as RemoteFS",
        *(True, True),
        clone_across_pools=False,
        methods=(
            (
                "netapp.dataontap.nfs_base.NetAppNfsDriver"
                "._clone_source_to_destination_volume"
            ),
        ),
    ),
    Family(
        "nexenta.nfs.NexentaNfsDriver",
        "clones a new snapshot; checks nothing",
        *(True, True),
        methods=("nexenta.nfs.NexentaNfsDriver.create_snapshot",),
    ),
    Family(
        "nexenta.ns5.nfs.NexentaNfsDriver",
        "clones a new snapshot; checks nothing",
        *(True, True),
        methods=("nexenta.ns5.nfs.NexentaNfsDriver.create_snapshot",),
    ),
    Family(
        "veritas_cnfs.VeritasCNFSDriver",
        "makes a file snapshot on the source's share; checks nothing",
        *(True, True),
        clone_across_pools=False,
        methods=("veritas_cnfs.VeritasCNFSDriver._do_clone_volume",),
    ),
    Family(
        "vmstore.nfs.VmstoreNfsDriver",
        "clones a new snapshot; checks nothing",
        *(True, True),
    ),
    Family(
        "ibm.gpfs.GPFSDriver",
        "clones the file with mmclone, or copies it; checks nothing",
        *(True, None),
        methods=("ibm.gpfs.GPFSDriver._create_cloned_volume",),
    ),
    Family(
        "ibm.gpfs.GPFSNFSDriver",
        "clones the file with mmclone, or copies it; checks nothing",
        *(True, None),
        methods=("ibm.gpfs.GPFSDriver._create_cloned_volume",),
    ),
    # arrays that refuse
    Family(
        "stx.fc.STXFCDriver",
        "accepts a source that is available and not attached",
        *(False, False),
        clone_kind=_OFFLOADED,
        methods=("stx.common.STXCommon._assert_source_detached",),
    ),
    Family(
        "stx.iscsi.STXISCSIDriver",
        "accepts a source that is available and not attached",
        *(False, False),
        clone_kind=_OFFLOADED,
        methods=("stx.common.STXCommon._assert_source_detached",),
    ),
    Family(
        "kaminario.kaminario_common.KaminarioCinderDriver",
        "copies through the host; refuses a source that the array maps",
        *(True, False),
        clone_kind=_COPY,
    ),
    Family(
        "vmware.vmdk.VMwareVcVmdkDriver",
        "accepts, for a linked clone, a source that is available; for a "
        "full clone, any: the clone's volume type decides",
        *(None, None),
        methods=("vmware.vmdk.VMwareVcVmdkDriver._create_cloned_volume",),
    ),
    Family(
        "vmware.fcd.VMwareVStorageObjectDriver",
        "clones the disk; checks nothing",
        *(True, None),
        methods=(
            "vmware.fcd.VMwareVStorageObjectDriver._create_volume_from_fcd",
        ),
    ),
    # arrays that make a snapshot or a clone, and check nothing
    Family(
        LVM,
        "makes a thin snapshot, or copies a snapshot through the host",
        *(True, True),
        clone_kind=_COPY,
    ),
    Family(
        "rbd.RBDDriver",
        "clones a new snapshot, or copies",
        *(True, True),
    ),
    Family(
        "datera.datera_iscsi.DateraDriver",
        "has the array clone the volume",
        *(True, True),
        methods=("datera.datera_api22.DateraApi._create_cloned_volume_2_2",),
    ),
    Family(
        "dell_emc.powerflex.driver.PowerFlexBaseDriver",
        "makes a snapshot",
        *(True, True),
        methods=(
            (
                "dell_emc.powerflex.driver.PowerFlexBaseDriver"
                "._create_volume_from_source"
            ),
        ),
    ),
    *(
        Family(
            f"dell_emc.powermax.{definer}",
            "links a new snapshot",
            *(True, True),
            methods=(
                "dell_emc.powermax.common.PowerMaxCommon.create_cloned_volume",
                "dell_emc.powermax.common.PowerMaxCommon._create_replica",
            ),
        )
        for definer in (
            "fc.PowerMaxFCDriver",
            "iscsi.PowerMaxISCSIDriver",
            "nvme.PowerMaxNVMEBaseDriver",
        )
    ),
    Family(
        "dell_emc.powerstore.driver.PowerStoreDriver",
        "has the array clone the volume",
        *(True, True),
        methods=(
            (
                "dell_emc.powerstore.adapter.CommonAdapter"
                ".create_volume_from_source"
            ),
        ),
    ),
    Family(
        "dell_emc.sc.storagecenter_common.SCCommonDriver",
        "copies a new replay",
        *(True, True),
        clone_kind=_OFFLOADED,
        methods=("dell_emc.sc.storagecenter_api.SCApi.create_cloned_volume",),
    ),
    Family(
        "dell_emc.unity.driver.UnityDriver",
        "clones a new snapshot; copies it through the host if the source is "
        "attached",
        *(True, True),
        methods=("dell_emc.unity.adapter.CommonAdapter.create_cloned_volume",),
    ),
    Family(
        "dell_emc.vnx.driver.VNXDriver",
        "mounts or migrates a new snapshot",
        *(True, True),
        methods=("dell_emc.vnx.adapter.CommonAdapter.create_cloned_volume",),
    ),
    Family(
        "dell_emc.xtremio.XtremIOVolumeDriver",
        "makes a snapshot; checks the number of them for a cache entry",
        *(True, True),
    ),
    Family(
        "fungible.driver.FungibleDriver",
        "copies a new snapshot",
        *(True, True),
        clone_kind=_OFFLOADED,
    ),
    Family(
        "fusionstorage.dsware.DSWAREDriver",
        "makes a volume of a new snapshot",
        *(True, True),
        methods=(
            "fusionstorage.fs_client.RestCommon.create_volume_from_volume",
        ),
    ),
    Family(
        "hedvig.hedvig_cinder.HedvigISCSIDriver",
        "has the array clone the volume",
        *(True, True),
        methods=("hedvig.rest_client.RestClient.clone_vdisk",),
    ),
    *(
        Family(
            f"hitachi.hbsd_{kind}.HBSD{kind.upper()}Driver",
            "makes a copy pair; checks the state of the LDEV",
            *(True, True),
            methods=("hitachi.hbsd_common.HBSDCommon.create_volume_from_src",),
        )
        for kind in ("fc", "iscsi")
    ),
    Family(
        "hpe.nimble.NimbleBaseVolumeDriver",
        "clones a new snapshot",
        *(True, True),
    ),
    Family(
        "huawei.common.HuaweiBaseDriver",
        "copies or clones a new snapshot",
        *(True, True),
        methods=("huawei.common.HuaweiBaseDriver._create_snapshot_base",),
    ),
    Family(
        "ibm.storwize_svc.storwize_svc_common.StorwizeSVCCommonDriver",
        "makes a FlashCopy in the new volume's pool",
        *(True, True),
        clone_kind=_OFFLOADED,
        clone_across_pools=True,
        methods=(
            "ibm.storwize_svc.storwize_svc_common.StorwizeHelpers.create_copy",
        ),
    ),
    Family(
        "infinidat.InfiniboxVolumeDriver",
        "copies a new snapshot through the host",
        *(True, True),
        clone_kind=_COPY,
        methods=("infinidat.InfiniboxVolumeDriver.create_snapshot",),
    ),
    Family(
        "inspur.instorage.instorage_common.InStorageMCSCommonDriver",
        "makes a local copy in the new volume's pool",
        *(True, True),
        clone_kind=_OFFLOADED,
        clone_across_pools=True,
        methods=(
            "inspur.instorage.instorage_common.InStorageAssistant.create_copy",
        ),
    ),
    Family(
        "lightos.LightOSVolumeDriver",
        "makes a volume of a new snapshot",
        *(True, True),
        methods=("lightos.LightOSVolumeDriver._create_snapshot",),
    ),
    Family(
        "linstordrv.LinstorBaseDriver",
        "restores a new snapshot into a new resource",
        *(True, True),
        methods=("linstordrv.LinstorBaseDriver.create_snapshot",),
    ),
    Family(
        "macrosan.driver.MacroSANBaseDriver",
        "copies a new snapshot",
        *(True, True),
        clone_kind=_OFFLOADED,
        methods=("macrosan.driver.MacroSANBaseDriver._create_snapshot",),
    ),
    *(
        Family(
            f"netapp.dataontap.{definer}",
            "clones the LUN in its FlexVol",
            *(True, True),
            clone_across_pools=False,
            methods=(
                (
                    "netapp.dataontap.block_base.NetAppBlockStorageLibrary"
                    "._clone_source_to_destination"
                ),
            ),
        )
        for definer in (
            "fc_cmode.NetAppCmodeFibreChannelDriver",
            "iscsi_cmode.NetAppCmodeISCSIDriver",
        )
    ),
    Family(
        "netapp.dataontap.nvme_cmode.NetAppCmodeNVMeDriver",
        "clones the namespace in its FlexVol",
        *(True, True),
        clone_across_pools=False,
        methods=(
            (
                "netapp.dataontap.nvme_library.NetAppNVMeStorageLibrary"
                "._clone_source_to_destination"
            ),
        ),
    ),
    Family(
        "nexenta.iscsi.NexentaISCSIDriver",
        "clones a new snapshot",
        *(True, True),
        methods=("nexenta.iscsi.NexentaISCSIDriver.create_snapshot",),
    ),
    Family(
        "nexenta.ns5.iscsi.NexentaISCSIDriver",
        "clones a new snapshot",
        *(True, True),
        methods=("nexenta.ns5.iscsi.NexentaISCSIDriver.create_snapshot",),
    ),
    Family(
        "open_e.iscsi.JovianISCSIDriver",
        "clones a new snapshot",
        *(True, True),
        methods=("open_e.jovian_common.driver.JovianDSSDriver._clone_object",),
    ),
    Family(
        "pure.PureBaseVolumeDriver",
        "has the array copy the volume; checks that its group has not failed "
        "over",
        *(True, True),
    ),
    Family(
        "qnap.QnapISCSIDriver",
        "clones a new snapshot",
        *(True, True),
    ),
    Family(
        "rsd.RSDDriver",
        "makes a volume of a new snapshot",
        *(True, True),
        methods=("rsd.RSDClient.clone_volume",),
    ),
    Family(
        "sandstone.sds_driver.SdsBaseDriver",
        "clones a new snapshot and flattens the clone",
        *(True, True),
        clone_kind=_OFFLOADED,
        methods=("sandstone.sds_client.RestCmd.create_lun_from_lun",),
    ),
    Family(
        "solidfire.SolidFireDriver",
        "has the array clone the volume",
        *(True, True),
        methods=("solidfire.SolidFireDriver._do_clone_volume",),
    ),
    Family(
        "spdk.SPDKDriver",
        "clones a new snapshot in its store and inflates the clone",
        *(True, True),
        clone_kind=_OFFLOADED,
        clone_across_pools=False,
    ),
    Family(
        "storpool.StorPoolDriver",
        "bases the volume on the source, or on a new snapshot of it",
        *(True, True),
    ),
    Family(
        "vastdata.driver.VASTVolumeDriver",
        "clones a new snapshot",
        *(True, True),
    ),
    # arrays that copy from the source itself, and do not check its status
    Family(
        "datacore.driver.DataCoreVolumeDriver",
        "copies the virtual disk; warns if it is not online",
        *(True, None),
        methods=("datacore.driver.DataCoreVolumeDriver._create_volume_from",),
    ),
    *(
        Family(
            f"fujitsu.eternus_dx.eternus_dx_{kind}.FJDX{kind.upper()}Driver",
            "starts a copy session",
            *(True, None),
            methods=(
                (
                    "fujitsu.eternus_dx.eternus_dx_common.FJDXCommon"
                    ".create_cloned_volume"
                ),
            ),
        )
        for kind in ("fc", "iscsi")
    ),
    Family(
        "hpe.alletramp_driver.HPEAlletraMPDriverBase",
        "copies a new snapshot, or the source if the sizes differ",
        *(True, None),
        clone_kind=_OFFLOADED,
        methods=(
            "hpe.alletramp_service.AlletraMPService.create_cloned_volume",
        ),
    ),
    Family(
        "hpe.hpe_3par_base.HPE3PARDriverBase",
        "copies a new snapshot, or the source if the sizes differ",
        *(True, None),
        clone_kind=_OFFLOADED,
        methods=("hpe.hpe_3par_common.HPE3PARCommon.create_cloned_volume",),
    ),
    Family(
        "ibm.ibm_storage.ibm_storage.IBMStorageDriver",
        "makes a FlashCopy (DS8000) or copies (XIV)",
        *(True, None),
        clone_kind=_OFFLOADED,
        methods=(
            "ibm.ibm_storage.ds8k_proxy.DS8KProxy._clone_lun",
            "ibm.ibm_storage.xiv_proxy.XIVProxy.create_cloned_volume",
        ),
    ),
    *(
        Family(
            f"infortrend.infortrend_{kind}_cli"
            f".InfortrendCLI{kind.upper()}Driver",
            "copies the partition",
            *(True, None),
            clone_kind=_OFFLOADED,
            methods=(
                (
                    "infortrend.raidcmd_cli.common_cli.InfortrendCommon"
                    "._create_volume_from_volume"
                ),
            ),
        )
        for kind in ("fc", "iscsi")
    ),
    Family(
        "inspur.as13000.as13000_driver.AS13000Driver",
        "clones between the pools of both volumes",
        *(True, None),
        clone_across_pools=True,
    ),
    Family(
        "kioxia.kumoscale.KumoScaleBaseVolumeDriver",
        "has the array clone the volume",
        *(True, None),
    ),
    Family(
        "nec.volume_helper.MStorageDriver",
        "copies in a pair; checks the number of pairs",
        *(True, None),
        methods=("nec.volume_helper.MStorageDriver._create_cloned_volume",),
    ),
    Family(
        "prophetstor.dplcommon.DPLCOMMONDriver",
        "has the array clone the volume",
        *(True, None),
        methods=("prophetstor.dplcommon.DPLVolume.clone_vdev",),
    ),
    Family(
        "synology.synology_iscsi.SynoISCSIDriver",
        "clones the LUN in its pool",
        *(True, None),
        clone_across_pools=False,
        methods=("synology.synology_common.SynoCommon.create_cloned_volume",),
    ),
    Family(
        "toyou.acs5000.acs5000_common.Acs5000CommonDriver",
        "copies into the new volume's pool",
        *(True, None),
        clone_kind=_OFFLOADED,
        clone_across_pools=True,
        methods=(
            (
                "toyou.acs5000.acs5000_common.Acs5000CommonDriver"
                "._local_clone_copy"
            ),
        ),
    ),
    Family(
        "toyou.tyds.tyds.TYDSDriver",
        "copies between the pools of both volumes",
        *(True, None),
        clone_kind=_OFFLOADED,
        clone_across_pools=True,
        methods=("toyou.tyds.tyds.TYDSDriver._clone_volume",),
    ),
    Family(
        "veritas_access.veritas_iscsi.ACCESSIscsiDriver",
        "clones the LUN in its store",
        *(True, None),
        clone_across_pools=False,
    ),
    Family(
        "yadro.tatlin_common.TatlinCommonVolumeDriver",
        "attaches both volumes and copies through the host",
        *(True, None),
        clone_kind=_COPY,
        methods=(
            "yadro.tatlin_common.TatlinCommonVolumeDriver._clone_volume_data",
        ),
    ),
    Family(
        "zadara.zadara.ZadaraVPSAISCSIDriver",
        "has the array clone the volume",
        *(True, None),
    ),
)
"""Every driver of Cinder 29.0.0, each row by its source code."""

OWN_IMAGES = {
    ONTAP_NFS: (),
    "vmware.vmdk.VMwareVcVmdkDriver": (),
    "ibm.gpfs.GPFSDriver": ("gpfs_images_dir", "gpfs_images_share_mode"),
    "datera.datera_iscsi.DateraDriver": ("datera_enable_image_cache",),
}
"""By the class that defines ``clone_image``: the options without which the
driver looks for no image."""

NO_IMAGES = frozenset({LVM, "rsd.RSDDriver"})
"""The classes whose ``clone_image`` clones nothing."""


def family_of(driver: object) -> Family | None:
    """Return a driver's family; None if its code is not known."""
    name = definer(driver, "create_cloned_volume")
    if name in DELEGATING:
        name = definer(driver, "_create_cloned_volume")
    found = _BY_DEFINER.get(name or "")
    if found is None:
        return None
    kinds = {_name(kind) for kind in type(driver).__mro__}
    for path in found.methods:
        owner, _, method = path.rpartition(".")
        if owner in kinds and definer(driver, method) != owner:
            return None
    return found


def definer(driver: object, method: str, *, after: str = "") -> str | None:
    """Name the class that defines a driver's method, without `PACKAGE`.

    Classes are compared by name: to import one takes its packages.  The
    class ``after`` and those before it do not count.
    """
    names = {_name(kind): kind for kind in type(driver).__mro__}
    if after in names:
        order = list(names)
        names = {n: names[n] for n in order[order.index(after) + 1 :]}
    return next((n for n, kind in names.items() if method in vars(kind)), None)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix(PACKAGE)


_BY_DEFINER = {family.definer: family for family in FAMILIES}


def facts_of_driver(volume_driver: str) -> dict[str, Any]:
    """Return the fields of a backend that the code of a driver shows.

    Every driver of Cinder 29.0.0 clones and extends volumes.

    Args:
        volume_driver: this option of cinder.conf.  Of a class that is not
            Cinder's own nothing is known.
    """
    name = volume_driver.removeprefix(PACKAGE)
    if name == volume_driver:
        return {}
    family = _BY_DEFINER.get(INHERITING.get(name, name))
    if family is None:
        return {}
    facts = {"can_clone": True, "can_extend": True, **family.facts()}
    if family.definer == ONTAP_NFS:
        # where FlexGroups do not clone files, RemoteFS copies some sources
        del facts["clone_while_uploading"], facts["clone_in_use"]
    return facts
