//! The report for people, in the order in which it is printed: head, findings, verdict.

use std::fmt::Write;
use std::io::IsTerminal;

use super::finding::{Finding, Mark};
use super::report::Report;

const DEMO: &str =
    "  A demonstration: an IDaaS in this process, and a configuration and variables made for it.
  Your configuration was not examined.

";
const RESET: &str = "\x1b[0m";

/// <https://no-color.org>: any value but an empty one. A terminal that calls itself dumb has none.
pub(crate) fn colours_wanted(stream: &impl IsTerminal) -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_off && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

pub(crate) fn head(is_demo: bool) -> String {
    format!("tower-idaas doctor\n\n{}", if is_demo { DEMO } else { "" })
}

pub(crate) fn finding(finding: &Finding, colours: bool) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = write(&mut text, finding, colours);
    text
}

pub(crate) fn verdict(report: &Report) -> &'static str {
    match (report.is_healthy(), report.has_token()) {
        (true, _) => "\nA token is issued.\n",
        (false, true) => "\nA token is issued, but a step has failed.\n",
        (false, false) => {
            "\nNo token is issued. Correct the first failure; the later ones may follow from it.\n"
        }
    }
}

fn write(text: &mut String, finding: &Finding, colours: bool) -> std::fmt::Result {
    let (on, off) = if colours { (colour(finding.mark), RESET) } else { ("", "") };
    let (mark, step) = (finding.mark.as_str(), finding.step.as_str());
    writeln!(text, "  {on}{mark:<8}{off} {step:<11} {}", finding.summary)?;
    let width = finding.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in &finding.facts {
        writeln!(text, "{:23}{name:<width$}  {value}", "")?;
    }
    for note in &finding.notes {
        writeln!(text, "{:23}- {note}", "")?;
    }
    if let Some(advice) = &finding.advice {
        writeln!(text, "\n{:11}what it means: {}", "", advice.meaning)?;
        writeln!(text, "{:11}what to do:    {}\n", "", advice.remedy)?;
    }
    Ok(())
}

fn colour(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "\x1b[32m",
        Mark::Warning => "\x1b[33m",
        Mark::Failed => "\x1b[1;31m",
        Mark::Skipped => "\x1b[2m",
    }
}
