use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn member(kind: Kind, path: &str, link: &str) -> Member {
    Member { kind, path: path.into(), link: link.into(), mode: 0o755, size: path.len() as u64, ..Member::default() }
}

fn file(path: &str) -> Member {
    member(Kind::File, path, "")
}

fn dir(path: &str) -> Member {
    member(Kind::Directory, path, "")
}

fn symlink(path: &str, target: &str) -> Member {
    member(Kind::Symlink, path, target)
}

fn hardlink(path: &str, target: &str) -> Member {
    member(Kind::HardLink, path, target)
}

fn apply(layers: &[Vec<Member>]) -> Result<Tree, PathError> {
    let mut tree = Tree::default();
    for (number, members) in (0_u16..).zip(layers) {
        tree.apply(number, || Ok(members.iter().cloned().map(Ok)), |error| error)?;
    }
    Ok(tree)
}

/// One word per path: the layer's number for files, `/` for directories, `->` for links.
fn listing(tree: &Tree) -> String {
    let line = |(path, _, inode): (&[u8], u32, &Inode)| {
        let path = String::from_utf8_lossy(path).into_owned();
        match &inode.content {
            _ if path.is_empty() => String::new(),
            Content::None => format!("{path}/ "),
            Content::Target(target) => format!("{path}->{} ", String::from_utf8_lossy(target)),
            _ => format!("{path}={} ", inode.layer),
        }
    };
    tree.iter().map(line).collect::<String>().trim_end().to_owned()
}

#[test]
fn layers_are_applied_by_the_oci_rules() {
    let usr = || vec![dir("usr"), dir("usr/lib"), file("usr/lib/old"), symlink("lib", "usr/lib")];
    let cases: Vec<(&str, Vec<Vec<Member>>, &str)> = vec![
        ("whiteout_hides_lower_file", vec![vec![file("a/b"), file("a/c")], vec![file("a/.wh.b")]], "a/ a/c=0"),
        ("whiteout_hides_lower_directory", vec![vec![file("a/b/c"), file("a-b")], vec![file(".wh.a")]], "a-b=0"),
        ("whiteout_spares_its_own_layer", vec![vec![file("a")], vec![file("a"), file(".wh.a")]], "a=1"),
        ("whiteout_of_nothing_there_is_nothing", vec![vec![file("a")], vec![file("x/y/.wh.z")]], "a=0"),
        ("opaque_hides_lower_files", vec![vec![file("a/b")], vec![dir("a"), file("a/.wh..wh..opq")]], "a/"),
        (
            "opaque_after_its_entries_spares_them",
            vec![vec![file("a/b")], vec![file("a/c"), file("a/.wh..wh..opq")]],
            "a/ a/c=1",
        ),
        ("opaque_root", vec![vec![file("a/b")], vec![file("c"), file(".wh..wh..opq")]], "c=1"),
        ("file_over_directory", vec![vec![file("a/b")], vec![file("a")]], "a=1"),
        ("directory_over_file", vec![vec![file("a")], vec![dir("a"), file("a/b")]], "a/ a/b=1"),
        ("directory_over_directory_keeps", vec![vec![file("a/b")], vec![dir("a/")]], "a/ a/b=0"),
        (
            "directory_over_link_replaces",
            vec![usr(), vec![dir("lib"), file("lib/x")]],
            "lib/ lib/x=1 usr/ usr/lib/ usr/lib/old=0",
        ),
        ("implied_parent_over_file", vec![vec![file("a")], vec![file("a/b")]], "a/ a/b=1"),
        ("hard_link_to_lower_layer", vec![vec![file("a")], vec![hardlink("b", "./a")]], "a=0 b=0"),
        ("hard_link_outlives_its_first_name", vec![vec![file("a"), hardlink("b", "/a")], vec![file(".wh.a")]], "b=0"),
        ("hard_link_to_link_is_the_link", vec![vec![symlink("a", "x"), hardlink("b", "a")]], "a->x b->x"),
        ("hard_link_onto_itself", vec![vec![file("a"), hardlink("a", "a")]], "a=0"),
        (
            "lower_link_is_followed",
            vec![usr(), vec![file("lib/new")]],
            "lib->usr/lib usr/ usr/lib/ usr/lib/new=1 usr/lib/old=0",
        ),
        ("lower_link_is_followed_by_whiteouts", vec![usr(), vec![file("lib/.wh.old")]], "lib->usr/lib usr/ usr/lib/"),
        (
            "absolute_link_stays_in_the_root",
            vec![vec![dir("run"), symlink("var/run", "/run")], vec![file("var/run/x")]],
            "run/ run/x=1 var/ var/run->/run",
        ),
        ("names_are_cleaned", vec![vec![file("./a//b"), file("/c")]], "a/ a/b=0 c=0"),
        ("later_entry_wins", vec![vec![symlink("a", "x"), file("a")]], "a=0"),
        ("aufs_leftovers_are_dropped", vec![vec![dir(".wh..wh.plnk"), file(".wh..wh.plnk/x"), file("a")]], "a=0"),
    ];
    for (name, layers, want) in cases {
        assert_eq!(listing(&apply(&layers).unwrap()), want, "{name}");
    }
}

#[test]
fn what_leaves_the_root_is_refused_by_name() {
    let cases: Vec<(Vec<Vec<Member>>, &str)> = vec![
        (vec![vec![file("../etc/passwd")]], "`../etc/passwd` leaves its root by `..`"),
        (vec![vec![file("a/../../b")]], "`a/../../b` leaves its root by `..`"),
        (vec![vec![file("a/.wh..")]], "`a/.wh..` is a whiteout of nothing"),
        (vec![vec![file(".wh.")]], "`.wh.` is a whiteout of nothing"),
        (vec![vec![hardlink("a", "../x")]], "`a` is a hard link that leaves the root"),
        (vec![vec![hardlink("a", "x")]], "`a` is a hard link to a file that is not there"),
        (vec![vec![dir("d"), hardlink("a", "d")]], "`a` is a hard link to a directory"),
        (vec![vec![symlink("a", "/etc"), file("a/b")]], "`a/b` has a parent that is a symbolic link of the same layer"),
        (vec![vec![symlink("a", "../..")], vec![file("a/b")]], "`a/b` has a parent that is a link out of the root"),
        (vec![vec![symlink("a", "a")], vec![file("a/b")]], "`a/b` has a parent that is a symbolic link to itself"),
        (vec![vec![file(".")]], "`.` stands in the root's place and is not a directory"),
    ];
    for (layers, text) in cases {
        assert_eq!(apply(&layers).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_file_is_found_through_links() {
    let layer = vec![
        file("usr/lib/passwd"),
        symlink("etc/passwd", "../usr/lib/passwd"),
        symlink("up", "../../usr"),
        symlink("loop", "loop"),
    ];
    let tree = apply(&[layer]).unwrap();
    assert!(tree.file(b"/etc/passwd").is_some() && tree.file(b"up/lib/passwd").is_some());
    assert!(tree.file(b"loop").is_none() && tree.file(b"usr").is_none() && tree.file(b"none").is_none());
}

#[test]
fn attributes_of_the_root_are_kept() {
    let root = Member { mode: 0o700, uid: 5, ..dir("./") };
    let tree = apply(&[vec![root]]).unwrap();
    assert_eq!((tree.get(b"").unwrap().mode & 0o7777, tree.get(b"").unwrap().uid), (0o700, 5));
}

#[test]
fn too_many_attributes_are_refused() {
    let heavy = |path: &str| Member { xattrs: vec![(b"user.x".to_vec(), vec![0; 9 << 20])], ..file(path) };
    let error = apply(&[vec![heavy("a"), heavy("b")]]).unwrap_err().to_string();
    assert_eq!(error, "`b` brings the image's extended attributes over 16 MiB");
}

/// The judge of the property test: directories as nested maps, layers merged as an overlay does.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    children: BTreeMap<String, Option<Model>>,
    whiteouts: BTreeSet<String>,
    opaque: bool,
}

impl Model {
    /// Put one entry into a layer; false if the layer already says otherwise.
    fn put(&mut self, path: &[String], what: u8) -> bool {
        let Some((name, rest)) = path.split_first() else { return false };
        if !rest.is_empty() {
            let child = self.children.entry(name.clone()).or_insert_with(|| Some(Self::default()));
            return child.as_mut().is_some_and(|child| child.put(rest, what));
        }
        match what {
            0 => self.whiteouts.insert(name.clone()),
            1 => !std::mem::replace(&mut self.opaque, true),
            _ if self.children.contains_key(name) => false,
            2 => self.children.insert(name.clone(), Some(Self::default())).is_none(),
            _ => self.children.insert(name.clone(), None).is_none(),
        }
    }

    fn merge(lower: &Self, upper: &Self) -> Self {
        let mut children = if upper.opaque { BTreeMap::new() } else { lower.children.clone() };
        children.retain(|name, _| !upper.whiteouts.contains(name));
        for (name, child) in &upper.children {
            let merged = match (children.get(name), child) {
                (Some(Some(lower)), Some(upper)) => Some(Self::merge(lower, upper)),
                (_, Some(upper)) => Some(Self::merge(&Self::default(), upper)),
                (_, None) => None,
            };
            children.insert(name.clone(), merged);
        }
        Self { children, ..Self::default() }
    }

    fn list(&self, prefix: &str, into: &mut Vec<String>) {
        for (name, child) in &self.children {
            into.push(format!("{prefix}{name}{}", if child.is_some() { "/" } else { "" }));
            if let Some(child) = child {
                child.list(&format!("{prefix}{name}/"), into);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn trees_are_what_an_overlay_shows(
        layers in prop::collection::vec(prop::collection::vec((prop::collection::vec("[ab-]", 1..4), 0..6_u8), 0..12), 0..4)
    ) {
        let (mut model, mut members) = (Model::default(), Vec::new());
        for layer in &layers {
            let (mut upper, mut tar) = (Model::default(), Vec::new());
            for (path, what) in layer {
                if !upper.put(path, *what) {
                    continue;
                }
                let (name, parent) = path.split_last().unwrap();
                let parent: String = parent.iter().map(|part| format!("{part}/")).collect();
                if *what < 2 && !parent.is_empty() {
                    // A whiteout alone makes no directory here; in an overlay it cannot stand without one.
                    tar.push(dir(&parent));
                }
                tar.push(match what {
                    0 => file(&format!("{parent}.wh.{name}")),
                    1 => file(&format!("{parent}.wh..wh..opq")),
                    2 => dir(&format!("{parent}{name}")),
                    _ => file(&format!("{parent}{name}")),
                });
            }
            model = Model::merge(&model, &upper);
            members.push(tar);
        }
        let tree = apply(&members).unwrap();
        let found: BTreeSet<String> = tree.iter().filter(|(path, ..)| !path.is_empty()).map(|(path, _, inode)| {
            format!("{}{}", String::from_utf8_lossy(path), if inode.is_directory() { "/" } else { "" })
        }).collect();
        let mut wanted = Vec::new();
        model.list("", &mut wanted);
        prop_assert_eq!(found, wanted.into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn anything_is_applied_or_refused(
        layers in prop::collection::vec(prop::collection::vec(("[a./]{0,6}|[.]wh[.][a.]{0,3}|a/[.]wh[.]a", 0..7_u8, "[a./]{0,5}"), 0..8), 0..4)
    ) {
        const KINDS: [Kind; 7] = [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Char, Kind::Block, Kind::Directory, Kind::Fifo];
        let layers: Vec<Vec<Member>> = layers.iter().map(|layer| {
            layer.iter().map(|(path, kind, link)| member(KINDS[usize::from(*kind)], path, link)).collect()
        }).collect();
        if let Ok(tree) = apply(&layers) {
            for (path, ..) in tree.iter().filter(|(path, ..)| !path.is_empty()) {
                // Every parent is a directory, and no part is `..` or a link.
                prop_assert!(tree.get(path::split(path).0).is_some_and(Inode::is_directory), "{:?}", path);
                prop_assert_eq!(path::clean(path).unwrap(), path);
            }
        }
    }
}
