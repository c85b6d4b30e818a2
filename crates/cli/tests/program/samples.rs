//! The compose file and the page of the program, by their processes: what they say is run.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::emulate::{report, variables};
use super::server::Running;
use super::{done, run, text};

const COMPOSE: &str = include_str!("../../../../docs/samples/compose.yaml");
const PAGE: &str = include_str!("../../../../docs/program.md");

/// The words of the list that this key of the compose file has, without a container's host, ports and volume.
fn words(key: &str, volume: &str) -> Vec<String> {
    let list = COMPOSE.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ["))).unwrap();
    let words = list.trim_end_matches(']').split(", ").map(|word| word.trim_matches('"'));
    let here = |word: &str| match word {
        "idaas" => "localhost".to_owned(),
        "8443" | "8444" => "0".to_owned(),
        word => word.replace("/idaas", volume),
    };
    words.map(here).collect()
}

/// The variables that both services of the compose file have.
fn environment(volume: &str) -> Vec<(String, String)> {
    let (_, lines) = COMPOSE.split_once("environment: &client\n").unwrap();
    let lines = lines.lines().take_while(|line| line.starts_with("      "));
    let pairs = lines.map(|line| line.trim().split_once(": ").unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.replace("/idaas", volume))).collect()
}

/// What a service of the compose file does with its token, where there is a `curl`.
fn call(url: &str, roots: &Path, header: &str) -> Option<u16> {
    let mut command = Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "-H", header, "--cacert"]);
    let output = command.arg(roots).arg(url).output().ok()?;
    Some(text(&output.stdout).parse().unwrap())
}

#[tokio::test]
async fn the_services_of_the_compose_file_get_tokens_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().to_str().unwrap();
    let command = words("command", volume);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let (running, report) = report(Running::start(&command, &[])).await;

    let environment = environment(volume);
    assert_eq!(environment.len(), 3);
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    let check = COMPOSE.split_once("/usr/local/bin/idaas, ").unwrap().1.split(']').next().unwrap();
    assert!(done(&run(&[check], &environment).await).ends_with("A token is issued.\n"));
    let header = run(&["token", "--format", "header"], &environment).await;
    let url = report.get("api_url").unwrap().as_str().unwrap();
    let roots = folder.path().join("root-certificate.pem");
    for (header, expected) in [(done(&header).trim_end(), 200), ("Authorization: Bearer made-up", 401)] {
        if let Some(status) = call(url, &roots, header) {
            assert_eq!(status, expected);
        }
    }
    drop(running);
}

#[tokio::test]
async fn the_files_of_the_page_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let block = |holds: &str| {
        let mut blocks = PAGE.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        blocks.find(|block| block.contains(holds)).unwrap().to_owned()
    };
    let write = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let mut clients: Value = serde_json::from_str(&block("app_orders")).unwrap();
    assert!(clients[1]["public_key"].as_str().unwrap().contains('…'));
    clients[1]["public_key"] = key.into();
    let (clients, stored) = (write("clients", &clients.to_string()), write("stored", &block("api_keys")));
    let arguments = ["emulate", "--clients", &clients, "--stored", &stored];
    let (running, report) = report(Running::start(&arguments, &[])).await;
    let variables = variables(&report);
    assert_eq!(done(&run(&["api-key", "model"], &variables).await), "sk-for-tests\n");
    let lines = PAGE.lines().filter(|line| line.contains(":role/"));
    let lines: Vec<_> = lines.filter_map(|line| line.split_once("idaas cloud-role ")).collect();
    assert_eq!(lines.len(), 2);
    for (_, line) in lines {
        let words = line.split('"').next().unwrap().split_whitespace().filter(|word| *word != "--cache");
        let words: Vec<&str> = ["cloud-role"].into_iter().chain(words).collect();
        assert!(done(&run(&words, &variables).await).contains('{'), "{words:?}");
    }
    drop(running);
}
