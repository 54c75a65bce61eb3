use std::fs;

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::format::tar::TarError;
use crate::rootfs::fixture::{self, dir, file};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn paths(store: &Store, layer: &Layer) -> Result<Vec<Vec<u8>>, RootfsError> {
    let index = index(store, "image:1", layer, Limits::default())?;
    index.members()?.map(|member| Ok(member?.path)).collect()
}

/// The whole chain of an error, as a user sees it.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

#[test]
fn every_compression_gives_the_same_index() {
    let (_folder, store) = store();
    let tar = fixture::tar(&[dir("a/"), file("a/b", "c")]);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let layer = fixture::layer(&store, &tar, compression);
        let _ = fs::remove_dir_all(store.folder("layers"));
        assert_eq!(paths(&store, &layer).unwrap(), [b"a/".to_vec(), b"a/b".to_vec()], "{compression:?}");
    }
}

#[test]
fn a_damaged_index_is_made_anew() {
    let (_folder, store) = store();
    let layer = fixture::layer(&store, &fixture::tar(&[file("a", "x"), file("b", "y")]), Compression::Gzip);
    let want = paths(&store, &layer).unwrap();
    let path = store.folder("layers").join(layer.diff_id.hex());
    let good = fs::read(&path).unwrap();
    for bad in [b"".to_vec(), b"HKLI\x01".to_vec(), good[..good.len() - 1].to_vec(), [&good[..60], &[0; 9]].concat()] {
        fs::write(&path, bad).unwrap();
        assert_eq!(paths(&store, &layer).unwrap(), want);
        assert_eq!(fs::read(&path).unwrap(), good);
    }
}

#[test]
fn bad_layers_get_one_sentence_and_no_index() {
    let (_folder, store) = store();
    let tar = fixture::tar(&[file("a", &"x".repeat(5000))]);
    let good = fixture::layer(&store, &tar, Compression::Gzip);
    let bytes = fs::read(store.blob_path(&good.digest)).unwrap();
    let cut = store.write_blob(&bytes[..bytes.len() / 2]).unwrap();
    let cases = [
        (
            Layer { digest: store.write_blob(b"hello").unwrap(), compression: Compression::None, ..good.clone() },
            "not a tar archive",
        ),
        (
            Layer { digest: store.write_blob(b"hello").unwrap(), ..good.clone() },
            "could not read or write the archive's bytes: ",
        ),
        (Layer { digest: cut, ..good.clone() }, "could not read or write the archive's bytes: "),
        (
            Layer { digest: store.write_blob(&tar[..2000]).unwrap(), compression: Compression::None, ..good.clone() },
            "cut short after 2000 bytes of tar",
        ),
    ];
    for (layer, text) in cases {
        let error = chain(&paths(&store, &layer).unwrap_err());
        let start = format!("could not read layer {} of `image:1`: {text}", layer.digest);
        assert!(error.starts_with(&start), "{error} / {start}");
        assert!(!store.folder("layers").join(layer.diff_id.hex()).exists());
    }
    let wrong = Layer { diff_id: Digest::of(b"other"), ..good };
    assert!(matches!(paths(&store, &wrong), Err(RootfsError::DiffId { .. })));
}

#[test]
fn a_layer_that_unpacks_too_large_is_refused() {
    let (_folder, store) = store();
    let layer = fixture::layer(&store, &[fixture::tar(&[]), vec![0; 1 << 20]].concat(), Compression::Gzip);
    let limits = Limits { bytes: 1 << 16, ..Limits::default() };
    let error = index(&store, "image:1", &layer, limits).unwrap_err();
    assert!(matches!(error, RootfsError::Layer { cause: TarError::Limit { limit: 65536, .. }, .. }), "{error:?}");
}

fn member() -> impl Strategy<Value = Member> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let xattrs = prop::collection::vec((bytes(), bytes()), 0..3);
    let numbers = (any::<[u32; 5]>(), any::<(i64, u64, u64)>());
    (bytes(), bytes(), xattrs, numbers).prop_map(
        |(path, link, xattrs, ([mode, uid, gid, major, minor], (mtime, size, offset)))| Member {
            path,
            kind: if mode % 2 == 0 { crate::format::tar::Kind::File } else { crate::format::tar::Kind::Fifo },
            mode,
            uid,
            gid,
            mtime,
            size,
            offset,
            link,
            device: (major, minor),
            xattrs,
            ..Member::default()
        },
    )
}

proptest! {
    #[test]
    fn members_read_back(members in prop::collection::vec(member(), 0..20)) {
        let mut encoder = Encoder::new(Vec::new());
        for member in &members {
            encoder.append(member).unwrap();
        }
        let bytes = encoder.finish().unwrap();
        let mut decoder = Decoder::new(bytes.as_slice());
        let found: Vec<Member> = std::iter::from_fn(|| decoder.next_member().unwrap()).collect();
        prop_assert_eq!(found, members);
    }

    #[test]
    fn index_reader(bytes: Vec<u8>) {
        let mut decoder = Decoder::new(bytes.as_slice());
        while let Ok(Some(_)) = decoder.next_member() {}
    }
}
