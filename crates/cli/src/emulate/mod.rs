//! `idaas emulate`: the IDaaS of `tower-idaas-testing` as a server, for services in any language.
//!
//! It listens on the loopback interface alone unless `--host` says how others reach it, as its tokens and credentials are
//! for tests. In a compose file, services reach it by its name and read its files from a volume for `--dir`.

mod clients;
mod fault;
mod files;
mod host;
mod method;
mod servers;
mod stored;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use serde_json::json;
use tower_idaas::{BoxError, Scope};

use self::fault::Fault;
use self::files::Emulated;
use self::host::Host;
use self::method::Method;
use self::servers::{Ports, Servers};
use crate::arguments::Arguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::output::{note, print};
use crate::shutdown;

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
    /// The port of what the method needs beside the token endpoint: of the OpenAPI for plugin, of the metadata service for
    /// pkcs7 [default: a free one]
    #[arg(long, value_name = "PORT")]
    method_port: Option<u16>,
    /// The clients: a JSON array of objects with `id` and `secret`, or with `id` and `public_key` (PEM) for one that signs
    /// assertions. The configuration is for the first one with a secret [default: one, app_test]
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Also serves a DeveloperAPI with what this file stores: a JSON object with `api_keys`, `oauth_clients`, `providers`
    /// and `roles`
    #[arg(long, value_name = "FILE")]
    stored: Option<PathBuf>,
    /// The port of the DeveloperAPI [default: a free one]
    #[arg(long, value_name = "PORT", requires = "stored")]
    developer_api_port: Option<u16>,
    /// How long tokens live, such as 90s or 20m
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = humantime::parse_duration)]
    token_life: Duration,
    /// What goes wrong where tokens are requested
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Where client-config.json, root-certificate.pem, idaas.env (variables, for `env_file` and shells), and for oidc
    /// service-account-token are written [default: a temporary directory, which goes with the emulator]
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(arguments: EmulateArguments) -> Result<(), Failure> {
    arguments.check()?;
    let EmulateArguments { host, port, api_port, method_port, developer_api_port, .. } = arguments;
    let EmulateArguments { scope, method, clients, stored, token_life, fault, dir, .. } = arguments;
    let clients = clients.map(|file| clients::read(&file)).transpose()?.unwrap_or_default();
    let stored = stored.map(|file| stored::read(&file)).transpose()?;
    let stop = shutdown::requested()?;
    let temporary;
    let dir = match &dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| files::in_directory(dir, &error))?;
            dir.as_path()
        }
        None => {
            temporary = tempfile::tempdir().map_err(|error| {
                BoxError::from(format!("{error}; name a directory that can be written with --dir"))
            })?;
            temporary.path()
        }
    };
    let at = host.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |host| host.address);
    let ports =
        Ports { at, token: port, api: api_port, method: method_port, developer_api: developer_api_port };
    let mut builder = clients::register(clients, Servers::builder(&ports, fault)).token_life(token_life);
    if let Some(Host { name, address }) = &host {
        builder = builder.host(name).listen_on(*address);
    }
    let servers = Servers::start(builder, &ports, &scope, method, stored).await?;
    if let Some(fault) = fault {
        servers.behave(fault);
    }
    let emulated = Emulated::write(&servers, &scope, method, dir)?;
    print(&report(&servers, &emulated))?;
    note(&format!("serving {} until interrupted; files are in {}\n", servers.idaas.issuer(), dir.display()));
    remark(at, &servers);
    let _ = stop.await;
    Ok(())
}

impl EmulateArguments {
    /// # Errors
    ///
    /// When two arguments make no sense together.
    fn check(&self) -> Result<(), Failure> {
        let problem = match (self.method, self.method_port, self.fault) {
            (Method::Plugin, _, Some(fault)) if fault.certificate().is_some() => {
                "this --fault is one of the token endpoint, which --method plugin does not call"
            }
            (Method::Plugin | Method::Pkcs7, ..) | (_, None, _) => return Ok(()),
            (_, Some(_), _) => "--method-port is for --method plugin and --method pkcs7 alone",
        };
        let mut command = Arguments::command();
        command.build();
        let emulate = command.find_subcommand("emulate").cloned();
        Err(Failure::Usage(emulate.unwrap_or(command).error(ErrorKind::ArgumentConflict, problem)))
    }
}

/// What is on stdout.
fn report(servers: &Servers, emulated: &Emulated) -> String {
    let Servers { idaas, api, metadata_service, .. } = servers;
    let mut report = json!({
        "issuer": idaas.issuer(),
        "token_endpoint": idaas.token_endpoint(),
        "jwks_url": idaas.jwks_url(),
        "config": emulated.config,
        "root_certificate": idaas.root_certificate_pem(),
        "environment": emulated.environment,
    });
    if let Some(report) = report.as_object_mut() {
        let api = api.as_ref().map(|api| api.url().to_owned());
        let metadata = metadata_service.as_ref().map(|service| service.address());
        let further = [("api_url", api), ("metadata_url", metadata)];
        report.extend(further.into_iter().filter_map(|(name, url)| Some((name.to_owned(), url?.into()))));
    }
    format!("{report:#}\n")
}

/// What its user has to know.
fn remark(at: IpAddr, servers: &Servers) {
    if let Some(service) = &servers.metadata_service {
        let address = service.address();
        note(&format!(
            "the metadata service is at {address}; a configuration cannot say so: see `The emulator` in docs/program.md\n"
        ));
    }
    if !at.is_loopback() {
        note("warning: other machines can reach it, and its tokens and keys are for tests\n");
    }
}
