//! Every format of key, and the fields and headers that each method adds to a request.

mod assertions;
mod keys;

use std::collections::hash_map::RandomState;

use crate::authn::request::Client;
use crate::authn::*;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::environment::ManualEnvironment;

const ENDPOINT: &str = "https://localhost/oauth2/token?a=b";

/// A key from the captures.
macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../../tests/golden/keys/", $name))
    };
}

macro_rules! odd {
    ($name:literal) => {
        include_str!(concat!("../../../tests/odd_keys/", $name))
    };
}

use {golden, odd};

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::Manual(ManualEnvironment::from_iter(variables.iter().copied()))
}

fn request(environment: &Environment) -> TokenRequest {
    let client = Client {
        instance_id: "idaas_test".into(),
        client_id: "app_test".into(),
        token_endpoint: http::Uri::from_static(ENDPOINT),
    };
    TokenRequest::new(&client, environment, Clock::System.now(), &RandomState::new())
}
