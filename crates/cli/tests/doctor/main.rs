//! `idaas doctor`: which step each fault is found at, what is advised, and that no secret is shown.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod connection;
mod faults;
mod methods;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../tests/support/proxy.rs"]
mod proxy;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../tests/support/raw.rs"]
mod raw;

/// The program's own modules: a program cannot be linked to.
#[path = "../../src/doctor/mod.rs"]
#[allow(dead_code)]
mod doctor;
#[path = "../../src/input.rs"]
#[allow(dead_code)]
mod input;

use doctor::demo::Demo;
use doctor::finding::{Finding, Mark, Step};
use doctor::report::Report;
use doctor::{json, text};

fn finding(report: &Report, step: Step) -> &Finding {
    report.findings().find(|finding| finding.step == step).unwrap()
}

fn fact<'a>(report: &'a Report, step: Step, name: &str) -> &'a str {
    let finding = finding(report, step);
    let found = finding.facts.iter().find(|(known, _)| *known == name);
    &found.unwrap_or_else(|| panic!("no `{name}` in {finding:?}")).1
}

/// This step failed and no other, and the advice holds the text.
fn assert_fails(report: &Report, step: Step, advised: &str) {
    let failed: Vec<Step> = report
        .findings()
        .filter(|finding| finding.mark == Mark::Failed)
        .map(|finding| finding.step)
        .collect();
    assert_eq!(failed, [step], "{report:#?}");
    let advice = finding(report, step).advice.as_ref().unwrap();
    let advice = format!("{} {}", advice.meaning, advice.remedy);
    assert!(advice.contains(advised), "no `{advised}` in {advice}");
    assert!(!report.is_healthy());
}

/// The DeveloperAPI aside, which most configurations do not name.
fn assert_skipped(report: &Report, steps: &[Step]) {
    let skipped: Vec<Step> = report
        .findings()
        .filter(|finding| finding.mark == Mark::Skipped && finding.step != Step::DeveloperApi)
        .map(|finding| finding.step)
        .collect();
    assert_eq!(skipped, steps, "{report:#?}");
}

/// Every step went well, the DeveloperAPI aside.
fn assert_all_ok(report: &Report) {
    let mut findings = report.findings().filter(|finding| finding.step != Step::DeveloperApi);
    assert!(findings.all(|finding| finding.mark == Mark::Ok), "{report:#?}");
}

/// What the program would print, in the form for people.
fn as_text(report: &Report, colours: bool) -> String {
    let findings = report.findings().map(|finding| text::finding(finding, colours)).collect::<String>();
    text::head(report.is_demo) + &findings + text::verdict(report)
}

/// Everything that the program would print, in both forms.
fn printed(report: &Report) -> String {
    let json = json::of(report).to_string();
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["healthy"], report.is_healthy());
    assert_eq!(read["demo"], report.is_demo);
    let steps: Vec<&str> =
        read["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, Step::ALL.map(Step::as_str), "each step once, in their order");
    format!("{}{json}", as_text(report, true))
}

/// Neither secret nor key nor any token.
fn assert_holds_no_secret(report: &Report, demo: &Demo) {
    let printed = printed(report);
    let (secret, key) = (demo.server.secret(), demo.server.private_key_pem());
    let key_lines = key.expose_secret().lines().filter(|line| !line.starts_with("-----"));
    for secret in key_lines.chain([secret.expose_secret(), "marker-of", "PRIVATE KEY", "eyJ"]) {
        assert!(!printed.contains(secret), "`{secret}` in {printed}");
    }
}
