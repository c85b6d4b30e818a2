//! The role of the ECS instance this program runs on, from the metadata service.

use bytes::Bytes;
use http::Response;

use crate::aliyun::credential::lookup::{Miss, Plan, is_true};
use crate::aliyun::credential::order::{Issuer, Means, Order, Temporary};
use crate::aliyun::credential::temporary;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::wire::percent;
use crate::wire::response::{self as answer, Asked, Peer};

/// What the metadata service is needed for, in its errors.
pub(super) const PURPOSE: &str = "the RAM role of an instance is to be had";

pub(super) const ROLE_NAME: &str = "ALIBABA_CLOUD_ECS_METADATA";
const DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const PATH: &str = "/latest/meta-data/ram/security-credentials/";

pub(super) fn plan(environment: &Environment) -> Result<Plan, Miss> {
    let role_name = environment.text(ROLE_NAME);
    let plan = if role_name.is_some() { Plan::Temporary } else { Plan::InCase };
    order(environment, role_name, "ecs_ram_role").map(plan)
}

/// The order for a role, wherever it is named.
pub(super) fn order(
    environment: &Environment,
    role_name: Option<String>,
    provider: &'static str,
) -> Result<Order, Miss> {
    match is_true(environment, DISABLED) {
        true => Err(Miss::absent(format!("switched off by {DISABLED}"))),
        false => Ok(Order { from: Issuer::Instance { role_name }, provider }),
    }
}

/// Asks for the role's name, if it is not known, and for its credential.
pub(super) async fn fetch(
    role_name: Option<&str>,
    provider: &'static str,
    means: &Means,
) -> Result<Temporary, Error> {
    let service = &means.metadata;
    let session = service.session(&means.environment).await?;
    let role_name = match role_name {
        Some(name) => name.to_owned(),
        None => {
            let names = service.text(session.get(PATH).await?)?;
            named(names.expose_secret(), session.expose_token(), &service.shown())?
        }
    };
    let response: Response<Bytes> = session.get(&format!("{PATH}{}", percent::encoded(&role_name))).await?;
    let endpoint = service.shown();
    let now = means.clock.now().system_time();
    let secrets = vec![session.expose_token()];
    let asked = Asked { peer: &Instance, endpoint: &endpoint, scope: "", secrets, now };
    let answer = answer::object(response.status(), response.headers(), response.body(), &asked)?;
    temporary::read(&answer, &answer.object, provider, Some(asked.now))
}

/// The name in the first line, which becomes a part of the next request and of messages about it.
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

/// What RAM takes for a role's name.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// The metadata service, as far as it gives credentials.
#[derive(Debug)]
struct Instance;

impl Peer for Instance {
    fn name(&self) -> &'static str {
        "the metadata service"
    }

    fn holds(&self) -> [&'static str; 2] {
        ["a credential", "an error"]
    }

    fn may_pass(&self, _code: &str) -> bool {
        false
    }

    fn advice(&self, _code: &str, _scope: &str) -> String {
        "check the instance's RAM role".into()
    }
}
