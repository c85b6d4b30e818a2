//! `idaas emulate`: the IDaaS of `tower-idaas-testing` as a server, for services in any language.
//!
//! It listens on the loopback interface alone unless `--host` says how others reach it, as its tokens and credentials are
//! for tests. In a compose file, services reach it by its name and read its files from a volume for `--dir`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use tower_idaas::{BoxError, Scope};
use tower_idaas_testing::{Behaviour, ClientAuthentication, ServerCertificate, TestIdaas, TestIdaasBuilder};

use crate::failure::{EXIT_CODES, Failure};
use crate::output::{note, print};
use crate::{input, shell, shutdown};

/// Serves an IDaaS for tests until it is interrupted, by default on the loopback interface. What a client needs, its configuration,
/// the certificate to trust and the environment variables, is on stdout as one JSON object.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct EmulateArguments {
    /// The name or address under which clients reach the emulator, such as its name in a compose file. With an address it
    /// listens there alone, with localhost on 127.0.0.1, and with another name on all IPv4 interfaces [default: localhost]
    #[arg(long)]
    host: Option<Host>,
    /// The port of the token endpoint [default: a free one]
    #[arg(long, default_value_t, hide_default_value = true)]
    port: u16,
    /// Also serves an API that accepts the emulator's tokens alone, on this port; 0 is a free one
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// The scope in the configuration; its audience and first permission are what the API requires
    #[arg(long, default_value = "api://test|read")]
    scope: Scope,
    /// The method of authentication in the configuration
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// The clients: a JSON array of objects with `id` and `secret`, or with `id` and `public_key` (PEM) for one that signs
    /// assertions. The configuration is for the first one with a secret [default: one, app_test]
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// How long tokens live, such as 90s or 20m
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = humantime::parse_duration)]
    token_life: Duration,
    /// What goes wrong at the token endpoint
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Where client-config.json, root-certificate.pem and idaas.env (variables, for `env_file` and shells) are written
    /// [default: a temporary directory, which goes with the emulator]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Method {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
    ClientSecretJwt,
    PrivateKeyJwt,
    Pca,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// 503 to each token request
    Unavailable,
    /// 429 to each token request, with Retry-After: 2
    Throttled,
    /// `invalid_client` to each token request
    InvalidClient,
    /// Each response takes 3 seconds
    Slow,
    /// Connections are accepted, and no byte is ever sent on them
    Hang,
    /// Each response ends in the middle
    CutOff,
    /// The server's certificate is signed by an authority that clients do not trust
    UnknownAuthority,
    /// The server's certificate has expired
    ExpiredCertificate,
}

pub(crate) async fn run(arguments: EmulateArguments) -> Result<(), Failure> {
    let EmulateArguments { host, port, api_port, scope, method, clients, token_life, fault, dir } = arguments;
    let method = ClientAuthentication::from(method);
    let clients = clients.map(|file| read_clients(&file)).transpose()?;
    let stop = shutdown::requested()?;
    let temporary;
    let dir = match &dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| in_directory(dir, &error))?;
            dir.as_path()
        }
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path()
        }
    };
    let mut server = builder(clients.unwrap_or_default(), fault).port(port).token_life(token_life);
    if let Some(Host { name, address }) = &host {
        server = server.host(name).listen_on(*address);
    }
    let at = host.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |host| host.address);
    let of_port = |port, error| of_port(at, port, &error);
    let server = server.start().await.map_err(|error| of_port(port, error))?;
    let api = match api_port {
        Some(port) => {
            let api = server.api(scope.audience());
            let api = match scope.permissions().next() {
                Some(permission) => api.permission(permission),
                None => api,
            };
            Some(api.port(port).start().await.map_err(|error| of_port(port, error))?)
        }
        None => None,
    };
    if let Some(behaviour) = fault.and_then(Fault::behaviour) {
        server.set_behaviour(behaviour);
    }
    let emulated =
        Emulated::write(&server, &scope, method, dir).map_err(|error| in_directory(dir, &error))?;
    let mut report = json!({
        "issuer": server.issuer(),
        "token_endpoint": server.token_endpoint(),
        "jwks_url": server.jwks_url(),
        "config": emulated.config,
        "root_certificate": server.root_certificate_pem(),
        "environment": emulated.environment,
    });
    if let (Some(api), Some(report)) = (&api, report.as_object_mut()) {
        report.insert("api_url".to_owned(), api.url().into());
    }
    print(&format!("{report:#}\n"))?;
    note(&format!("serving {} until interrupted; files are in {}\n", server.issuer(), dir.display()));
    if !at.is_loopback() {
        note("warning: other machines can reach it, and its tokens and keys are for tests\n");
    }
    stop.await;
    Ok(())
}

/// A client of the file, and what the emulator knows it by.
struct Client {
    id: String,
    credential: Credential,
}

enum Credential {
    Secret(String),
    PublicKey(String),
}

fn builder(clients: Vec<Client>, fault: Option<Fault>) -> TestIdaasBuilder {
    let mut builder = TestIdaas::builder();
    let mut has_first = false;
    for Client { id, credential } in clients {
        builder = match credential {
            Credential::Secret(secret) if !has_first => {
                has_first = true;
                builder.client(id, secret)
            }
            Credential::Secret(secret) => builder.add_client(id, secret),
            Credential::PublicKey(pem) => builder.add_signing_client(id, pem),
        };
    }
    match fault {
        Some(Fault::UnknownAuthority) => builder.certificate(ServerCertificate::UnknownAuthority),
        Some(Fault::ExpiredCertificate) => builder.certificate(ServerCertificate::Expired),
        _ => builder,
    }
}

/// The clients in the file. An error holds none of their secrets.
fn read_clients(file: &Path) -> Result<Vec<Client>, BoxError> {
    let wrong = |problem: &str| BoxError::from(format!("{}: {problem}", file.display()));
    let expected = "expected a JSON array of objects with `id` and either `secret` or `public_key`";
    let text = input::text(file).map_err(|error| wrong(&error.to_string()))?;
    let clients: Value = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("is not JSON (line {}); {expected}", error.line())))?;
    let clients = clients.as_array().filter(|clients| !clients.is_empty()).ok_or_else(|| wrong(expected))?;
    let client = |(index, client): (usize, &Value)| {
        let text = |key| client.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let is_more = client.as_object().is_some_and(|client| client.len() > 2);
        let credential = match (text("secret"), text("public_key")) {
            (Some(secret), None) => Some(Credential::Secret(secret.to_owned())),
            (None, Some(pem)) => Some(Credential::PublicKey(pem.to_owned())),
            _ => None,
        };
        match (text("id"), credential) {
            (Some(id), Some(credential)) if !is_more => Ok(Client { id: id.to_owned(), credential }),
            _ => Err(wrong(&format!("client {} is not understood; {expected}", index + 1))),
        }
    };
    let clients = clients.iter().enumerate().map(client).collect::<Result<Vec<_>, _>>()?;
    match clients.iter().any(|client| matches!(client.credential, Credential::Secret(_))) {
        true => Ok(clients),
        false => Err(wrong("no client has a secret; add one, which the configuration is written for")),
    }
}

/// How clients reach the emulator from elsewhere.
#[derive(Clone, Debug)]
struct Host {
    name: String,
    /// What it listens on.
    address: IpAddr,
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let address = match in_brackets {
            Some(address) => address.parse().map(IpAddr::V6).ok(),
            None => name.parse::<IpAddr>().ok(),
        };
        match address {
            Some(address) if address.is_unspecified() => {
                Err("is no address that a client can reach; give the name or address that clients use")
            }
            Some(address) => Ok(Self { name: address.to_string(), address }),
            None if name.eq_ignore_ascii_case("localhost") => {
                Ok(Self { name: name.to_ascii_lowercase(), address: Ipv4Addr::LOCALHOST.into() })
            }
            None if is_host_name(name) => {
                Ok(Self { name: name.to_owned(), address: Ipv4Addr::UNSPECIFIED.into() })
            }
            None => Err("is no host; expected a name or an address, without scheme and port"),
        }
    }
}

/// As RFC 1123 section 2.1 has it. What ends with a number would be an address, and is none.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

/// What a client is given.
struct Emulated {
    config: Value,
    environment: BTreeMap<&'static str, String>,
}

impl Emulated {
    fn write(
        server: &TestIdaas,
        scope: &Scope,
        method: ClientAuthentication,
        dir: &Path,
    ) -> io::Result<Self> {
        let mut config: Value = serde_json::from_str(&server.client_config(method))?;
        if let Some(config) = config.as_object_mut() {
            config.insert("scope".to_owned(), scope.as_str().into());
        }
        let dir = std::path::absolute(dir)?;
        let path = dir.join("client-config.json");
        std::fs::write(&path, format!("{config:#}\n"))?;
        let roots = server.write_root_certificate(&dir)?;
        let mut environment = BTreeMap::from([
            ("CLOUD_IDAAS_CONFIG_PATH", path.display().to_string()),
            ("SSL_CERT_FILE", roots.display().to_string()),
        ]);
        match method {
            ClientAuthentication::PrivateKeyJwt | ClientAuthentication::Pca => {
                // On one line, as files of variables have it.
                let key = server.private_key_pem().expose_secret().trim_end().replace('\n', "\\n");
                environment.insert(TestIdaas::PRIVATE_KEY_VARIABLE, key);
            }
            _ => drop(
                environment.insert(TestIdaas::SECRET_VARIABLE, server.secret().expose_secret().to_owned()),
            ),
        }
        let mut file = String::new();
        for (name, value) in &environment {
            // Writing to a string does not fail.
            let _ = writeln!(file, "{name}={}", shell::quoted_if_needed(value));
        }
        std::fs::write(dir.join("idaas.env"), file)?;
        Ok(Self { config, environment })
    }
}

impl From<Method> for ClientAuthentication {
    fn from(method: Method) -> Self {
        match method {
            Method::ClientSecretBasic => Self::SecretBasic,
            Method::ClientSecretPost => Self::SecretPost,
            Method::ClientSecretJwt => Self::SecretJwt,
            Method::PrivateKeyJwt => Self::PrivateKeyJwt,
            Method::Pca => Self::Pca,
        }
    }
}

impl Fault {
    /// `None` for those of the certificate.
    fn behaviour(self) -> Option<Behaviour> {
        Some(match self {
            Self::Unavailable => Behaviour::status(StatusCode::SERVICE_UNAVAILABLE),
            Self::Throttled => Behaviour::status(StatusCode::TOO_MANY_REQUESTS)
                .with_header(RETRY_AFTER, HeaderValue::from_static("2")),
            Self::InvalidClient => Behaviour::code(StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::Slow => Behaviour::Slow(Duration::from_secs(3)),
            Self::Hang => Behaviour::HangHandshake,
            Self::CutOff => Behaviour::CutMidBody,
            Self::UnknownAuthority | Self::ExpiredCertificate => return None,
        })
    }
}

fn of_port(at: IpAddr, port: u16, error: &io::Error) -> BoxError {
    match port {
        0 => format!("the emulator cannot be started: {error}").into(),
        port => format!("port {port} of {at} cannot be used: {error}; choose another one").into(),
    }
}

fn in_directory(dir: &Path, error: &io::Error) -> BoxError {
    format!("the files cannot be written to {}: {error}", dir.display()).into()
}
