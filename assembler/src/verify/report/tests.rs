use std::time::Duration;

use super::*;
use crate::verify::{Done, HostReport, Place, StepResult};

fn verdicts() -> [Verdict; 3] {
    let step = |name: &str, result| Done {
        name: name.into(),
        result,
        took: Duration::from_millis(1500),
        at: Some(Place { file: "web.test.yml".into(), line: 3 }),
    };
    let passed = Verdict {
        cell: "amd64".into(),
        round: 1,
        result: Outcome::Passed,
        cause: None,
        steps: vec![step("all", StepResult::Passed)],
        hosts: vec![HostReport {
            boot_time: Some(Duration::from_millis(2346)),
            size: 12_345_678,
            ..HostReport::default()
        }],
        took: Duration::from_secs(4),
    };
    let failed = Verdict {
        cell: "amd64-bios-raw-virtio".into(),
        result: Outcome::Failed,
        cause: Some("the kernel panicked: <oops> & \"more\"".into()),
        steps: vec![
            step("a", StepResult::Passed),
            step("http", StepResult::Failed("no\nanswer".into())),
            step("b", StepResult::Skipped),
        ],
        hosts: vec![HostReport {
            last_lines: vec!["x\u{1b}[2Jy".into()],
            console: "c.log".into(),
            ..HostReport::default()
        }],
        ..passed.clone()
    };
    [passed, failed, Verdict::unable("arm64", 1, "no QEMU".into())]
}

#[test]
fn a_table_has_a_line_for_each_boot() {
    let text = table(&verdicts());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["amd64", "passed", "1/1", "2.35", "12.3", "MB", "4.00"]
    );
    assert!(lines[2].starts_with("amd64-bios-raw-virtio  failed") && lines[3].contains("unable"), "{text}");
    assert_eq!(counts(&verdicts()), (1, 1, 1));
}

#[test]
fn a_failure_names_step_place_cause_and_last_lines() {
    let text = failure(&verdicts()[1]);
    for want in
        ["FAILED    1.50 s  http: no\nanswer (web.test.yml:3)", "answer; the kernel panicked", "    x?[2Jy", "`c.log`"]
    {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert_eq!(failure(&verdicts()[0]), "");
}

#[test]
fn junit_escapes_what_xml_cannot_hold() {
    let xml = junit("web & co.yml", &verdicts());
    assert!(
        xml.contains("<testsuites name=\"web &amp; co.yml\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\""),
        "{xml}"
    );
    assert!(xml.contains("<failure message=\"no&#10;answer\">the kernel panicked: &lt;oops&gt; &amp; &quot;more&quot;&#10;web.test.yml:3</failure>"));
    assert!(!xml.contains('\u{1b}') && xml.contains("<error message=\"no QEMU\"/>"), "{xml}");
}

#[test]
fn annotations_point_at_the_line() {
    let text = github("web.yml", &verdicts());
    let want =
        "::error file=web.test.yml,line=3,title=amd64-bios-raw-virtio failed::http: no%0Aanswer; the kernel panicked";
    assert!(text.starts_with(want) && text.ends_with("::error file=web.yml,title=arm64 unable::no QEMU\n"), "{text}");
}

#[test]
fn json_is_whole() {
    let value: serde_json::Value = serde_json::from_str(&json("web.yml", &verdicts())).expect("JSON");
    assert_eq!(value["verdicts"][0]["hosts"][0]["boot_time"], 2.346);
    assert_eq!(value["verdicts"][1]["steps"][1]["why"], "no\nanswer");
    assert_eq!(value["counts"]["unable"], 1);
}
