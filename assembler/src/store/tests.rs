use oci_spec::image::{DescriptorBuilder, MediaType, Sha256Digest};
use std::str::FromStr;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn descriptor(digest: &Digest) -> Descriptor {
    DescriptorBuilder::default()
        .media_type(MediaType::ImageManifest)
        .digest(Sha256Digest::from_str(&digest.hex()).unwrap())
        .size(1_u64)
        .build()
        .unwrap()
}

fn leftovers(store: &Store) -> usize {
    #[expect(clippy::disallowed_methods, reason = "only counted")]
    fs::read_dir(store.folder("tmp")).unwrap().count()
}

#[test]
fn a_blob_is_found_under_its_digest() {
    let (_folder, store) = store();
    let digest = store.write_blob(b"hello").unwrap();
    assert!(store.has(&digest));
    assert_eq!(store.read_document(&digest).unwrap(), b"hello");
    assert_eq!(leftovers(&store), 0);
}

#[test]
fn wrong_bytes_never_get_a_name() {
    let (_folder, store) = store();
    let want = Digest::of(b"other");
    let mut writer = store.writer().unwrap();
    writer.write_all(b"hello").unwrap();
    let error = writer.commit(Some(&want)).unwrap_err();
    assert!(matches!(error, StoreError::Digest { len: 5, .. }), "{error}");
    assert!(!store.has(&want) && !store.has(&Digest::of(b"hello")));
    assert_eq!(leftovers(&store), 0);
}

#[test]
fn an_altered_document_is_removed_and_told() {
    let (_folder, store) = store();
    let digest = store.write_blob(b"{}").unwrap();
    fs::write(store.blob_path(&digest), b"[]").unwrap();
    assert!(matches!(store.read_document(&digest), Err(StoreError::Digest { .. })));
    assert!(!store.has(&digest));
}

#[test]
fn names_are_replaced_and_forgotten() {
    let (_folder, store) = store();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    store.tag("docker.io/library/a:1", descriptor(&one)).unwrap();
    store.tag("docker.io/library/a:1", descriptor(&two)).unwrap();
    assert_eq!(store.find("docker.io/library/a:1").unwrap().unwrap().digest().to_string(), two.to_string());
    assert!(store.untag("docker.io/library/a:1").unwrap());
    assert!(!store.untag("docker.io/library/a:1").unwrap());
    assert!(store.names().unwrap().is_empty());
}

#[test]
fn a_killed_writers_file_is_swept_and_a_live_ones_is_not() {
    let (folder, store) = store();
    let live = store.temporary().unwrap();
    fs::write(store.folder("tmp").join("dead-1"), b"half").unwrap();
    Store::open(folder.path()).unwrap();
    assert!(!store.folder("tmp").join("dead-1").exists());
    assert!(live.path.exists());
}

#[test]
fn many_writers_lose_no_name() {
    let (folder, _store) = store();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let root = folder.path();
            scope.spawn(move || {
                Store::open(root).unwrap().tag(&format!("n{n}"), descriptor(&Digest::of(&[n]))).unwrap();
            });
        }
    });
    assert_eq!(Store::open(folder.path()).unwrap().names().unwrap().len(), 8);
}

#[test]
fn only_what_is_live_survives_and_locks_stay() {
    let (folder, store) = store();
    let (keep, drop) = (store.write_blob(b"keep").unwrap(), store.write_blob(b"drop").unwrap());
    for kind in ["layers", "apt"] {
        store.temporary().unwrap().persist(&store.folder(kind).join("key")).unwrap();
    }
    std::mem::drop(store);
    let sole = Store::open_alone(folder.path(), || panic!("nobody else has it open")).unwrap();
    let freed = sole.retain(&BTreeSet::from([keep])).unwrap();
    assert_eq!(freed, Freed { files: 2, bytes: 4 });
    assert!(sole.store().has(&keep) && !sole.store().has(&drop));
    assert!(sole.store().folder("apt").join("key").exists());
    sole.clear().unwrap();
    assert!(!sole.store().has(&keep) && sole.store().folder("users").exists());
}

#[test]
fn nothing_is_removed_while_a_store_is_open() {
    let (folder, store) = store();
    let users = File::open(store.folder("users")).unwrap();
    assert!(users.try_lock().is_err());
    let clone = store.clone();
    drop(store);
    assert!(users.try_lock().is_err());
    drop(clone);
    users.try_lock().unwrap();
    drop(users);
    drop(Store::open_alone(folder.path(), || ()).unwrap());
}
