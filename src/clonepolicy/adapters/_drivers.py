"""Which class defines how each of Cinder 29.0.0's drivers clones.

The paths are those of ``volume_driver`` without ``cinder.volume.drivers.``.
A driver that clones by a method of its own is not listed, unless it is a row
of `clonepolicy.adapters._families.FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping

INHERITING: Mapping[str, str] = {
    "ceph.rbd_iscsi.RBDISCSIDriver": "rbd.RBDDriver",
    "datacore.fc.FibreChannelVolumeDriver": (
        "datacore.driver.DataCoreVolumeDriver"
    ),
    "datacore.iscsi.ISCSIVolumeDriver": "datacore.driver.DataCoreVolumeDriver",
    "dell_emc.powerflex.driver.PowerFlexDriver": (
        "dell_emc.powerflex.driver.PowerFlexBaseDriver"
    ),
    "dell_emc.powerflex.driver.PowerFlexNVMeDriver": (
        "dell_emc.powerflex.driver.PowerFlexBaseDriver"
    ),
    "dell_emc.powervault.fc.PVMEFCDriver": "stx.fc.STXFCDriver",
    "dell_emc.powervault.iscsi.PVMEISCSIDriver": "stx.iscsi.STXISCSIDriver",
    "dell_emc.sc.storagecenter_fc.SCFCDriver": (
        "dell_emc.sc.storagecenter_common.SCCommonDriver"
    ),
    "dell_emc.sc.storagecenter_iscsi.SCISCSIDriver": (
        "dell_emc.sc.storagecenter_common.SCCommonDriver"
    ),
    "dell_emc.xtremio.XtremIOFCDriver": "dell_emc.xtremio.XtremIOVolumeDriver",
    "dell_emc.xtremio.XtremIOISCSIDriver": (
        "dell_emc.xtremio.XtremIOVolumeDriver"
    ),
    "hpe.alletramp_driver.HPEAlletraMPFCDriver": (
        "hpe.alletramp_driver.HPEAlletraMPDriverBase"
    ),
    "hpe.alletramp_driver.HPEAlletraMPISCSIDriver": (
        "hpe.alletramp_driver.HPEAlletraMPDriverBase"
    ),
    "hpe.alletramp_driver.HPEAlletraMPNVMETCPDriver": (
        "hpe.alletramp_driver.HPEAlletraMPDriverBase"
    ),
    "hpe.hpe_3par_fc.HPE3PARFCDriver": "hpe.hpe_3par_base.HPE3PARDriverBase",
    "hpe.hpe_3par_iscsi.HPE3PARISCSIDriver": (
        "hpe.hpe_3par_base.HPE3PARDriverBase"
    ),
    "hpe.nimble.NimbleFCDriver": "hpe.nimble.NimbleBaseVolumeDriver",
    "hpe.nimble.NimbleISCSIDriver": "hpe.nimble.NimbleBaseVolumeDriver",
    "hpe.xp.hpe_xp_fc.HPEXPFCDriver": "hitachi.hbsd_fc.HBSDFCDriver",
    "hpe.xp.hpe_xp_iscsi.HPEXPISCSIDriver": (
        "hitachi.hbsd_iscsi.HBSDISCSIDriver"
    ),
    "huawei.huawei_driver.HuaweiFCDriver": "huawei.common.HuaweiBaseDriver",
    "huawei.huawei_driver.HuaweiISCSIDriver": "huawei.common.HuaweiBaseDriver",
    "ibm.gpfs.GPFSRemoteDriver": "ibm.gpfs.GPFSDriver",
    "ibm.storwize_svc.storwize_svc_fc.StorwizeSVCFCDriver": (
        "ibm.storwize_svc.storwize_svc_common.StorwizeSVCCommonDriver"
    ),
    "ibm.storwize_svc.storwize_svc_iscsi.StorwizeSVCISCSIDriver": (
        "ibm.storwize_svc.storwize_svc_common.StorwizeSVCCommonDriver"
    ),
    "inspur.instorage.instorage_fc.InStorageMCSFCDriver": (
        "inspur.instorage.instorage_common.InStorageMCSCommonDriver"
    ),
    "inspur.instorage.instorage_iscsi.InStorageMCSISCSIDriver": (
        "inspur.instorage.instorage_common.InStorageMCSCommonDriver"
    ),
    "kaminario.kaminario_iscsi.KaminarioISCSIDriver": (
        "kaminario.kaminario_common.KaminarioCinderDriver"
    ),
    "lenovo.lenovo_fc.LenovoFCDriver": "stx.fc.STXFCDriver",
    "lenovo.lenovo_iscsi.LenovoISCSIDriver": "stx.iscsi.STXISCSIDriver",
    "linstordrv.LinstorDrbdDriver": "linstordrv.LinstorBaseDriver",
    "linstordrv.LinstorIscsiDriver": "linstordrv.LinstorBaseDriver",
    "macrosan.driver.MacroSANFCDriver": "macrosan.driver.MacroSANBaseDriver",
    "macrosan.driver.MacroSANISCSIDriver": (
        "macrosan.driver.MacroSANBaseDriver"
    ),
    "nec.v.nec_v_fc.VStorageFCDriver": "hitachi.hbsd_fc.HBSDFCDriver",
    "nec.v.nec_v_iscsi.VStorageISCSIDriver": (
        "hitachi.hbsd_iscsi.HBSDISCSIDriver"
    ),
    "nec.volume.MStorageFCDriver": "nec.volume_helper.MStorageDriver",
    "nec.volume.MStorageISCSIDriver": "nec.volume_helper.MStorageDriver",
    "netapp.dataontap.nfs_cmode.NetAppCmodeNfsDriver": (
        "netapp.dataontap.nfs_base.NetAppNfsDriver"
    ),
    "nfs.NfsDriver": "remotefs.RemoteFSSnapDriverBase",
    "prophetstor.dpl_fc.DPLFCDriver": "prophetstor.dplcommon.DPLCOMMONDriver",
    "prophetstor.dpl_iscsi.DPLISCSIDriver": (
        "prophetstor.dplcommon.DPLCOMMONDriver"
    ),
    "pure.PureFCDriver": "pure.PureBaseVolumeDriver",
    "pure.PureISCSIDriver": "pure.PureBaseVolumeDriver",
    "pure.PureNVMEDriver": "pure.PureBaseVolumeDriver",
    "quobyte.QuobyteDriver": "remotefs.RemoteFSSnapDriverBase",
    "san.hp.hpmsa_fc.HPMSAFCDriver": "stx.fc.STXFCDriver",
    "san.hp.hpmsa_iscsi.HPMSAISCSIDriver": "stx.iscsi.STXISCSIDriver",
    "sandstone.sds_driver.SdsISCSIDriver": (
        "sandstone.sds_driver.SdsBaseDriver"
    ),
    "toyou.acs5000.acs5000_fc.Acs5000FCDriver": (
        "toyou.acs5000.acs5000_common.Acs5000CommonDriver"
    ),
    "toyou.acs5000.acs5000_iscsi.Acs5000ISCSIDriver": (
        "toyou.acs5000.acs5000_common.Acs5000CommonDriver"
    ),
    "yadro.tatlin_fc.TatlinFCVolumeDriver": (
        "yadro.tatlin_common.TatlinCommonVolumeDriver"
    ),
    "yadro.tatlin_iscsi.TatlinISCSIVolumeDriver": (
        "yadro.tatlin_common.TatlinCommonVolumeDriver"
    ),
}
"""By driver, the class that defines how it clones, if that is a base."""
