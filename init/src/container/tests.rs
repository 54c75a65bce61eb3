use super::*;

#[test]
fn a_report_is_one_line_of_json() {
    assert_eq!(serde_json::to_string(&Report::Pid(42)).unwrap(), r#"{"pid":42}"#);
    let back: Report = serde_json::from_str(r#"{"error":"no `x`"}"#).unwrap();
    assert_eq!(back, Report::Error("no `x`".to_owned()));
}

#[test]
fn a_cause_that_repeats_its_error_is_said_once() {
    let cause = std::io::Error::other("no such thing");
    let error = StartError::File { path: "/x".into(), cause };
    assert_eq!(chain(&error), "could not prepare `/x`: no such thing");
}

#[test]
fn a_name_with_a_slash_is_refused() {
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert!(Bundle::new(Section::Services, name).is_err(), "{name:?}");
    }
}
