//! What README and the pages of `docs` promise: links lead somewhere, commands run, tables name what exists.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::guarantees::collect_tests;

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn files_in(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What was built is no source.
                if name_of(&path) != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no .{ending} in {folder}");
    files
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// README and all that it leads to.
fn documents() -> Vec<PathBuf> {
    let others = ["README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "fuzz/README.md"];
    let crates = files_in("crates", "md");
    others.iter().map(|name| root().join(name)).chain(files_in("docs", "md")).chain(crates).collect()
}

/// The lines outside of code blocks, without code spans.
fn prose(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push(line.split('`').step_by(2).collect::<Vec<_>>().join("…"));
        }
    }
    lines
}

/// What stands between an opening and the next closing text, wherever that is in the line.
fn between<'t>(line: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    let parts = line.split(open).skip(1);
    parts.filter_map(|rest| rest.split_once(close).map(|(found, _)| found)).collect()
}

/// The first code span of each table row that begins with one.
pub(super) fn first_cells(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(cell, _)| cell.to_owned()))
        .collect()
}

/// The headings, as links name them.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = prose(text).into_iter().filter(|line| line.starts_with('#'));
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let slug = |line: String| line.trim_start_matches('#').trim().to_lowercase();
    lines.map(|line| slug(line).chars().filter(is_kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_to_a_file_and_every_reference_to_a_link() {
    for path in documents() {
        let content = text(&path);
        let lines = prose(&content);
        let mut targets = Vec::new();
        let mut defined = BTreeSet::new();
        for line in &lines {
            if let Some((name, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
                defined.insert(name.to_owned());
                targets.push(target.to_owned());
            }
            targets.extend(between(line, "](", ")").into_iter().map(str::to_owned));
        }
        for name in lines.iter().flat_map(|line| between(line, "][", "]")) {
            assert!(defined.contains(name), "{}: [{name}] is not defined", path.display());
        }
        for target in targets.iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let found = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(found.exists(), "{}: {target} leads nowhere", path.display());
            let has_anchor = anchor.is_empty() || headings(&text(&found)).contains(anchor);
            assert!(has_anchor, "{}: {target} is no heading", path.display());
        }
    }
}

#[test]
fn every_page_is_linked_from_the_readme_and_is_a_module_of_the_documentation() {
    let (readme, library) = (text("README.md"), text("src/lib.rs"));
    for page in files_in("docs", "md").iter().map(|page| name_of(page)) {
        assert!(
            readme.contains(&format!("(docs/{page})")) || readme.contains(&format!(": docs/{page}")),
            "{page}"
        );
        assert!(library.contains(&format!("= \"{page}\"")), "{page} is no module of `docs`");
    }
}

#[test]
fn the_readme_and_the_front_page_of_rustdoc_describe_each_page_alike() {
    // A row is "| [name](link) | text |" in one and "//! | [name][link] | text |" in the other.
    let rows = |text: &str| -> Vec<(String, String)> {
        let table = text.split("| page | |").nth(1).unwrap();
        let rows = table.lines().filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| ["));
        let cells = rows.map_while(|row| Some((row.split_once(']')?.0, row.rsplit(" | ").next()?)));
        cells.map(|(name, about)| (name.to_owned(), about.to_owned())).collect()
    };
    let (readme, library) = (rows(&text("README.md")), rows(&text("src/lib.rs")));
    let pages = library.iter().take(readme.len()).cloned().collect::<Vec<_>>();
    assert!(readme.len() >= 14, "{readme:?}");
    assert_eq!(readme, pages);
}

#[test]
fn diagrams_fit_a_narrow_window_and_code_hides_no_line() {
    for path in documents() {
        let mut language = None;
        for line in text(&path).lines() {
            match line.strip_prefix("```") {
                Some(opened) => language = language.is_none().then(|| opened.to_owned()),
                None if language.as_deref() == Some("text") => {
                    assert!(line.chars().count() <= 80, "{}: {line}", path.display());
                }
                // A wider line is cut off in a window of 1280 pixels. Only TOML has values that cannot be wrapped.
                None if language.as_deref().is_some_and(|language| language != "toml")
                    && line.chars().count() > 100 =>
                {
                    panic!("{}: wider than 100 columns: {line}", path.display());
                }
                // What rustdoc hides shows in the repository.
                None if language.as_deref().is_some_and(|language| language.starts_with("rust")) => {
                    assert!(!line.starts_with("# ") && line != "#", "{}: {line}", path.display());
                }
                None => {}
            }
        }
    }
}

/// What follows an option in a command.
fn values<'c>(command: &'c [&str], option: &str) -> Vec<&'c str> {
    let pairs = command.windows(2).filter(|pair| pair[0] == option);
    pairs.map(|pair| pair[1]).collect()
}

/// The names of the tests and of the modules in `tests/NAME`, or in `tests/NAME.rs`.
fn tests_of(target: &str) -> HashSet<String> {
    let folder = root().join("tests").join(target);
    assert!(folder.is_dir() || folder.with_extension("rs").exists(), "there is no test target {target}");
    let mut names = HashSet::new();
    if folder.is_dir() {
        collect_tests(&folder, &mut names);
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| name_of(&entry.unwrap().path()));
        names.extend(entries.map(|name| name.trim_end_matches(".rs").to_owned()));
    }
    names
}

/// The commands of cargo in a text: the lines that begin with a prompt, and code spans.
fn commands(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut prose = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            found.extend(line.strip_prefix("$ ").map(str::to_owned));
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    found.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    found.retain(|command| command.starts_with("cargo "));
    found
}

/// Whether `.ci/run` runs this command, or another one that includes it.
fn is_in_ci(ci: &str, words: &[&str]) -> bool {
    let runs = |part: &str| ci.lines().any(|line| line.contains(part));
    let (tests, benches) = (values(words, "--test"), values(words, "--bench"));
    match words[1] {
        "run" if words.contains(&"tower-idaas-cli") => {
            let subcommand = words.iter().skip_while(|word| **word != "--").nth(1);
            let subcommands = first_cells(&text("docs/program.md"));
            runs("idaas doctor --demo") && subcommand.is_some_and(|name| subcommands.contains(*name))
        }
        "run" => values(words, "--example").first().is_some_and(|name| {
            let built = between(ci, "for example in ", ";").concat();
            built.split_whitespace().any(|example| example == *name) || runs(&format!("--example {name}"))
        }),
        // CI builds for its own machine; what it leaves out is listed.
        "build" => {
            let page = text("CONTRIBUTING.md");
            let left_out = between(&page, "## What the fast checks leave out", "## A release").concat();
            values(words, "--target").iter().all(|target| left_out.contains(target))
        }
        // CI builds each program of the workspace.
        "install" => {
            values(words, "--path").iter().any(|path| root().join(path).join("src/main.rs").exists())
        }
        "bench" => {
            let exists = |name: &&str| {
                ["benches/_.rs", "benches/_/main.rs"]
                    .iter()
                    .any(|place| root().join(place.replace('_', name)).exists())
            };
            runs("--benches") && !benches.is_empty() && benches.iter().all(exists)
        }
        "test" => {
            let mut own = words.iter().skip(2).take_while(|word| **word != "--");
            let filter = own.find(|word| !word.starts_with("--") && !tests.contains(word));
            let mut names = tests.iter().flat_map(|target| tests_of(target));
            runs("cargo test --locked --workspace --all-features")
                && words.contains(&"--all-features")
                && filter.is_none_or(|filter| names.any(|name| name.contains(filter)))
        }
        _ => false,
    }
}

#[test]
fn every_command_of_a_document_is_one_that_ci_runs_or_is_listed_as_left_out() {
    let ci = text(".ci/run");
    let mut count = 0;
    for path in files_in("docs", "md").into_iter().chain([root().join("README.md")]) {
        for command in commands(&text(&path)) {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert!(is_in_ci(&ci, &words), "{}: {command}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count} commands");
}

#[test]
fn the_code_of_the_page_about_verifying_is_what_tests_resource_server_runs() {
    let (page, program) = (text("docs/verify.md"), text("tests/resource_server/src/main.rs"));
    let code = between(&page, "```rust,ignore\n", "\n```");
    let run =
        between(&program, "// The code of docs/verify.md, from here to its end.", "// The end of that code.");
    assert_eq!(code.iter().map(|code| code.trim()).collect::<Vec<_>>(), [run[0].trim()]);
    // And with the crates that it is built with.
    let manifest = text("tests/resource_server/Cargo.toml");
    let dependencies = between(&page, "```toml\n[dependencies]\n", "```").concat();
    for line in dependencies.lines() {
        let (name, features) = (line.split(' ').next().unwrap(), between(line, "features = ", "]"));
        let same = |built: &str| {
            built.starts_with(&format!("{name} =")) && features.iter().all(|list| built.contains(list))
        };
        assert!(manifest.lines().any(same), "{line}");
    }
}

/// Subjects that hide what a sentence is about.
const UNCLEAR: [&str; 6] = ["nobody", "somebody", "everybody", "anybody", "whoever", "someone"];

/// Words that the glossary has replaced.
const REPLACED: [&str; 8] =
    ["told", "mint", "mints", "minted", "minting", "withdraw", "withdraws", "withdrawn"];

/// Words that are right in a sentence, and no part of a name.
const NOT_IN_NAMES: [&str; 9] =
    ["asked", "asks", "moment", "moments", "tell", "tells", "warm", "warmed", "warmth"];

/// The sources of the workspace and the documents, without the lists of words in this file.
fn all_texts() -> impl Iterator<Item = PathBuf> {
    let code = ["src", "tests", "examples", "benches", "crates"];
    let files = code.into_iter().flat_map(|folder| files_in(folder, "rs")).chain(documents());
    files.filter(|path| !path.ends_with("house/documents.rs"))
}

#[test]
fn the_words_that_the_glossary_has_replaced_are_gone() {
    for path in all_texts() {
        for (line, number) in text(&path).lines().zip(1..) {
            let mut words = line.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase);
            let replaced = words.find(|word| REPLACED.contains(&word.as_str()));
            assert_eq!(replaced, None, "{}:{number}", path.display());
            for name in
                line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| name.contains('_'))
            {
                let part = name.split('_').find(|part| NOT_IN_NAMES.contains(part));
                assert_eq!(part, None, "{}:{number}: {name}", path.display());
            }
        }
    }
}

#[test]
fn things_are_the_subjects_of_documents_and_comments() {
    for path in all_texts() {
        for (line, number) in text(&path).lines().zip(1..) {
            let words = line.split(|c: char| !c.is_alphabetic());
            // Not `AnyBody`, which is a body.
            let mut words = words.filter(|word| word.chars().skip(1).all(char::is_lowercase));
            let unclear = words.find(|word| UNCLEAR.contains(&word.to_lowercase().as_str()));
            assert_eq!(unclear, None, "{}:{number}", path.display());
        }
    }
}

#[test]
fn each_kind_of_error_has_its_row() {
    let cells = first_cells(&text("docs/failures.md"));
    let source = text("src/error/kind.rs");
    let variants = source.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','));
    let variants: Vec<_> = variants.filter(|name| name.chars().all(char::is_alphabetic)).collect();
    assert!(variants.len() > 8, "{variants:?}");
    for variant in variants {
        assert!(cells.contains(variant), "failures.md has no row for {variant}");
    }
}

#[test]
fn each_command_of_the_program_has_its_row() {
    let cells = first_cells(&text("docs/program.md"));
    let source = text("crates/cli/src/arguments.rs");
    let commands = between(&source, "enum Command {", "}").concat();
    let names = commands.lines().filter_map(|line| line.trim().split_once('(').map(|(name, _)| name));
    let kebab = |name: &str| {
        let words = name
            .chars()
            .map(|c| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() });
        words.collect::<String>().trim_start_matches('-').to_owned()
    };
    assert_eq!(names.map(kebab).collect::<BTreeSet<_>>(), cells);
}

#[test]
fn each_row_of_the_world_names_a_test() {
    let mut tests = HashSet::new();
    for folder in ["src", "tests", "crates"] {
        collect_tests(&root().join(folder), &mut tests);
    }
    let page = text("docs/world.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what happens"));
    let mut count = 0;
    for row in rows {
        let name = row.trim_end_matches(" |").rsplit('`').nth(1).unwrap_or_default();
        assert!(tests.contains(name), "there is no test `{name}`: {row}");
        count += 1;
    }
    assert!(count > 25, "{count} rows");
}
