use super::*;

/// A disk of 200 sectors with a table at both ends. In: name, first sector and the sector after the last of each partition.
pub(crate) fn disk(sector: usize, partitions: &[(&str, u64, u64)]) -> Vec<u8> {
    const COUNT: usize = 128;
    let (last, blocks) = (199, (COUNT * ENTRY).div_ceil(sector));
    let mut entries = vec![0; COUNT * ENTRY];
    for (at, (name, first, end)) in partitions.iter().enumerate() {
        let entry = &mut entries[at * ENTRY..][..ENTRY];
        entry[..16].fill(0xee);
        entry[0x10..0x20].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        entry[0x20..0x28].copy_from_slice(&first.to_le_bytes());
        entry[0x28..0x30].copy_from_slice(&(end - 1).to_le_bytes());
        for (unit, c) in entry[0x38..].chunks_exact_mut(2).zip(name.encode_utf16()) {
            unit.copy_from_slice(&c.to_le_bytes());
        }
    }
    let mut disk = vec![0; 200 * sector];
    for (at, other, place) in [(1, last, 2), (last, 1, last - blocks)] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(SIGNATURE);
        header[0x08..0x0c].copy_from_slice(&[0, 0, 1, 0]);
        header[0x0c..0x10].copy_from_slice(&92_u32.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
        header[0x20..0x28].copy_from_slice(&(other as u64).to_le_bytes());
        header[0x48..0x50].copy_from_slice(&(place as u64).to_le_bytes());
        header[0x50..0x54].copy_from_slice(&128_u32.to_le_bytes());
        header[0x54..0x58].copy_from_slice(&128_u32.to_le_bytes());
        header[0x58..0x5c].copy_from_slice(&crc(&[&entries]).to_le_bytes());
        let sum = crc(&[&header]);
        header[0x10..0x14].copy_from_slice(&sum.to_le_bytes());
        disk[at * sector..][..HEADER].copy_from_slice(&header);
        disk[place * sector..][..entries.len()].copy_from_slice(&entries);
    }
    disk
}

#[test]
fn partitions_are_read_whatever_the_length_of_a_sector() {
    for sector in [512_u32, 2048, 4096] {
        let table = read(&disk(sector as usize, &[("boot", 64, 70), ("root", 70, 100)])).unwrap().unwrap();
        assert_eq!((table.sector, table.backup, table.partitions.len()), (sector.into(), false, 2));
        let root = &table.partitions[1];
        assert_eq!((root.number, &*root.label, &*root.uuid), (2, "root", "03020100-0504-0706-0809-0a0b0c0d0e0f"));
        assert_eq!((root.start, root.size), (70 * u64::from(sector), 30 * u64::from(sector)));
    }
}

#[test]
fn a_damaged_table_gives_way_to_the_one_at_the_end() {
    // A bit of the header, a bit of the entries, the whole start.
    for damage in [512 + 0x30..512 + 0x31, 1024..1025, 0..32768] {
        let mut disk = disk(512, &[("root", 70, 100)]);
        disk[damage].iter_mut().for_each(|byte| *byte ^= 1);
        let table = read(&disk).unwrap().unwrap();
        assert_eq!((table.backup, table.partitions.len()), (true, 1));
    }
}

#[test]
fn two_damaged_tables_are_none() {
    let mut disk = disk(512, &[("root", 70, 100)]);
    for at in [1, 199] {
        disk[at * 512 + 0x38] ^= 1;
    }
    assert_eq!(read(&disk).unwrap(), None);
}

#[test]
fn partitions_that_lead_beyond_the_disk_are_left_out() {
    let far = u64::MAX / 512;
    let disk = disk(512, &[("a", 0, 201), ("b", 50, 50), ("c", far, far + 2), ("d", 0, u64::MAX), ("e", 199, 200)]);
    let labels: Vec<String> =
        read(&disk).unwrap().unwrap().partitions.into_iter().map(|partition| partition.label).collect();
    assert_eq!(labels, ["e"]);
}

#[test]
fn numbers_that_would_cost_memory_are_refused() {
    for (count, entry) in [(u32::MAX, u32::MAX), (1 << 20, 128), (128, 64), (128, 0)] {
        let mut disk = disk(512, &[]);
        for at in [512, 199 * 512] {
            disk[at + 0x50..at + 0x54].copy_from_slice(&count.to_le_bytes());
            disk[at + 0x54..at + 0x58].copy_from_slice(&entry.to_le_bytes());
            disk[at + 0x10..at + 0x14].fill(0);
            let sum = crc(&[&disk[at..at + HEADER]]);
            disk[at + 0x10..at + 0x14].copy_from_slice(&sum.to_le_bytes());
        }
        assert_eq!(read(&disk).unwrap(), None, "{count} {entry}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..9000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_header_with_a_right_sum_makes_it_panic(fields in proptest::collection::vec(proptest::num::u8::ANY, 0x44)) {
        let mut disk = disk(512, &[("root", 70, 100)]);
        disk[512 + 0x18..512 + 0x5c].copy_from_slice(&fields);
        disk[512 + 0x18..512 + 0x20].copy_from_slice(&1_u64.to_le_bytes());
        disk[512 + 0x10..512 + 0x14].fill(0);
        let sum = crc(&[&disk[512..512 + HEADER]]);
        disk[512 + 0x10..512 + 0x14].copy_from_slice(&sum.to_le_bytes());
        let _ = read(&disk);
    }

    #[test]
    fn no_entry_makes_it_panic(entry in proptest::collection::vec(proptest::num::u8::ANY, 128..140), sector in 0_u64..5000, size: u64) {
        if let Some(partition) = Partition::parse(1, &entry, sector, size) {
            proptest::prop_assert!(partition.start + partition.size <= size);
        }
    }
}
