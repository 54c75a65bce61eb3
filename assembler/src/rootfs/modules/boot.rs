//! Which modules a host needs before it has its root: those of everything a root may be on.

use hullkit_init::contract::ModuleIndex;

use super::{ModulesError, select, split};
use crate::digest::Digest;

/// By what a root is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a disk of the machine's own.
    Disk,
    /// By a network card.
    Network,
}

/// What every root needs: what leads to devices, the file systems of a root, the random numbers of virtual machines, and the port by
/// which the outside asks how the boot goes. What the
/// paths of modules below `kernel/` start with, as in all these lists.
const BOTH: [&str; 15] = [
    "drivers/block/loop.",
    "drivers/char/hw_random/virtio-rng.",
    "drivers/char/virtio_console.",
    "drivers/hv/hv_vmbus.",
    "drivers/pci/controller/",
    "drivers/phy/",
    "drivers/usb/core/",
    "drivers/usb/dwc2/",
    "drivers/usb/dwc3/",
    "drivers/usb/host/",
    "drivers/virtio/virtio.",
    "drivers/virtio/virtio_mmio.",
    "drivers/virtio/virtio_pci",
    "fs/erofs/",
    "fs/overlayfs/",
];

/// Drivers of disks.
const DISKS: [&str; 10] = [
    "drivers/ata/",
    "drivers/block/",
    "drivers/cdrom/",
    "drivers/message/fusion/",
    "drivers/mmc/",
    "drivers/nvme/host/",
    "drivers/scsi/",
    "drivers/ufs/",
    "drivers/usb/storage/",
    "drivers/virtio/",
];

/// Drivers of network cards, and what DHCP listens with.
const NETWORK: [&str; 10] = [
    "drivers/net/ethernet/",
    "drivers/net/fjes/",
    "drivers/net/hyperv/",
    "drivers/net/mdio/",
    "drivers/net/phy/",
    "drivers/net/usb/",
    "drivers/net/virtio_net.",
    "drivers/net/vmxnet3/",
    "drivers/net/xen-netfront.",
    "net/packet/",
];

/// What of it leads to no root: storage behind a network, which needs a network first, what offers disks to others, tapes, disks in
/// memory and for tests, and devices that are no disks.
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

impl Way {
    /// Name the choice of modules: another one has another name.
    pub(crate) fn choice(self) -> Digest {
        Digest::of([self.wanted().collect::<Vec<_>>().join(" "), UNWANTED.join(" ")].join("\n").as_bytes())
    }

    fn wanted(self) -> impl Iterator<Item = &'static str> {
        let more = match self {
            Self::Disk => DISKS,
            Self::Network => NETWORK,
        };
        BOTH.into_iter().chain(more)
    }

    fn wants(self, path: &str) -> bool {
        let Some((_, below)) = split(path.trim_start_matches('/')) else { return false };
        let below = below.strip_prefix("kernel/").unwrap_or(below);
        self.wanted().any(|start| below.starts_with(start)) && !UNWANTED.iter().any(|start| below.starts_with(start))
    }
}

/// Keep the modules that a root may be reached with, and all that they need.
///
/// # Errors
///
/// - None that an index of [`super::Builder`] could lead to.
pub(crate) fn boot(index: &ModuleIndex, way: Way) -> Result<ModuleIndex, ModulesError> {
    let wanted = index.modules.iter().filter(|module| way.wants(&module.path)).map(|module| module.name.clone());
    select(index, &wanted.collect::<Vec<_>>())
}
