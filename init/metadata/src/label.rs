//! Which file system a volume has, and its label. In: a few of its first bytes. Out: both, if it is one that metadata comes on. Pure.

/// File system and label of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// As mount(2) wants it.
    pub kind: &'static str,
    /// Without the blanks that fill it up.
    pub name: String,
}

/// Bytes that are looked at: up to the end of the first volume descriptor of ISO 9660.
pub const HEAD: usize = 0x8800;

/// Read the label of a volume.
///
/// In: its first [`HEAD`] bytes, or fewer if it is shorter.
///
/// # Source
///
/// ECMA-119, 8.4: primary volume descriptor. Microsoft's FAT specification, section 3: BPB of FAT12, FAT16 and FAT32.
#[must_use]
pub fn label(head: &[u8]) -> Option<Label> {
    iso9660(head).or_else(|| fat(head))
}

fn iso9660(head: &[u8]) -> Option<Label> {
    let descriptor = head.get(0x8000..HEAD)?;
    let (magic, name) = (descriptor.get(..6)?, descriptor.get(40..72)?);
    (magic == b"\x01CD001").then(|| Label { kind: "iso9660", name: text(name) })
}

fn fat(head: &[u8]) -> Option<Label> {
    if head.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let is = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let name = match (is(82, b"FAT32   "), is(54, b"FAT12   ") || is(54, b"FAT16   ") || is(54, b"FAT     ")) {
        (true, _) => head.get(71..82)?,
        (_, true) => head.get(43..54)?,
        _ => return None,
    };
    Some(Label { kind: "vfat", name: text(name) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches([' ', '\0']).to_owned()
}
