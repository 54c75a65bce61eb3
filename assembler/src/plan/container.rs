//! One container: the manifest's entry over the image's label over the image's configuration.

use hullkit_init::contract;
use linuxkit_yaml::{
    Container, ContainerConfig, Diagnostic, Healthcheck, Id, Manifest, Position, Section, Signal, Spanned,
};
use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::Spec;

use super::Layout;
use super::health;
use super::ids::Ids;
use super::resources::{self, Rule};
use super::security::Confinement;
use super::spec::mounts::Mounts;
use super::spec::runtime::{BindNs, Interface, Runtime};
use super::spec::{self, capabilities, rlimits};
use super::{seccomp, volumes};
use crate::platform::Arch;

/// What compiling one container needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    /// Which init will run it.
    pub layout: Layout,
    /// The whole manifest, for its lines and its volumes.
    pub manifest: &'a Manifest,
    /// Numbers of container names.
    pub ids: &'a Ids,
    /// Where the container stands.
    pub section: Section,
    /// The entry.
    pub entry: &'a Container,
    /// The image's label `org.mobyproject.config`.
    pub label: &'a ContainerConfig,
    /// The image's configuration.
    pub image: &'a ImageConfiguration,
    /// The image's `HEALTHCHECK`, if it counts.
    pub health: Option<&'a Healthcheck>,
    /// Docker's defaults hold it back where nobody says what does.
    pub confined: bool,
}

impl Input<'_> {
    fn confinement(&self) -> Confinement {
        Confinement::of(self.entry, self.confined)
    }
}

/// A compiled container, and the user to look up in its image if the image names one.
#[derive(Debug)]
pub(super) struct Compiled {
    /// What init runs; it has no place of a filter yet.
    pub container: contract::Container,
    /// The program that decides over its system calls, if they are not all allowed.
    pub filter: Option<contract::Filter>,
    /// The image's `USER`, unless the manifest or the label says as whom to run.
    pub user: Option<String>,
}

/// Compile one container into what runs in it, or tell everything that is wrong with it.
pub(super) fn config(input: &Input<'_>) -> Result<spec::Config, Vec<Diagnostic>> {
    let (entry, label) = (&input.entry.config, input.label);
    let readonly = entry.readonly.or(label.readonly).unwrap_or(false);
    let mut problems = Vec::new();
    let config = spec::Config {
        oci_version: spec::OCI_VERSION,
        process: process(input, &mut problems),
        root: spec::Root { path: "rootfs", readonly },
        hostname: word(&entry.hostname, &label.hostname).to_owned(),
        mounts: mounts(input, readonly, &mut problems),
        annotations: pick(&entry.annotations, &label.annotations).cloned().unwrap_or_default(),
        linux: linux(input, &mut problems),
    };
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// Take a result, or take its problem down.
fn keep<T>(problems: &mut Vec<Diagnostic>, result: Result<T, Box<Diagnostic>>) -> Option<T> {
    result.map_err(|problem| problems.push(*problem)).ok()
}

/// Compile one container for Hullkit's init.
///
/// In: `lower`, the absolute path of the image's root on the host; `arch`, the machine's.
pub(super) fn compile(input: Input<'_>, lower: &str, arch: Arch) -> Result<Compiled, Vec<Diagnostic>> {
    let (entry, label) = (&input.entry.config, input.label);
    let config = config(&input)?;
    let at = &input.entry.name.at;
    let wrong = |message: String| vec![*diagnose(&input, at, message)];
    if config.process.args.is_empty() {
        return Err(wrong("this container has no command: neither the manifest nor the image says what to run".into()));
    }
    let spec: Spec = serde_json::to_value(&config)
        .and_then(serde_json::from_value)
        .map_err(|error| wrong(format!("this container's configuration is not one of OCI's: {error}")))?;
    let given = entry.uid.is_some() || label.uid.is_some();
    let user = input.image.config().as_ref().and_then(|config| config.user().clone());
    let health = health(&input).map_err(|problem| vec![*problem])?;
    let listed = input.confinement().seccomp(input.entry);
    let restart = entry.restart.as_ref().or(label.restart.as_ref()).map(|restart| restart.value);
    Ok(Compiled {
        container: contract::Container {
            name: input.entry.name.value.clone(),
            image: input.entry.image.to_string(),
            lower: lower.to_owned(),
            readonly: config.root.readonly,
            spec,
            filter: None,
            runtime: runtime(&input).into(),
            restart: match (input.section, restart) {
                (Section::Onboot | Section::Onshutdown, _) | (_, Some(linuxkit_yaml::Restart::No)) => {
                    contract::Restart::No
                }
                (_, None | Some(linuxkit_yaml::Restart::Always)) => contract::Restart::Always,
                (_, Some(linuxkit_yaml::Restart::UnlessStopped)) => contract::Restart::UnlessStopped,
                (_, Some(linuxkit_yaml::Restart::OnFailure(tries))) => contract::Restart::OnFailure(tries),
            },
            depends_on: Vec::new(),
            health,
            critical: entry.critical.or(label.critical).unwrap_or(false),
            stop: stop(&input),
        },
        filter: listed.then(|| seccomp::filter(arch, &config.process.capabilities.bounding)),
        user: user.filter(|user| !given && !matches!(user.as_str(), "" | "0" | "root" | "0:0" | "root:root")),
    })
}

/// How a service's health is checked; nothing else runs for long enough to have any.
fn health(input: &Input<'_>) -> Result<Option<contract::Health>, Box<Diagnostic>> {
    if input.section != Section::Services {
        return Ok(None);
    }
    let (entry, label) = (&input.entry.config.healthcheck, &input.label.healthcheck);
    let written = [entry, label].into_iter().flatten().map(|check| &check.value);
    let said: Vec<&Healthcheck> = written.chain(input.health).collect();
    let at = pick(entry, label).map_or(&input.entry.name.at, |check| &check.at);
    health::compile(&said).map_err(|message| diagnose(input, at, message))
}

/// How a container is made to end. What the image calls a signal and is none counts for nothing, as ever.
fn stop(input: &Input<'_>) -> contract::Stop {
    let (entry, label) = (&input.entry.config, input.label);
    let default = contract::Stop::default();
    let of_image = || input.image.config().as_ref()?.stop_signal().as_ref()?.parse().ok();
    let signal = pick(&entry.stop_signal, &label.stop_signal).map(|signal| signal.value.clone()).or_else(of_image);
    let grace = pick(&entry.stop_grace_period, &label.stop_grace_period);
    contract::Stop {
        signal: signal.map_or(default.signal, |signal: Signal| signal.number),
        grace: grace.map_or(default.grace, |period| u64::try_from(period.value.0.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// Choose the entry's value if the key is there, the label's otherwise.
fn pick<'a, T>(entry: &'a Option<T>, label: &'a Option<T>) -> Option<&'a T> {
    entry.as_ref().or(label.as_ref())
}

/// The same for words, of which an empty one says nothing.
fn word<'a>(entry: &'a Option<Spanned<String>>, label: &'a Option<Spanned<String>>) -> &'a str {
    let said =
        |word: &'a Option<Spanned<String>>| word.as_ref().map(|word| word.as_str()).filter(|word| !word.is_empty());
    said(entry).or_else(|| said(label)).unwrap_or_default()
}

/// The same for words by which an empty one takes back what the label says.
fn last(entry: &Option<Spanned<String>>, label: &Option<Spanned<String>>) -> String {
    pick(entry, label).map(|word| word.value.clone()).unwrap_or_default()
}

/// The entry's list; else the label's, followed by what the entry adds.
fn extended<'a>(
    entry: &'a Option<Vec<Spanned<String>>>,
    label: &'a Option<Vec<Spanned<String>>>,
    add: &'a Option<Vec<Spanned<String>>>,
) -> Vec<&'a Spanned<String>> {
    match entry {
        Some(list) => list.iter().collect(),
        None => label.iter().chain(add).flatten().collect(),
    }
}

/// Point at a place of the manifest; at the container's name if the place is in a label.
fn diagnose(input: &Input<'_>, at: &Position, message: impl std::fmt::Display) -> Box<Diagnostic> {
    let own = at.line > 0 && at.file == input.entry.name.at.file;
    let message = if own {
        message.to_string()
    } else {
        format!("{message} (in the label org.mobyproject.config of `{}`)", *input.entry.image)
    };
    Box::new(input.manifest.diagnose(if own { at } else { &input.entry.name.at }, message))
}

/// What runs, as whom, with which rights.
fn process(input: &Input<'_>, problems: &mut Vec<Diagnostic>) -> spec::Process {
    let (entry, label) = (&input.entry.config, input.label);
    let image = input.image.config().as_ref();
    let from_image = || {
        let entrypoint = image.and_then(|config| config.entrypoint().clone()).unwrap_or_default();
        let command = image.and_then(|config| config.cmd().clone()).unwrap_or_default();
        [entrypoint, command].concat()
    };
    let args = pick(&entry.command, &label.command).cloned().unwrap_or_else(from_image);
    let confinement = input.confinement();
    let cwd = Some(word(&entry.cwd, &label.cwd)).filter(|cwd| !cwd.is_empty()).map(str::to_owned);
    let working_dir = || image.and_then(|config| config.working_dir().clone()).filter(|folder| !folder.is_empty());
    spec::Process {
        user: user(input, problems),
        args,
        env: pick(&entry.env, &label.env)
            .cloned()
            .or_else(|| image.and_then(|config| config.env().clone()))
            .unwrap_or_default(),
        cwd: cwd.or_else(working_dir).unwrap_or_else(|| "/".to_owned()),
        capabilities: keep(problems, capability_sets(input)).unwrap_or_default(),
        rlimits: rlimit_list(input, problems),
        no_new_privileges: *confinement
            .pick(&entry.no_new_privileges, &label.no_new_privileges)
            .unwrap_or(&confinement.no_new_privileges()),
        oom_score_adj: entry.oom_score_adj.or(label.oom_score_adj),
    }
}

/// As whom the process runs; what the image says is added when its layers are here.
fn user(input: &Input<'_>, problems: &mut Vec<Diagnostic>) -> spec::User {
    let (entry, label) = (&input.entry.config, input.label);
    let mut number = |id: Option<&Spanned<Id>>| {
        let at = id.map_or(&input.entry.name.at, |id| &id.at);
        let number = input.ids.number(id.map(|id| &id.value)).map_err(|error| diagnose(input, at, error));
        keep(problems, number).unwrap_or_default()
    };
    let groups = pick(&entry.additional_gids, &label.additional_gids);
    spec::User {
        uid: number(pick(&entry.uid, &label.uid)),
        gid: number(pick(&entry.gid, &label.gid)),
        additional_gids: groups.into_iter().flatten().map(|group| number(Some(group))).collect(),
    }
}

/// The five sets.
fn capability_sets(input: &Input<'_>) -> Result<capabilities::Sets, Box<Diagnostic>> {
    let (entry, label) = (&input.entry.config, input.label);
    if input.confinement() == Confinement::Privileged && entry.capabilities.is_none() {
        return Ok(capabilities::Sets::all());
    }
    let list = extended(&entry.capabilities, &label.capabilities, &entry.capabilities_add);
    let ambient: Vec<&Spanned<String>> = pick(&entry.ambient, &label.ambient).into_iter().flatten().collect();
    let texts = |list: &[&Spanned<String>]| list.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    capabilities::sets(&texts(&list), &texts(&ambient)).map_err(|error| {
        let name = match &error {
            capabilities::CapabilityError::Unknown(name) | capabilities::CapabilityError::NotAlone(name) => name,
        };
        let at = list.iter().chain(&ambient).find(|entry| entry.value == *name).map(|entry| &entry.at);
        diagnose(input, at.unwrap_or(&input.entry.name.at), error)
    })
}

/// The resource limits.
fn rlimit_list(input: &Input<'_>, problems: &mut Vec<Diagnostic>) -> Vec<rlimits::Rlimit> {
    let list = pick(&input.entry.config.rlimits, &input.label.rlimits).into_iter().flatten();
    let parsed = |text: &Spanned<String>| rlimits::parse(text).map_err(|error| diagnose(input, &text.at, error));
    list.filter_map(|text| keep(problems, parsed(text))).collect()
}

/// The mounts inside the container.
fn mounts(input: &Input<'_>, readonly: bool, problems: &mut Vec<Diagnostic>) -> Vec<spec::Mount> {
    let (entry, label) = (&input.entry.config, input.label);
    let mut mounts = Mounts::defaults(readonly);
    input.confinement().shape(&mut mounts);
    for text in pick(&entry.tmpfs, &label.tmpfs).into_iter().flatten() {
        keep(problems, mounts.tmpfs(text).map_err(|error| diagnose(input, &text.at, error)));
    }
    // What a label binds is a path of the host, even if it does not begin with `/`: an image knows no volumes.
    let theirs = label.binds.iter().flatten().filter(|_| entry.binds.is_none());
    for text in theirs {
        keep(problems, mounts.bind(text).map_err(|error| diagnose(input, &text.at, error)));
    }
    for text in entry.binds.as_ref().or(entry.binds_add.as_ref()).into_iter().flatten() {
        let Some(bind) = keep(problems, with_volume(input, text)) else { continue };
        keep(problems, mounts.bind(&bind).map_err(|error| diagnose(input, &text.at, error)));
    }
    for mount in pick(&entry.mounts, &label.mounts).into_iter().flatten() {
        let Some(made) = keep(problems, one_mount(input, mount)) else { continue };
        keep(problems, mounts.mount(made).map_err(|error| diagnose(input, &mount.at, error)));
    }
    host_files(input, mounts).into_vec()
}

/// One entry of `mounts`.
fn one_mount(input: &Input<'_>, mount: &Spanned<linuxkit_yaml::Mount>) -> Result<spec::Mount, Box<Diagnostic>> {
    let text = |word: &Option<Spanned<String>>| word.as_ref().map(|word| word.value.clone()).unwrap_or_default();
    let (kind, mut source) = (text(&mount.kind), text(&mount.source));
    if kind == "bind" && source.is_empty() {
        let message = "a mount of type `bind` needs a `source`: a path of the host, or the name of a volume";
        return Err(diagnose(input, &mount.at, message));
    }
    if kind == "bind" && input.entry.config.mounts.is_some() {
        let words: Vec<&str> = mount.options.iter().flatten().map(String::as_str).collect();
        let at = mount.source.as_ref().map_or(&mount.at, |source| &source.at);
        // LinuxKit checks the name and leaves it as it is, and then nothing is mounted.
        source = volume_path(input, at, &source, &words)?;
    }
    let made = spec::Mount {
        destination: text(&mount.destination),
        kind,
        source,
        options: mount.options.clone().unwrap_or_default(),
        uid_mappings: ranges(mount.uidmappings.as_ref()),
        gid_mappings: ranges(mount.gidmappings.as_ref()),
    };
    let mapped = !made.uid_mappings.is_empty() || !made.gid_mappings.is_empty();
    if mapped && input.layout == Layout::Native {
        let message = "hullkit's init cannot map the ids of a mount: map those of the container by `uidMappings`";
        return Err(diagnose(input, &mount.at, message));
    }
    Ok(made)
}

/// Put the path of a volume into a bind that names one.
fn with_volume(input: &Input<'_>, text: &Spanned<String>) -> Result<String, Box<Diagnostic>> {
    let parts: Vec<&str> = text.split(':').collect();
    let ([source, ..], true) = (&parts[..], (2..=3).contains(&parts.len())) else { return Ok(text.value.clone()) };
    let mut words: Vec<&str> = parts.get(2).into_iter().flat_map(|words| words.split(',')).collect();
    if input.layout == Layout::Linuxkit && words.len() > 1 {
        // LinuxKit knows a read-only bind by its options being this one word.
        words.retain(|word| *word != "ro");
    }
    let path = volume_path(input, &text.at, source, &words)?;
    Ok([&[path.as_str()], &parts[1..]].concat().join(":"))
}

/// Find what the source of a bind means.
fn volume_path(input: &Input<'_>, at: &Position, source: &str, words: &[&str]) -> Result<String, Box<Diagnostic>> {
    volumes::source(input.manifest, source, words).map_err(|problem| {
        let diagnostic = input.manifest.diagnose(at, problem.to_string());
        Box::new(problem.explain(diagnostic))
    })
}

/// Let a container that shares the host's network see the host's name servers.
fn host_files(input: &Input<'_>, mut mounts: Mounts) -> Mounts {
    let shares = matches!(word(&input.entry.config.net, &input.label.net), "" | "host" | "root");
    let wanted = shares && input.layout == Layout::Native;
    if wanted && !mounts.has("/etc/resolv.conf") && !mounts.has("/etc") {
        mounts.put(spec::Mount {
            destination: "/etc/resolv.conf".to_owned(),
            kind: "bind".to_owned(),
            source: contract::RESOLV_CONF.to_owned(),
            options: ["ro", "bind"].map(str::to_owned).to_vec(),
            ..spec::Mount::default()
        });
    }
    mounts
}

/// Translate ranges of ids.
fn ranges(list: Option<&Vec<linuxkit_yaml::IdMapping>>) -> Vec<spec::IdMapping> {
    let one = |range: &linuxkit_yaml::IdMapping| spec::IdMapping {
        container_id: range.container_id,
        host_id: range.host_id,
        size: range.size,
    };
    list.into_iter().flatten().map(one).collect()
}

/// Namespaces, devices, limits.
fn linux(input: &Input<'_>, problems: &mut Vec<Diagnostic>) -> spec::Linux {
    let (entry, label) = (&input.entry.config, input.label);
    let mappings = |entry, label| ranges(pick(entry, label));
    for (key, value) in [("pid", &entry.pid), ("ipc", &entry.ipc), ("uts", &entry.uts), ("userns", &entry.userns)] {
        // LinuxKit takes the word for a path; its layout says what LinuxKit would.
        let wrong = value.as_ref().filter(|word| word.value == "none" && input.layout == Layout::Native);
        if let Some(word) = wrong {
            let message =
                format!("`none` is not a choice for `{key}`: write `host`, `new`, or the path of a namespace");
            problems.push(*diagnose(input, &word.at, message));
        }
    }
    if let Some(word) = input.entry.seccomp.as_ref().filter(|_| input.layout == Layout::Linuxkit) {
        let message = "LinuxKit's init applies no list of system calls: leave `seccomp` out, or use Hullkit's init";
        problems.push(*diagnose(input, &word.at, message));
    }
    let (devices, rules) = devices(input, problems);
    let confinement = input.confinement();
    let (masked, readonly) = confinement.paths();
    let mut resources = resources::limits(pick(&entry.resources, &label.resources), rules);
    resources.devices.splice(0..0, confinement.devices());
    // A name of its own is what a container with a `hostname` wants; LinuxKit's would fail to start without `uts: new`.
    let named = input.layout == Layout::Native && !word(&entry.hostname, &label.hostname).is_empty();
    let uts = Some(word(&entry.uts, &label.uts)).filter(|uts| !uts.is_empty() || !named).unwrap_or("new");
    spec::Linux {
        uid_mappings: mappings(&entry.uid_mappings, &label.uid_mappings),
        gid_mappings: mappings(&entry.gid_mappings, &label.gid_mappings),
        sysctl: pick(&entry.sysctl, &label.sysctl).cloned().unwrap_or_default(),
        resources,
        cgroups_path: last(&entry.cgroups_path, &label.cgroups_path),
        namespaces: spec::namespaces(
            word(&entry.net, &label.net),
            word(&entry.ipc, &label.ipc),
            uts,
            word(&entry.pid, &label.pid),
            word(&entry.userns, &label.userns),
        ),
        devices,
        rootfs_propagation: last(&entry.rootfs_propagation, &label.rootfs_propagation),
        masked_paths: confinement.pick(&entry.masked_paths, &label.masked_paths).cloned().unwrap_or(masked),
        readonly_paths: confinement.pick(&entry.readonly_paths, &label.readonly_paths).cloned().unwrap_or(readonly),
    }
}

/// Device nodes, and the cgroup rules that let the container open them.
fn devices(input: &Input<'_>, problems: &mut Vec<Diagnostic>) -> (Vec<spec::Device>, Vec<Rule>) {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for device in pick(&input.entry.config.devices, &input.label.devices).into_iter().flatten() {
        let text = |word: &Option<Spanned<String>>| word.as_ref().map(|word| word.value.clone()).unwrap_or_default();
        let (path, kind) = (text(&device.path), text(&device.kind));
        if path == "all" {
            rules.push(Rule { allow: true, kind, access: "rwm".to_owned(), ..Rule::default() });
            continue;
        }
        let (major, minor) = (device.major.unwrap_or(0), device.minor.unwrap_or(0));
        let Some(mode) = device.mode.as_ref().filter(|mode| !mode.text.is_empty()) else {
            let message = format!("the device `{path}` needs a `mode`, as in mode: \"0666\"");
            problems.push(*diagnose(input, &device.at, message));
            continue;
        };
        let (access, kind_of_rule) = ("rwm".to_owned(), kind.clone());
        rules.push(Rule { allow: true, kind: kind_of_rule, major: Some(major), minor: Some(minor), access });
        nodes.push(spec::Device { path, kind, major, minor, file_mode: mode.bits });
    }
    (nodes, rules)
}

/// What init does around the container; every sub-key is the entry's if it is there, the label's otherwise.
pub(super) fn runtime(input: &Input<'_>) -> Runtime {
    let none = linuxkit_yaml::Runtime::default();
    let entry = input.entry.config.runtime.as_ref().unwrap_or(&none);
    let label = input.label.runtime.as_ref().unwrap_or(&none);
    let text = |word: &Option<Spanned<String>>| word.as_ref().map(|word| word.value.clone()).unwrap_or_default();
    let mount = |mount: &Spanned<linuxkit_yaml::Mount>| spec::Mount {
        destination: text(&mount.destination),
        kind: text(&mount.kind),
        source: text(&mount.source),
        options: mount.options.clone().unwrap_or_default(),
        uid_mappings: ranges(mount.uidmappings.as_ref()),
        gid_mappings: ranges(mount.gidmappings.as_ref()),
    };
    let interface = |one: &linuxkit_yaml::RuntimeInterface| Interface {
        name: text(&one.name),
        add: text(&one.add),
        peer: text(&one.peer),
        create_in_root: one.create_in_root.unwrap_or(false),
    };
    let no_binds = linuxkit_yaml::BindNs::default();
    let (own, theirs) = (entry.bind_ns.as_ref().unwrap_or(&no_binds), label.bind_ns.as_ref().unwrap_or(&no_binds));
    let path = |own: &Option<String>, theirs| pick(own, theirs).cloned().unwrap_or_default();
    Runtime {
        cgroups: pick(&entry.cgroups, &label.cgroups).cloned().unwrap_or_default(),
        mounts: pick(&entry.mounts, &label.mounts).into_iter().flatten().map(mount).collect(),
        mkdir: pick(&entry.mkdir, &label.mkdir).cloned().unwrap_or_default(),
        interfaces: pick(&entry.interfaces, &label.interfaces).into_iter().flatten().map(interface).collect(),
        bind_ns: BindNs {
            cgroup: path(&own.cgroup, &theirs.cgroup),
            ipc: path(&own.ipc, &theirs.ipc),
            mnt: path(&own.mnt, &theirs.mnt),
            net: path(&own.net, &theirs.net),
            pid: path(&own.pid, &theirs.pid),
            user: path(&own.user, &theirs.user),
            uts: path(&own.uts, &theirs.uts),
        },
        namespace: pick(&entry.namespace, &label.namespace).map(|name| name.value.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
        "config":{"Cmd":["x"],"StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD","probe"],"Interval":1000000000}}}"#;

    /// Compile the first container of a section. In: `confined`, whether it is for a manifest of Hullkit's own.
    fn compile_one(section: Section, keys: &str, label: &str, confined: bool) -> Compiled {
        let text = format!("{}: [{{name: a, image: b{keys}}}]", section.key());
        let manifest = linuxkit_yaml::parse(text, "a.yml").unwrap();
        let image = ImageConfiguration::from_reader(IMAGE.as_bytes()).unwrap();
        let label = linuxkit_yaml::parse_label(label, "b").unwrap();
        let (ids, health) = (Ids::of(&manifest), health::of_image(IMAGE.as_bytes()));
        let (_, entry) = manifest.containers().next().unwrap();
        let (manifest, ids, label, image) = (&manifest, &ids, &label, &image);
        let (layout, health) = (Layout::Native, health.as_ref());
        let input = Input { layout, manifest, ids, section, entry, label, image, health, confined };
        compile(input, "/x", Arch::Amd64).unwrap()
    }

    fn compiled(section: Section, keys: &str) -> contract::Container {
        compile_one(section, keys, "", true).container
    }

    /// How far a container is confined: a list of calls, no new privileges, hidden and read-only paths, options of `/sys`,
    /// capabilities, device rules.
    fn confinement(keys: &str, label: &str, confined: bool) -> (bool, bool, usize, usize, bool, usize, usize) {
        let compiled = compile_one(Section::Services, keys, label, confined);
        let json = serde_json::to_value(&compiled.container.spec).unwrap();
        let count = |pointer| json.pointer(pointer).and_then(|list| list.as_array()).map_or(0, Vec::len);
        let mounts = compiled.container.spec.mounts().clone().unwrap();
        let sys = mounts.iter().find(|mount| mount.destination().as_os_str() == "/sys").unwrap();
        (
            compiled.filter.is_some(),
            json.pointer("/process/noNewPrivileges") == Some(&true.into()),
            count("/linux/maskedPaths"),
            count("/linux/readonlyPaths"),
            sys.options().clone().unwrap().contains(&"ro".to_owned()),
            count("/process/capabilities/bounding"),
            count("/linux/resources/devices"),
        )
    }

    #[test]
    fn a_container_is_confined_as_docker_does_it_unless_the_manifest_says_otherwise() {
        let label = r#"{"capabilities":["CAP_CHOWN"],"maskedPaths":["/x"],"noNewPrivileges":false}"#;
        for (keys, label, confined, want) in [
            ("", "", true, (true, true, 12, 5, true, 0, 0)),
            ("", label, true, (true, false, 1, 5, true, 1, 0)),
            (
                ", maskedPaths: [], readonlyPaths: [/a], noNewPrivileges: false",
                "",
                true,
                (true, false, 0, 1, true, 0, 0),
            ),
            (", seccomp: unconfined", "", true, (false, true, 12, 5, true, 0, 0)),
            (", security: privileged", label, true, (false, false, 0, 0, false, 41, 1)),
            (
                ", security: privileged, seccomp: default, capabilities: [CAP_KILL]",
                "",
                true,
                (true, false, 0, 0, false, 1, 1),
            ),
            ("", "", false, (false, false, 0, 0, false, 0, 0)),
            (", seccomp: default", "", false, (true, false, 0, 0, false, 0, 0)),
            (", security: default", "", false, (true, true, 12, 5, true, 0, 0)),
        ] {
            assert_eq!(confinement(keys, label, confined), want, "{keys} {label} {confined}");
        }
    }

    #[test]
    fn the_image_says_how_its_service_is_stopped_and_watched_unless_the_manifest_does() {
        let plain = compiled(Section::Services, "");
        assert_eq!(plain.stop, contract::Stop { signal: 3, grace: 10_000 });
        let health = plain.health.unwrap();
        assert_eq!((health.probe, health.interval), (contract::Probe::Exec(vec!["probe".to_owned()]), 1000));
        let own = compiled(
            Section::Services,
            ", stop_signal: SIGRTMIN+3, stop_grace_period: 1.5s, healthcheck: {disable: true}, critical: true",
        );
        assert_eq!(own.stop, contract::Stop { signal: 37, grace: 1500 });
        assert_eq!((own.health, own.critical), (None, true));
        assert_eq!(compiled(Section::Onboot, "").health, None);
    }
}
