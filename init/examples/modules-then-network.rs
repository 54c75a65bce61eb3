//! The two halves of a boot that meet hardware, and nothing else: modules, then the network, as process 1 of a throwaway
//! initrd. Events go to the console.

use std::io::Write;
use std::path::Path;

use hullkit_init::contract::{Contract, Interface, MODULES_PATH};
use hullkit_init::early::modules::{Loader, Report};
use rustix::mount::{MountFlags, mount};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut out = std::io::stdout();
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        if let Err(cause) = mount(kind, at, kind, MountFlags::empty(), c"") {
            let _ = writeln!(out, "mount {at}: {cause}");
        }
    }
    let before = clock_gettime(ClockId::Boottime);
    match Loader::open(Path::new(MODULES_PATH)) {
        Ok(Some(mut loader)) => {
            let mut report = Report::default();
            loader.load_all(&[], &mut report);
            let _ = writeln!(out, "{report:?}");
        }
        Ok(None) => drop(writeln!(out, "no modules")),
        Err(cause) => drop(writeln!(out, "{cause}")),
    }
    let after = clock_gettime(ClockId::Boottime);
    let _ = writeln!(out, "modules from {before:?} to {after:?}");
    let rule = Interface { id: "all".to_owned(), dhcp: true, accept_ra: true, ..Interface::default() };
    let contract = Contract { network: vec![rule], ..Contract::default() };
    let ended = hullkit_init::network::run(&contract, Stamped(out));
    let _ = writeln!(std::io::stdout(), "{ended:?}");
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

/// Puts the time since the kernel started before every write.
struct Stamped(std::io::Stdout);

impl Write for Stamped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let now = clock_gettime(ClockId::Boottime);
        write!(self.0, "[{}.{:03}] ", now.tv_sec, now.tv_nsec / 1_000_000)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
