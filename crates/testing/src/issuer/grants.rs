//! What the client may ask for.

use tower_idaas::Scope;

/// The scope, or what is wrong with it.
pub(crate) fn parse_scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: tower_idaas::ConfigError| {
        error.faults().first().map_or_else(String::new, |fault| fault.problem().to_owned())
    })
}

/// The permission that stands for all that is granted.
pub(crate) const ALL: &str = ".all";

/// The scopes that an administrator granted to the client; everything, if none was named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants(Vec<Scope>);

/// What one token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) audience: String,
    pub(crate) permissions: Vec<String>,
}

impl Granted {
    /// The `scope` of the response: items as in the request.
    pub(crate) fn scope(&self) -> String {
        let items: Vec<String> =
            self.permissions.iter().map(|permission| format!("{}|{permission}", self.audience)).collect();
        items.join(" ")
    }
}

impl Grants {
    pub(crate) fn add(&mut self, scope: Scope) {
        self.0.push(scope);
    }

    pub(crate) fn first(&self) -> Option<&Scope> {
        self.0.first()
    }

    /// What the requested scope yields, or the permission that is not granted.
    pub(crate) fn grant(&self, requested: &Scope) -> Result<Granted, String> {
        let audience = requested.audience().to_owned();
        let mut permissions: Vec<String> = Vec::new();
        let mut add = |permission: &str| {
            if !permissions.iter().any(|known| known == permission) {
                permissions.push(permission.to_owned());
            }
        };
        if self.0.is_empty() {
            requested.permissions().for_each(add);
            return Ok(Granted { audience, permissions });
        }
        let granted: Vec<&str> = self
            .0
            .iter()
            .filter(|scope| scope.audience() == audience)
            .flat_map(|scope| scope.permissions())
            .collect();
        for permission in requested.permissions() {
            if permission == ALL && !granted.is_empty() {
                granted.iter().copied().for_each(&mut add);
            } else if granted.contains(&permission) || granted.contains(&ALL) {
                add(permission);
            } else {
                return Err(format!("{audience}|{permission}"));
            }
        }
        Ok(Granted { audience, permissions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(granted: &[&str], requested: &str) -> Result<String, String> {
        let grants = Grants(granted.iter().map(|text| parse_scope(text).unwrap()).collect());
        grants.grant(&parse_scope(requested).unwrap()).map(|granted| granted.scope())
    }

    #[test]
    fn any_scope_is_granted_until_one_is_named() {
        assert_eq!(grant(&[], "a|x a|y a|x").unwrap(), "a|x a|y");
        assert_eq!(grant(&[], "a|.all").unwrap(), "a|.all");
    }

    #[test]
    fn only_what_is_granted_is_given() {
        assert_eq!(grant(&["a|x a|y", "b|z"], "a|y").unwrap(), "a|y");
        assert_eq!(grant(&["a|x a|y", "b|z"], "a|x a|z").unwrap_err(), "a|z");
        assert_eq!(grant(&["a|x"], "c|.all").unwrap_err(), "c|.all");
        assert_eq!(grant(&["a|.all"], "a|x").unwrap(), "a|x");
    }

    #[test]
    fn dot_all_is_everything_granted_for_the_audience() {
        assert_eq!(grant(&["a|x", "a|y", "b|z"], "a|.all").unwrap(), "a|x a|y");
    }
}
