//! The files of `docs/samples`: configurations that load, manifests whose parts fit together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::documents::{files_in, first_cells, name_of, text};

/// The samples that are configurations.
fn configurations() -> Vec<PathBuf> {
    let mut files = files_in("docs/samples", "json");
    files.retain(|file| !file.ends_with("dashboard.json"));
    files
}

#[test]
fn every_sample_is_in_rustdoc_and_in_a_page() {
    let library = text("src/lib.rs");
    let pages = ["getting-started", "observability", "deploy"].map(|page| text(format!("docs/{page}.md")));
    for sample in ["json", "yaml", "Dockerfile"].iter().flat_map(|ending| files_in("docs/samples", ending)) {
        let name = name_of(&sample);
        assert!(library.contains(&format!(" \"{name}\",")), "{name} is not in `docs::samples`");
        assert!(pages.iter().any(|page| page.contains(&format!("samples/{name}"))), "{name} is in no page");
    }
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
    for sample in configurations() {
        for line in text(&sample).lines() {
            let line = line.trim().trim_start_matches("//").trim();
            if let Some((key, _)) = line.strip_prefix('"').and_then(|rest| rest.split_once("\":")) {
                assert!(known.contains(key), "{}: {key} is no key", sample.display());
            }
        }
    }
}

/// The block of text that a manifest has under this key.
fn block(manifest: &str, key: &str) -> String {
    let (_, rest) = manifest.split_once(&format!("  {key}: |\n")).unwrap_or_else(|| panic!("no {key}"));
    rest.lines().take_while(|line| line.starts_with("    ")).map(|line| format!("{line}\n")).collect()
}

/// The values of a key in a manifest, wherever that stands.
fn values<'m>(manifest: &'m str, key: &str) -> BTreeSet<&'m str> {
    let key = format!("{key}: ");
    let values = manifest.split(&key).skip(1);
    values.map(|rest| rest.split([',', ' ', '\n', '}']).next().unwrap()).collect()
}

#[test]
fn the_manifests_name_files_that_they_mount_and_volumes_and_ports_that_they_have() {
    for name in ["kubernetes.yaml", "kubernetes_secret.yaml"] {
        let manifest = text(format!("docs/samples/{name}"));
        assert!(!manifest.contains('\t') && manifest.lines().all(|line| line == line.trim_end()), "{name}");
        let config: Value = serde_json::from_str(&block(&manifest, "client-config.json")).unwrap();
        let method = &config["authnConfiguration"];
        let file = method.get("oidcTokenFilePath").or(method.get("clientSecretFilePath")).unwrap();
        let paths = values(&manifest, "mountPath");
        for path in [file.as_str().unwrap(), "/etc/idaas/client-config.json"] {
            let (folder, file) = path.rsplit_once('/').unwrap();
            assert!(paths.contains(folder), "{name}: nothing is mounted at {folder}");
            let is_there =
                manifest.contains(&format!("  {file}: ")) || manifest.contains(&format!("path: {file}\n"));
            assert!(is_there, "{name}: no {file} for {path}");
        }
        assert!(manifest.contains("value: /etc/idaas/client-config.json }"), "{name}");
        let mounts = manifest.lines().filter(|line| line.contains("mountPath"));
        for mount in mounts {
            let volume = values(mount, "name").into_iter().next().unwrap();
            assert!(manifest.contains(&format!("        - name: {volume}\n")), "{name}: no volume {volume}");
        }
        for port in values(&manifest, "port") {
            assert!(
                manifest.contains(&format!("{{ name: {port}, containerPort: ")),
                "{name}: no port {port}"
            );
        }
        let page = text("docs/deploy.md");
        for path in values(&manifest, "path").into_iter().filter(|path| path.starts_with('/')) {
            assert!(page.contains(&format!(".route(\"{path}\"")), "{name}: {path} is not in the recipe");
        }
    }
}

#[test]
fn the_compose_file_runs_a_command_of_the_program_with_arguments_that_it_has() {
    let (compose, source) = (text("docs/samples/compose.yaml"), text("crates/cli/src/emulate/mod.rs"));
    let command = compose.lines().find_map(|line| line.trim().strip_prefix("command: [emulate, ")).unwrap();
    let options = command.split([',', ']']).filter_map(|word| word.trim().strip_prefix("--"));
    assert!(options.clone().count() > 2);
    for option in options {
        let field = format!("    {}: ", option.replace('-', "_"));
        assert!(source.contains(&field), "idaas emulate has no --{option}");
    }
    for file in ["client-config.json", "root-certificate.pem"] {
        assert!(source.contains(file) && compose.contains(&format!("/idaas/{file}\n")), "{file}");
    }
    let image = compose.split("dockerfile: ").nth(1).unwrap().split(' ').next().unwrap();
    let image = text(image);
    for stage in image.split("--from=").skip(1) {
        let name = stage.split(' ').next().unwrap();
        assert!(image.contains(&format!(" AS {name}\n")), "{name}");
    }
    let oldest = text("Cargo.toml").split("rust-version = \"").nth(1).unwrap()[..4].to_owned();
    assert!(image.contains(&format!("FROM rust:{oldest}-alpine")));
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
    let manifests = ["kubernetes.yaml", "kubernetes_secret.yaml"].map(|name| format!("docs/samples/{name}"));
    let secret = folder.path().join("client-secret");
    std::fs::write(&secret, "not-a-real-secret").unwrap();
    for manifest in manifests {
        let config = block(&text(&manifest), "client-config.json");
        let config = config.replace("/var/run/secrets/tokens/idaas-token", token.to_str().unwrap());
        let config = config.replace("/etc/idaas/client-secret", secret.to_str().unwrap());
        let built = Idaas::builder().config_text(config).environment(environment.clone()).build();
        assert!(built.is_ok(), "{manifest}: {built:?}");
    }
    for sample in configurations() {
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
