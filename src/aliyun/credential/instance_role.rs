//! The role of the ECS instance this program runs on, from the metadata service.

use bytes::Bytes;
use http::Response;

use super::lookup::{Miss, Plan, is_true};
use super::order::{Issuer, Means, Order, Temporary};
use super::temporary;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::percent;
use crate::token::answer::{self, Asked, Peer};

/// What the metadata service is needed for, in its errors.
pub(super) const PURPOSE: &str = "the RAM role of an instance is to be had";

const DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const PATH: &str = "/latest/meta-data/ram/security-credentials/";

pub(super) fn plan(environment: &Environment) -> Result<Plan, Miss> {
    let role_name = environment.text("ALIBABA_CLOUD_ECS_METADATA");
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
    let session = service.session().await?;
    let role_name = match role_name {
        Some(name) => name.to_owned(),
        None => first_line(service.text(session.get(PATH).await?)?.expose_secret()).ok_or_else(|| {
            let problem = format!("{} knows no RAM role", service.shown());
            Error::new(ErrorKind::Rejected, format!("{problem}; attach one to the instance"))
        })?,
    };
    let response: Response<Bytes> = session.get(&format!("{PATH}{}", percent::encoded(&role_name))).await?;
    let endpoint = service.shown();
    let now = means.clock.now().system_time();
    let asked = Asked { peer: &Instance, endpoint: &endpoint, scope: "", secrets: Vec::new(), now };
    let answer = answer::object(response.status(), response.headers(), response.body(), &asked)?;
    temporary::read(&answer, &answer.object, provider, Some(asked.now))
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
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
