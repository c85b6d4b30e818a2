//! The command line.

use std::ffi::OsString;

use super::doctor::arguments::{Arguments, Subject, USAGE};
use super::doctor::demo::Fault;

fn parse(arguments: &[&str]) -> Result<Arguments, String> {
    Arguments::parse(arguments.iter().map(OsString::from))
}

#[test]
fn a_path_a_demo_and_the_form_are_understood() {
    let subject = |arguments: &[&str]| parse(arguments).unwrap().subject;
    assert_eq!(subject(&[]), Subject::Found);
    assert_eq!(subject(&["a.json"]), Subject::File("a.json".into()));
    assert_eq!(subject(&["--demo"]), Subject::Demo(None));
    assert_eq!(subject(&["--help"]), Subject::Help);
    assert!(parse(&["--json", "--demo"]).unwrap().json);
    for (name, fault) in Fault::ALL {
        assert_eq!(subject(&[&format!("--demo={name}")]), Subject::Demo(Some(fault)));
        assert!(USAGE.contains(name), "{name}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for arguments in [&["--demo=nothing"][..], &["--jsn"], &["a.json", "b.json"], &["--demo", "a.json"]] {
        parse(arguments).unwrap_err();
    }
}
