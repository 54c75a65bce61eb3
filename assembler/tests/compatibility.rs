//! `docs/compatibility.md` has a row for every trap of LinuxKit's, and what a row names as its proof is there.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// How many traps there are.
    const TRAPS: usize = 61;

    /// Folders of cases, below the repository.
    const CASES: [&str; 2] = ["assembler/tests/linuxkit/cases", "qemu-tests/cases"];

    /// Folders with test functions.
    const SOURCES: [&str; 4] = ["assembler", "init", "linuxkit-yaml", "qemu-tests"];

    fn sources(folder: &Path, text: &mut String) {
        #[expect(clippy::disallowed_methods, reason = "only searched")]
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_trap_has_a_row_and_every_row_a_proof() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let page = fs::read_to_string(root.join("docs/compatibility.md")).unwrap();
        let mut text = String::new();
        SOURCES.iter().for_each(|folder| sources(&root.join(folder), &mut text));
        let rows: Vec<Vec<&str>> = page
            .lines()
            .map(|line| line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect())
            .filter(|cells: &Vec<&str>| cells[0].parse::<usize>().is_ok())
            .collect();
        let numbers: Vec<usize> = rows.iter().map(|cells| cells[0].parse().unwrap()).collect();
        assert_eq!(numbers, (1..=TRAPS).collect::<Vec<_>>());
        let mut missing = Vec::new();
        for cells in rows {
            let [number, _, state, .., proofs] = cells.as_slice() else { panic!("{cells:?}") };
            let proofs: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
            let wanted = matches!(*state, "same" | "better");
            assert_eq!(wanted, !proofs.is_empty(), "row {number} is {state} and names {proofs:?}");
            assert!(wanted || *state == "not yet", "row {number} is {state}");
            let is_there = |proof: &&str| {
                text.contains(&format!("fn {proof}("))
                    || CASES.iter().any(|cases| root.join(cases).join(proof).is_dir())
            };
            missing
                .extend(proofs.into_iter().filter(|proof| !is_there(proof)).map(|proof| format!("{number}: {proof}")));
        }
        assert!(missing.is_empty(), "no such test: {missing:#?}");
    }
}
