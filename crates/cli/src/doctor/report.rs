//! All findings, in the order of the steps.

use std::fmt;

use super::finding::{Finding, Mark, Step};

#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    /// Whether the examined configuration is unused.
    pub(crate) is_demo: bool,
    /// Whether a service would not start with the configuration.
    pub(crate) is_unusable: bool,
    listener: Listener,
    /// How many steps the listener has received.
    reported: usize,
}

/// What it all comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A token is issued, and no step has failed.
    Healthy,
    Failed,
    UnusableConfig,
}

/// Receives each finding as soon as all of the steps before it are known.
#[derive(Default)]
struct Listener(Option<Box<OnFinding>>);

type OnFinding = dyn Fn(&Finding);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Report {
    pub(crate) fn with_listener(listener: impl Fn(&Finding) + 'static) -> Self {
        Self { listener: Listener(Some(Box::new(listener))), ..Self::default() }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        while let Some(finding) = Step::ALL.get(self.reported).and_then(|step| self.of(*step)) {
            if let Some(listener) = &self.listener.0 {
                listener(finding);
            }
            self.reported += 1;
        }
    }

    /// Notes what a step found and hands on what later steps need of it.
    pub(crate) fn take<T>(&mut self, (finding, found): (Finding, Option<T>)) -> Option<T> {
        self.add(finding);
        found
    }

    /// Skips those of the steps that have no finding yet.
    pub(crate) fn skip(&mut self, steps: &[Step], why: &str) {
        for step in steps {
            if self.mark(*step).is_none() {
                self.add(Finding::skipped(*step, why));
            }
        }
    }

    /// Every step that was not examined depends on this one.
    pub(crate) fn skip_rest(mut self, needed: Step) -> Self {
        self.skip(&Step::ALL, &format!("needs `{}`", needed.as_str()));
        self
    }

    pub(crate) fn mark(&self, step: Step) -> Option<Mark> {
        self.of(step).map(|finding| finding.mark)
    }

    fn of(&self, step: Step) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.step == step)
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        Step::ALL.iter().flat_map(|step| self.findings.iter().filter(move |finding| finding.step == *step))
    }

    /// The first that failed of these steps.
    pub(crate) fn failed(&self, steps: &[Step]) -> Option<Step> {
        steps.iter().find(|step| self.mark(**step) == Some(Mark::Failed)).copied()
    }

    pub(crate) fn has_token(&self) -> bool {
        matches!(self.mark(Step::Token), Some(Mark::Ok | Mark::Warning))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.is_healthy() {
            true => Verdict::Healthy,
            false if self.is_unusable => Verdict::UnusableConfig,
            false => Verdict::Failed,
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.has_token() && self.failed(&Step::ALL).is_none()
    }
}
