//! Machines that run on their own: started, listed, looked at, ended and forgotten by name.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::DirBuilderExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::process::{Command, Output, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};
    use serde_json::Value;
    use tempfile::TempDir;

    use qemu_tests::place::Place;

    /// How long anything here may take; a busy machine emulates slowly.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A disk whose boot sector writes `!` on the serial port for ever.
    ///
    /// `mov dx, 0x3f8; mov al, '!'; out dx, al; jmp -3`
    fn disk(folder: &Path) {
        let mut bytes = vec![0; 1 << 20];
        bytes[..8].copy_from_slice(b"\xba\xf8\x03\xb0!\xee\xeb\xfd");
        bytes[510..512].copy_from_slice(b"\x55\xaa");
        fs::write(folder.join("loud.raw"), bytes).expect("a writable folder");
    }

    fn hullkit(folder: &TempDir, words: &[&str]) -> Output {
        let place = Place::find().expect("cargo's folders");
        let mut command = Command::new(&place.hullkit);
        command.current_dir(folder.path()).args(words).stdin(Stdio::null());
        command.env("XDG_RUNTIME_DIR", folder.path().join("run")).env("HULLKIT_CACHE", &place.cache);
        command.output().expect("a program; `cargo build` makes it")
    }

    fn done(folder: &TempDir, words: &[&str]) -> String {
        let output = hullkit(folder, words);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        said
    }

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::DirBuilder::new().mode(0o700).create(folder.path().join("run")).expect("a folder");
        disk(folder.path());
        folder
    }

    fn run(folder: &TempDir) {
        done(
            folder,
            &["run", "loud.raw", "--accel", "tcg", "--arch", "amd64", "--mem", "16", "--detach", "--name", "loud"],
        );
    }

    fn listed(folder: &TempDir) -> Value {
        serde_json::from_str(&done(folder, &["ps", "--json"])).expect("JSON")
    }

    #[test]
    fn a_machine_goes_on_without_a_terminal_until_it_is_stopped() {
        let folder = folder();
        run(&folder);
        assert_eq!(
            (&listed(&folder)[0]["state"], &listed(&folder)[0]["machine"]["name"]),
            (&"running".into(), &"loud".into())
        );
        let again = hullkit(&folder, &["run", "loud.raw", "--accel", "tcg", "--arch", "amd64", "-d", "--name", "loud"]);
        assert!(String::from_utf8_lossy(&again.stderr).contains("a machine of this name runs already"), "{again:?}");
        let mut console = UnixStream::connect(folder.path().join("run/hullkit/loud.console")).expect("a console");
        console.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        console.read_exact(&mut [0; 16]).expect("what the guest writes");
        let refused = hullkit(&folder, &["rm", "loud"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("it runs; `hullkit stop` ends it"), "{refused:?}");
        done(&folder, &["stop", "--now", "loud"]);
        assert_eq!(listed(&folder)[0]["state"], "ended");
        assert!(done(&folder, &["ps"]).contains("loud.raw: the guest was ended after"));
        done(&folder, &["rm", "loud"]);
        assert_eq!(listed(&folder), Value::Array(Vec::new()));
    }

    #[test]
    fn a_machine_dies_with_who_runs_it_and_is_lost() {
        let folder = folder();
        run(&folder);
        let pid = listed(&folder)[0]["machine"]["pid"].as_i64().expect("a process");
        let qemu = children(pid);
        assert!(!qemu.is_empty(), "{pid} has no children");
        let process = |pid: i32| Pid::from_raw(pid).expect("a number");
        kill_process(process(i32::try_from(pid).expect("a number")), Signal::KILL).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        while qemu.iter().any(|pid| test_kill_process(process(*pid)).is_ok()) {
            assert!(Instant::now() < deadline, "QEMU goes on");
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(listed(&folder)[0]["state"], "lost");
        run(&folder);
        done(&folder, &["rm", "--force", "loud"]);
        assert_eq!(listed(&folder), Value::Array(Vec::new()));
    }

    /// A kernel for RISC-V that writes a line through the firmware (SBI) and has it switch off.
    const RISCV: [u32; 14] = [
        0x0000_0417, // auipc s0, 0
        0x0384_0413, // addi s0, s0, 56: what is behind the program
        0x0004_4503, // lbu a0, (s0)
        0x0005_0a63, // beqz a0, +20
        0x0010_0893, // li a7, 1: console putchar
        0x0000_0073, // ecall
        0x0014_0413, // addi s0, s0, 1
        0xfedf_f06f, // j -20
        0x5352_58b7, // lui a7, 0x53525
        0x3548_8893, // addi a7, a7, 0x354: system reset
        0x0000_0813, // li a6, 0
        0x0000_0513, // li a0, 0: shutdown
        0x0000_0593, // li a1, 0
        0x0000_0073, // ecall
    ];

    #[test]
    fn a_kernel_for_riscv64_boots_by_its_firmware_and_switches_off() {
        let folder = folder();
        let mut kernel: Vec<u8> = RISCV.iter().flat_map(|word| word.to_le_bytes()).collect();
        kernel.extend_from_slice(b"riscv64 was here\n\0");
        for (name, bytes) in [("far-kernel", &kernel[..]), ("far-initrd.img", &[0; 512]), ("far-cmdline", b"quiet")] {
            fs::write(folder.path().join(name), bytes).expect("a writable folder");
        }
        let run = |what, more: &[&str]| {
            hullkit(&folder, &[&["run", what, "--arch", "riscv64", "--mem", "128"], more].concat())
        };
        let said = run("far", &["--timeout", "60"]);
        let console = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && console.contains("riscv64 was here"), "{said:?}");
        assert!(console.contains("OpenSBI"), "{console}");
        fs::write(folder.path().join("far.yml"), "kernel: {image: none}\n").expect("a writable folder");
        for (what, want) in
            [("far.yml", "`hullkit build` has no init for riscv64"), ("loud.raw", "no firmware for riscv64")]
        {
            let said = run(what, &[]);
            let text = String::from_utf8_lossy(&said.stderr);
            assert!(said.status.code() == Some(1) && text.contains(want), "{text}");
        }
    }

    /// Every child of every thread of a process.
    fn children(pid: i64) -> Vec<i32> {
        #[expect(clippy::disallowed_methods, reason = "the order does not matter")]
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
            .collect()
    }
}
