//! The role of the ECS instance this program runs on, from the metadata service.

use crate::aliyun::credential::file;
use crate::aliyun::credential::lookup::{
    FetchContext, Issuer, Lookup, NoCredential, Temporary, TemporarySource, is_true,
};
use crate::aliyun::credential::temporary::{self, Clocks};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::wire::call::ApiCall;
use crate::wire::percent;
use crate::wire::profile::{ApiProfile, Refusal};

/// The purpose of the metadata service, for its errors.
pub(super) const PURPOSE: &str = "the RAM role of an instance is available";

pub(super) const ROLE_NAME: &str = "ALIBABA_CLOUD_ECS_METADATA";
const DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const PATH: &str = "/latest/meta-data/ram/security-credentials/";

pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    let role_name = file::variable(ROLE_NAME, environment)?;
    let lookup = if role_name.is_some() { Lookup::Temporary } else { Lookup::IfPresent };
    source(environment, role_name, "ecs_ram_role").map(lookup)
}

/// The source for a role that any provider may name.
pub(super) fn source(
    environment: &Environment,
    role_name: Option<String>,
    provider: &'static str,
) -> Result<TemporarySource, NoCredential> {
    match is_true(environment, DISABLED) {
        true => Err(NoCredential::not_configured(format!("switched off by {DISABLED}"))),
        false => Ok(TemporarySource { from: Issuer::Instance { role_name }, provider }),
    }
}

/// Looks up the role's name, if it is not configured, and fetches its credential.
pub(super) async fn fetch(
    role_name: Option<&str>,
    provider: &'static str,
    context: &FetchContext,
) -> Result<Temporary, Error> {
    let service = &context.metadata;
    let session = service.session(&context.environment).await?;
    let role_name = match role_name {
        Some(name) => name.to_owned(),
        None => {
            let names = service.text(session.get(PATH).await?)?;
            named(names.expose_secret(), session.expose_token(), &service.display_address())?
        }
    };
    let endpoint = service.display_address();
    let call = ApiCall::new(&Instance, &endpoint, "", &context.channel.clock, [session.expose_token()])
        .with_public([role_name.as_str()]);
    let target = format!("{PATH}{}", percent::encoded(&role_name));
    let response = call.receive(session.get(&target)).await?;
    temporary::read(&response, &response.object, provider, Clocks::Both)
}

/// The role name in the first line, which becomes part of the next request and of messages.
fn named(lines: &str, token: &str, service: &str) -> Result<String, Error> {
    match lines.lines().map(str::trim).find(|line| !line.is_empty()) {
        None => {
            let problem = format!("{service} knows no RAM role; attach one to the instance");
            Err(Error::new(ErrorKind::Refused, problem))
        }
        Some(name) if is_name(name) && (token.is_empty() || !name.contains(token)) => Ok(name.to_owned()),
        Some(_) => {
            let problem = format!("what {service} gave is not the name of a RAM role");
            let message = format!("{problem}; check that nothing is in front of it");
            Err(Error::new(ErrorKind::InvalidResponse, message).with_transient(false))
        }
    }
}

/// Whether RAM accepts the text as a role's name.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// The metadata service, used for credentials only.
#[derive(Debug)]
struct Instance;

impl ApiProfile for Instance {
    fn name(&self) -> &'static str {
        "the metadata service"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a credential", "an error"]
    }

    fn is_transient(&self, _code: &str) -> bool {
        false
    }

    fn hint_of_unusable(&self) -> &'static str {
        "check the instance's RAM role, and that nothing is in front of the service"
    }

    fn hint(&self, _refusal: &Refusal<'_>) -> String {
        "check the instance's RAM role".into()
    }
}
