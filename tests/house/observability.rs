//! What `docs/observability.md` lists, the alert rules and the dashboard: they name what the code has.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::documents::{files_in, first_cells, root, text};

/// The strings of this form in the code of the library and the shared store, comments aside.
fn strings_in_source(prefix: &str, is_part: impl Fn(char) -> bool) -> BTreeSet<String> {
    let files = files_in("src", "rs").into_iter().chain(files_in("crates/redis/src", "rs"));
    let mut found = BTreeSet::new();
    for file in files.filter(|file| file.to_str().is_some_and(|path| path.contains("telemetry"))) {
        for line in text(file).lines().filter(|line| !line.trim_start().starts_with("//")) {
            let strings = line.split('"').skip(1).step_by(2);
            let strings = strings.filter(|string| string.starts_with(prefix) && string.chars().all(&is_part));
            found.extend(strings.map(str::to_owned));
        }
    }
    found
}

#[test]
fn the_tables_name_every_event_and_metric_and_no_other() {
    let cells = first_cells(&text("docs/observability.md"));
    let is_metric = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_event = |c: char| is_metric(c) || c == '.';
    let of =
        |prefix: &str| cells.iter().filter(|cell| cell.starts_with(prefix)).cloned().collect::<BTreeSet<_>>();
    let metrics = strings_in_source("idaas_", is_metric);
    assert_eq!(of("idaas_"), metrics);
    assert_eq!(of("idaas."), strings_in_source("idaas.", is_event));

    let alerts = text("docs/samples/alerts.yaml");
    let named = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ").map(str::to_owned));
    let named: BTreeSet<String> = named.collect();
    assert_eq!(
        cells.iter().filter(|cell| cell.starts_with("Idaas")).cloned().collect::<BTreeSet<_>>(),
        named
    );
}

/// The metrics that a text names. A histogram's series have endings of their own.
fn named_metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let base = |word: &str| {
        let ending = ["_bucket", "_sum", "_count"].into_iter().find_map(|ending| word.strip_suffix(ending));
        ending.unwrap_or(word).to_owned()
    };
    words.filter(|word| word.starts_with("idaas_")).map(base).collect()
}

/// The expressions of the dashboard's panels.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("docs/samples/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(expressions.len() > 10, "{expressions:?}");
    expressions
}

#[test]
fn the_alert_rules_name_metrics_and_labels_that_exist_and_the_dashboard_each_metric() {
    let page = text("docs/observability.md");
    let metrics: BTreeSet<String> =
        first_cells(&page).into_iter().filter(|cell| cell.starts_with("idaas_")).collect();
    let alerts = named_metrics(&text("docs/samples/alerts.yaml"));
    assert!(alerts.is_subset(&metrics), "{:?}", alerts.difference(&metrics));
    assert_eq!(named_metrics(&expressions().join("\n")), metrics);

    let variables = text("docs/samples/dashboard.json");
    assert!(variables.contains("label_values(idaas_refreshes_total, client)"));
    // Those that Prometheus adds.
    let known = ["instance", "le"];
    let expressions = expressions().join("\n") + &text("docs/samples/alerts.yaml");
    for labels in ["by (", "on ("].iter().flat_map(|word| expressions.split(word).skip(1)) {
        for label in labels.split(')').next().unwrap().split(", ") {
            assert!(
                known.contains(&label) || page.contains(&format!("`{label}`")),
                "there is no label {label}"
            );
        }
    }
}

/// With Prometheus' own checker, where it is installed; it says so where it is not.
#[test]
fn prometheus_understands_the_expressions_and_each_alert_fires_when_it_should_and_not_else() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("promtool is not installed: the expressions were not checked");
        return;
    }
    let expressions = expressions().into_iter().map(
        |expression| json!({ "record": "dashboard", "expr": expression.replace("$__rate_interval", "5m") }),
    );
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": expressions.collect::<Vec<_>>() }] });
    let folder = tempfile::tempdir().unwrap();
    let dashboard = folder.path().join("dashboard.yaml");
    std::fs::write(&dashboard, rules.to_string()).unwrap();
    for arguments in [
        &["check", "rules", "docs/samples/alerts.yaml"][..],
        &["check", "rules", "--lint", "none", dashboard.to_str().unwrap()],
        &["test", "rules", "tests/house/alerts.yaml"],
    ] {
        let run = Command::new("promtool").args(arguments).current_dir(root()).output().unwrap();
        let said = [run.stdout, run.stderr].concat();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn each_alert_is_tested() {
    let (alerts, tests) = (text("docs/samples/alerts.yaml"), text("tests/house/alerts.yaml"));
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert!(names.clone().count() > 3);
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name}");
    }
}
