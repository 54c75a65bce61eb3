use super::*;

/// Loads nothing; remembers, and refuses what it is told to refuse.
#[derive(Debug, Default)]
struct Recorder {
    live: Vec<String>,
    refuse: Vec<String>,
    /// Paths of drivers that find nothing to drive.
    decline: Vec<String>,
    inserted: Vec<String>,
    /// What it tells of new devices; by default it tells nothing.
    news: Option<Vec<BTreeSet<String>>>,
    /// A device that appears when a module is loaded: path of the module, path of the `modalias` file, its content.
    appears: Option<(String, PathBuf, String)>,
}

impl Insert for Recorder {
    fn is_live(&self, name: &str) -> bool {
        self.live.iter().any(|live| live == name)
    }

    fn insert(&mut self, _name: &str, path: &str) -> io::Result<()> {
        if self.refuse.iter().any(|refused| refused == path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.decline.iter().any(|declined| declined == path) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        self.inserted.push(path.to_owned());
        if let Some((_, file, text)) = self.appears.take_if(|(module, ..)| module == path) {
            fs::create_dir_all(file.parent().unwrap())?;
            fs::write(file, text)?;
        }
        Ok(())
    }

    fn news(&mut self) -> Option<BTreeSet<String>> {
        self.news.as_mut().map(|news| news.pop().unwrap_or_default())
    }
}

/// Modules `a` (needs `b`, `c`), `b`, `c`, `d`; `a` drives `pci:1*`, `d` drives `virtio:*`, `c` the generator.
fn loader(kernel: Recorder) -> Loader<Recorder> {
    let module = |name: &str, needs: &[u32]| Module {
        name: name.to_owned(),
        path: format!("/{name}.ko"),
        needs: needs.to_vec(),
    };
    let aliases = [("pci:1*", 0), ("virtio:d00000004v*", 2), ("virtio:d0000000[13]v*", 3)];
    let index = ModuleIndex {
        release: "6.1".to_owned(),
        modules: vec![module("a", &[1, 2]), module("b", &[]), module("c", &[]), module("d", &[])],
        aliases: aliases.map(|(pattern, at)| (pattern.to_owned(), at)).to_vec(),
        builtin: vec!["inside".to_owned()],
    };
    Loader::new(index, kernel)
}

fn devices(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("hullkit-modules-{}-{name}", std::process::id()));
    for (path, text) in files {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

#[test]
fn needs_are_loaded_first_and_once() {
    let (mut loader, mut report) = (loader(Recorder::default()), Report::default());
    loader.load_named("b", &mut report);
    loader.load_named("a", &mut report);
    loader.load_named("a", &mut report);
    assert_eq!(loader.kernel.inserted, ["/b.ko", "/c.ko", "/a.ko"]);
    assert_eq!(report.loaded, ["b", "c", "a"]);
}

#[test]
fn live_and_built_in_modules_are_left_alone() {
    let kernel = Recorder { live: vec!["b".to_owned()], ..Recorder::default() };
    let (mut loader, mut report) = (loader(kernel), Report::default());
    loader.load_named("a", &mut report);
    loader.load_named("inside", &mut report);
    assert_eq!(report, Report { loaded: vec!["c".to_owned(), "a".to_owned()], ..Report::default() });
}

#[test]
fn failed_need_does_not_stop_the_module() {
    let kernel = Recorder { refuse: vec!["/b.ko".to_owned()], ..Recorder::default() };
    let (mut loader, mut report) = (loader(kernel), Report::default());
    loader.load_named("a", &mut report);
    assert_eq!(report.loaded, ["c", "a"]);
    assert_eq!(report.failed, [("b".to_owned(), "entity not found".to_owned())]);
}

#[test]
fn driver_that_declines_is_missed_only_by_who_named_it() {
    let declines = || loader(Recorder { decline: vec!["/a.ko".to_owned(), "/b.ko".to_owned()], ..Recorder::default() });
    let (mut unnamed, mut named) = (Report::default(), Report::default());
    declines().handle("pci:15", &mut unnamed);
    assert_eq!((unnamed.failed, unnamed.loaded), (vec![], vec!["c".to_owned()]));
    declines().load_named("a", &mut named);
    assert_eq!(named.failed.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn name_that_is_nowhere_is_reported() {
    let (mut loader, mut report) = (loader(Recorder::default()), Report::default());
    loader.load_named("no-such", &mut report);
    assert_eq!(report.absent, ["no_such"]);
}

#[test]
fn devices_that_a_driver_brings_are_driven_too_and_the_generator_first() {
    let dir =
        devices("rounds", &[("pci0/0000:01/modalias", "pci:1af4\n"), ("pci0/modalias", "\n"), ("cpu/uevent", "x")]);
    let child = dir.join("pci0/0000:01/virtio0/modalias");
    let kernel = Recorder {
        appears: Some(("/a.ko".to_owned(), child, "virtio:d00000001v1\n".to_owned())),
        ..Recorder::default()
    };
    let (mut loader, mut report) = (loader(kernel), Report::default());
    loader.load_for_devices(&dir, &mut report);
    assert_eq!(report.loaded, ["b", "c", "a", "d"]);
    fs::remove_dir_all(dir).unwrap();

    let dir = devices("order", &[("x/modalias", "virtio:d00000001v1"), ("y/modalias", "virtio:d00000004v1")]);
    let (mut loader, mut report) = (self::loader(Recorder::default()), Report::default());
    loader.load_for_devices(&dir, &mut report);
    assert_eq!(report.loaded, ["c", "d"]);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn kernels_news_spares_a_second_look() {
    let dir = devices(
        "news",
        &[("pci0/modalias", "pci:1af4\n"), ("virtual/dmi/id/modalias", "dmi:x"), ("virtual/y/modalias", "z")],
    );
    assert_eq!(collect(&dir), ["dmi:x", "pci:1af4"].map(str::to_owned).into());
    let news = vec![BTreeSet::from(["virtio:d00000001v1".to_owned()])];
    let (mut loader, mut report) = (loader(Recorder { news: Some(news), ..Recorder::default() }), Report::default());
    loader.load_for_devices(&dir, &mut report);
    assert_eq!(report.loaded, ["b", "c", "a", "d"]);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn parameters_come_from_the_command_line() {
    let cmdline = "console=ttyS0 a-b.x=1 c.y=2 a_b.z=\"3 4\" quiet=a_b.no=1\n";
    assert_eq!(parameters(cmdline, "a_b").as_c_str(), c"x=1 z=\"3 4\"");
    assert_eq!(parameters(cmdline, "d").as_c_str(), c"");
}

#[test]
fn damaged_index_is_an_error_and_an_absent_one_is_not() {
    let dir = devices("index", &[("modules.json", "{")]);
    let error = Loader::open(&dir.join("modules.json")).unwrap_err();
    assert!(matches!(error, ModulesError::Parse { .. }), "{error:?}");
    assert!(Loader::open(&dir.join("absent.json")).unwrap().is_none());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn positions_outside_the_index_are_passed_over() {
    let mut loader = loader(Recorder::default());
    loader.index.modules[1].needs = vec![99];
    loader.index.aliases.push(("x".to_owned(), 77));
    let mut report = Report::default();
    loader.load_named("b", &mut report);
    loader.load_named("x", &mut report);
    assert_eq!(report.loaded, ["b"]);
}
