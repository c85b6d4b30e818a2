//! The names that tokens are stored under.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};

use crate::scope::Scope;

/// Whose tokens they are: who gets the same from the issuer shares them, and nobody else.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Where tokens are asked for; empty with a source of the user's own.
    pub(crate) issuer: String,
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) method: String,
    pub(crate) namespace: String,
}

impl Owner {
    /// A hash, so that the store's keys tell nobody who asks whom for what.
    pub(super) fn name(&self, scope: &Scope) -> String {
        let Self { issuer, instance_id, client_id, method, namespace } = self;
        let mut context = Context::new(&SHA256);
        for part in [issuer, instance_id, client_id, method, namespace, scope.key()] {
            // With its length, or two parts could be cut elsewhere and be the same.
            // The same on machines of all widths.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut name = String::with_capacity(64);
        for byte in context.finish().as_ref() {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: [&str; 5], scope: &str) -> String {
        let [issuer, instance_id, client_id, method, namespace] = parts.map(str::to_owned);
        Owner { issuer, instance_id, client_id, method, namespace }.name(&Scope::parse(scope).unwrap())
    }

    #[test]
    fn every_part_makes_another_name_and_so_does_a_moved_border() {
        let names = [
            name(["a", "b", "c", "d", "e"], "f|g"),
            name(["x", "b", "c", "d", "e"], "f|g"),
            name(["a", "x", "c", "d", "e"], "f|g"),
            name(["a", "b", "x", "d", "e"], "f|g"),
            name(["a", "b", "c", "x", "e"], "f|g"),
            name(["a", "b", "c", "d", "x"], "f|g"),
            name(["a", "b", "c", "d", "e"], "f|x"),
            name(["ab", "", "c", "d", "e"], "f|g"),
            name(["a", "bc", "", "d", "e"], "f|g"),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn scopes_that_are_equal_share_a_name_that_shows_nothing_of_them() {
        let one = name(["a", "b", "c", "d", "e"], "api://f|g api://f|h");
        assert_eq!(one, name(["a", "b", "c", "d", "e"], "api://f|h  api://f|g"));
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
