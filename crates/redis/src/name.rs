//! The names that tokens are stored under.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};
use tower_idaas::Scope;

/// What distinguishes the tokens of one client from those of others. Processes where all of it is equal share tokens.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Where tokens are requested; empty with a source that is set in code.
    pub(crate) issuer: String,
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) method: String,
    pub(crate) namespace: String,
}

impl Identity {
    /// A hash, so that the store's keys show neither client nor scope.
    pub(crate) fn name(&self, scope: &Scope) -> String {
        let Self { issuer, instance_id, client_id, method, namespace } = self;
        let mut context = Context::new(&SHA256);
        for part in [issuer, instance_id, client_id, method, namespace, &key(scope)] {
            // With its length, in the same width on all machines: otherwise a part that ends elsewhere would give the
            // same name.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        hexadecimal(context.finish().as_ref())
    }
}

/// The text that equal scopes share: order, repetition and spacing of the items do not count.
fn key(scope: &Scope) -> String {
    let mut permissions: Vec<_> = scope.permissions().collect();
    permissions.sort_unstable();
    permissions.dedup();
    let audience = scope.audience();
    permissions.iter().fold(String::new(), |key, permission| key + audience + "|" + permission + " ")
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: [&str; 5], scope: &str) -> String {
        let [issuer, instance_id, client_id, method, namespace] = parts.map(str::to_owned);
        Identity { issuer, instance_id, client_id, method, namespace }.name(&scope.parse().unwrap())
    }

    #[test]
    fn each_part_gives_another_name_and_so_does_a_moved_border() {
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
