//! The report for machines: one JSON object.

use serde_json::{Map, Value, json};

use super::finding::Finding;
use super::report::Report;

pub(crate) fn of(report: &Report) -> Value {
    let steps: Vec<Value> = report.findings().map(step).collect();
    json!({ "demo": report.is_demo, "healthy": report.is_healthy(), "steps": steps })
}

fn step(finding: &Finding) -> Value {
    let facts: Map<String, Value> =
        finding.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "step": finding.step.as_str(),
        "mark": finding.mark.as_str(),
        "summary": finding.summary,
        "facts": facts,
        "notes": finding.notes,
        "meaning": finding.advice.as_ref().map(|advice| &advice.meaning),
        "remedy": finding.advice.as_ref().map(|advice| &advice.remedy),
    })
}
