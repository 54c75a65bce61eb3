//! What is meant where nothing is written.

use crate::file::File;
use crate::init::InitEntry;
use crate::kernel::Kernel;
use crate::manifest::Manifest;
use crate::metadata::{Allow, HostMetadata};
use crate::reference::Reference;
use crate::scalar::{Id, Mode};
use crate::span::Spanned;
use crate::storage::{Storage, StorageDisk};
use crate::volume::{Volume, VolumeFormat};

/// Fill in what is absent, if its meaning is known without looking into an image.
///
/// Container keys stay absent: there the image's label and configuration have their say.
impl Manifest {
    /// Write every default out. The result means the same, and is its own fixed point.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        self.kernel = self.kernel.map(kernel);
        self.init.get_or_insert_with(|| vec![Spanned::unplaced(InitEntry::Builtin)]);
        for entry in self.init.iter_mut().flatten() {
            if let InitEntry::Image(image) = &mut entry.value {
                full_name(image);
            }
        }
        let containers = self.onboot.iter_mut().chain(&mut self.onshutdown).chain(&mut self.services);
        containers.for_each(|container| full_name(&mut container.image.value));
        self.volumes.iter_mut().for_each(volume);
        self.files.iter_mut().for_each(file);
        self.metadata.iter_mut().for_each(metadata);
        self.storage.iter_mut().for_each(storage);
        self
    }
}

/// Write a registry's name in full, as far as that does not change what it means.
fn full_name(image: &mut Reference) {
    let text = image.to_string();
    if let Reference::Registry(name) = image {
        name.text = text;
    }
}

fn kernel(mut kernel: Kernel) -> Kernel {
    if let Some(image) = &mut kernel.image {
        full_name(&mut image.value);
    }
    let text = |value: &str| Some(Spanned::unplaced(value.to_owned()));
    if kernel.binary.as_ref().is_none_or(|binary| binary.is_empty()) {
        kernel.binary = text(kernel.binary_or_default());
    }
    kernel.tar = kernel.tar.or_else(|| text("kernel.tar"));
    kernel.cmdline = kernel.cmdline.or_else(|| text(""));
    kernel
}

fn volume(volume: &mut Volume) {
    if let Some(image) = &mut volume.image {
        full_name(&mut image.value);
    }
    volume.readonly.get_or_insert(false);
    volume.format.get_or_insert_with(|| Spanned::unplaced(VolumeFormat::Filesystem));
}

fn file(file: &mut File) {
    if file.mode.as_ref().is_none_or(|mode| mode.text.is_empty()) {
        let (bits, text) = if file.directory == Some(true) { (0o700, "0700") } else { (0o600, "0600") };
        file.mode = Some(Spanned::unplaced(Mode { bits, text: text.to_owned() }));
    }
    file.uid.get_or_insert_with(|| Spanned::unplaced(Id::Number(0)));
    file.gid.get_or_insert_with(|| Spanned::unplaced(Id::Number(0)));
}

fn metadata(metadata: &mut HostMetadata) {
    metadata.timeout.get_or_insert_with(|| Spanned::unplaced(HostMetadata::TIMEOUT));
    metadata.allow.get_or_insert_with(|| Allow::ALL.map(Spanned::unplaced).to_vec());
}

fn storage(storage: &mut Storage) {
    let tools = storage.tools().map(|(image, at)| Spanned { value: image.clone(), at: at.clone() });
    storage.image = tools.map(|mut image| {
        full_name(&mut image.value);
        image
    });
    for disk in &mut storage.disks {
        disk.timeout.get_or_insert_with(|| Spanned::unplaced(StorageDisk::TIMEOUT));
    }
}
