//! What looking at one source of the chain comes to.

use crate::aliyun::credential::Credential;
use crate::aliyun::credential::order::Order;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};

/// What a source has to give.
#[derive(Debug)]
pub(super) enum Plan {
    /// An access key as it stands there.
    Key(Credential),
    /// One that somebody hands out for a while.
    Temporary(Order),
    /// The same from somebody who is asked just in case: nobody set it up.
    InCase(Order),
}

/// Why a source has nothing to give.
#[derive(Debug)]
pub(super) enum Miss {
    /// Nobody set it up, or somebody switched it off.
    Absent(String),
    /// Nobody set it up; it was asked in vain.
    InVain(Error),
    /// It is set up, and does not work; if the error is transient, not yet.
    Fault(Error),
}

impl Miss {
    pub(super) fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(reason.into())
    }

    /// One that stays until somebody mends it.
    pub(super) fn fault(message: impl Into<String>) -> Self {
        Self::Fault(Error::new(ErrorKind::Credential, message))
    }
}

/// Whether the variable says `true`, in capitals or not.
pub(super) fn is_true(environment: &Environment, name: &str) -> bool {
    environment.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
