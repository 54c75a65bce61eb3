use std::fmt::Write as _;

use proptest::prelude::*;

use super::fixture::{Stream, TIME, rich};
use super::*;

fn listing(tree: &Tree) -> String {
    let links = tree.links();
    let mut text = String::new();
    for (index, node) in tree.nodes().iter().enumerate() {
        let _ = write!(text, "/{} {:06o} x{}", shown(&node.path), node.attributes.mode, links[index]);
        let _ = match &node.content {
            Content::Directory | Content::Fifo | Content::Socket => Ok(()),
            Content::File { size, .. } => write!(text, " {size}"),
            Content::HardLink(target) => write!(text, " = /{}", shown(&tree.nodes()[*target].path)),
            Content::Symlink(target) => write!(text, " -> {}", shown(target)),
            Content::Device(major, minor) => write!(text, " {major}:{minor}"),
        };
        text.push('\n');
    }
    text
}

/// Entries in words: `d PATH`, `f PATH SIZE`, `l PATH TARGET`, `h PATH TARGET`.
fn stream(words: &str) -> Stream {
    let mut stream = Stream::default();
    for line in words.split(", ") {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["d", path] => stream.dir(path, 0o700),
            ["f", path, size] => stream.file(path, 0o644, &vec![0; size.parse().unwrap()]),
            ["l", path, target] => stream.symlink(path, target),
            ["h", path, target] => stream.hardlink(path, target),
            _ => panic!("{line}"),
        };
    }
    stream
}

#[test]
fn the_last_entry_of_a_name_wins() {
    let cases = [
        ("f a 1, f a 2", "/ 040755 x2\n/a 100644 x1 2\n"),
        ("f /a 1, f ./a 2, f a/ 3", "/ 040755 x2\n/a 100644 x1 3\n"),
        ("d a, f a/b 1, d a", "/ 040755 x3\n/a 040700 x2\n/a/b 100644 x1 1\n"),
        ("d ., f b 1", "/ 040700 x2\n/b 100644 x1 1\n"),
        // What sorts beside a directory's children stays.
        ("d a, f a/b 1, f a-b 1, f a0 1, f a 1", "/ 040755 x2\n/a 100644 x1 1\n/a-b 100644 x1 1\n/a0 100644 x1 1\n"),
        ("f a 1, d a, f a/b 1", "/ 040755 x3\n/a 040700 x2\n/a/b 100644 x1 1\n"),
        ("f x/y/z 1", "/ 040755 x3\n/x 040755 x3\n/x/y 040755 x2\n/x/y/z 100644 x1 1\n"),
        ("f a/b 1, l a c, f c 2", "/ 040755 x2\n/a 120777 x1 -> c\n/c 100644 x1 2\n"),
    ];
    for (words, wanted) in cases {
        assert_eq!(listing(&stream(words).tree()), wanted, "{words}");
    }
}

#[test]
fn hard_links_name_what_was_there_when_they_came() {
    let cases = [
        ("f b 1, h a b", "/ 040755 x2\n/a 100644 x2 1\n/b 100644 x0 = /a\n"),
        ("f b 1, h a ./b, f b 2", "/ 040755 x2\n/a 100644 x1 1\n/b 100644 x1 2\n"),
        ("f a 1, h a a", "/ 040755 x2\n/a 100644 x1 1\n"),
        ("l a x, h b a", "/ 040755 x2\n/a 120777 x2 -> x\n/b 120777 x0 = /a\n"),
        ("d d, f d/x 1, h y d/x, f d 3", "/ 040755 x2\n/d 100644 x1 3\n/y 100644 x1 1\n"),
        (
            "f a 1, h b a, h c b, h d a",
            "/ 040755 x2\n/a 100644 x4 1\n/b 100644 x0 = /a\n/c 100644 x0 = /a\n/d 100644 x0 = /a\n",
        ),
    ];
    for (words, wanted) in cases {
        assert_eq!(listing(&stream(words).tree()), wanted, "{words}");
    }
}

#[test]
fn links_on_the_way_are_followed_inside_the_tree() {
    let cases = [
        (
            "d run, l var/run /run, f var/run/x 1",
            "/ 040755 x4\n/run 040700 x2\n/run/x 100644 x1 1\n/var 040755 x2\n/var/run 120777 x1 -> /run\n",
        ),
        (
            "l a/b ../../../c, f a/b/x 1",
            "/ 040755 x4\n/a 040755 x2\n/a/b 120777 x1 -> ../../../c\n/c 040755 x2\n/c/x 100644 x1 1\n",
        ),
        (
            "l a b, d b, d c, f a/x 1, l a c, f a/x 2",
            "/ 040755 x4\n/a 120777 x1 -> c\n/b 040700 x2\n/b/x 100644 x1 1\n/c 040700 x2\n/c/x 100644 x1 2\n",
        ),
        // A directory over a link is a directory, and what comes after lies in it.
        (
            "d b, l a b, f a/x 1, d a, f a/x 2",
            "/ 040755 x4\n/a 040700 x2\n/a/x 100644 x1 2\n/b 040700 x2\n/b/x 100644 x1 1\n",
        ),
    ];
    for (words, wanted) in cases {
        assert_eq!(listing(&stream(words).tree()), wanted, "{words}");
    }
}

#[test]
fn what_cannot_be_in_an_image_is_refused_by_name() {
    let long = "n".repeat(256);
    let deep = ["d"; 2048].join("/");
    let cases = [
        ("f a/../b 1".to_owned(), "`a/../b` leaves the image's root by `..`".to_owned()),
        ("f a\0 1".to_owned(), "`a\0` holds a NUL".to_owned()),
        (format!("f {long} 1"), format!("`{long}` has a name of more than 255 bytes")),
        (format!("f {long}/b 1"), format!("`{long}/b` has a name of more than 255 bytes")),
        (format!("f {deep}/b 1"), format!("`{deep}/b` is longer than 4095 bytes")),
        ("f . 1".to_owned(), "`.` is the root and must be a directory".to_owned()),
        ("f a 1, f a/b 1".to_owned(), "`a/b` lies below something that is not a directory".to_owned()),
        ("l a a, f a/b 1".to_owned(), "`a/b` lies behind more than 40 symbolic links".to_owned()),
        ("h a b".to_owned(), "`a` is a hard link to `b`, which does not come before it".to_owned()),
        ("d d, h a d".to_owned(), "`a` is a hard link to a directory".to_owned()),
        ("h a .".to_owned(), "`a` is a hard link to a directory".to_owned()),
        (
            "l a ".to_owned(),
            "`a` is a symbolic link whose target is empty, longer than 4095 bytes or holds a NUL".to_owned(),
        ),
    ];
    for (words, text) in cases {
        let error = Tree::from_entries(stream(&words).entries, TIME).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn attributes_are_sorted_and_types_follow_from_contents() {
    let mut stream = Stream::default();
    let name = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    stream.file("a", BLOCK | 0o644, b"").xattrs = vec![name("user.b", "1"), name("user.a", "2"), name("user.b", "3")];
    stream.add("b", BLOCK, Content::Device(8, 0));
    stream.add("c", REGULAR, Content::Device(1, 3));
    stream.add("e", 0o777_777, Content::Socket);
    let tree = stream.tree();
    let modes = tree.nodes().iter().map(|node| node.attributes.mode).collect::<Vec<_>>();
    assert_eq!(modes, [DIRECTORY | 0o755, REGULAR | 0o644, BLOCK, CHAR, SOCKET | 0o7777]);
    assert_eq!(tree.nodes()[1].attributes.xattrs, [name("user.a", "2"), name("user.b", "3")]);
}

#[test]
fn children_are_those_of_their_directory_alone() {
    let tree = stream("d a, f a/b 1, f a-b 1, d a/c, f a/c/d 1").tree();
    let children = tree.children();
    let names =
        |index: usize| children.of(index).iter().map(|child| shown(&tree.nodes()[*child].path)).collect::<Vec<_>>();
    // Sorted by bytes: `/`, `/a`, `/a-b`, `/a/b`, `/a/c`, `/a/c/d`.
    assert_eq!([names(0), names(1), names(2), names(4)], [vec!["a", "a-b"], vec!["a/b", "a/c"], vec![], vec!["a/c/d"]]);
    assert_eq!([0, 1, 3, 5].map(|index| children.parent(index)), [0, 0, 1, 4]);
}

#[test]
fn a_member_of_an_archive_becomes_an_entry() {
    let member = tar::Member {
        path: b"a".to_vec(),
        kind: tar::Kind::Block,
        mode: 0o60_640,
        device: (8, 1),
        mtime: -1,
        ..tar::Member::default()
    };
    let entry = Entry::from(member);
    assert_eq!((entry.attributes.mode, entry.content), (BLOCK | 0o640, Content::Device(8, 1)));
    assert_eq!(entry.attributes.mtime, -1);
}

#[test]
fn a_copy_of_too_few_bytes_is_an_error() {
    let mut out = Vec::new();
    let error = copy(&b"abc".to_vec(), 1, 3, &mut out).unwrap_err();
    assert!(matches!(error, CopyError::Read(cause) if cause.kind() == io::ErrorKind::UnexpectedEof));
    copy(&b"abc".to_vec(), 1, 2, &mut out).unwrap();
    assert_eq!(out, b"bcbc");
}

#[test]
fn a_file_is_read_at_its_places() {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let (mut one, mut other) = (file.reader(2, 3).unwrap(), file.reader(8, 9).unwrap());
    let (mut first, mut second) = (String::new(), String::new());
    other.read_to_string(&mut second).unwrap();
    one.read_to_string(&mut first).unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("234", "89"));
}

#[test]
fn a_rich_tree_keeps_what_it_promises() {
    proves(&rich().tree());
}

fn proves(tree: &Tree) {
    let nodes = tree.nodes();
    assert!(nodes.is_sorted_by(|one, other| one.path < other.path));
    assert_eq!((nodes[0].path.len(), &nodes[0].content), (0, &Content::Directory));
    for (index, node) in nodes.iter().enumerate() {
        let parent = tree.children().parent(index);
        assert_eq!(nodes[parent].content, Content::Directory);
        assert_eq!(nodes[parent].path, split(&node.path).0);
        if let Content::HardLink(target) = node.content {
            assert!(target < index && !matches!(nodes[target].content, Content::HardLink(_) | Content::Directory));
        }
    }
}

proptest! {
    #[test]
    fn any_stream_makes_a_tree_or_an_error(entries in prop::collection::vec((0..6_u8, "[ab./]{0,6}", "[ab./]{0,5}"), 0..30)) {
        let mut growing = Growing::new(TIME);
        for (kind, path, target) in entries {
            let target = target.into_bytes();
            let content = match kind {
                0 => Content::Directory,
                1 | 2 => Content::File { offset: 0, size: 1 },
                3 => Content::HardLink(target),
                4 => Content::Symlink(target),
                _ => Content::Fifo,
            };
            // What is refused leaves what came before as it was.
            let _ = growing.add(Entry { path: path.into_bytes(), attributes: Attributes::default(), content });
        }
        proves(&growing.finish());
    }
}
