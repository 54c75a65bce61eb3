//! Which modules a host needs before it has its root: those of everything a root may be on.

use hullkit_init::contract::ModuleIndex;

use super::{ModulesError, select, split};
use crate::digest::Digest;

/// Drivers of disks and of what leads to them, the file systems of a root, and the random numbers of virtual machines: what their
/// paths below `kernel/` start with.
const WANTED: [&str; 20] = [
    "drivers/ata/",
    "drivers/block/",
    "drivers/cdrom/",
    "drivers/char/hw_random/virtio-rng.",
    "drivers/hv/hv_vmbus.",
    "drivers/message/fusion/",
    "drivers/mmc/",
    "drivers/nvme/host/",
    "drivers/pci/controller/",
    "drivers/phy/",
    "drivers/scsi/",
    "drivers/ufs/",
    "drivers/usb/core/",
    "drivers/usb/dwc2/",
    "drivers/usb/dwc3/",
    "drivers/usb/host/",
    "drivers/usb/storage/",
    "drivers/virtio/",
    "fs/erofs/",
    "fs/overlayfs/",
];

/// What of it leads to no disk of this machine: storage behind a network, which needs a network first, what offers disks to others,
/// tapes, disks in memory and for tests, and devices that are no disks.
const UNWANTED: [&str; 50] = [
    "drivers/ata/pata_pcmcia.",
    "drivers/block/aoe/",
    "drivers/block/brd.",
    "drivers/block/drbd/",
    "drivers/block/floppy.",
    "drivers/block/nbd.",
    "drivers/block/null_blk/",
    "drivers/block/pktcdvd.",
    "drivers/block/rbd.",
    "drivers/block/rnbd/",
    "drivers/block/ublk_drv.",
    "drivers/block/xen-blkback/",
    "drivers/block/zram/",
    "drivers/message/fusion/mptctl.",
    "drivers/message/fusion/mptfc.",
    "drivers/message/fusion/mptlan.",
    "drivers/nvme/host/nvme-fabrics.",
    "drivers/nvme/host/nvme-fc.",
    "drivers/nvme/host/nvme-rdma.",
    "drivers/nvme/host/nvme-tcp.",
    "drivers/scsi/be2iscsi/",
    "drivers/scsi/bfa/",
    "drivers/scsi/bnx2fc/",
    "drivers/scsi/bnx2i/",
    "drivers/scsi/ch.",
    "drivers/scsi/csiostor/",
    "drivers/scsi/cxgbi/",
    "drivers/scsi/elx/",
    "drivers/scsi/fcoe/",
    "drivers/scsi/fnic/",
    "drivers/scsi/iscsi_",
    "drivers/scsi/libfc/",
    "drivers/scsi/libiscsi",
    "drivers/scsi/lpfc/",
    "drivers/scsi/pcmcia/",
    "drivers/scsi/qedf/",
    "drivers/scsi/qedi/",
    "drivers/scsi/qla2xxx/",
    "drivers/scsi/qla4xxx/",
    "drivers/scsi/scsi_debug.",
    "drivers/scsi/scsi_transport_iscsi.",
    "drivers/scsi/ses.",
    "drivers/scsi/sg.",
    "drivers/scsi/snic/",
    "drivers/scsi/st.",
    "drivers/usb/host/u132-hcd.",
    "drivers/virtio/virtio_balloon.",
    "drivers/virtio/virtio_input.",
    "drivers/virtio/virtio_mem.",
    "drivers/virtio/virtio_vdpa.",
];

/// Name the choice: another one has another name.
pub(crate) fn choice() -> Digest {
    Digest::of([WANTED.join(" "), UNWANTED.join(" ")].join("\n").as_bytes())
}

/// Keep the modules that a root may be reached with, and all that they need.
///
/// # Errors
///
/// - None that an index of [`super::Builder`] could lead to.
pub(crate) fn boot(index: &ModuleIndex) -> Result<ModuleIndex, ModulesError> {
    let wanted = index.modules.iter().filter(|module| is_wanted(&module.path)).map(|module| module.name.clone());
    select(index, &wanted.collect::<Vec<_>>())
}

fn is_wanted(path: &str) -> bool {
    let Some((_, below)) = split(path.trim_start_matches('/')) else { return false };
    let below = below.strip_prefix("kernel/").unwrap_or(below);
    let starts = |list: &[&str]| list.iter().any(|start| below.starts_with(start));
    starts(&WANTED) && !starts(&UNWANTED)
}
