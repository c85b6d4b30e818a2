//! Fifty real processes, one Redis, one IDaaS.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tower_idaas::{Idaas, SecretSource};
use tower_idaas_redis::{RedisStore, SharedStore};
use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

use super::client::{KEY, Outcome, sharing};
use super::server::Server;

const PROCESSES: usize = 50;
const ROLE: &str = "TOWER_IDAAS_TEST_CLIENT";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_that_start_at_once_request_two_tokens_at_most() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let issuer = TestIdaas::start().await?;
    write_files(&issuer, &server)?;
    let fleet = (0..PROCESSES).map(|_| client_of(&issuer, &server)).collect::<Result<Vec<_>, _>>()?;
    let tokens = tokio::task::spawn_blocking(move || tokens_of(fleet)).await?;
    let requests = issuer.token_requests();
    assert!(requests <= 2, "{requests} token requests of {PROCESSES} processes");
    assert!(tokens.len() <= requests, "{} tokens", tokens.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_fetches_costs_its_lease() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let issuer = TestIdaas::start().await?;
    write_files(&issuer, &server)?;
    issuer.set_behaviour(Behaviour::Hold);
    let mut killed = client_of(&issuer, &server)?;
    killed.stdin.take().unwrap().write_all(b"go\n")?;
    issuer.wait_for_held(1).await;
    killed.kill()?;
    killed.wait()?;
    issuer.set_behaviour(Behaviour::Normal);
    let others = (0..5).map(|_| client_of(&issuer, &server)).collect::<Result<Vec<_>, _>>()?;
    let tokens = tokio::task::spawn_blocking(move || tokens_of(others)).await?;
    assert_eq!((issuer.token_requests(), tokens.len()), (2, 1));
    Ok(())
}

fn write_files(issuer: &TestIdaas, server: &Server) -> std::io::Result<()> {
    issuer.write_config(server.folder.path(), ClientAuthentication::SecretPost)?;
    issuer.write_root_certificate(server.folder.path()).map(drop)
}

/// This same program as a client: it runs the last function here alone.
fn client_of(issuer: &TestIdaas, server: &Server) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--exact", "processes::a_client_of_the_fleet", "--nocapture"])
        .env(ROLE, "1")
        .env("CLOUD_IDAAS_CONFIG_PATH", server.folder.path().join("client-config.json"))
        .env("SSL_CERT_FILE", server.folder.path().join("root-certificate.pem"))
        .env(TestIdaas::SECRET_VARIABLE, issuer.secret().expose_secret())
        .env("REDIS_URL", server.url())
        .env("IDAAS_STORE_KEYS", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Lets all start at once, and returns what distinguishes their tokens.
fn tokens_of(mut fleet: Vec<Child>) -> HashSet<String> {
    let take = |client: &mut Child| BufReader::new(client.stdout.take().unwrap());
    let mut outputs: Vec<_> = fleet.iter_mut().map(take).collect();
    for output in &mut outputs {
        let mut line = String::new();
        while !line.contains("ready") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "a client ended before its time");
        }
    }
    for client in &mut fleet {
        client.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let end = |(output, client): (&mut BufReader<_>, &mut Child)| {
        let mut text = String::new();
        Read::read_to_string(output, &mut text).unwrap();
        assert!(client.wait().unwrap().success(), "{text}");
        text.lines().find_map(|line| line.strip_prefix("token ")).unwrap().to_owned()
    };
    outputs.iter_mut().zip(&mut fleet).map(end).collect()
}

/// No test by itself: what each process of the fleet runs.
#[tokio::test]
async fn a_client_of_the_fleet() -> Outcome {
    if std::env::var_os(ROLE).is_none() {
        return Ok(());
    }
    let redis = RedisStore::builder(SecretSource::variable("REDIS_URL")).build()?;
    let shared = SharedStore::new(redis, SecretSource::variable("IDAAS_STORE_KEYS"))
        // Fifty processes share a few cores here: that takes longer than any network. With the time-out by default,
        // the example `fleet` has the figure.
        .timeout(Duration::from_secs(5));
    let idaas = sharing(Idaas::builder().config_from_env(), shared).build()?;
    writeln!(std::io::stdout(), "\nready")?;
    std::io::stdin().read_line(&mut String::new())?;
    let token = idaas.token().await?;
    // The end of the signature is enough to distinguish tokens.
    let text = token.expose_token();
    writeln!(std::io::stdout(), "token {}", &text[text.len() - 20..])?;
    Ok(())
}
