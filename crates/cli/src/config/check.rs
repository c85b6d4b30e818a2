//! `idaas config check`: every fault of a file, by its key and line.

use std::path::Path;

use serde_json::{Value, json};
use tower_idaas::ConfigFault;

use super::CheckArguments;
use super::keys::{EXAMPLES, KEYS, PLACEHOLDER};
use crate::doctor::config_file::ConfigFile;
use crate::doctor::steps::built::Built;
use crate::doctor::steps::file;
use crate::doctor::surroundings::Surroundings;
use crate::failure::Failure;
use crate::input;
use crate::output::{note, print};

/// Builds a client as a service would, and fetches nothing.
pub(crate) fn run(arguments: CheckArguments) -> Result<(), Failure> {
    let CheckArguments { path, config, json } = arguments;
    let path = path.or(config);
    let surroundings = Surroundings::of_process();
    let builder = file::builder(path.as_deref(), &surroundings);
    let config = ConfigFile(builder.explain());
    let path = config.0.path().or(path.as_deref()).unwrap_or(Path::new("client-config.json")).to_owned();
    let built = Built::new(builder, &path);
    let mut faults: Vec<String> = built.all().iter().map(ToString::to_string).collect();
    let mut warnings = built.warnings.clone();
    for example in EXAMPLES {
        let word_is_it = |value: &str| value.split(['/', ':']).any(|word| word == example);
        warnings.extend(keys_with(example, &word_is_it, &config, &path).into_iter().map(|(key, line)| {
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            format!("`{key}` still holds {example}, a value of the samples; write your own{line}")
        }));
    }
    let left = keys_with(PLACEHOLDER, &|value| value.contains(PLACEHOLDER), &config, &path);
    faults.extend(left.iter().map(|(key, line)| {
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        format!("`{key}` still holds {PLACEHOLDER}{line}; write the value that is meant")
    }));
    if json {
        let fault = |fault: &ConfigFault| json!({ "key": fault.key(), "line": fault.line(), "problem": fault.problem() });
        let problem = format!("still holds {PLACEHOLDER}");
        let left = left.iter().map(|(key, line)| json!({ "key": key, "line": line, "problem": problem }));
        let all: Vec<Value> = built.all().iter().map(fault).chain(left).collect();
        let report = json!({ "path": path, "usable": all.is_empty(), "faults": all, "warnings": warnings });
        print(&format!("{report:#}\n"))?;
    } else {
        for warning in &warnings {
            note(&format!("warning: {warning}\n"));
        }
        if !faults.is_empty() {
            let word = if faults.len() == 1 { "fault" } else { "faults" };
            let list: String = faults.iter().map(|fault| format!("  - {fault}\n")).collect();
            note(&format!("error: configuration {} has {} {word}:\n{list}", path.display(), faults.len()));
        }
    }
    if !faults.is_empty() {
        return Err(Failure::UnusableConfig);
    }
    if !json {
        print(&format!("{} can be used: {}\n", path.display(), config.method()))?;
    }
    Ok(())
}

/// The keys whose value still has this part, written by a template or a sample, each with its line.
fn keys_with(
    part: &str,
    has_it: &dyn Fn(&str) -> bool,
    config: &ConfigFile,
    path: &Path,
) -> Vec<(&'static str, Option<usize>)> {
    let holds = |name| config.get(name).is_some_and(has_it);
    let keys = KEYS.iter().filter(|key| holds(key.name()));
    let text = input::text(path).unwrap_or_default();
    let line_of = |name: &str| {
        let is_it = |line: &str| {
            let line = line.trim_start();
            !line.starts_with("//") && line.contains(name) && line.contains(part)
        };
        text.lines().position(is_it).map(|index| index + 1)
    };
    keys.map(|key| (key.path, line_of(key.name()).or_else(|| line_of(&key.snake_name())))).collect()
}
