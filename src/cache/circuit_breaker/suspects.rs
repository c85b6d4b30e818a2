//! Whose failures may be their own fault, until there are too many of them for that.

use crate::token::subject::Identity;

/// So many subject tokens in a row do not all happen to be bad.
const SUBJECTS: usize = 4;

/// Whose request it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// The client's own, for this scope.
    Own(&'a str),
    /// On behalf of somebody, with their token: what is wrong may be wrong with that.
    Exchange(Identity),
}

/// Whose fetches have failed in a way that may be their own fault, since the issuer last answered.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    scope: Option<String>,
    subjects: Vec<Identity>,
}

impl Suspects {
    /// Adds one, and says whether it must be the issuer's fault: when a second scope fails like the first, or
    /// a number of subject tokens. One of them alone never makes it so, however often it fails.
    pub(crate) fn add(&mut self, subject: Subject<'_>) -> bool {
        match subject {
            Subject::Own(scope) => self.scope.get_or_insert_with(|| scope.to_owned()) != scope,
            Subject::Exchange(identity) => {
                if !self.subjects.contains(&identity) {
                    self.subjects.push(identity);
                }
                self.subjects.len() >= SUBJECTS
            }
        }
    }
}
