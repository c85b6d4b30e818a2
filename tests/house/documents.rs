//! What README and the pages of `docs` promise: samples load, links lead somewhere, tables name what exists.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::guarantees::collect_tests;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_in(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no .{ending} in {folder}");
    files
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// README and all that it leads to.
fn documents() -> Vec<PathBuf> {
    let others = ["README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "fuzz/README.md"];
    others.iter().map(|name| root().join(name)).chain(files_in("docs", "md")).collect()
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
fn first_cells(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(cell, _)| cell.to_owned()))
        .collect()
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
        for target in targets {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                let found = path.parent().unwrap().join(file);
                assert!(found.exists(), "{}: {target} leads nowhere", path.display());
            }
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
    for sample in files_in("docs/samples", "json").iter().map(|sample| name_of(sample)) {
        assert!(library.contains(&format!("json \"{sample}\"")), "{sample} is not in `docs::samples`");
        assert!(text("docs/getting-started.md").contains(&format!("samples/{sample}")), "{sample}");
    }
}

#[test]
fn diagrams_fit_a_narrow_window_and_each_command_names_what_exists() {
    for path in documents() {
        let mut language = None;
        for line in text(&path).lines() {
            match line.strip_prefix("```") {
                Some(opened) => language = language.is_none().then(|| opened.to_owned()),
                None if language.as_deref() == Some("text") => {
                    assert!(line.chars().count() <= 80, "{}: {line}", path.display());
                }
                None => {}
            }
            for (option, places) in [
                ("--example ", &["examples/_.rs", "crates/redis/examples/_.rs"][..]),
                ("--bench ", &["benches/_.rs", "benches/_/main.rs"]),
                ("--test ", &["tests/_.rs", "tests/_/main.rs"]),
            ] {
                for rest in line.split(option).skip(1).filter(|_| line.contains("cargo ")) {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
                    let found = places.iter().any(|place| root().join(place.replace('_', &name)).exists());
                    assert!(found, "{}: {option}{name}: {line}", path.display());
                }
            }
        }
    }
}

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
    for word in alerts.split(|c: char| !is_metric(c)).filter(|word| word.starts_with("idaas_")) {
        assert!(metrics.contains(word), "alerts.yaml: {word}");
    }
    let named = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ").map(str::to_owned));
    let named: BTreeSet<String> = named.collect();
    assert_eq!(
        cells.iter().filter(|cell| cell.starts_with("Idaas")).cloned().collect::<BTreeSet<_>>(),
        named
    );
}

/// The keys that `src/config/keys.rs` declares.
fn keys() -> BTreeSet<String> {
    let source = text("src/config/keys.rs");
    let declared = source.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\","));
    let keys: BTreeSet<String> = declared.map(str::to_owned).collect();
    assert!(keys.contains("clientId") && keys.len() > 25, "{keys:?}");
    keys
}

#[test]
fn the_page_of_keys_and_the_samples_know_every_key_and_no_other() {
    let cells = first_cells(&text("docs/configuration.md"));
    let mut known = keys();
    for key in &known {
        assert!(cells.contains(key), "configuration.md has no row for {key}");
    }
    known.extend(["authnConfiguration", "httpConfiguration"].map(str::to_owned));
    let is_key =
        |cell: &&String| cell.chars().all(char::is_alphanumeric) && cell.starts_with(char::is_lowercase);
    for cell in cells.iter().filter(is_key) {
        assert!(known.contains(cell), "configuration.md: {cell} is no key");
    }
    for sample in files_in("docs/samples", "json") {
        for line in text(&sample).lines() {
            let line = line.trim().trim_start_matches("//").trim();
            if let Some((key, _)) = line.strip_prefix('"').and_then(|rest| rest.split_once("\":")) {
                assert!(known.contains(key), "{}: {key} is no key", sample.display());
            }
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

/// Each sample as a program would load it, with what it leads to in place.
#[cfg(all(feature = "aliyun", feature = "transport"))]
#[test]
fn every_sample_loads() {
    use tower_idaas::Idaas;
    use tower_idaas::environment::ManualEnvironment;

    let capture: serde_json::Value = serde_json::from_str(&text("tests/golden/pca_rsa2048.json")).unwrap();
    let certificate = |key: &str| capture["config"]["authnConfiguration"][key].to_string();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("idaas-token");
    std::fs::write(&token, "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl").unwrap();
    // What the reader of a sample puts in its place.
    let own: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::from([
        (
            r#""-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----""#,
            certificate("clientX509Certificate"),
        ),
        (
            r#""-----BEGIN CERTIFICATE-----\nMIIC...\n-----END CERTIFICATE-----""#,
            certificate("x509CertChains"),
        ),
        ("/var/run/secrets/tokens/idaas-token", token.to_str().unwrap().to_owned()),
    ]);
    let environment = ManualEnvironment::from_iter([
        ("IDAAS_CLIENT_SECRET", "not-a-real-secret".to_owned()),
        ("IDAAS_PRIVATE_KEY", text("tests/golden/keys/rsa2048.pkcs8.pem")),
    ]);
    for sample in files_in("docs/samples", "json") {
        let mut config = text(&sample);
        for (placeholder, value) in &own {
            config = config.replace(placeholder, value);
        }
        let built = Idaas::builder().config_text(config).environment(environment.clone()).build();
        let idaas = built.unwrap_or_else(|error| panic!("{}: {error:?}", sample.display()));
        let stem = sample.file_stem().unwrap().to_str().unwrap().to_uppercase();
        let method =
            format!("{idaas:?}").split("method: \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(stem.starts_with(&method), "{}: {method}", sample.display());
    }
}
